/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, TC: what dp_port_down decided is done to the packet, which passes the layers
   behind the one that answered; and the guard of the way up. */
#ifndef SLUICE_BPF_HOOKS_PORT_TC_H
#define SLUICE_BPF_HOOKS_PORT_TC_H

#include "hooks/port_inject.h"
#include "hooks/tc_egress.h"
#include "hooks/tc_ingress.h"

/* Functions of their own for their stack: a deep call follows in other branches. */

/* A packet layer's next callout. */
static __noinline int dp_port_ask_packet(struct __sk_buff *skb, struct dp_scratch *s, __u64 number)
{
    struct dp_ticket *t = bpf_map_lookup_elem(&tickets, &number);
    __u32 reason;
    int action;

    if (!t) return TC_ACT_SHOT;
    dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, &s->packet);
    dp_upcall_ticket(&s->up, t, number);
    action = dp_upcall_skb(skb, &s->up, t->host, &reason);
    if (reason) dp_ticket_ends(t->host, number);
    return action;
}

/* A flow's next callout. Who injected the packet stands in the flow's record until an answer. */
static __noinline int dp_port_ask_flow(struct __sk_buff *skb, struct dp_scratch *s, __u32 stage)
{
    struct dp_ticket *t;
    struct dp_flow *f;
    __u64 number;

    dp_flow_key_fill(&s->flow_key, &s->packet, stage >= DP_STAGE_ALE_OUT);
    f = dp_flow_find(&s->flow_key);
    if (!f || f->state != DP_FLOW_ASKED) return TC_ACT_SHOT;
    number = f->ticket;
    if (f->flags & DP_FLOW_INJECTED && (t = bpf_map_lookup_elem(&tickets, &number))) {
        s->way.injected = t->injected;
        s->way.ahead = t->ahead;
    }
    return dp_up_flow(skb, DP_UPCALL_CLASSIFY, stage < DP_STAGE_ALE_OUT);
}

/* The record of who injected the packet is used up. DP_REASON_*. */
DP_INLINE int dp_port_identify(struct dp_scratch *s, __u64 number)
{
    return !number || dp_identity_take(&s->way, number) ? DP_REASON_NONE : DP_REASON_DOWNCALL_STALE;
}

/* By the NIC, past its programs. */
DP_INLINE int dp_port_deliver(struct __sk_buff *skb, const struct dp_way *way)
{
    skb->mark |= DP_MARK_BITS;
    return bpf_redirect(way->ifindex, BPF_F_INGRESS);
}

DP_INLINE int dp_port_send(struct __sk_buff *skb, const struct dp_way *way)
{
    if (!dp_link_is_unknown(skb)) return bpf_redirect(way->ifindex, 0);
    skb->tc_index = DP_TC_INDEX_NEW_LINK;
    return bpf_redirect_neigh(way->ifindex, 0, 0, 0);
}

/* A frame that went up with its tags in it has the outermost beside it again. */
DP_INLINE void dp_port_way(struct __sk_buff *skb, const struct dp_port_meta *m,
                           struct dp_scratch *s)
{
    __builtin_memset(&s->way, 0, sizeof s->way);
    s->way.ifindex = m->ifindex;
    s->way.vlan = m->vlan;
    if (!m->vlan && skb->vlan_present) s->way.vlan = 0x10000 | skb->vlan_tci;
    s->way.back = 1;
}

/* The packet passes the layers from `from` on. */
DP_INLINE int dp_port_go_on(struct __sk_buff *skb, struct dp_scratch *s, __u32 from)
{
    int action;

    if (from < DP_STAGE_ALE_OUT) {
        if (from <= DP_STAGE_TRANSPORT_IN && s->way.ifindex != DP_IFINDEX_LO && dp_translating()) {
            action = dp_translate_in(skb);
            DP_FORGET(action);
            if (action != DP_PASS) return action;
        }
        action = dp_stages_in(skb, s, from);
        if (action != DP_PASS) return action;
        return dp_way_tag(skb, &s->way) ? TC_ACT_SHOT : dp_port_deliver(skb, &s->way);
    }
    action = dp_stages_out(skb, s, from);
    if (action != DP_PASS) return action;
    action = dp_translate(skb, s);
    DP_FORGET(action);
    if (action != DP_PASS) return action;
    return dp_way_tag(skb, &s->way) ? TC_ACT_SHOT : dp_port_send(skb, &s->way);
}

