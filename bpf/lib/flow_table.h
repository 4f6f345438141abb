/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows behind a small interface, so that another table can take the hash map's place. */
#ifndef SLUICE_BPF_LIB_FLOW_TABLE_H
#define SLUICE_BPF_LIB_FLOW_TABLE_H

#include "lib/parse.h"

/* ICMP queries: the identifier, so that the answer is of the same flow; other messages by type and
   code; other protocols by their addresses. */
DP_INLINE void dp_flow_key_ports(struct dp_flow_key *k, const struct dp_packet *p, int outbound)
{
    if (dp_is_icmp_query(p)) {
        k->local_port = p->icmp_id;
    } else if (p->protocol == DP_PROTO_ICMP || p->protocol == DP_PROTO_ICMPV6) {
        k->local_port = p->source_port << 8 | p->destination_port;
        k->remote_port = 0xffff;
    } else {
        k->local_port = outbound ? p->source_port : p->destination_port;
        k->remote_port = outbound ? p->destination_port : p->source_port;
    }
}

DP_INLINE void dp_flow_key_fill(struct dp_flow_key *k, const struct dp_packet *p, int outbound)
{
    __builtin_memset(k, 0, sizeof *k);
    k->local = outbound ? p->source : p->destination;
    k->remote = outbound ? p->destination : p->source;
    k->protocol = p->protocol;
    dp_flow_key_ports(k, p, outbound);
}

DP_INLINE int dp_fragment_later(struct dp_fragments *first, const struct dp_packet *p)
{
    if (!first) return DP_REASON_FRAGMENT;
    if (p->fragment_at < first->first_end) first->refused = 1;
    return first->refused ? DP_REASON_FRAGMENT_OVERLAP : DP_REASON_NONE;
}

/* The flow key of a packet, with fragments judged like their first one. Returns why it has none. A
   function of its own for its stack. */
static __noinline int dp_flow_key_of(struct dp_flow_key *k, const struct dp_packet *p, int outbound)
{
    struct dp_fragment_key f = {
        .source = p->source,
        .destination = p->destination,
        .id = p->fragment_id,
        .protocol = p->protocol | (outbound ? 0x100 : 0)}; /* on lo a packet passes both ways */
    struct dp_fragments value = {.first_end = p->payload};
    struct dp_fragments *first;
    int reason;

    if (p->fragment == DP_FRAGMENT_LATER) {
        first = bpf_map_lookup_elem(&fragments, &f);
        reason = dp_fragment_later(first, p);
        if (!reason && first) *k = first->flow;
        return reason;
    }
    dp_flow_key_fill(k, p, outbound);
    if (p->fragment != DP_FRAGMENT_FIRST) return DP_REASON_NONE;
    value.flow = *k;
    return bpf_map_update_elem(&fragments, &f, &value, BPF_ANY) ? DP_REASON_FRAGMENT
                                                                : DP_REASON_NONE;
}

DP_INLINE struct dp_flow *dp_flow_find(const struct dp_flow_key *k)
{
    return bpf_map_lookup_elem(&flows, k);
}

DP_INLINE void dp_flow_delete(const struct dp_flow_key *k)
{
    bpf_map_delete_elem(&flows, k);
}

/* NULL: no room, or another CPU was first. */
DP_INLINE struct dp_flow *dp_flow_insert(const struct dp_flow_key *k, const struct dp_flow *value)
{
    if (bpf_map_update_elem(&flows, k, value, BPF_NOEXIST)) return 0;
    return bpf_map_lookup_elem(&flows, k);
}

DP_INLINE void dp_flow_tcp_flags(struct dp_flow *f, const struct dp_packet *p, int outbound)
{
    __u32 add = 0;

    if (p->protocol != DP_PROTO_TCP) return;
    if (p->tcp_flags & DP_TCP_RST) add |= DP_FLOW_RST;
    if (p->tcp_flags & DP_TCP_FIN) add |= outbound ? DP_FLOW_FIN_LOCAL : DP_FLOW_FIN_REMOTE;
    if (add) __sync_fetch_and_or(&f->flags, add);
}

DP_INLINE void dp_flow_touch(struct dp_flow *f, const struct dp_packet *p, int outbound)
{
    f->seen_ns = bpf_ktime_get_coarse_ns();
    __sync_fetch_and_add(&f->packets, 1);
    __sync_fetch_and_add(&f->bytes, p->bytes);
    if (outbound == (f->direction == DP_DIRECTION_INBOUND) && !(f->flags & DP_FLOW_REPLIED))
        __sync_fetch_and_or(&f->flags, DP_FLOW_REPLIED);
    dp_flow_tcp_flags(f, p, outbound);
}

/* Low bits of the flow's id, where there is room for no more. */
DP_INLINE __u32 dp_flow_mark(const struct dp_flow *f)
{
    return f->ticket & 0x3fff;
}

/* The NIC for a packet of the flow. */
DP_INLINE __u32 dp_flow_nic(const struct dp_flow *f, __u32 inbound)
{
    __u32 nic = inbound ? f->arrival : f->nexthop;

    return nic ? nic : f->ifindex;
}

/* The connection that the entry stood for is over or another one; a SYN now begins a new one. */
DP_INLINE int dp_flow_is_over(const struct dp_flow *f)
{
    __u32 fins = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE;
    return (f->flags & DP_FLOW_RST) || (f->flags & fins) == fins;
}

#endif
