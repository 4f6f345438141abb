/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A SYN that was held carries the time at which it was built. The answer echoes it, and the sender
   would take the time of the hold for a round trip: an RTO of many seconds. So its RFC 7323 time
   stamp is moved on by the time it was out. */
#ifndef SLUICE_BPF_LIB_TIMESTAMP_H
#define SLUICE_BPF_LIB_TIMESTAMP_H

#include "lib/tcp_options.h"

/* Where a packet's TSval stands, from its Ethernet header; 0: it has none, or at an odd offset.
   Global: its paths are followed once. */
__noinline int dp_timestamp_seek(struct __sk_buff *skb, __u32 l4)
{
    struct dp_tcp_options options = {.kind = 8, .size = 10};
    __u8 offset = 0;
    __u32 bytes, at;

    if (bpf_skb_load_bytes(skb, l4 + 12, &offset, 1)) return 0;
    bytes = (offset >> 4) * 4;
    if (bytes <= 20) return 0;
    bytes -= 20;
    if (bytes > DP_TCP_OPTIONS_MAX) return 0;
    if (bpf_skb_load_bytes(skb, l4 + 20, options.bytes, bytes)) return 0;
    options.length = bytes;
    at = dp_tcp_option_find(&options);
    return at && !(at & 1) ? l4 + 20 + at : 0;
}

/* The packet stands behind a downcall header; since_ns is when it went out. */
static __noinline int dp_timestamp_advance(struct xdp_md *ctx, const struct dp_flow_key *k,
                                           __u64 since_ns)
{
    __u32 l3 = sizeof(struct dp_downcall) + ETH_HLEN, l4, bytes, at;
    struct dp_tcp_options options = {.kind = 8, .size = 10};
    __u8 fixed[20], first;
    __be32 was, now;
    __u16 check;

    if (!k || k->protocol != DP_PROTO_TCP) return 0;
    if (bpf_xdp_load_bytes(ctx, l3, &first, 1)) return 0;
    l4 = l3 + (first >> 4 == 4 ? (first & 15) * 4 : 40);
    if (bpf_xdp_load_bytes(ctx, l4, fixed, sizeof fixed) || !(fixed[13] & DP_TCP_SYN)) return 0;
    bytes = (fixed[12] >> 4) * 4;
    if (bytes <= 20) return 0;
    bytes -= 20;
    if (bytes > DP_TCP_OPTIONS_MAX) return 0;
    if (bpf_xdp_load_bytes(ctx, l4 + 20, options.bytes, bytes)) return 0;
    options.length = bytes;
    at = dp_tcp_option_find(&options);
    if (!at || at & 1 || at > 36)
        return 0; /* at an odd offset the checksum's bytes would be swapped */
    if (bpf_xdp_load_bytes(ctx, l4 + 20 + at, &was, 4)) return 0;
    now = bpf_htonl(bpf_ntohl(was) + (__u32)((bpf_ktime_get_ns() - since_ns) / 1000000));
    if (bpf_xdp_load_bytes(ctx, l4 + 16, &check, 2)) return 0;
    {
        __s64 sum = bpf_csum_diff(&was, 4, &now, 4, (__u16)~check);

        sum = (sum & 0xffff) + ((__u32)sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        check = ~sum;
    }
    return bpf_xdp_store_bytes(ctx, l4 + 20 + at, &now, 4) ||
           bpf_xdp_store_bytes(ctx, l4 + 16, &check, 2);
}

#endif
