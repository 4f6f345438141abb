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

    if (!dp_inject_is_frame(i)) {
        if (!p->version || p->l3 != p->base + ETH_HLEN) return 0; /* not IP, or tagged */
        if (i->kind != DP_INJECT_RECEIVE && i->kind != DP_INJECT_SEND) return 0;
        if (i->kind == DP_INJECT_SEND && !ifindex) return 1;
    }
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
                                              : DP_STAGE_MAC_IN;
    t->injected.host = host;
    t->injected.handle = i->handle;
    t->injected.previous = i->previous;
    t->injected.context = i->context;
    t->injected.times = head->count;
}

/* A frame that came in has passed the first layer; one that leaves has passed all. */
DP_INLINE int dp_down_inject_frame(const struct dp_down *d, __u64 ticket)
{
    dp_count(DP_REASON_INJECTED, d->bytes);
    d->scratch->meta.op = ticket ? DP_PORT_RECEIVE : DP_PORT_FORWARD;
    d->scratch->meta.stage = ticket ? DP_STAGE_MAC_IN : DP_STAGE_SEND;
    d->scratch->meta.ifindex = d->scratch->head.inject.ifindex;
    d->scratch->meta.ticket = ticket;
    return XDP_PASS;
}

/* `parsed`: why the packet is none, or DP_REASON_NONE. */
DP_INLINE int dp_down_inject(const struct dp_down *d, int parsed)
{
    const struct dp_injection *i = &d->scratch->head.inject;
    struct dp_ticket *t = &d->scratch->ticket;
    __u64 number;

    if (!d->bytes || parsed || !dp_down_inject_fits(i, &d->scratch->packet))
        return dp_down_drop(d, DP_REASON_INJECT_REFUSED);
    if (d->scratch->head.count > DP_INJECT_TIMES_MAX) return dp_down_drop(d, DP_REASON_INJECT_LOOP);
    if (i->kind == DP_INJECT_MAC_SEND) return dp_down_inject_frame(d, 0);
    dp_down_inject_record(t, &d->scratch->head, d->host);
    number = dp_ticket_number();
    if (!number || bpf_map_update_elem(&tickets, &number, t, BPF_NOEXIST))
        return dp_down_drop(d, DP_REASON_TICKETS_FULL);
    if (i->kind == DP_INJECT_MAC_RECEIVE) return dp_down_inject_frame(d, number);
    d->scratch->meta.op = DP_PORT_INJECT;
    d->scratch->meta.stage = t->stage;
    d->scratch->meta.ifindex = t->ifindex;
    d->scratch->meta.ticket = number;
    return XDP_PASS;
}

#endif
