/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inbound layers of a packet one after the other: INBOUND_MAC_FRAME, INBOUND_IPPACKET; then,
   for what this machine itself receives, INBOUND_TRANSPORT (an ICMP error INBOUND_ICMP_ERROR) and
   ALE. */
#ifndef SLUICE_BPF_HOOKS_STAGES_IN_H
#define SLUICE_BPF_HOOKS_STAGES_IN_H

#include "hooks/ale_inbound.h"
#include "hooks/passing.h"
#include "hooks/stage_established.h"
#include "hooks/stage_mac.h"
#include "hooks/stage_packet.h"

/* The steps are global functions: the programs that use them would be too large for a verifier
   otherwise. They stand beside each other for their stack: one that calls deep does not lie on top
   of another's. */

/* MAC_FRAME, and whose packet it is. DP_PASS where it goes on, as all of these. */
__noinline int dp_stage_begin_in(struct __sk_buff *skb, __u32 from)
{
    struct dp_scratch *s = dp_scratch();
    int action = DP_PASS, reason;

    if (!s) return TC_ACT_SHOT;
    if (from <= DP_STAGE_MAC_IN) action = dp_stage_mac(skb, DP_STAGE_MAC_IN);
    if (action != DP_PASS || !s->packet.version) return action;
    reason = dp_flow_key_of(&s->flow_key, &s->packet, 0);
    /* A later fragment whose first has not passed here: the stack reassembles nothing without it.
     */
    if (!reason) return DP_PASS;
    dp_count(reason, skb->len);
    return TC_ACT_SHOT;
}

/* Whether it is for this machine. What is not is judged as it leaves: no layer of a flow is its,
   but for CONNECT_REDIRECT. */
__noinline int dp_stage_local_in(struct __sk_buff *skb, __u32 from)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 1);
    if (from <= DP_STAGE_ALE_IN && !dp_addr_is_loopback(&o.key->remote))
        s->way.passes = dp_passing(&o, from < DP_STAGE_ALE_IN);
    s->way.of_flow = !s->way.passes;
    return DP_PASS;
}

/* Whether this machine is to hear of an ICMP error. One for another machine is IPFORWARD's alone.
 */
__noinline int dp_stage_error_is_local(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;

    if (!s) return 1;
    o = dp_out_of(skb, s, 1);
    return dp_in_is_local(&o);
}

/* INBOUND_ICMP_ERROR, in place of all that follows INBOUND_IPPACKET. */
DP_INLINE int dp_stage_error_in(struct __sk_buff *skb, const struct dp_scratch *s)
{
    __u32 layer =
        s->packet.version == 4 ? DP_LAYER_INBOUND_ICMP_ERROR_V4 : DP_LAYER_INBOUND_ICMP_ERROR_V6;
    int local;

    if (!dp_layer_has_rows(layer)) return DP_PASS;
    local = dp_stage_error_is_local(skb);
    DP_FORGET(local);
    return local ? dp_packet_stage(skb, DP_STAGE_TRANSPORT_IN) : DP_PASS;
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
        r = dp_redirect_begin_out(skb, 1);
        DP_FORGET(r);
        action = dp_passing_judged(skb, r);
        DP_FORGET(action);
        action = dp_redirect_kept(s, action);
    }
    return action == DP_PASS ? dp_passing_on(skb) : action;
}

/* The layers before the flow's; the first shows what passes this machine as well. Global: within
   dp_stages_in it would widen that under the deepest of stacks. */
__noinline int dp_stages_in_packet(struct __sk_buff *skb, __u32 from)
{
    struct dp_scratch *s = dp_scratch();
    int action;

    if (!s) return TC_ACT_SHOT;
    if (from <= DP_STAGE_IP_IN) {
        action = dp_packet_stage(skb, DP_STAGE_IP_IN);
        if (action != DP_PASS) return action;
    }
    if (dp_is_icmp_error(&s->packet))
        return from <= DP_STAGE_TRANSPORT_IN ? dp_stage_error_in(skb, s) : DP_PASS;
    action = dp_stage_local_in(skb, from);
    if (action != DP_PASS || s->way.passes) return action;
    return from <= DP_STAGE_TRANSPORT_IN ? dp_stage_packet(skb, s, DP_STAGE_TRANSPORT_IN) : DP_PASS;
}

/* scratch holds the parsed packet and its way; the layers from `from` on. DP_PASS: all are passed.
 */
DP_INLINE int dp_stages_in(struct __sk_buff *skb, struct dp_scratch *s, __u32 from)
{
    int action = dp_stage_begin_in(skb, from);

    if (action != DP_PASS || !s->packet.version) return action;
    action = dp_stages_in_packet(skb, from);
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
    return from <= DP_STAGE_DATAGRAM_IN ? dp_stage_datagram(skb, s, DP_STAGE_DATAGRAM_IN) : DP_PASS;
}

#endif
