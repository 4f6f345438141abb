/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of what waits for a callout that does not answer in time, or that may not be asked
   because a quota is full. The kernel alone works it out: nothing that comes down a port says. */
#ifndef SLUICE_BPF_LIB_OUTCOME_H
#define SLUICE_BPF_LIB_OUTCOME_H

#include "lib/classify.h"

DP_INLINE __u32 dp_outcome_of(const struct dp_eval *e, const struct dp_host *h)
{
    if (e->row_flags & DP_ROW_OUTCOME_BLOCK) return DP_OUTCOME_BLOCK;
    if (e->row_flags & DP_ROW_OUTCOME_PERMIT) return DP_OUTCOME_PERMIT;
    if (e->row_flags & DP_ROW_OUTCOME_NEXT) return DP_OUTCOME_NEXT;
    return h ? h->outcome : DP_OUTCOME_UNREGISTERED;
}

/* enum dp_action, in place of the answer to e's open question. */
DP_INLINE __u32 dp_outcome_action(const struct dp_eval *e, __u32 outcome)
{
    switch (outcome) {
    case DP_OUTCOME_BLOCK:
        return DP_ACTION_BLOCK;
    case DP_OUTCOME_PERMIT:
        return DP_ACTION_PERMIT;
    case DP_OUTCOME_NEXT:
        return DP_ACTION_NEXT;
    default:
        return e->row_flags & DP_ROW_PERMIT_IF_UNREGISTERED ? DP_ACTION_PERMIT : DP_ACTION_BLOCK;
    }
}

/* A permit is the filter's own: soft unless the filter clears the right. A block is hard. */
DP_INLINE __u32 dp_outcome_rights(const struct dp_eval *e, __u32 action)
{
    if (action == DP_ACTION_BLOCK || e->row_flags & DP_ROW_CLEAR_ACTION_RIGHT) return 0;
    return DP_RIGHT_ACTION_WRITE;
}

/* Keeps the outcome as the answer to e's open question. lost: its host has ended, which counts as
   if nobody had registered the callout, whatever the filter says of deadlines. 0: too many hops. */
DP_INLINE int dp_outcome_keep(struct dp_eval *e, const struct dp_host *h, int lost)
{
    __u32 outcome = lost ? DP_OUTCOME_UNREGISTERED : dp_outcome_of(e, h);
    __u32 action = dp_outcome_action(e, outcome);

    return dp_eval_keep(e, action, dp_outcome_rights(e, action));
}

#endif
