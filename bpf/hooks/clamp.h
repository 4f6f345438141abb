/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A device may take larger packets than a port's frame holds. So that TCP does not send any that a
   callout of a packet layer would be asked about, the MSS that a SYN or its answer offers is
   lowered: one that leaves limits what comes in, one that comes in limits what leaves. */
#ifndef SLUICE_BPF_HOOKS_CLAMP_H
#define SLUICE_BPF_HOOKS_CLAMP_H

#include "hooks/step.h"
#include "lib/tcp_options.h"
#include "lib/upcall.h"

/* The most of a segment's data that goes up whatever its TCP header is, without that of IP. */
#define DP_CLAMP_BYTES                                                                             \
    (DP_PORT_MTU - sizeof(struct dp_upcall) - 4 * DP_VLAN_TAGS_MAX - DP_TCP_BYTES_MAX)
#define DP_CLAMP_MTU (DP_CLAMP_BYTES + sizeof(struct tcphdr)) /* with it nothing is larger */

/* Layers that ask about each packet of a direction: of IPv4, those of IPv6 are DP_LAYER_V6 more. */
#define DP_CLAMP_IN                                                                                \
    (DP_BIT(DP_LAYER_INBOUND_IPPACKET_V4) | DP_BIT(DP_LAYER_INBOUND_TRANSPORT_V4) |                \
     DP_BIT(DP_LAYER_IPFORWARD_V4))
#define DP_CLAMP_OUT                                                                               \
    (DP_BIT(DP_LAYER_OUTBOUND_IPPACKET_V4) | DP_BIT(DP_LAYER_OUTBOUND_TRANSPORT_V4) |              \
     DP_BIT(DP_LAYER_IPFORWARD_V4))

/* Whether callouts may be asked about what comes back for a packet of this direction. */
DP_INLINE int dp_clamp_asks(__u32 ifindex, __u32 version, __u32 inbound)
{
    struct dp_image_head *head = dp_policy_head();
    struct dp_nic *nic = bpf_map_lookup_elem(&nics, &ifindex);
    __u64 back = inbound ? DP_CLAMP_OUT : DP_CLAMP_IN;
    __u64 frames = inbound ? DP_BIT(DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET)
                           : DP_BIT(DP_LAYER_INBOUND_MAC_FRAME_ETHERNET);

    if (!head || !nic) return 0;
    if (nic->loopback) { /* comes back by both */
        back = DP_CLAMP_IN | DP_CLAMP_OUT;
        frames = DP_BIT(DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET) |
                 DP_BIT(DP_LAYER_INBOUND_MAC_FRAME_ETHERNET);
    }
    return !!(head->asks[0] & (frames | (version == 4 ? back : back << DP_LAYER_V6)));
}

/* The MSS at `at` says `most` where it said more. */
DP_INLINE void dp_clamp_to(struct __sk_buff *skb, __u32 l4, __u32 at, __u16 most)
{
    __be16 was, now = bpf_htons(most), next = now;

    if (bpf_skb_load_bytes(skb, at, &was, sizeof was) || bpf_ntohs(was) <= most) return;
    if (bpf_skb_store_bytes(skb, at, &now, sizeof now, 0)) return;
    if ((at - l4) & 1) { /* its bytes are in two words of the sum, each in the other half */
        was = __builtin_bswap16(was);
        next = __builtin_bswap16(now);
    }
    bpf_l4_csum_replace(skb, l4 + offsetof(struct tcphdr, check), was, next, sizeof now);
}

/* Where the MSS stands that a TCP header offers; 0: it offers none. */
DP_INLINE __u32 dp_clamp_seek(struct __sk_buff *skb, __u32 l4)
{
    struct dp_tcp_options options = {.kind = 2, .size = 4};
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
    return at ? l4 + 20 + at : 0;
}

/* scratch holds the parsed packet, which has SYN set. Whatever it is made of, it goes on. Global:
   its paths are followed once, and its stack is nobody's else. */
__noinline int dp_clamp(struct __sk_buff *skb, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    __u32 mtu = 0, at, header, ifindex = skb->ifindex;

    if (!s || s->packet.fragment || !dp_clamp_asks(ifindex, s->packet.version, inbound)) return 0;
    bpf_check_mtu(skb, ifindex, &mtu, 0, 0);
    header = s->packet.l4 - s->packet.l3;
    if (mtu <= DP_CLAMP_MTU || header > DP_CLAMP_BYTES / 2) return 0;
    at = dp_clamp_seek(skb, s->packet.l4);
    if (at) dp_clamp_to(skb, s->packet.l4, at, DP_CLAMP_BYTES - header);
    return 0;
}

/* A SYN as most are: plain, or of IPv4 with options. */
DP_INLINE int dp_clamp_is_syn(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    __u8 *ip = (__u8 *)(eth + 1), *flags;

    if ((void *)(ip + sizeof(struct ipv6hdr)) > end) return 0;
    if (eth->h_proto == bpf_htons(DP_ETH_IPV4) && ip[9] == DP_PROTO_TCP)
        flags = ip + (ip[0] & 15) * 4 + 13;
    else if (eth->h_proto == bpf_htons(DP_ETH_IPV6) && ip[6] == DP_PROTO_TCP)
        flags = ip + sizeof(struct ipv6hdr) + 13;
    else
        return 0;
    return (void *)(flags + 1) <= end && *flags & DP_TCP_SYN;
}

/* What comes from a port may be a SYN that a host has made, or one that XDP has handed up. */
DP_INLINE void dp_clamp_sent(struct __sk_buff *skb, struct dp_scratch *s, __u32 inbound)
{
    if (dp_clamp_is_syn(skb) && !dp_parse_skb(skb, &s->packet) && s->packet.tcp_flags & DP_TCP_SYN)
        dp_clamp(skb, inbound);
}

#endif
