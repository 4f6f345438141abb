/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The layers that judge every packet by itself, and ask callouts about it by tickets: IPPACKET,
   TRANSPORT (an ICMP error: ICMP_ERROR) and DATAGRAM_DATA, of both directions. One function for
   all: another would be another walk through classification for the verifier. */
#ifndef SLUICE_BPF_HOOKS_STAGE_PACKET_H
#define SLUICE_BPF_HOOKS_STAGE_PACKET_H

#include "hooks/packet_ask.h"

/* Of IPv4. */
DP_INLINE __u32 dp_stage_layer(const struct dp_packet *p, __u32 stage)
{
    switch (stage) {
    case DP_STAGE_IP_IN:
        return DP_LAYER_INBOUND_IPPACKET_V4;
    case DP_STAGE_TRANSPORT_IN:
        return dp_is_icmp_error(p) ? DP_LAYER_INBOUND_ICMP_ERROR_V4 : DP_LAYER_INBOUND_TRANSPORT_V4;
    case DP_STAGE_TRANSPORT_OUT:
        return dp_is_icmp_error(p) ? DP_LAYER_OUTBOUND_ICMP_ERROR_V4
                                   : DP_LAYER_OUTBOUND_TRANSPORT_V4;
    case DP_STAGE_IP_OUT:
        return DP_LAYER_OUTBOUND_IPPACKET_V4;
    default:
        return DP_LAYER_DATAGRAM_DATA_V4;
    }
}

/* The flow that the packet belongs to, as far as the layer knows of flows. */
DP_INLINE struct dp_flow *dp_stage_flow(const struct dp_out *o, __u32 stage)
{
    if (stage == DP_STAGE_IP_IN || stage == DP_STAGE_IP_OUT || dp_is_icmp_error(o->packet))
        return 0;
    return dp_flow_find(o->key);
}

/* The open question is the one that was answered ahead. */
DP_INLINE int dp_ahead_counts(const struct dp_scratch *s, __u32 ifindex)
{
    const struct dp_ahead *a = &s->way.ahead;
    const struct dp_eval *e = &s->eval;

    return a->filter_id == e->asked_id && a->generation == (__u32)e->generation &&
           a->running_action == e->action && a->running_rights == (__u16)e->rights &&
           a->ifindex == ifindex;
}

/* "Next filter" is nobody's to answer. */
DP_INLINE __u32 dp_ahead_action(const struct dp_ahead *a)
{
    return a->action == DP_ACTION_NEXT ? DP_ACTION_NONE : a->action;
}

/* What an ICMP error quotes, into the key. Global for its stack. */
__noinline int dp_stage_quoted(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;
    struct dp_view v;

    if (!s) return 0;
    o = dp_out_of(skb, s, 1);
    v = dp_out_view(&o);
    dp_key_embedded(&s->key, &v, 0);
    return 0;
}

/* The layer's key of the packet at hand. */
DP_INLINE void dp_stage_key(const struct dp_out *o, __u32 stage)
{
    struct dp_key *key = &o->scratch->key;

    dp_key_from_packet(key, dp_stage_layer(o->packet, stage), o->packet, o->ifindex, o->inbound);
    dp_key_ports(key, o->packet, o->key, o->inbound);
    if (stage == DP_STAGE_TRANSPORT_IN && dp_is_icmp_error(o->packet)) dp_stage_quoted(o->skb);
}

/* Scratch's eval asks for a callout, and way says what its host has answered ahead. 1: that is
   kept, and the evaluation to be resumed. 0: the callout is to be asked. A function of its own for
   its caller's stack, and without the evaluation for the depth of that. */
__noinline int dp_ahead_take(__u32 ifindex)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_callout *c;

    if (!s || !dp_ahead_counts(s, ifindex)) return 0;
    c = bpf_map_lookup_elem(&callouts, &s->eval.callout);
    if (!c || c->host != s->way.injected.host) return 0;
    s->way.ahead.filter_id = 0;
    __sync_fetch_and_add(&c->classify_total, 1);
    return dp_eval_keep(&s->eval, dp_ahead_action(&s->way.ahead), s->way.ahead.rights);
}

/* What that came to, if it is neither a permit nor another callout. */
__noinline int dp_ahead_refused(void)
{
    struct dp_scratch *s = dp_scratch();

    if (!s) return 0;
    dp_count(DP_REASON_CALLOUT_BLOCK, s->packet.bytes);
    if (!(s->way.ahead.flags & DP_DOWNCALL_ABSORB))
        dp_event_tell(&s->key, &s->eval, 0, DP_REASON_CALLOUT_BLOCK);
    return 0;
}

/* DP_PASS: on to the next layer; else what becomes of the packet. Global, as the steps of
   stages_in.h. */
__noinline int dp_packet_stage(struct __sk_buff *skb, __u32 stage)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int r;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, stage < DP_STAGE_ALE_OUT);
    f = dp_stage_flow(&o, stage);
    dp_stage_key(&o, stage);
    s->key.contexts = f ? f->contexts : 0;
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    DP_FORGET(r);
    if (dp_report(&s->key, &s->eval, r, o.packet->bytes, f ? &f->process : 0)) return TC_ACT_SHOT;
    if (r == DP_CLASSIFY_CALLOUT && s->way.ahead.filter_id && dp_ahead_take(o.ifindex)) {
        r = dp_classify(&s->key, &s->eval);
        DP_FORGET(r);
        if (r != DP_CLASSIFY_PERMIT && r != DP_CLASSIFY_CALLOUT) {
            dp_ahead_refused();
            return TC_ACT_SHOT;
        }
    }
    return r == DP_CLASSIFY_CALLOUT ? dp_packet_ask(&o, stage, f) : DP_PASS;
}

/* The same, where the layer has filters. */
DP_INLINE int dp_stage_packet(struct __sk_buff *skb, const struct dp_scratch *s, __u32 stage)
{
    __u32 layer = dp_stage_layer(&s->packet, stage);

    if (!dp_layer_has_rows(s->packet.version == 4 ? layer : layer + DP_LAYER_V6)) return DP_PASS;
    return dp_packet_stage(skb, stage);
}

/* Behind ALE: every packet of an authorised flow that is not TCP's. */
DP_INLINE int dp_stage_datagram(struct __sk_buff *skb, const struct dp_scratch *s, __u32 stage)
{
    return s->packet.protocol == DP_PROTO_TCP ? DP_PASS : dp_stage_packet(skb, s, stage);
}

#endif
