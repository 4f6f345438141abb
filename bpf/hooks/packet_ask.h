/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A callout is asked about one packet, by a ticket; the same for every packet layer and both
   directions. */
#ifndef SLUICE_BPF_HOOKS_PACKET_ASK_H
#define SLUICE_BPF_HOOKS_PACKET_ASK_H

#include "hooks/step.h"
#include "lib/upcall.h"

/* scratch holds key and evaluation, which was suspended at `stage`. f: the flow that the packet
   belongs to, or 0. A TC action. */
DP_INLINE int dp_packet_ask(const struct dp_out *o, __u32 stage, const struct dp_flow *f)
{
    struct dp_scratch *s = o->scratch;
    struct dp_ticket *t = &s->ticket;
    __u64 number;
    __u32 reason;
    int action;

    dp_ticket_begin(t, s, o->packet, stage);
    t->ifindex = o->ifindex;
    t->mark = o->skb->mark;
    t->priority = o->skb->priority;
    t->vlan = s->way.vlan;
    t->injected = s->way.injected;
    if (o->skb->gso_segs > 1) t->more = o->skb->gso_segs - 1;
    if (f) {
        t->flow = *o->key;
        t->flow_id = f->ticket;
        t->endpoint = f->cookie;
    }
    number = dp_ticket_issue(t, o->packet->bytes);
    if (!number) return TC_ACT_SHOT;
    dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, o->packet);
    dp_upcall_ticket(&s->up, t, number);
    action = dp_upcall_skb(o->skb, &s->up, t->host, &reason);
    if (reason) bpf_map_delete_elem(&tickets, &number);
    return action;
}

#endif
