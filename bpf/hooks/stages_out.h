/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The outbound layers of what this machine sends one after the other: ALE and OUTBOUND_TRANSPORT
   (an ICMP error OUTBOUND_ICMP_ERROR instead of both), OUTBOUND_IPPACKET, OUTBOUND_MAC_FRAME. */
#ifndef SLUICE_BPF_HOOKS_STAGES_OUT_H
#define SLUICE_BPF_HOOKS_STAGES_OUT_H

#include "hooks/ale_outbound.h"
#include "hooks/link.h"
#include "hooks/operation_wait.h"
#include "hooks/stage_datagram.h"
#include "hooks/stage_established.h"

DP_INLINE int dp_stage_ale_out(const struct dp_out *o)
{
    __u8 protocol = o->packet->protocol;
    struct dp_flow *f = dp_flow_find(o->key);

    if (f) return dp_out_known(o, f);
    /* What is neither TCP nor UDP has an entry only where a filter could ask for one. */
    if (protocol != DP_PROTO_TCP && protocol != DP_PROTO_UDP &&
        !dp_layer_has_rows(dp_layer_for(DP_LAYER_ALE_AUTH_CONNECT_V4, &o->key->remote)))
        return DP_PASS;
    return dp_out_unknown(o);
}

DP_INLINE int dp_stages_socket(const struct dp_out *o, const struct dp_view *v, __u32 from)
{
    int action;

    if (dp_is_icmp_error(o->packet))
        return from <= DP_STAGE_TRANSPORT_OUT && dp_layer_icmp_error(v, o->scratch) ? TC_ACT_SHOT
                                                                                    : DP_PASS;
    if (from <= DP_STAGE_ALE_OUT) {
        action = dp_wait_sender(o->skb, o->scratch);
        if (action == DP_WAIT_REFUSED) return dp_out_refuse(o, DP_REASON_BIND_BLOCKED);
        if (action != DP_PASS) return action;
        action = dp_stage_ale_out(o);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_ESTABLISHED_OUT) {
        action = dp_stage_established(o);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_DATAGRAM_OUT) {
        action = dp_stage_datagram(o);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_TRANSPORT_OUT &&
        dp_layer_packet(v, DP_LAYER_OUTBOUND_TRANSPORT_V4, o->scratch))
        return TC_ACT_SHOT;
    return DP_PASS;
}

/* scratch holds the parsed packet and its way; the layers from `from` on. DP_PASS: all are passed.
   Global, as dp_stages_in. */
__noinline int dp_stages_out(struct __sk_buff *skb, __u32 from)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;
    struct dp_view v;
    int reason, action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 0);
    v = dp_out_view(&o);
    reason = dp_flow_key_of(&s->flow_key, &s->packet, 1);
    if (reason) return dp_out_drop(&o, reason);
    action = dp_stages_socket(&o, &v, from);
    if (action != DP_PASS) return action;
    if (from <= DP_STAGE_IP_OUT && dp_layer_packet(&v, DP_LAYER_OUTBOUND_IPPACKET_V4, s))
        return TC_ACT_SHOT;
    /* A link header that is not made yet is judged at the NIC. */
    if (s->way.back && dp_link_is_unknown(skb)) return DP_PASS;
    return from <= DP_STAGE_MAC_OUT && dp_layer_mac(&v, 0, s) ? TC_ACT_SHOT : DP_PASS;
}

#endif
