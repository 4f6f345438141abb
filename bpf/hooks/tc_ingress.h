/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC and lo, TC ingress: what comes new passes the inbound layers that XDP has not judged; what a
   port delivers has passed them all. */
#ifndef SLUICE_BPF_HOOKS_TC_INGRESS_H
#define SLUICE_BPF_HOOKS_TC_INGRESS_H

#include "hooks/clamp.h"
#include "hooks/fast.h"
#include "hooks/link.h"
#include "hooks/stages_in.h"
#include "hooks/translate.h"

DP_INLINE int dp_ingress(struct __sk_buff *skb, struct dp_scratch *s, const struct dp_nic *nic)
{
    __u32 mark = skb->mark & DP_MARK_BITS,
          from = nic->xdp ? DP_STAGE_TRANSPORT_IN : DP_STAGE_MAC_IN;
    int reason, action;

    if (mark) skb->mark &= ~DP_MARK_BITS;
    /* It was injected and is for this machine, whatever its link header says. */
    if (mark & cfg.mark_bit && dp_link_is_unknown(skb)) bpf_skb_change_type(skb, DP_PACKET_HOST);
    if (mark == DP_MARK_BITS) {
        dp_clamp_sent(skb, s, 1);
        return DP_PASS;
    }
    if (mark == cfg.mark_bit) from = DP_STAGE_ALE_IN; /* its socket is not found from the port */
    if (mark == DP_OWN_BIT) from = DP_STAGE_ALE_IN;   /* our own RST or ICMP: no layer judges it */
    dp_way_new(s, skb);
    reason = dp_parse_skb(skb, &s->packet);
    if (reason) {
        dp_count(reason, skb->len);
        return TC_ACT_SHOT;
    }
    if (s->packet.tcp_flags & DP_TCP_SYN) dp_clamp(skb, 1);
    if (!mark && !nic->loopback && dp_translating()) {
        action = dp_translate_in(skb);
        DP_FORGET(action);
        if (action != DP_PASS) return action;
    }
    return dp_stages_in(skb, s, from);
}

SEC("tc") int dp_tc_ingress(struct __sk_buff *skb)
{
    int fast = dp_fast(skb, 1), action = TC_ACT_SHOT;
    __u32 ifindex = skb->ifindex;
    struct dp_scratch *s;
    struct dp_nic *nic;

    DP_FORGET(fast);
    if (fast == DP_FAST_HIT) return DP_PASS;
    s = dp_scratch();
    nic = bpf_map_lookup_elem(&nics, &ifindex);
    if (s && nic) action = dp_ingress(skb, s, nic);
    DP_FORGET(action);
    if (fast == DP_FAST_MISS && action == DP_PASS) dp_fast_keep(skb, 1);
    return action;
}

#endif
