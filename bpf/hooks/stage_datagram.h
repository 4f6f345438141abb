/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The stages DATAGRAM_IN and _OUT, behind ESTABLISHED: DATAGRAM_DATA for every packet of an
   authorised flow that is not TCP's. */
#ifndef SLUICE_BPF_HOOKS_STAGE_DATAGRAM_H
#define SLUICE_BPF_HOOKS_STAGE_DATAGRAM_H

#include "hooks/packet_ask.h"

/* Global, as the steps of stages_in.h. */
__noinline int dp_datagram_judge(struct __sk_buff *skb, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int r;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, inbound);
    f = dp_flow_find(o.key);
    dp_key_from_packet(&s->key, DP_LAYER_DATAGRAM_DATA_V4, o.packet, o.ifindex, inbound);
    dp_key_ports(&s->key, o.packet, o.key, inbound);
    s->key.contexts = f ? f->contexts : 0;
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    DP_FORGET(r);
    if (dp_report(&s->key, &s->eval, r, o.packet->bytes, f ? &f->process : 0)) return TC_ACT_SHOT;
    if (r != DP_CLASSIFY_CALLOUT) return DP_PASS;
    return dp_packet_ask(&o, inbound ? DP_STAGE_DATAGRAM_IN : DP_STAGE_DATAGRAM_OUT, f);
}

/* DP_PASS: on to the next layer; else what becomes of the packet. */
DP_INLINE int dp_stage_datagram(struct __sk_buff *skb, const struct dp_scratch *s, __u32 inbound)
{
    if (s->packet.protocol == DP_PROTO_TCP ||
        !dp_layer_has_rows(dp_layer_for(DP_LAYER_DATAGRAM_DATA_V4, &s->flow_key.remote)))
        return DP_PASS;
    return dp_datagram_judge(skb, inbound);
}

#endif
