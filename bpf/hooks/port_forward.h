/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, TC, before dp_port_apply: what is forwarded, or is a frame of its own. A
   program by itself because it needs next to nothing of what dp_port_apply has. */
#ifndef SLUICE_BPF_HOOKS_PORT_FORWARD_H
#define SLUICE_BPF_HOOKS_PORT_FORWARD_H

#include "hooks/port_tc.h"

/* The layers behind m->stage: OUTBOUND_MAC_FRAME or none. */
DP_INLINE int dp_forward_layers(struct __sk_buff *skb, const struct dp_port_meta *m,
                                struct dp_scratch *s)
{
    if (m->stage >= DP_STAGE_MAC_OUT) return DP_PASS;
    if (dp_parse_skb(skb, &s->packet)) return TC_ACT_SHOT;
    __builtin_memset(&s->way, 0, sizeof s->way);
    s->way.ifindex = m->ifindex;
    s->way.vlan = m->vlan;
    s->way.back = 1;
    return dp_stage_end_out(skb, DP_STAGE_MAC_OUT);
}

DP_INLINE int dp_forward_send(struct __sk_buff *skb, const struct dp_port_meta *m)
{
    if (m->vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), m->vlan & 0xffff)) {
        dp_count(DP_REASON_INTERNAL, skb->len);
        return TC_ACT_SHOT;
    }
    if (dp_link_is_unknown(skb)) return bpf_redirect_neigh(m->ifindex, 0, 0, 0);
    return bpf_redirect(m->ifindex, 0);
}

SEC("tc") int dp_port_forward(struct __sk_buff *skb)
{
    struct dp_port_meta *at = (void *)(long)skb->data_meta, *m;
    struct dp_scratch *s = dp_scratch();
    int action;

    if (!s || (void *)(at + 1) > (void *)(long)skb->data) return DP_PASS;
    if (at->magic != DP_DOWNCALL_MAGIC || (at->op != DP_PORT_FORWARD && at->op != DP_PORT_TOO_BIG))
        return DP_PASS;
    m = &s->meta;
    *m = *at;
    skb->mark = m->mark;
    skb->priority = m->priority;
    if (m->op == DP_PORT_TOO_BIG) {
        skb->mark |= DP_MARK_BITS; /* no layer sees it again */
        return bpf_redirect(m->ifindex, BPF_F_INGRESS);
    }
    action = dp_forward_layers(skb, m, s);
    DP_FORGET(action);
    return action == DP_PASS ? dp_forward_send(skb, m) : action;
}

#endif
