/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Traffic that passes this machine, as it comes in by a NIC. Where CONNECT_REDIRECT has filters the
   first packet of a connection makes a flow entry, of whom no process is the owner: its local end
   is who began it. That layer is the only one that judges the flow; what it redirects goes to a
   process of this machine. All other packets go on, and are judged as they leave. */
#ifndef SLUICE_BPF_HOOKS_PASSING_H
#define SLUICE_BPF_HOOKS_PASSING_H

#include "hooks/redirect_out.h"
#include "hooks/translate.h"
#include "lib/route.h"

/* How the packet passes. */
enum dp_passing {
    DP_PASSES_NOT = 0, /* it is for this machine */
    DP_PASSES_BY,      /* no flow's, or of one that goes on as it is: nothing is to be done */
    DP_PASSES_ON,      /* from the end that began the flow. Scratch's key is the flow's */
};

/* Whether the packet is for this machine: the routing table knows. */
DP_INLINE int dp_in_is_local(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;

    return p->group || dp_route_is_local(o->skb, &p->source, &p->destination, o->ifindex);
}

DP_INLINE void dp_flow_key_turn(struct dp_flow_key *k)
{
    struct dp_addr address = k->local;
    __u16 port = k->local_port;

    k->local = k->remote;
    k->remote = address;
    k->local_port = k->remote_port;
    k->remote_port = port;
}

DP_INLINE int dp_passing_has_rows(const struct dp_flow_key *k)
{
    return dp_layer_has_rows(dp_layer_for(DP_LAYER_ALE_CONNECT_REDIRECT_V4, &k->remote));
}

/* A packet that may be of a flow that passes. */
DP_INLINE int dp_passing_has_flows(const struct dp_out *o)
{
    __u8 protocol = o->packet->protocol;

    return (protocol == DP_PROTO_TCP || protocol == DP_PROTO_UDP) &&
           (dp_translating() || dp_passing_has_rows(o->key));
}

/* The packet can begin one. A connection that has begun is redirected no more. */
DP_INLINE int dp_passing_begins(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;

    if (p->fragment == DP_FRAGMENT_LATER || !dp_passing_has_rows(o->key) ||
        dp_address_type(&p->destination, 0) != DP_ADDRESS_UNICAST)
        return 0;
    return p->protocol == DP_PROTO_UDP || (p->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN;
}

/* What the far end answers to a flow that goes on as it is; nothing else is known of it. */
DP_INLINE void dp_passing_answer(const struct dp_out *o, struct dp_flow *f)
{
    if (f->state == DP_FLOW_PERMITTED && !(f->flags & DP_FLOW_TRANSLATE))
        dp_flow_touch(f, o->packet, 0);
}

/* enum dp_passing. `fresh`: it came by the NIC just now. Else a host or this machine itself
   delivers it, and it has no flow that passes. */
static __noinline int dp_passing(const struct dp_out *o, int fresh)
{
    struct dp_flow *f = dp_flow_find(o->key);

    if (f && !(f->flags & DP_FLOW_PASSES)) return DP_PASSES_NOT;
    if (f) {
        dp_passing_answer(o, f);
        return DP_PASSES_BY;
    }
    if (!fresh || !dp_passing_has_flows(o)) return dp_in_is_local(o) ? DP_PASSES_NOT : DP_PASSES_BY;
    dp_flow_key_turn(o->key);
    f = dp_flow_find(o->key);
    if (f && f->flags & DP_FLOW_PASSES) return DP_PASSES_ON;
    if (!dp_in_is_local(o)) return dp_passing_begins(o) ? DP_PASSES_ON : DP_PASSES_BY;
    dp_flow_key_turn(o->key);
    return DP_PASSES_NOT;
}

#define DP_WAITS 0x104 /* the flow is asked about, or drains */

/* A packet of the flow, or its first one: DP_REDIRECTS. DP_PASS: it goes on. */
__noinline int dp_passing_known(void)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(0, s, 1);
    f = dp_flow_find(o.key);
    if (!f) return dp_passing_begins(&o) ? DP_REDIRECTS : DP_PASS;
    switch (f->state) {
    case DP_FLOW_PERMITTED:
        if (dp_passing_begins(&o) && dp_flow_is_over(f)) break;
        dp_flow_touch(f, o.packet, 1);
        return DP_PASS;
    case DP_FLOW_BLOCKED:
        if (f->generation == dp_generation() &&
            bpf_ktime_get_ns() < f->seen_ns + DP_BLOCKED_LINGER_NS)
            return dp_out_drop(&o, DP_REASON_FLOW_BLOCKED);
        break;
    default:
        return DP_WAITS;
    }
    if (!dp_flow_end(o.key, 0, 0)) return TC_ACT_SHOT;
    return dp_passing_begins(&o) ? DP_REDIRECTS : DP_PASS;
}

/* The layer has come to r. Who is refused hears nothing, as at IPFORWARD. */
__noinline int dp_passing_judged(struct __sk_buff *skb, int r)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 1);
    f = (void *)s->flow;
    if (r == DP_CLASSIFY_CALLOUT) {
        f->state = DP_FLOW_ASKED;
        f->up = dp_out_frames(&o, f);
    } else if (r == DP_CLASSIFY_PERMIT) {
        dp_flow_connects(o.key, f, &s->eval);
    }
    action = dp_flow_decide(r, 1, 1);
    DP_FORGET(action);
    return action == DP_ASKS ? dp_out_upcall(&o, DP_UPCALL_CLASSIFY) : action;
}

/* The flow's packet has been let pass. DP_PASS: it goes on as it is. */
__noinline int dp_passing_on(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    const struct dp_flow *f = s ? dp_flow_find(&s->flow_key) : 0;

    if (!f || !(f->flags & DP_FLOW_TRANSLATE)) return DP_PASS;
    return dp_translate_flow(skb, f->redirect, f->host);
}

#endif
