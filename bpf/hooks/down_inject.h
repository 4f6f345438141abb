/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet that a host injects: it must be one that can be judged, and gets a record of who sent it
   and where it begins. Addresses and route are looked at in TC (port_inject.h). */
#ifndef SLUICE_BPF_HOOKS_DOWN_INJECT_H
#define SLUICE_BPF_HOOKS_DOWN_INJECT_H

#include "hooks/down.h"

DP_INLINE int dp_inject_is_frame(const struct dp_injection *i)
{
    return i->kind == DP_INJECT_MAC_SEND || i->kind == DP_INJECT_MAC_RECEIVE;
}

DP_INLINE int dp_down_inject_fits(const struct dp_injection *i, const struct dp_packet *p)
{
    __u32 ifindex = i->ifindex;

    if (!p->version || p->l3 != p->base + ETH_HLEN) return 0; /* not IP, or tagged */
    if (i->kind != DP_INJECT_RECEIVE && i->kind != DP_INJECT_SEND) return 0;
    if (i->kind == DP_INJECT_SEND && !ifindex) return 1;
    return bpf_map_lookup_elem(&nics, &ifindex) != 0;
}

DP_INLINE void dp_down_inject_record(struct dp_ticket *t, const struct dp_downcall *head,
                                     __u32 host)
{
    const struct dp_injection *i = &head->inject;

    __builtin_memset(t, 0, sizeof *t);
    t->asked_ns = bpf_ktime_get_ns();
    t->ifindex = i->ifindex;
    t->endpoint = i->endpoint;
    t->inject = i->kind;
    t->stage = i->kind == DP_INJECT_SEND      ? DP_STAGE_ALE_OUT
               : i->kind == DP_INJECT_RECEIVE ? DP_STAGE_IP_IN
                                              : DP_STAGE_NONE;
    t->injected.host = host;
    t->injected.handle = i->handle;
    t->injected.previous = i->previous;
    t->injected.previous_host = i->previous_host;
    t->injected.context = i->context;
    t->injected.times = head->count;
    if (head->kind == DP_DOWNCALL_INSTEAD) t->ahead = head->ahead;
}

/* The record of who injects what, for dp_port_apply. 0: there is no room, counted. */
DP_INLINE __u64 dp_down_inject_ticket(const struct dp_down *d)
{
    struct dp_ticket *t = &d->scratch->ticket;
    __u64 number = dp_ticket_number();

    dp_down_inject_record(t, &d->scratch->head, d->host);
    if (number && !bpf_map_update_elem(&tickets, &number, t, BPF_NOEXIST)) return number;
    dp_count(DP_REASON_TICKETS_FULL, d->bytes);
    return 0;
}

/* Whether a frame may go by the interface that is named. Its tags do not count as what it carries.
   DP_REASON_*. */
DP_INLINE int dp_down_frame_fits(struct xdp_md *ctx, const struct dp_down *d)
{
    const struct dp_packet *p = &d->scratch->packet;
    __u32 ifindex = d->scratch->head.inject.ifindex, mtu = 0;
    __s32 more = (__s32)sizeof d->scratch->head + p->l3 - p->base - ETH_HLEN;
    long r;

    if (!bpf_map_lookup_elem(&nics, &ifindex)) return DP_REASON_INJECT_REFUSED;
    r = bpf_check_mtu(ctx, ifindex, &mtu, -more, 0);
    if (r == BPF_MTU_CHK_RET_FRAG_NEEDED) return DP_REASON_INJECT_TOO_BIG;
    return r ? DP_REASON_INJECT_REFUSED : DP_REASON_NONE;
}

/* A frame meets MAC_FRAME first, of its direction. `parsed`: why it is none, or DP_REASON_NONE. */
DP_INLINE int dp_down_inject_frame(struct xdp_md *ctx, const struct dp_down *d, int parsed)
{
    const struct dp_injection *i = &d->scratch->head.inject;
    struct dp_port_meta *m = &d->scratch->meta;
    int reason = !d->bytes || parsed                            ? DP_REASON_INJECT_REFUSED
                 : d->scratch->head.count > DP_INJECT_TIMES_MAX ? DP_REASON_INJECT_LOOP
                                                                : dp_down_frame_fits(ctx, d);

    if (reason) return dp_down_drop(d, reason);
    m->ticket = dp_down_inject_ticket(d);
    if (!m->ticket) return XDP_DROP;
    dp_count(DP_REASON_INJECTED, d->bytes);
    m->op = i->kind == DP_INJECT_MAC_SEND ? DP_PORT_FORWARD : DP_PORT_RECEIVE;
    m->stage = i->kind == DP_INJECT_MAC_SEND ? DP_STAGE_FORWARD : DP_STAGE_NONE;
    m->ifindex = i->ifindex;
    return XDP_PASS;
}

/* `parsed`: why the packet is none, or DP_REASON_NONE. */
DP_INLINE int dp_down_inject(const struct dp_down *d, int parsed)
{
    const struct dp_injection *i = &d->scratch->head.inject;
    __u64 number;

    if (!d->bytes || parsed || !dp_down_inject_fits(i, &d->scratch->packet))
        return dp_down_drop(d, DP_REASON_INJECT_REFUSED);
    if (d->scratch->head.count > DP_INJECT_TIMES_MAX) return dp_down_drop(d, DP_REASON_INJECT_LOOP);
    number = dp_down_inject_ticket(d);
    if (!number) return XDP_DROP;
    d->scratch->meta.op = DP_PORT_INJECT;
    d->scratch->meta.stage = d->scratch->ticket.stage;
    d->scratch->meta.ifindex = d->scratch->ticket.ifindex;
    d->scratch->meta.ticket = number;
    return XDP_PASS;
}

#endif
