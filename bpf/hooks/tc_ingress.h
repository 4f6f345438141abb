/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC and lo, TC ingress: INBOUND_IPPACKET where XDP does not judge it, and the inbound half of
 * flows. */
#ifndef SLUICE_BPF_HOOKS_TC_INGRESS_H
#define SLUICE_BPF_HOOKS_TC_INGRESS_H

#include "hooks/tc_egress.h"

DP_INLINE int dp_in_callout(struct __sk_buff *skb, const struct dp_packet *p, struct dp_scratch *s)
{
    struct dp_ticket *t = &s->ticket;
    __u64 number;
    __u32 reason;
    int action;

    dp_ticket_begin(t, s, p);
    t->mark = skb->mark;
    t->priority = skb->priority;
    if (skb->vlan_present) t->vlan = 0x10000 | skb->vlan_tci;
    number = dp_ticket_issue(t, p->bytes);
    if (!number) return TC_ACT_SHOT;
    dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, p);
    dp_upcall_ticket(&s->up, t, number);
    action = dp_upcall_skb(skb, &s->up, t->host, &reason);
    if (reason) bpf_map_delete_elem(&tickets, &number);
    return action;
}

/* DP_PASS: go on with the layers above. */
DP_INLINE int dp_in_ippacket(struct __sk_buff *skb, const struct dp_packet *p, struct dp_scratch *s)
{
    int r;

    dp_key_from_ippacket(&s->key, p, skb->ifindex);
    if (dp_addr_is_loopback(&s->key.remote)) s->key.condition_flags |= DP_CONDITION_IS_LOOPBACK;
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    dp_count_filter(r == DP_CLASSIFY_CALLOUT ? s->eval.asked_id : s->eval.filter_id);
    if (r == DP_CLASSIFY_PERMIT) {
        dp_count_layer(s->key.layer, DP_LAYER_PERMIT, p->bytes);
        return DP_PASS;
    }
    if (r == DP_CLASSIFY_CALLOUT) {
        dp_count_layer(s->key.layer, DP_LAYER_CALLOUT, p->bytes);
        return dp_in_callout(skb, p, s);
    }
    dp_count_layer(s->key.layer, DP_LAYER_BLOCK, p->bytes);
    dp_count(r == DP_CLASSIFY_DEFER       ? DP_REASON_FRAGMENT
             : r == DP_CLASSIFY_NO_POLICY ? DP_REASON_POLICY_MISSING
                                          : DP_REASON_FILTER_BLOCK,
             p->bytes);
    return TC_ACT_SHOT;
}

/* A datagram to a local socket begins an inbound flow, so that the answer is not taken for a
   connect. TCP needs no entry here: the SYN-ACK makes it, so that a flood of SYNs to closed ports
   leaves nothing behind. */
DP_INLINE int dp_in_unknown(struct __sk_buff *skb, struct dp_packet *p, struct dp_flow_key *key,
                            struct dp_scratch *s)
{
    struct dp_out o = {.skb = skb, .packet = p, .key = key, .scratch = s};
    struct dp_flow *f;

    if (p->protocol != DP_PROTO_UDP || p->group || !dp_udp_socket_exists(skb, p)) return DP_PASS;
    f = dp_out_prepare(&o, 0, DP_DIRECTION_INBOUND);
    dp_count(dp_flow_insert(key, f) ? DP_REASON_FLOW_CREATED : DP_REASON_FLOWS_FULL, p->bytes);
    return DP_PASS;
}

DP_INLINE int dp_in_known(struct __sk_buff *skb, struct dp_packet *p, struct dp_flow_key *key,
                          struct dp_flow *f)
{
    int syn =
        (p->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN && p->protocol == DP_PROTO_TCP;

    switch (f->state) {
    case DP_FLOW_PERMITTED:
        if (syn && dp_flow_is_over(f)) {
            dp_flow_delete(key); /* the peer begins a new connection on the old tuple */
            return DP_PASS;
        }
        dp_flow_touch(f, p, 0);
        return DP_PASS;
    case DP_FLOW_BLOCKED:
        /* A RST ends the local socket's wait, whoever sent it; ours comes this way. */
        if (p->protocol == DP_PROTO_TCP && (p->tcp_flags & DP_TCP_RST)) return DP_PASS;
        dp_count(DP_REASON_FLOW_BLOCKED, p->bytes);
        return TC_ACT_SHOT;
    default:
        if (f->flags & DP_FLOW_REAUTHORIZE)
            return DP_PASS; /* an open connection that is asked about again */
        dp_count(DP_REASON_HELD, p->bytes);
        return TC_ACT_SHOT;
    }
}

SEC("tc") int dp_tc_ingress(struct __sk_buff *skb)
{
    struct dp_packet packet;
    struct dp_flow_key key;
    struct dp_scratch *s = dp_scratch();
    __u32 ifindex = skb->ifindex;
    struct dp_nic *nic = bpf_map_lookup_elem(&nics, &ifindex);
    struct dp_flow *f;
    int reason, action;

    if (!s || !nic) return TC_ACT_SHOT;
    reason = dp_parse_skb(skb, &packet);
    if (reason) {
        dp_count(reason, skb->len);
        return TC_ACT_SHOT;
    }
    if (!packet.version) return DP_PASS;
    if (skb->mark & cfg.mark_bit) { /* judged, and back from its host */
        skb->mark &= ~cfg.mark_bit;
    } else if (!nic->xdp) {
        action = dp_in_ippacket(skb, &packet, s);
        if (action != DP_PASS) return action;
    }
    if (packet.protocol != DP_PROTO_TCP && packet.protocol != DP_PROTO_UDP) return DP_PASS;
    reason = dp_flow_key_of(&key, &packet, 0);
    /* A later fragment whose first has not passed here: the stack reassembles nothing without it.
     */
    if (reason) {
        dp_count(reason, packet.bytes);
        return TC_ACT_SHOT;
    }
    f = dp_flow_find(&key);
    return f ? dp_in_known(skb, &packet, &key, f) : dp_in_unknown(skb, &packet, &key, s);
}

#endif
