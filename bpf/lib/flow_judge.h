/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An ALE layer's verdict about a flow that is, or will be, in the table. */
#ifndef SLUICE_BPF_LIB_FLOW_JUDGE_H
#define SLUICE_BPF_LIB_FLOW_JUDGE_H

#include "lib/report.h"

struct dp_judging {
    const struct dp_flow_key *key;
    const struct dp_flow *flow;
    __u32 ifindex;
    __u32 inbound;     /* the packet at hand */
    __u32 reauthorize; /* DP_REAUTHORIZE_*; 0: for the first time */
    __u32 fragment;
    __u64 bytes;
};

/* eval: zero, or the flow's, whose answers are then consumed. enum dp_classify_result, counted and
   told. */
DP_INLINE int dp_flow_judge(const struct dp_judging *j, struct dp_key *key, struct dp_eval *eval)
{
    int r;

    dp_key_from_flow(key, j->key, j->flow, j->ifindex, j->inbound);
    if (j->fragment) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_FRAGMENT;
    if (j->reauthorize) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_REAUTHORIZE;
    DP_NUMBER(key, REAUTHORIZE_REASON) = j->reauthorize;
    r = dp_classify(key, eval);
    dp_report(key, eval, r, j->bytes, &j->flow->process);
    return r;
}

/* A newer policy asks a callout only what it has not answered yet. Any other reason to judge a flow
   again puts the questions anew. */
DP_INLINE void dp_eval_again(struct dp_eval *e, __u32 reason)
{
    if (!(reason & ~DP_REAUTHORIZE_POLICY_CHANGE)) return;
    e->generation = 0;
    e->answers = 0;
    __builtin_memset(e->answer, 0, sizeof e->answer);
}

/* Writes the verdict on a permitted flow under a newer policy. 1: it goes on. A connection that
   does not is sluiced's to cut: to reset our end here would leave nobody to tell the peer. */
DP_INLINE int dp_flow_judged(struct dp_flow *f, const struct dp_eval *eval, int result,
                             __u32 protocol)
{
    f->seen_ns = bpf_ktime_get_ns();
    f->generation = eval->generation;
    dp_count(DP_REASON_REAUTHORIZED, 0);
    if (result == DP_CLASSIFY_PERMIT) {
        f->eval = *eval;
        return 1;
    }
    f->state = DP_FLOW_BLOCKED;
    f->reason = dp_reason_of(result);
    if (protocol == DP_PROTO_TCP) f->flags |= DP_FLOW_REVOKED | DP_FLOW_TO_CUT;
    return 0;
}

/* A connection that sluiced cuts, or has just cut: until then nothing passes, and nothing is
   answered. The time is for a sluiced that died before it came to it. */
DP_INLINE int dp_flow_awaits_cut(const struct dp_flow *f)
{
    return f->flags & DP_FLOW_REVOKED && bpf_ktime_get_ns() < f->seen_ns + DP_BLOCKED_LINGER_NS;
}

#endif