/* Of a flow that passes this machine: the packet is redirected, or comes in anew. */
DP_INLINE int dp_port_pass(struct __sk_buff *skb, struct dp_scratch *s)
{
    int action;

    if (dp_flow_key_of(&s->flow_key, &s->packet, 0)) return TC_ACT_SHOT;
    dp_flow_key_turn(&s->flow_key);
    s->way.passes = DP_PASSES_ON;
    action = dp_passing_on(skb);
    DP_FORGET(action);
    if (action != DP_PASS) return action;
    return dp_way_tag(skb, &s->way) ? TC_ACT_SHOT : dp_port_deliver(skb, &s->way);
}

/* The packet came down for its flow, which counts it until it is through. */
DP_INLINE int dp_port_passes(const struct dp_port_meta *m)
{
    return m->op == DP_PORT_PASS ||
           (m->op == DP_PORT_SEND && m->stage <= DP_STAGE_ESTABLISHED_OUT) ||
           (m->op == DP_PORT_RECEIVE &&
            (m->stage == DP_STAGE_ALE_IN || m->stage == DP_STAGE_ESTABLISHED_IN));
}

/* A function of its own for its stack. What is delivered was seen at the NIC: a device above that
   is no move. */
static __noinline int dp_port_passed(struct __sk_buff *skb, struct dp_scratch *s)
{
    struct dp_flow *f = dp_flow_find(&s->flow_key);

    if (!f) return 0;
    dp_flow_passed(f);
    if (s->meta.op == DP_PORT_RECEIVE) skb->tc_index = dp_seen(f, 1);
    return 0;
}

DP_INLINE int dp_port_do(struct __sk_buff *skb, const struct dp_port_meta *m, struct dp_scratch *s)
{
    int other = m->op == DP_PORT_ASK || m->op == DP_PORT_AGAIN; /* not a record of who injected */
    int reason = other ? DP_REASON_NONE : dp_port_identify(s, m->ticket);
    __u32 from = m->stage;

    if (reason) {
        dp_count(reason, skb->len);
        return TC_ACT_SHOT;
    }
    switch (m->op) {
    case DP_PORT_SEND:
    case DP_PORT_RECEIVE:
        from++;
        break;
    case DP_PORT_INJECT:
        reason = from < DP_STAGE_ALE_OUT ? dp_inject_receive(skb) : dp_inject_send(skb);
        dp_count(reason ? reason : DP_REASON_INJECTED, skb->len);
        if (reason) return TC_ACT_SHOT;
        break;
    case DP_PORT_REJECT:
        return dp_reject(skb, m->ifindex);
    case DP_PORT_ASK:
        return m->ticket ? dp_port_ask_packet(skb, s, m->ticket)
                         : dp_port_ask_flow(skb, s, m->stage);
    case DP_PORT_AGAIN: /* its socket's operation was permitted: as if it came now */
        s->way.operation = m->ticket;
        dp_wait_refresh(skb, s, from < DP_STAGE_ALE_OUT);
        break;
    case DP_PORT_PASS:
        return dp_port_pass(skb, s);
    default:
        return TC_ACT_SHOT;
    }
    return dp_port_go_on(skb, s, from);
}

SEC("tc") int dp_port_apply(struct __sk_buff *skb)
{
    struct dp_port_meta *m, *at;
    struct dp_scratch *s = dp_scratch();
    int action;

    if (!s) goto foreign;
    at = (void *)(long)skb->data_meta;
    if ((void *)(at + 1) > (void *)(long)skb->data) goto foreign;
    m = &s->meta;
    *m = *at;
    if (m->magic != DP_DOWNCALL_MAGIC) goto foreign;
    skb->mark = m->mark;
    skb->priority = m->priority;
    if (dp_parse_skb(skb, &s->packet)) goto foreign;
    dp_port_way(skb, m, s);
    bpf_skb_change_type(skb, DP_PACKET_HOST); /* lo does not say so again */
    action = dp_port_do(skb, m, s);
    DP_FORGET(action);
    if (dp_port_passes(m)) dp_port_passed(skb, s);
    return action;
foreign:
    dp_count(DP_REASON_PORT_FOREIGN_FRAME, skb->len);
    return TC_ACT_SHOT;
}

SEC("tc") int dp_port_guard(struct __sk_buff *skb)
{
    __u32 magic = 0;

    if (!bpf_skb_load_bytes(skb, 0, &magic, sizeof magic) && magic == DP_UPCALL_MAGIC)
        return TC_ACT_UNSPEC;
    dp_count(DP_REASON_PORT_FOREIGN_FRAME, skb->len);
    return TC_ACT_SHOT;
}

#endif
