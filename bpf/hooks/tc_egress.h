/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC and lo, TC egress: what a socket of this machine sends passes the outbound layers; what is
   routed through passes IPFORWARD and OUTBOUND_MAC_FRAME; what a port sends has passed them all. */
#ifndef SLUICE_BPF_HOOKS_TC_EGRESS_H
#define SLUICE_BPF_HOOKS_TC_EGRESS_H

#include "hooks/clamp.h"
#include "hooks/fast.h"
#include "hooks/stages_out.h"
#include "hooks/translate.h"

/* IPFORWARD. scratch holds the parsed packet and its way. Global, as the steps of stages_in.h. */
__noinline int dp_stage_forward(struct __sk_buff *skb, __u32 arrival)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;
    struct dp_view v;
    int r;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 0);
    v = dp_out_view(&o);
    if (!dp_key_forward(&v, arrival, s)) return DP_PASS;
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    DP_FORGET(r);
    if (dp_report(&s->key, &s->eval, r, s->packet.bytes, 0)) return TC_ACT_SHOT;
    return r == DP_CLASSIFY_CALLOUT ? dp_packet_ask(&o, DP_STAGE_FORWARD, 0) : DP_PASS;
}

/* What is routed through. */
__noinline int dp_stages_forward(struct __sk_buff *skb, __u32 arrival)
{
    struct dp_scratch *s = dp_scratch();
    int action;

    if (!s) return TC_ACT_SHOT;
    if (s->packet.version) {
        action = dp_stage_forward(skb, arrival);
        DP_FORGET(action);
        if (action != DP_PASS) return action;
    }
    return dp_stage_mac(skb, DP_STAGE_FRAME_OUT);
}

/* 0: s->packet and s->way are those of skb; else it is counted why not. */
DP_INLINE int dp_egress_begin(struct __sk_buff *skb, struct dp_scratch *s)
{
    int reason;

    dp_way_new(s, skb);
    reason = dp_parse_skb(skb, &s->packet);
    if (reason) dp_count(reason, skb->len);
    return reason;
}

/* What a port sent has passed all layers, but for the last one where its link header was not known
   then. */
DP_INLINE int dp_egress_sent(struct __sk_buff *skb, struct dp_scratch *s)
{
    if (skb->tc_index != DP_TC_INDEX_NEW_LINK) return DP_PASS;
    if (dp_egress_begin(skb, s)) return TC_ACT_SHOT;
    skb->tc_index = 0;
    return dp_stages_out(skb, s, DP_STAGE_MAC_OUT);
}

/* No flag is carried across the calls: the verifier of Linux 6.1 then takes one of its values for
   the only one, and removes the branch of the other. */
DP_INLINE int dp_egress(struct __sk_buff *skb, struct dp_scratch *s)
{
    /* What came in by a device was not sent by a socket: sent by a port, so judged, or forwarded
       (no connection of ours). No application can make a packet look so. */
    __u32 arrival = skb->ingress_ifindex;
    int action;

    if (arrival && bpf_map_lookup_elem(&ports, &arrival)) {
        dp_clamp_sent(skb, s, 0);
        return dp_egress_sent(skb, s);
    }
    if (!arrival && skb->tc_index == DP_TC_INDEX_TRANSLATED) {
        skb->tc_index = 0;
        return DP_PASS; /* it was here before */
    }
    if (dp_egress_begin(skb, s)) return TC_ACT_SHOT;
    if (s->packet.tcp_flags & DP_TCP_SYN) dp_clamp(skb, 0);
    arrival = skb->ingress_ifindex;
    if (arrival || !s->packet.version) return dp_stages_forward(skb, arrival);
    action = dp_stages_out(skb, s, DP_STAGE_ALE_OUT);
    return action == DP_PASS ? dp_translate(skb, s) : action;
}

SEC("tc") int dp_tc_egress(struct __sk_buff *skb)
{
    int fast = dp_fast(skb, 0), action = TC_ACT_SHOT;
    struct dp_scratch *s;

    DP_FORGET(fast);
    if (fast == DP_FAST_HIT) return DP_PASS;
    s = dp_scratch();
    if (s) action = dp_egress(skb, s);
    DP_FORGET(action);
    if (fast == DP_FAST_MISS && action == DP_PASS) dp_fast_keep(skb, 0);
    return action;
}

#endif
