/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The arbitration: a global function without a context: verified once, called by XDP, TC and cgroup
   programs alike. */
#ifndef SLUICE_BPF_LIB_CLASSIFY_H
#define SLUICE_BPF_LIB_CLASSIFY_H

#include "lib/policy_head.h"
#include "lib/search.h"

DP_INLINE void dp_eval_restart(struct dp_eval *e, __u64 generation)
{
    e->generation = generation;
    e->filter_id = 0;
    e->rank = 0;
    e->sublayer = 0;
    e->action = DP_ACTION_NONE;
    e->rights = DP_RIGHT_ACTION_WRITE;
}

/* A decision of a filter or a callout meets the running one. Only a callout's veto beats a hard
 * permit. */
DP_INLINE void dp_eval_apply(struct dp_eval *e, const struct dp_match *m, __u32 action, int hard,
                             int callout)
{
    if (e->rights & DP_RIGHT_ACTION_WRITE) {
        e->action = action;
        e->rights = hard ? 0 : DP_RIGHT_ACTION_WRITE;
        e->filter_id = m->filter_id;
    } else if (callout && e->action == DP_ACTION_PERMIT && action == DP_ACTION_BLOCK) {
        e->action = DP_ACTION_BLOCK;
        e->rights = 0;
        e->filter_id = m->filter_id;
    }
    e->sublayer = m->sublayer + 1;
}

DP_INLINE int dp_callout_registered(const struct dp_callout *c)
{
    __u32 host = c ? c->host : 0;
    struct dp_host *h = host ? bpf_map_lookup_elem(&hosts, &host) : 0;
    return h && h->alive;
}

/* Its bit in dp_flow.contexts; 0: it can have no contexts. */
DP_INLINE __u64 dp_context_bit(const struct dp_callout *c)
{
    __u32 slot = c->slot;

    return slot && slot <= DP_CONTEXT_SLOTS ? 1ULL << ((slot - 1) & 63) : 0;
}

/* It wants to hear of flows only on which it has a context, and has none on this one. */
DP_INLINE int dp_callout_indifferent(const struct dp_callout *c, const struct dp_key *key)
{
    return c->flags & DP_CALLOUT_CONDITIONAL_ON_FLOW && !(key->contexts & dp_context_bit(c));
}

/* A kept answer of this filter under this running decision; 0 if there is none. */
DP_INLINE const struct dp_answer *dp_eval_answer(const struct dp_eval *e, __u64 filter_id)
{
    for (int i = 0; i < DP_ANSWERS_MAX; i++)
        if (e->answer[i].filter_id == filter_id &&
            e->answer[i].running_action_low == (__u16)e->action)
            return &e->answer[i];
    return 0;
}

/* What counts of an answer depends on the action type of the filter. */
DP_INLINE __u32 dp_answer_action(__u32 filter_action, __u32 answer)
{
    if (filter_action == DP_ACTION_CALLOUT_INSPECTION) return DP_ACTION_CONTINUE;
    if (answer == DP_ACTION_NEXT) return DP_ACTION_CONTINUE;
    if (answer == DP_ACTION_PERMIT || answer == DP_ACTION_BLOCK) return answer;
    if (filter_action == DP_ACTION_CALLOUT_UNKNOWN && answer == DP_ACTION_CONTINUE) return answer;
    return DP_ACTION_BLOCK;
}

struct dp_walk {
    struct dp_key *key;
    struct dp_eval *eval;
    __u32 result;
    __u32 done;
};

DP_INLINE long dp_walk_end(struct dp_walk *w, __u32 result)
{
    w->result = result;
    w->done = 1;
    return 1;
}

/* Suspended at the filter m. */
DP_INLINE long dp_walk_ask(struct dp_walk *w, const struct dp_match *m)
{
    struct dp_eval *e = w->eval;

    e->rank = m->rank - 1; /* found again when resumed */
    e->asked_id = m->filter_id;
    e->callout = m->callout;
    e->callout_action = m->action;
    e->row_flags = m->flags;
    e->hold_ms = m->hold_ms;
    return dp_walk_end(w, DP_CLASSIFY_CALLOUT);
}

