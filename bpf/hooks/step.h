/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the steps of one packet share: at the NIC's TC programs, and at a port for one that comes
   back. */
#ifndef SLUICE_BPF_HOOKS_STEP_H
#define SLUICE_BPF_HOOKS_STEP_H

#include <linux/pkt_cls.h>

#include "lib/established.h"
#include "lib/flow_judge.h"
#include "lib/packet_layers.h"
#include "lib/parse_skb.h"
#include "lib/reject.h"

#define DP_PACKET_HOST 0
#define DP_PASS TC_ACT_UNSPEC /* on to the next step; in the end to the next program or filter */

/* What a function leaves to its caller, for the stack. */
#define DP_REFUSED 0x100   /* the sender is to hear at once */
#define DP_ASKS 0x101      /* the packet is to go up */
#define DP_REDIRECTS 0x102 /* the flow's first packet: CONNECT_REDIRECT is to be judged */
#define DP_OVERDUE 0x103   /* nobody has answered that in time: its filter's outcome applies */

struct dp_out {
    struct __sk_buff *skb;
    struct dp_packet *packet;
    struct dp_flow_key *key;
    struct dp_scratch *scratch;
    __u32 ifindex; /* the NIC, also where the device at hand is a port */
    __u32 inbound; /* the packet */
};

/* scratch->way says by what device. */
DP_INLINE struct dp_out dp_out_of(struct __sk_buff *skb, struct dp_scratch *s, __u32 inbound)
{
    struct dp_out o = {.skb = skb,
                       .packet = &s->packet,
                       .key = &s->flow_key,
                       .scratch = s,
                       .ifindex = s->way.ifindex,
                       .inbound = inbound};
    return o;
}

/* A filter could ask for an entry of a flow that begins at this layer. */
DP_INLINE int dp_flow_has_layers(const struct dp_flow_key *k, __u32 begins)
{
    return dp_layer_has_rows(dp_layer_for(begins, &k->remote)) ||
           dp_layer_has_rows(dp_established_layer(k));
}

/* In tc_index of a packet that ALE has let pass at a device that has others beneath it (VLAN,
   bridge, bond): they judge it too, but for them the flow has not moved. By flow, since a tunnel's
   outer packet keeps the field. */
DP_INLINE __u32 dp_seen_mark(__u32 mark, __u32 inbound)
{
    return 0x8000 | (inbound ? 0x4000 : 0) | mark;
}

DP_INLINE __u32 dp_seen(const struct dp_flow *f, __u32 inbound)
{
    return dp_seen_mark(dp_flow_mark(f), inbound);
}

/* What a packet brings that is new to the data plane. */
DP_INLINE void dp_way_new(struct dp_scratch *s, struct __sk_buff *skb)
{
    __builtin_memset(&s->way, 0, sizeof s->way);
    s->way.ifindex = skb->ifindex;
    if (skb->vlan_present) s->way.vlan = 0x10000 | skb->vlan_tci;
}

/* A tag that a packet is to have when it goes on, as it leaves its port. 0: it has it. */
DP_INLINE int dp_way_tag(struct __sk_buff *skb, const struct dp_way *way)
{
    __u32 vlan = way->vlan;

    if (!vlan || skb->vlan_present ||
        !bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vlan & 0xffff))
        return 0;
    dp_count(DP_REASON_INTERNAL, skb->len);
    return 1;
}

DP_INLINE struct dp_view dp_out_view(const struct dp_out *o)
{
    __u32 vlan = o->scratch->way.vlan;
    struct dp_view v = {.ctx = o->skb,
                        .packet = o->packet,
                        .flow = o->key,
                        .ifindex = o->ifindex,
                        .inbound = o->inbound,
                        .vlan = vlan ? 0x1000 | (vlan & 0xfff) : 0};
    return v;
}

DP_INLINE void dp_out_seen(const struct dp_out *o)
{
    if (o->scratch->way.seen) o->skb->tc_index = o->scratch->way.seen;
}

DP_INLINE int dp_out_drop(const struct dp_out *o, __u32 reason)
{
    dp_count(reason, o->packet->bytes);
    return TC_ACT_SHOT;
}

/* TCP sends again what waits already. A SYN that leaves is taken as if it had left, to an interface
   that does not exist: a drop is local congestion to TCP, which then tries every half second, so
   that connect() has used up even the most SYNs that it may send after 66 s. */
DP_INLINE int dp_out_again(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;

    if (o->inbound || p->protocol != DP_PROTO_TCP || !(p->tcp_flags & DP_TCP_SYN))
        return dp_out_drop(o, DP_REASON_HELD);
    dp_count(DP_REASON_HELD, p->bytes);
    return bpf_redirect(0, 0);
}

/* The packet, which leaves, is refused: its sender hears at once. What was injected has none. */
DP_INLINE int dp_out_answer(const struct dp_out *o)
{
    if (o->scratch->way.injected.host) return TC_ACT_SHOT;
    return dp_reject(o->skb, o->ifindex);
}

DP_INLINE int dp_out_refuse(const struct dp_out *o, __u32 reason)
{
    dp_count(reason, o->packet->bytes);
    return dp_out_answer(o);
}

#endif
