/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, TC: what dp_port_down decided is done to the packet; and the guard of the way
 * up. */
#ifndef SLUICE_BPF_HOOKS_PORT_TC_H
#define SLUICE_BPF_HOOKS_PORT_TC_H

#include "hooks/tc_ingress.h"

/* The packet goes up again, to the callout that comes next. */
DP_INLINE int dp_port_ask(struct __sk_buff *skb, const struct dp_port_meta *m, struct dp_packet *p)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow_key key;
    struct dp_ticket *t;
    struct dp_flow *f;
    __u64 number = m->ticket;
    __u32 reason;
    int action;

    if (!s) return TC_ACT_SHOT;
    if (number) {
        t = bpf_map_lookup_elem(&tickets, &number);
        if (!t) return TC_ACT_SHOT;
        dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, p);
        dp_upcall_ticket(&s->up, t, number);
        action = dp_upcall_skb(skb, &s->up, t->host, &reason);
        if (reason) bpf_map_delete_elem(&tickets, &number);
        return action;
    }
    dp_flow_key_fill(&key, p, 1);
    f = dp_flow_find(&key);
    if (!f || f->state != DP_FLOW_ASKED) return TC_ACT_SHOT;
    dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, p);
    dp_upcall_flow(&s->up, f, &key);
    dp_upcall_eval(&s->up, &f->eval);
    action = dp_upcall_skb(skb, &s->up, f->host, &reason);
    if (reason) dp_flow_delete(&key);
    return action;
}

SEC("tc") int dp_port_apply(struct __sk_buff *skb)
{
    struct dp_port_meta m, *at = (void *)(long)skb->data_meta;
    struct dp_packet p;

    if ((void *)(at + 1) > (void *)(long)skb->data) goto foreign;
    m = *at;
    if (m.magic != DP_DOWNCALL_MAGIC) goto foreign;
    skb->mark = m.mark;
    skb->priority = m.priority;
    if (m.op == DP_PORT_REJECT || m.op == DP_PORT_ASK) {
        if (dp_parse_skb(skb, &p)) goto foreign;
        if (m.op == DP_PORT_ASK) return dp_port_ask(skb, &m, &p);
        return dp_reject(skb, &p, m.ifindex);
    }
    if (m.vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), m.vlan & 0xffff)) goto foreign;
    return bpf_redirect(m.ifindex, m.op == DP_PORT_RECEIVE ? BPF_F_INGRESS : 0);
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
