/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where packets go that were rewritten. */
#ifndef SLUICE_BPF_HOOKS_TRANSLATED_H
#define SLUICE_BPF_HOOKS_TRANSLATED_H

#include "hooks/link.h"

#define DP_MARK_BITS (cfg.mark_bit | DP_OWN_BIT) /* both: delivered by a port */
#define DP_TC_INDEX_TRANSLATED 0x5344            /* in tc_index: judged and rewritten */

/* To the ingress of the NIC by which the flow leaves: judged there from ALE on. */
DP_INLINE int dp_translate_deliver(struct __sk_buff *skb, const struct dp_redirect *d)
{
    if (d->ifindex == DP_IFINDEX_LO ? dp_link_none(skb) : dp_link_forget(skb)) return TC_ACT_SHOT;
    skb->mark = (skb->mark & ~DP_MARK_BITS) | cfg.mark_bit;
    skb->tc_index = 0;
    return bpf_redirect(d->ifindex, BPF_F_INGRESS);
}

/* By the NIC, without meeting its layers. */
DP_INLINE int dp_translate_leave(struct __sk_buff *skb, __u32 ifindex)
{
    __u32 mtu = 0;

    if (bpf_check_mtu(skb, ifindex, &mtu, 0, 0)) {
        dp_count(DP_REASON_REDIRECT_ROUTE, skb->len);
        return TC_ACT_SHOT;
    }
    skb->tc_index = DP_TC_INDEX_TRANSLATED;
    return bpf_redirect_neigh(ifindex, 0, 0, 0);
}

#endif
