/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Other addresses and ports in a packet, with its checksums; also of super-packets and where the
   device is to complete a sum. */
#ifndef SLUICE_BPF_HOOKS_REWRITE_H
#define SLUICE_BPF_HOOKS_REWRITE_H

#include "hooks/step.h"
#include "lib/route.h"

#define DP_F_IPV6 (1ULL << 7) /* BPF_F_IPV6, which older kernels do not know */

/* Where the sum over addresses and ports stands; 0: there is none here. */
DP_INLINE __u32 dp_sum_at(const struct dp_packet *p)
{
    if (!p->l4 || p->fragment == DP_FRAGMENT_LATER) return 0;
    switch (p->protocol) {
    case DP_PROTO_TCP:
        return p->l4 + 16;
    case DP_PROTO_UDP:
        return p->l4 + 6;
    case DP_PROTO_ICMPV6:
        return p->l4 + 2;
    default:
        return 0;
    }
}

DP_INLINE __u64 dp_sum_flags(const struct dp_packet *p)
{
    return p->protocol == DP_PROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

static __noinline int dp_rewrite_v4(struct __sk_buff *skb, const struct dp_packet *p, __u32 at,
                                    __u32 from, __u32 to)
{
    __be32 was = bpf_htonl(from), is = bpf_htonl(to);
    __u32 sum = dp_sum_at(p);

    if (bpf_l3_csum_replace(skb, p->l3 + 10, was, is, sizeof is)) return -1;
    if (sum &&
        bpf_l4_csum_replace(skb, sum, was, is, BPF_F_PSEUDO_HDR | dp_sum_flags(p) | sizeof is))
        return -1;
    return bpf_skb_store_bytes(skb, at, &is, sizeof is, 0);
}

static __noinline int dp_rewrite_v6(struct __sk_buff *skb, const struct dp_packet *p, __u32 at,
                                    const struct dp_addr *from, const struct dp_addr *to)
{
    __u64 flags = BPF_F_PSEUDO_HDR | dp_sum_flags(p);
    __be32 was[4], is[4];
    __u32 sum = dp_sum_at(p);
    __s64 by;

    dp_route_words(was, from);
    dp_route_words(is, to);
    by = bpf_csum_diff(was, sizeof was, is, sizeof is, 0);
    if (sum && bpf_l4_csum_replace(skb, sum, 0, by, flags | DP_F_IPV6) &&
        bpf_l4_csum_replace(skb, sum, 0, by, flags))
        return -1;
    return bpf_skb_store_bytes(skb, at, is, sizeof is, 0);
}

DP_INLINE int dp_rewrite_address(struct __sk_buff *skb, const struct dp_packet *p, int source,
                                 const struct dp_addr *from, const struct dp_addr *to)
{
    if (dp_addr_equal(from, to)) return 0;
    if (p->version == 4) return dp_rewrite_v4(skb, p, p->l3 + (source ? 12 : 16), from->lo, to->lo);
    return dp_rewrite_v6(skb, p, p->l3 + (source ? 8 : 24), from, to);
}

static __noinline int dp_rewrite_port(struct __sk_buff *skb, const struct dp_packet *p, __u32 at,
                                      __u32 from, __u32 to)
{
    __be16 was = bpf_htons(from), is = bpf_htons(to);

    if (was == is) return 0;
    if (bpf_l4_csum_replace(skb, dp_sum_at(p), was, is, dp_sum_flags(p) | sizeof is)) return -1;
    return bpf_skb_store_bytes(skb, at, &is, sizeof is, 0);
}

DP_INLINE int dp_has_ports(const struct dp_packet *p)
{
    return (p->protocol == DP_PROTO_TCP || p->protocol == DP_PROTO_UDP) &&
           p->fragment != DP_FRAGMENT_LATER;
}

/* Scratch's packet goes from to->local to to->remote from now on, in scratch as well. 0: done; else
   it is not to go anywhere. */
__noinline int dp_rewrite(struct __sk_buff *skb, const struct dp_flow_key *to)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_packet *p;

    if (!s || !to) return -1;
    p = &s->packet;
    if (dp_rewrite_address(skb, p, 1, &p->source, &to->local) ||
        dp_rewrite_address(skb, p, 0, &p->destination, &to->remote))
        return -1;
    p->source = to->local;
    p->destination = to->remote;
    if (!dp_has_ports(p)) return 0;
    if (dp_rewrite_port(skb, p, p->l4, p->source_port, to->local_port) ||
        dp_rewrite_port(skb, p, p->l4 + 2, p->destination_port, to->remote_port))
        return -1;
    p->source_port = to->local_port;
    p->destination_port = to->remote_port;
    bpf_set_hash_invalid(skb);
    return 0;
}

#endif
