/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, TC: an injected packet's addresses must be this namespace's; one that is sent
   gets interface and link addresses by its route. */
#ifndef SLUICE_BPF_HOOKS_PORT_INJECT_H
#define SLUICE_BPF_HOOKS_PORT_INJECT_H

#include "hooks/link.h"
#include "lib/redirect.h"
#include "lib/route.h"

DP_INLINE int dp_inject_is_group(const struct dp_addr *a)
{
    return dp_address_type(a, 0) != DP_ADDRESS_UNICAST;
}

/* The link header is the kernel's to fill: an interface takes what is addressed to it only. */
static __noinline int dp_inject_receive(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    int group;

    if (!s) return DP_REASON_INTERNAL;
    group = dp_inject_is_group(&s->packet.destination);
    s->packet.group = group;
    /* As if it had come by the port, which sees the routing tables. */
    if (!group && !dp_addr_is_loopback(&s->packet.destination) &&
        !dp_route_is_local(skb, &s->packet.source, &s->packet.destination, skb->ifindex))
        return DP_REASON_INJECT_REFUSED;
    return dp_link_forget(skb) ? DP_REASON_INTERNAL : DP_REASON_NONE;
}

/* The route's interface, unless the host or the flow has another: then its link addresses are
   looked up at the very end. */
DP_INLINE int dp_inject_route(struct __sk_buff *skb, struct dp_scratch *s)
{
    struct dp_packet *p = &s->packet;
    struct bpf_fib_lookup fib;
    __u32 to;
    long r;

    r = dp_route(skb, &fib, skb->ifindex, &p->source, &p->destination);
    if (r == BPF_FIB_LKUP_RET_NOT_FWDED && !s->way.ifindex) s->way.ifindex = DP_IFINDEX_LO;
    to = r == BPF_FIB_LKUP_RET_SUCCESS || r == BPF_FIB_LKUP_RET_NO_NEIGH ? fib.ifindex : 0;
    if (!s->way.ifindex) s->way.ifindex = to;
    if (!s->way.ifindex) return DP_REASON_INJECT_REFUSED;
    if (s->way.ifindex == DP_IFINDEX_LO)
        return dp_link_none(skb) ? DP_REASON_INTERNAL : DP_REASON_NONE;
    if (r == BPF_FIB_LKUP_RET_SUCCESS && s->way.ifindex == to)
        return dp_link_write(skb, fib.dmac, fib.smac) ? DP_REASON_INTERNAL : DP_REASON_NONE;
    return dp_link_forget(skb) ? DP_REASON_INTERNAL : DP_REASON_NONE;
}

/* The source is an address of this machine, or what has none yet asks a group for one. Addresses of
   a link are in no table that a port sees. A source without any route is taken for ours as well:
   nothing tells it apart. */
DP_INLINE int dp_inject_is_ours(struct __sk_buff *skb, const struct dp_packet *p)
{
    if (dp_inject_is_group(&p->source)) return 0;
    if (p->group && dp_addr_is_any(&p->source)) return 1;
    return dp_addr_is_own(&p->source) ||
           dp_route_is_local(skb, &p->destination, &p->source, skb->ifindex);
}

static __noinline int dp_inject_send(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    __u32 ifindex;
    int reason, group;

    if (!s) return DP_REASON_INTERNAL;
    group = dp_inject_is_group(&s->packet.destination);
    s->packet.group = group;
    if (!dp_inject_is_ours(skb, &s->packet)) return DP_REASON_INJECT_REFUSED;
    dp_flow_key_fill(&s->flow_key, &s->packet, 1);
    f = dp_flow_find(&s->flow_key);
    if (f) skb->mark = f->mark;
    if (f && !s->way.ifindex) s->way.ifindex = f->ifindex;
    reason = group || skb->vlan_present ? DP_REASON_NONE : dp_inject_route(skb, s);
    ifindex = s->way.ifindex;
    /* To a group, and with a tag, the interface is named or the flow's, and the link header is the
       host's. */
    if (!ifindex) return DP_REASON_INJECT_REFUSED;
    if (!reason && !bpf_map_lookup_elem(&nics, &ifindex)) return DP_REASON_NO_NIC;
    return reason;
}

#endif
