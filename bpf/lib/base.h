/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small things that every program needs: constants that UAPI headers lack, counters, ticket
 * numbers, time. */
#ifndef SLUICE_BPF_LIB_BASE_H
#define SLUICE_BPF_LIB_BASE_H

#include <bpf/bpf_endian.h>

#include "maps.bpf.h"

#define DP_INLINE static __always_inline

#define DP_ETH_IPV4 0x0800
#define DP_ETH_IPV6 0x86dd
#define DP_PROTO_ICMP 1
#define DP_PROTO_TCP 6
#define DP_PROTO_UDP 17
#define DP_PROTO_ICMPV6 58

/* The verifier knows nothing of what a global function returns; the compiler must not know more. */
#define DP_FORGET(value) asm volatile("" : "+r"(value))

DP_INLINE void dp_count_packets(__u32 reason, __u64 packets, __u64 bytes)
{
    struct dp_reason_count *c = bpf_map_lookup_elem(&reasons, &reason);
    if (c) {
        c->packets += packets;
        c->bytes += bytes;
    }
}

DP_INLINE void dp_count(__u32 reason, __u64 bytes)
{
    dp_count_packets(reason, 1, bytes);
}

DP_INLINE void dp_count_layer(__u32 layer, __u32 slot, __u64 bytes)
{
    __u32 at = layer * DP_LAYER_SLOTS + slot;
    struct dp_layer_count *c = bpf_map_lookup_elem(&layers, &at);
    if (c) {
        c->packets++;
        c->bytes += bytes;
    }
}

DP_INLINE void dp_count_filter(__u64 filter_id)
{
    __u64 key = filter_id / DP_HITS;
    struct dp_hits *hits = filter_id ? bpf_map_lookup_elem(&filter_hits, &key) : 0;
    if (hits) hits->count[filter_id % DP_HITS]++;
}

/* A number that no other packet of this data plane has had; 0 is never given. */
DP_INLINE __u64 dp_ticket_number(void)
{
    __u32 zero = 0;
    __u64 *n = bpf_map_lookup_elem(&sequence, &zero);
    return n ? __sync_fetch_and_add(n, 1) + 1 : 0;
}

DP_INLINE struct dp_scratch *dp_scratch(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&scratch, &zero);
}

DP_INLINE struct dp_addr dp_addr_v4(__be32 address)
{
    struct dp_addr a = {0, DP_V4_MAPPED | bpf_ntohl(address)};
    return a;
}

DP_INLINE struct dp_addr dp_addr_v6(const __be32 *words)
{
    struct dp_addr a = {(__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]),
                        (__u64)bpf_ntohl(words[2]) << 32 | bpf_ntohl(words[3])};
    return a;
}

DP_INLINE int dp_addr_is_v4(const struct dp_addr *a)
{
    return a->hi == 0 && (a->lo & 0xffffffff00000000ULL) == DP_V4_MAPPED;
}

DP_INLINE int dp_addr_is_loopback(const struct dp_addr *a)
{
    return dp_addr_is_v4(a) ? (a->lo & 0xff000000) == 0x7f000000 : a->hi == 0 && a->lo == 1;
}

/* The wildcard. */
DP_INLINE int dp_addr_is_any(const struct dp_addr *a)
{
    return !a->hi && (!a->lo || a->lo == DP_V4_MAPPED);
}

DP_INLINE int dp_addr_equal(const struct dp_addr *a, const struct dp_addr *b)
{
    return a->hi == b->hi && a->lo == b->lo;
}

DP_INLINE int dp_flow_key_equal(const struct dp_flow_key *a, const struct dp_flow_key *b)
{
    return dp_addr_equal(&a->local, &b->local) && dp_addr_equal(&a->remote, &b->remote) &&
           a->local_port == b->local_port && a->remote_port == b->remote_port &&
           a->protocol == b->protocol;
}

#endif
