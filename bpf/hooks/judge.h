/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Re-authorises one flow without a packet: the daemon runs it for each flow that is older than the
   policy it has just published, so that idle connections obey as well. Never attached. */
#ifndef SLUICE_BPF_HOOKS_JUDGE_H
#define SLUICE_BPF_HOOKS_JUDGE_H

#include "lib/flow_judge.h"
#include "lib/work.h"
#include "shared/judge.h"

DP_INLINE int dp_judge_flow(const struct dp_flow_key *key, struct dp_flow *f, struct dp_work *w)
{
    struct dp_judging j = {.key = key,
                           .flow = f,
                           .ifindex = f->ifindex,
                           .inbound = f->direction == DP_DIRECTION_INBOUND,
                           .reauthorize = DP_REAUTHORIZE_POLICY_CHANGE};
    int r;

    w->eval = f->eval;
    r = dp_flow_judge(&j, &w->key, &w->eval);
    if (r == DP_CLASSIFY_CALLOUT) return DP_JUDGE_ASK;
    if (dp_flow_judged(f, &w->eval, r, key->protocol)) return DP_JUDGE_PERMIT;
    f->flags &= ~DP_FLOW_TO_CUT; /* whoever asks cuts it now */
    return DP_JUDGE_BLOCK;
}

SEC("tc") int dp_judge(struct __sk_buff *skb)
{
    struct dp_judge_request request;
    struct dp_flow *f;
    struct dp_work *w;
    int r;

    if (bpf_skb_load_bytes(skb, 0, &request, sizeof request)) return DP_JUDGE_OTHER;
    f = dp_flow_find(&request.key);
    if (!f) return DP_JUDGE_OTHER;
    if (f->state == DP_FLOW_BLOCKED && f->flags & DP_FLOW_TO_CUT) { /* a packet was first */
        f->flags &= ~DP_FLOW_TO_CUT;
        return DP_JUDGE_BLOCK;
    }
    if (f->state != DP_FLOW_PERMITTED) return DP_JUDGE_OTHER;
    if (f->generation == dp_generation()) return DP_JUDGE_CURRENT;
    w = dp_work_take();
    if (!w) return DP_JUDGE_OTHER;
    r = dp_judge_flow(&request.key, f, w);
    dp_work_give(w);
    return r;
}

#endif