DP_INLINE long dp_walk_callout(struct dp_walk *w, const struct dp_match *m)
{
    struct dp_eval *e = w->eval;
    const struct dp_answer *answer;
    struct dp_callout *c;
    __u32 action, id;

    /* A kept answer first: a flow that was authorised goes on when the callout's host ends. */
    answer = dp_eval_answer(e, m->filter_id);
    if (!answer && m->flags & DP_ROW_REDIRECT) return dp_walk_ask(w, m);
    id = m->callout;
    c = answer ? 0 : bpf_map_lookup_elem(&callouts, &id);
    if (!answer && !dp_callout_registered(c)) {
        if (m->action == DP_ACTION_CALLOUT_INSPECTION) return 0;
        if (m->flags & DP_ROW_PERMIT_IF_UNREGISTERED)
            dp_eval_apply(e, m, DP_ACTION_PERMIT, 0, 0);
        else
            dp_eval_apply(e, m, DP_ACTION_BLOCK, 1, 0);
        return 0;
    }
    if (!answer) {
        if (c && dp_callout_indifferent(c, w->key)) return 0;
        return dp_walk_ask(w, m);
    }
    action = dp_answer_action(m->action, answer->action);
    if (action != DP_ACTION_CONTINUE)
        dp_eval_apply(e, m, action, !(answer->rights & DP_RIGHT_ACTION_WRITE), 1);
    return 0;
}

static long dp_walk_step(__u32 i, struct dp_walk *w)
{
    struct dp_eval *e = w->eval;
    struct dp_match m = {.after = e->rank, .from = e->sublayer};
    int r = dp_next_match(w->key, &m);

    if (r < 0) return dp_walk_end(w, DP_CLASSIFY_NO_POLICY);
    if (m.generation != e->generation) {
        dp_eval_restart(e, m.generation);
        return 0;
    }
    if (!r)
        return dp_walk_end(w,
                           e->action == DP_ACTION_BLOCK ? DP_CLASSIFY_BLOCK : DP_CLASSIFY_PERMIT);
    if (m.unknown) return dp_walk_end(w, DP_CLASSIFY_DEFER);
    e->rank = m.rank;
    if (m.action & DP_ACTION_FLAG_CALLOUT) return dp_walk_callout(w, &m);
    dp_eval_apply(e, &m, m.action,
                  m.action == DP_ACTION_BLOCK || (m.flags & DP_ROW_CLEAR_ACTION_RIGHT), 0);
    return 0;
}

/* Evaluates the key's layer from eval's place to the end: enum dp_classify_result. Nothing matched
 * is a permit. */
__noinline int dp_classify(struct dp_key *key, struct dp_eval *eval)
{
    struct dp_walk w = {};

    if (!key || !eval) return DP_CLASSIFY_NO_POLICY;
    if (!eval->generation) dp_eval_restart(eval, 0);
    key->search.layer = 0;
    w.key = key;
    w.eval = eval;
    bpf_loop(4096, dp_walk_step, &w, 0);
    /* More matches than steps cannot be decided: closed. */
    return w.done ? w.result : DP_CLASSIFY_BLOCK;
}

/* Was this callout asked about the flow before? From now on it was. */
DP_INLINE int dp_eval_asked_before(struct dp_eval *e)
{
    __u16 id = e->callout;

    for (int i = 0; i < DP_HOPS_MAX; i++) {
        if (e->asked[i] == id) return 1;
        if (!e->asked[i]) {
            e->asked[i] = id;
            return 0;
        }
    }
    for (int i = 0; i < DP_HOPS_MAX - 1; i++) /* the oldest goes */
        e->asked[i] = e->asked[i + 1];
    e->asked[DP_HOPS_MAX - 1] = id;
    return 0;
}

/* Keeps the answer to the open question so that evaluation consumes it, in place of the oldest. 0:
 * too many hops. */
DP_INLINE int dp_eval_keep(struct dp_eval *e, __u32 action, __u32 rights)
{
    __u32 n = e->answers & (DP_ANSWERS_MAX - 1);

    if (e->answers >= DP_HOPS_MAX) return 0;
    e->answer[n].filter_id = e->asked_id;
    e->answer[n].action = action;
    e->answer[n].rights = rights;
    e->answer[n].running_action_low = e->action;
    e->answers++;
    return 1;
}

#endif
