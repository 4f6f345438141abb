/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon does to one flow without a packet: it is judged again under the policy that was
   just published, so that idle connections obey as well; or it has ended. Never attached. */
#ifndef SLUICE_BPF_HOOKS_JUDGE_H
#define SLUICE_BPF_HOOKS_JUDGE_H

#include "lib/flow_end.h"
#include "lib/flow_judge.h"
#include "lib/operation.h"
#include "lib/work.h"
#include "shared/judge.h"

/* Where a callout is to be asked the reasons that no newer policy shows stay due. */
DP_INLINE int dp_judge_flow(const struct dp_flow_key *key, struct dp_flow *f, struct dp_work *w)
{
    int inbound = f->direction == DP_DIRECTION_INBOUND;
    __u32 due = __sync_lock_test_and_set(&f->due, 0);
    struct dp_judging j = {.key = key,
                           .flow = f,
                           .ifindex = dp_flow_nic(f, inbound),
                           .inbound = inbound,
                           .reauthorize = due};
    int r;

    if (f->generation != dp_generation()) j.reauthorize |= DP_REAUTHORIZE_POLICY_CHANGE;
    w->eval = f->eval;
    dp_eval_again(&w->eval, due);
    r = dp_flow_judge(&j, &w->key, &w->eval);
    if (r == DP_CLASSIFY_CALLOUT) {
        if (due) __sync_fetch_and_or(&f->due, due);
        return DP_JUDGE_ASK;
    }
    if (dp_flow_judged(f, &w->eval, r, key->protocol)) return DP_JUDGE_PERMIT;
    dp_flow_uncache(f, key);
    f->flags &= ~DP_FLOW_TO_CUT; /* whoever asks cuts it now */
    return DP_JUDGE_BLOCK;
}

DP_INLINE int dp_judge_forget(const struct dp_flow_key *key, __u64 contexts)
{
    struct dp_flow *f = dp_flow_find(key);

    if (!f) return DP_JUDGE_OTHER;
    bpf_spin_lock(&f->lock);
    f->contexts &= ~contexts;
    bpf_spin_unlock(&f->lock);
    return DP_JUDGE_ENDED;
}

/* due: DP_REAUTHORIZE_*, which a flow that is asked about keeps for later. */
DP_INLINE int dp_judge_again(const struct dp_judge_request *request, __u32 due)
{
    struct dp_flow *f = dp_flow_find(&request->key);
    struct dp_work *w;
    int r;

    if (!f) return DP_JUDGE_OTHER;
    if (due) {
        __sync_fetch_and_or(&f->due, due);
        dp_flow_uncache(f, &request->key);
    }
    if (f->state == DP_FLOW_BLOCKED && f->flags & DP_FLOW_TO_CUT) { /* a packet was first */
        f->flags &= ~DP_FLOW_TO_CUT;
        return DP_JUDGE_BLOCK;
    }
    if (f->state != DP_FLOW_PERMITTED) return DP_JUDGE_OTHER;
    if (f->flags & DP_FLOW_PASSES) { /* once, as any connection at CONNECT_REDIRECT */
        f->generation = dp_generation();
        return DP_JUDGE_CURRENT;
    }
    if (f->generation == dp_generation() && !f->due) return DP_JUDGE_CURRENT;
    w = dp_work_take();
    if (!w) return DP_JUDGE_OTHER;
    r = dp_judge_flow(&request->key, f, w);
    dp_work_give(w);
    return r;
}

/* The host that a bind or listen waits for is gone, port and all. */
DP_INLINE int dp_judge_abandon(__u64 id)
{
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);
    struct dp_operation_room room;
    struct dp_work *w;

    if (!op || !dp_operation_is_open(op)) return DP_JUDGE_OTHER;
    w = dp_work_take();
    if (!w) return DP_JUDGE_OTHER;
    room.key = &w->key;
    room.eval = &w->eval;
    room.up = &w->up;
    dp_operation_outcome(op, id, &room, 1);
    dp_work_give(w);
    return DP_JUDGE_ENDED;
}

/* What has passed by the cache is told to the flows: sets [first, first + count). */
struct dp_fold_walk {
    __u32 first;
};

static long dp_fold_step(__u32 i, struct dp_fold_walk *w)
{
    __u32 at = w->first + i;
    struct dp_cached_set *set = bpf_map_lookup_elem(&flow_cache, &at);
    struct dp_cached of;

    if (!set) return 1;
    for (int j = 0; j < DP_CACHED_IN_SET; j++) {
        if (!set->tag[j]) continue;
        of.word = dp_cached_take(&set->entry[j], &of);
        if (of.word) dp_cached_fold(&of, of.word);
    }
    return 0;
}

DP_INLINE int dp_judge_fold(__u32 first, __u32 count)
{
    struct dp_fold_walk w = {.first = first};

    bpf_loop(count, dp_fold_step, &w, 0);
    return DP_JUDGE_ENDED;
}

SEC("tc") int dp_judge(struct __sk_buff *skb)
{
    struct dp_judge_request request;
    int r;

    if (bpf_skb_load_bytes(skb, 0, &request, sizeof request)) return DP_JUDGE_OTHER;
    switch (request.order) {
    case DP_JUDGE_REAUTHORIZE:
    case DP_JUDGE_DUE:
        return dp_judge_again(&request, request.order == DP_JUDGE_DUE ? request.ticket : 0);
    case DP_JUDGE_END:
        if (!dp_flow_find(&request.key)) return DP_JUDGE_OTHER;
        r = dp_flow_end(&request.key, request.ticket, 0);
        DP_FORGET(r);
        return r ? DP_JUDGE_ENDED : DP_JUDGE_OTHER;
    case DP_JUDGE_FORGET:
        return dp_judge_forget(&request.key, request.ticket);
    case DP_JUDGE_FOLD:
        return dp_judge_fold(request.ticket, request.ticket >> 32);
    case DP_JUDGE_ABANDON:
        return dp_judge_abandon(request.ticket);
    default:
        return DP_JUDGE_OTHER;
    }
}

#endif
