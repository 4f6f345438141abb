/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet that a host injects: it must be one that can be judged, and gets a record of who sent it
   and where it begins. Addresses and route are looked at in TC (port_inject.h). */
#ifndef SLUICE_BPF_HOOKS_DOWN_INJECT_H
#define SLUICE_BPF_HOOKS_DOWN_INJECT_H

#include "hooks/down.h"

DP_INLINE int dp_down_inject_fits(const struct dp_injection *i, const struct dp_packet *p)
{
    __u32 ifindex = i->ifindex;

    if (!p->version || p->l3 != p->base + ETH_HLEN) return 0; /* not IP, or tagged */
    if (i->kind != DP_INJECT_RECEIVE && i->kind != DP_INJECT_SEND) return 0;
    if (i->kind == DP_INJECT_SEND && !ifindex) return 1;
    return bpf_map_lookup_elem(&nics, &ifindex) != 0;
}

DP_INLINE void dp_down_inject_record(struct dp_ticket *t, const struct dp_injection *i, __u32 host)
{
    __builtin_memset(t, 0, sizeof *t);
    t->asked_ns = bpf_ktime_get_ns();
    t->ifindex = i->ifindex;
    t->endpoint = i->endpoint;
    t->inject = i->kind;
    t->stage = i->kind == DP_INJECT_RECEIVE ? DP_STAGE_IP_IN : DP_STAGE_ALE_OUT;
    t->injected.host = host;
    t->injected.handle = i->handle;
    t->injected.previous = i->previous;
    t->injected.context = i->context;
}

/* `parsed`: why the packet is none, or DP_REASON_NONE. */
DP_INLINE int dp_down_inject(const struct dp_down *d, int parsed)
{
    const struct dp_injection *i = &d->scratch->head.inject;
    struct dp_ticket *t = &d->scratch->ticket;
    __u64 number;

    if (!d->bytes || parsed || !dp_down_inject_fits(i, &d->scratch->packet))
        return dp_down_drop(d, DP_REASON_INJECT_REFUSED);
    dp_down_inject_record(t, i, d->host);
    number = dp_ticket_number();
    if (!number || bpf_map_update_elem(&tickets, &number, t, BPF_NOEXIST))
        return dp_down_drop(d, DP_REASON_TICKETS_FULL);
    d->scratch->meta.op = DP_PORT_INJECT;
    d->scratch->meta.stage = t->stage;
    d->scratch->meta.ifindex = t->ifindex;
    d->scratch->meta.ticket = number;
    return XDP_PASS;
}

#endif
