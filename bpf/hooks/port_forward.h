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
    int reason;

    if (m->stage >= DP_STAGE_FRAME_OUT) return DP_PASS;
    if (dp_parse_skb(skb, &s->packet)) return TC_ACT_SHOT;
    dp_port_way(skb, m, s);
    reason = dp_port_identify(s, m->ticket);
    if (!reason) return dp_stages_out_mac(skb, s, DP_STAGE_FRAME_OUT);
    dp_count(reason, skb->len);
    return TC_ACT_SHOT;
}

DP_INLINE int dp_forward_send(struct __sk_buff *skb, const struct dp_port_meta *m)
{
    const struct dp_way way = {.vlan = m->vlan};

    if (dp_way_tag(skb, &way)) return TC_ACT_SHOT;
    bpf_skb_change_type(skb, DP_PACKET_HOST); /* lo does not say so again */
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
