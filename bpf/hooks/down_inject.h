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

    if (!p->version || (i->kind != DP_INJECT_RECEIVE && i->kind != DP_INJECT_SEND)) return 0;
    /* A tag is of an interface; what goes by the route has none. */
    if (!ifindex && p->l3 != p->base + ETH_HLEN) return 0;
    if (i->kind == DP_INJECT_SEND && !ifindex) return 1;
    return bpf_map_lookup_elem(&nics, &ifindex) != 0;
}

/* The record of who injects what, for the TC program. 0: there is none, counted. */
DP_INLINE __u64 dp_down_inject_identity(const struct dp_down *d)
{
    const struct dp_downcall *head = &d->scratch->head;
    const struct dp_injection *i = &head->inject;
    struct dp_injected by = {.host = d->host,
                             .handle = i->handle,
                             .previous = i->previous,
                             .times = head->count,
                             .previous_host = i->previous_host,
                             .context = i->context};
    __u64 number;

    if (head->kind != DP_DOWNCALL_INSTEAD) d->scratch->head.ahead.filter_id = 0;
    number = dp_identity_keep(&by, &head->ahead);
    if (!number) dp_count(DP_REASON_TICKETS_FULL, d->bytes);
    return number;
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
    m->ticket = dp_down_inject_identity(d);
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
    struct dp_port_meta *m = &d->scratch->meta;

    if (!d->bytes || parsed || !dp_down_inject_fits(i, &d->scratch->packet))
        return dp_down_drop(d, DP_REASON_INJECT_REFUSED);
    if (d->scratch->head.count > DP_INJECT_TIMES_MAX) return dp_down_drop(d, DP_REASON_INJECT_LOOP);
    m->ticket = dp_down_inject_identity(d);
    if (!m->ticket) return XDP_DROP;
    m->op = DP_PORT_INJECT;
    m->stage = i->kind == DP_INJECT_SEND ? DP_STAGE_ALE_OUT : DP_STAGE_IP_IN;
    m->ifindex = i->ifindex;
    return XDP_PASS;
}

#endif
