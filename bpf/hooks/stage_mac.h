/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* MAC_FRAME: each frame is judged as it is on the wire, tags included; a callout is asked by a
   ticket, whatever is in the frame. */
#ifndef SLUICE_BPF_HOOKS_STAGE_MAC_H
#define SLUICE_BPF_HOOKS_STAGE_MAC_H

#include "hooks/packet_ask.h"

/* scratch holds the parsed packet and its way. Global, as the steps of stages_in.h. */
__noinline int dp_stage_mac(struct __sk_buff *skb, __u32 stage)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;
    struct dp_view v;
    int r;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, stage == DP_STAGE_MAC_IN);
    v = dp_out_view(&o);
    r = dp_layer_mac(&v, 0, s);
    DP_FORGET(r);
    if (!r) return DP_PASS;
    if (r != DP_LAYER_ASKS || dp_way_tag(skb, &s->way)) return TC_ACT_SHOT;
    return dp_packet_ask(&o, stage, 0);
}

#endif
