/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The outbound layers of what this machine sends one after the other: ALE and OUTBOUND_TRANSPORT
   (an ICMP error OUTBOUND_ICMP_ERROR instead of both), OUTBOUND_IPPACKET, OUTBOUND_MAC_FRAME. */
#ifndef SLUICE_BPF_HOOKS_STAGES_OUT_H
#define SLUICE_BPF_HOOKS_STAGES_OUT_H

#include "hooks/link.h"
#include "hooks/operation_wait.h"
#include "hooks/redirect_out.h"
#include "hooks/stage_established.h"
#include "hooks/stage_mac.h"
#include "hooks/stage_packet.h"
#include "hooks/translate_bind.h"

/* The steps are global functions that stand beside each other, as in stages_in.h. */

/* Whose packet it is. */
__noinline int dp_stage_begin_out(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    int reason;

    if (!s) return TC_ACT_SHOT;
    reason = dp_flow_key_of(&s->flow_key, &s->packet, 1);
    s->way.of_flow = !dp_is_icmp_error(&s->packet);
    if (!reason) return DP_PASS;
    dp_count(reason, skb->len);
    return TC_ACT_SHOT;
}

__noinline int dp_stage_ale_out(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 0);
    action = dp_wait_sender(skb);
    if (action == DP_REFUSED) return dp_out_refuse(&o, DP_REASON_BIND_BLOCKED);
    if (action != DP_PASS) return action;
    action = dp_binding_seen(skb);
    DP_FORGET(action);
    if (action) return dp_out_drop(&o, action);
    f = dp_flow_find(o.key);
    /* What is neither TCP nor UDP has an entry only where a filter could ask for one. */
    if (!f && s->packet.protocol != DP_PROTO_TCP && s->packet.protocol != DP_PROTO_UDP &&
        !dp_flow_has_layers(o.key, DP_LAYER_ALE_AUTH_CONNECT_V4) && !dp_out_redirects(&o))
        return DP_PASS;
    action = f ? dp_out_known(&o, f) : dp_out_unknown(&o);
    if (action == DP_PASS) dp_out_seen(&o);
    return action;
}

/* The last layer. A link header that is not made yet is judged at the NIC. */
DP_INLINE int dp_stages_out_mac(struct __sk_buff *skb, const struct dp_scratch *s, __u32 stage)
{
    return s->way.back && dp_link_is_unknown(skb) ? DP_PASS : dp_stage_mac(skb, stage);
}

/* The layers behind the flow's. */
DP_INLINE int dp_stages_out_packet(struct __sk_buff *skb, struct dp_scratch *s, __u32 from)
{
    int action;

    if (from <= DP_STAGE_TRANSPORT_OUT) {
        action = dp_stage_packet(skb, s, DP_STAGE_TRANSPORT_OUT);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_IP_OUT) {
        action = dp_stage_packet(skb, s, DP_STAGE_IP_OUT);
        if (action != DP_PASS) return action;
    }
    return from <= DP_STAGE_MAC_OUT ? dp_stages_out_mac(skb, s, DP_STAGE_MAC_OUT) : DP_PASS;
}

/* scratch holds the parsed packet and its way; the layers from `from` on. DP_PASS: all are passed.
 */
DP_INLINE int dp_stages_out(struct __sk_buff *skb, struct dp_scratch *s, __u32 from)
{
    int action = dp_stage_begin_out(skb);

    if (action != DP_PASS) return action;
    if (from <= DP_STAGE_ALE_OUT && s->way.of_flow) {
        action = dp_stage_ale_out(skb);
        DP_FORGET(action);
        if (action == DP_OVERDUE) {
            dp_redirect_overdue();
            action = dp_stage_ale_out(skb);
            DP_FORGET(action);
        }
        if (action == DP_REDIRECTS) action = dp_stage_redirect(skb, s);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_ESTABLISHED_OUT && s->way.of_flow) {
        action = dp_stage_established(skb, s, 0);
        if (action != DP_PASS) return action;
    }
    if (from <= DP_STAGE_DATAGRAM_OUT && s->way.of_flow) {
        action = dp_stage_datagram(skb, s, DP_STAGE_DATAGRAM_OUT);
        if (action != DP_PASS) return action;
    }
    return dp_stages_out_packet(skb, s, from);
}

#endif
