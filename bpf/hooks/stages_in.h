/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inbound layers of a packet one after the other: INBOUND_MAC_FRAME, INBOUND_IPPACKET; then,
   for what this machine itself receives, INBOUND_TRANSPORT (an ICMP error INBOUND_ICMP_ERROR) and
   ALE. */
#ifndef SLUICE_BPF_HOOKS_STAGES_IN_H
#define SLUICE_BPF_HOOKS_STAGES_IN_H

#include "hooks/ale_inbound.h"
#include "hooks/packet_ask.h"
#include "hooks/passing.h"
#include "hooks/stage_datagram.h"
#include "hooks/stage_established.h"

/* The next three return DP_PASS where the packet goes on. */

DP_INLINE int dp_stage_ippacket_in(const struct dp_out *o)
{
    struct dp_scratch *s = o->scratch;
    int r;

    dp_key_from_packet(&s->key, DP_LAYER_INBOUND_IPPACKET_V4, o->packet, o->ifindex, 1);
    dp_key_ports(&s->key, o->packet, o->key, 1);
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    if (dp_report(&s->key, &s->eval, r, o->packet->bytes, 0)) return TC_ACT_SHOT;
    return r == DP_CLASSIFY_CALLOUT ? dp_packet_ask(o, DP_STAGE_IP_IN, 0) : DP_PASS;
}

/* TRANSPORT. What is not for this machine is judged as it leaves: no layer of a flow is its, but
   for CONNECT_REDIRECT. */
DP_INLINE int dp_stage_transport_in(const struct dp_out *o, const struct dp_view *v, __u32 from)
{
    struct dp_scratch *s = o->scratch;

    if (dp_is_icmp_error(o->packet))
        return from <= DP_STAGE_TRANSPORT_IN && dp_layer_icmp_error(v, s) ? TC_ACT_SHOT : DP_PASS;
    if (from <= DP_STAGE_ALE_IN && !dp_addr_is_loopback(&o->key->remote))
        s->way.passes = dp_passing(o, from < DP_STAGE_ALE_IN);
    if (s->way.passes) return DP_PASS;
    s->way.of_flow = 1;
    return from <= DP_STAGE_TRANSPORT_IN && dp_layer_packet(v, DP_LAYER_INBOUND_TRANSPORT_V4, s)
               ? TC_ACT_SHOT
               : DP_PASS;
}

/* The steps are global functions: the programs that use them would be too large for a verifier
   otherwise. They stand beside each other for their stack: one that calls deep does not lie on top
   of another's. */

/* The layers before the flow's. */
__noinline int dp_stage_begin_in(struct __sk_buff *skb, __u32 from)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;
    struct dp_view v;
    int reason, action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 1);
    v = dp_out_view(&o);
    if (from <= DP_STAGE_MAC_IN && dp_layer_mac(&v, 0, s)) return TC_ACT_SHOT;
    if (!s->packet.version) return DP_PASS;
    reason = dp_flow_key_of(&s->flow_key, &s->packet, 0);
    /* A later fragment whose first has not passed here: the stack reassembles nothing without it.
     */
    if (reason) return dp_out_drop(&o, reason);
    if (from <= DP_STAGE_IP_IN) {
        action = dp_stage_ippacket_in(&o);
        if (action != DP_PASS) return action;
    }
    return dp_stage_transport_in(&o, &v, from);
}

__noinline int dp_stage_ale_in(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 1);
    f = dp_flow_find(o.key);
    action = f ? dp_in_known(&o, f) : dp_in_unknown(&o);
    if (action == DP_PASS) dp_out_seen(&o);
    return action;
}

/* scratch's way says DP_PASSES_ON. DP_PASS: the packet goes on as it is. */
DP_INLINE int dp_stage_passing(struct __sk_buff *skb, struct dp_scratch *s)
{
    int action = dp_passing_known(), r;

    DP_FORGET(action);
    if (action == DP_WAITS) {
        action = dp_stage_ale_in(skb);
        DP_FORGET(action);
    }
    if (action == DP_OVERDUE) {
        dp_redirect_overdue();
        action = dp_stage_ale_in(skb);
        DP_FORGET(action);
    }
    if (action == DP_REDIRECTS) {
        r = dp_passing_begin(skb);
        DP_FORGET(r);
        action = dp_passing_judged(skb, r);
        DP_FORGET(action);
        action = dp_redirect_kept(s, action);
    }
    return action == DP_PASS ? dp_passing_on(skb) : action;
}

/* scratch holds the parsed packet and its way; the layers from `from` on. DP_PASS: all are passed.
 */
DP_INLINE int dp_stages_in(struct __sk_buff *skb, struct dp_scratch *s, __u32 from)
{
    int action = dp_stage_begin_in(skb, from);

    if (action != DP_PASS) return action;
    if (s->way.passes == DP_PASSES_ON) return dp_stage_passing(skb, s);
    if (!s->way.of_flow) return DP_PASS;
    if (from <= DP_STAGE_ALE_IN) {
        action = dp_stage_ale_in(skb);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_ESTABLISHED_IN) {
        action = dp_stage_established(skb, s, 1);
        if (action != DP_PASS) return action;
    }
    return from <= DP_STAGE_DATAGRAM_IN ? dp_stage_datagram(skb, s, 1) : DP_PASS;
}

#endif
