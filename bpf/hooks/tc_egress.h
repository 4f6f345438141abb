/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC and lo, TC egress: what a socket of this machine sends passes ALE, OUTBOUND_TRANSPORT (an
   ICMP error OUTBOUND_ICMP_ERROR instead of both), OUTBOUND_IPPACKET and OUTBOUND_MAC_FRAME; what
   is routed through passes IPFORWARD and OUTBOUND_MAC_FRAME. */
#ifndef SLUICE_BPF_HOOKS_TC_EGRESS_H
#define SLUICE_BPF_HOOKS_TC_EGRESS_H

#include "hooks/ale_outbound.h"
#include "lib/packet_layers.h"

DP_INLINE struct dp_view dp_out_view(const struct dp_out *o)
{
    struct dp_view v = {.ctx = o->skb,
                        .packet = o->packet,
                        .flow = o->key,
                        .ifindex = o->ifindex,
                        .inbound = 0,
                        .vlan = o->skb->vlan_present ? 0x1000 | (o->skb->vlan_tci & 0xfff) : 0};
    return v;
}

/* ALE. DP_PASS: on to the packet layers. */
DP_INLINE int dp_egress_flow(const struct dp_out *o)
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

DP_INLINE int dp_egress_local(const struct dp_out *o, int released)
{
    struct dp_view v = dp_out_view(o);
    int reason, action;

    if (dp_is_icmp_error(o->packet)) {
        if (dp_layer_icmp_error(&v, o->scratch)) return TC_ACT_SHOT;
    } else {
        action = released ? DP_PASS : dp_egress_flow(o);
        if (action != DP_PASS) return action;
        reason = dp_layer_packet(&v, DP_LAYER_OUTBOUND_TRANSPORT_V4, o->scratch);
        if (reason) return TC_ACT_SHOT;
    }
    if (dp_layer_packet(&v, DP_LAYER_OUTBOUND_IPPACKET_V4, o->scratch)) return TC_ACT_SHOT;
    return dp_layer_mac(&v, 0, o->scratch) ? TC_ACT_SHOT : DP_PASS;
}

DP_INLINE int dp_egress_forward(const struct dp_out *o, __u32 arrival)
{
    struct dp_view v = dp_out_view(o);

    if (o->packet->version && dp_layer_forward(&v, arrival, o->scratch)) return TC_ACT_SHOT;
    return dp_layer_mac(&v, 0, o->scratch) ? TC_ACT_SHOT : DP_PASS;
}

DP_INLINE int dp_egress(struct __sk_buff *skb, struct dp_scratch *s)
{
    struct dp_out o = {.skb = skb,
                       .packet = &s->packet,
                       .key = &s->flow_key,
                       .scratch = s,
                       .ifindex = skb->ifindex};
    /* What came in by a device was not sent by a socket: released by a port (so judged), or
       forwarded (no connection of ours). No application can make a packet look so. */
    __u32 arrival = skb->ingress_ifindex;
    int reason, released = arrival && bpf_map_lookup_elem(&ports, &arrival);

    reason = dp_parse_skb(skb, &s->packet);
    if (reason) return dp_out_drop(&o, reason);
    if ((arrival && !released) || !s->packet.version) return dp_egress_forward(&o, arrival);
    reason = dp_flow_key_of(&s->flow_key, &s->packet, 1);
    if (reason) return dp_out_drop(&o, reason);
    return dp_egress_local(&o, released);
}

SEC("tc") int dp_tc_egress(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();

    return s ? dp_egress(skb, s) : TC_ACT_SHOT;
}

#endif
