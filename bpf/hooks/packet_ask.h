/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A callout is asked about one packet, by a ticket; the same for every packet layer and both
   directions. */
#ifndef SLUICE_BPF_HOOKS_PACKET_ASK_H
#define SLUICE_BPF_HOOKS_PACKET_ASK_H

#include "hooks/step.h"
#include "lib/route.h"
#include "lib/upcall.h"

/* Of TCP as it is sent and received: bytes of one segment's data, and so how many there are. What a
   virtual machine's network card hands over says only the former. */
DP_INLINE __u32 dp_ask_segments(const struct dp_out *o)
{
    __u32 segments = o->skb->gso_segs, size = o->skb->gso_size, head = o->packet->l4 + 8;
    __u8 words = 0;

    if (segments > 1) return segments;
    if (!size) return 1;
    if (o->packet->protocol == DP_PROTO_TCP &&
        !bpf_skb_load_bytes(o->skb, o->packet->l4 + 12, &words, sizeof words))
        head = o->packet->l4 + (words >> 4) * 4;
    return o->skb->len > head ? (o->skb->len - head + size - 1) / size : 1;
}

/* What the way to the packet's destination takes, as far as this machine has learned; else what the
   device does. A function of its own for its stack. */
static __noinline __u32 dp_ask_mtu(struct __sk_buff *skb, struct dp_scratch *s)
{
    struct dp_host *h = dp_host_alive(s->ticket.host);
    const struct dp_packet *p = &s->packet;
    struct bpf_fib_lookup fib;
    __u32 mtu = 0;
    long r = h ? dp_route_of(skb, &fib, h->port_ifindex, &p->source, &p->destination, 1, 0) : -1;

    if ((r == BPF_FIB_LKUP_RET_SUCCESS || r == BPF_FIB_LKUP_RET_NO_NEIGH) && fib.mtu_result)
        return fib.mtu_result;
    bpf_check_mtu(skb, s->way.ifindex, &mtu, 0, 0);
    return mtu;
}

/* A packet of a connection that goes on has been judged, as far as anybody can say. */
DP_INLINE int dp_ask_ale_follows(const struct dp_out *o, const struct dp_flow *f)
{
    __u8 begins = o->packet->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK);

    if (dp_is_icmp_error(o->packet) ||
        !dp_flow_has_layers(o->key, DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4))
        return 0;
    if (f) return f->state != DP_FLOW_PERMITTED || f->generation != dp_generation();
    return o->packet->protocol != DP_PROTO_TCP || begins == DP_TCP_SYN;
}

/* scratch holds key and evaluation, which was suspended at `stage`. f: the flow that the packet
   belongs to, or 0. A TC action. */
DP_INLINE int dp_packet_ask(const struct dp_out *o, __u32 stage, const struct dp_flow *f)
{
    struct dp_scratch *s = o->scratch;
    struct dp_ticket *t = &s->ticket;
    __u64 number;
    __u32 reason;
    int action;
    __u8 alone;

    if (!dp_ticket_admit(&s->eval, o->packet->bytes)) return TC_ACT_SHOT;
    alone = stage == DP_STAGE_FRAME_OUT || stage == DP_STAGE_MAC_IN || stage == DP_STAGE_MAC_OUT
                ? 0
                : dp_ticket_alone(s);
    dp_ticket_begin(t, s, o->packet, stage);
    t->ifindex = o->ifindex;
    t->mark = o->skb->mark;
    t->priority = o->skb->priority;
    if (!dp_layer_is_mac(t->layer)) t->vlan = s->way.vlan; /* there it goes up in the frame */
    t->injected = s->way.injected;
    t->ahead = s->way.ahead;
    t->more = dp_ask_segments(o) - 1;
    if (f) {
        t->flow = *o->key;
        t->flow_id = f->ticket;
        t->endpoint = f->cookie;
    }
    number = dp_ticket_issue(t, o->packet->bytes);
    if (!number) return TC_ACT_SHOT;
    dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, o->packet);
    dp_upcall_ticket(&s->up, t, number);
    s->up.flags |= alone;
    if (stage == DP_STAGE_TRANSPORT_IN && dp_ask_ale_follows(o, f))
        s->up.flags |= DP_UPCALL_ALE_FOLLOWS;
    if (stage == DP_STAGE_IP_OUT) s->up.path_mtu = dp_ask_mtu(o->skb, s);
    action = dp_upcall_skb(o->skb, &s->up, t->host, &reason);
    if (reason) dp_ticket_ends(t->host, number);
    return action;
}

#endif
