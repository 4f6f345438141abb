/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which of a flow's two questions is open: its ALE layer's, or ALE_FLOW_ESTABLISHED's. */
#ifndef SLUICE_BPF_LIB_ESTABLISHED_H
#define SLUICE_BPF_LIB_ESTABLISHED_H

#include "lib/key.h"

/* The evaluation that is open; else that of the flow's ALE layer. */
DP_INLINE struct dp_eval *dp_flow_eval(struct dp_flow *f)
{
    return f->flags & DP_FLOW_ESTABLISHING ? &f->hop : &f->eval;
}

DP_INLINE __u32 dp_established_layer(const struct dp_flow_key *k)
{
    return dp_layer_for(DP_LAYER_ALE_FLOW_ESTABLISHED_V4, &k->remote);
}

DP_INLINE int dp_flow_is_indicated(const struct dp_flow *f)
{
    return f->state == DP_FLOW_PERMITTED && f->flags & (DP_FLOW_ESTABLISHED | DP_FLOW_MID_STREAM);
}

/* The direction is the connection's here, not the packet's (B11). */
DP_INLINE void dp_key_established(struct dp_key *key, const struct dp_flow_key *k,
                                  const struct dp_flow *f, __u32 ifindex, int inbound)
{
    dp_key_from_flow(key, k, f, ifindex, inbound);
    key->layer = dp_established_layer(k);
    DP_NUMBER(key, DIRECTION) = f->direction;
}

/* The key of the open question. */
DP_INLINE void dp_key_question(struct dp_key *key, const struct dp_flow_key *k,
                               const struct dp_flow *f, __u32 ifindex, int inbound)
{
    if (f->flags & DP_FLOW_ESTABLISHING)
        dp_key_established(key, k, f, ifindex, inbound);
    else
        dp_key_from_flow(key, k, f, ifindex, inbound);
}

#endif
