/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The search and the arbitration. Both are global functions without a context: verified once,
   called by XDP, TC and cgroup programs alike. A faster search replaces dp_next_match and nothing
   else. */
#ifndef SLUICE_BPF_LIB_CLASSIFY_H
#define SLUICE_BPF_LIB_CLASSIFY_H

#include "lib/base.h"

/* In: the place; out: the match. */
struct dp_match {
    __u32 after;   /* in: rank above this */
    __u32 from;    /* in: sublayer not below this */
    __u32 unknown; /* out: matches unless a field that is not known here says no */
    __u32 flags;   /* out */
    __u64 generation;
    __u64 filter_id;
    __u32 rank, sublayer, action, callout;
};

struct dp_search {
    struct dp_match *match;
    const struct dp_key *key;
    void *image;
    __u32 first;
    __u32 found;
};

DP_INLINE int dp_addr_in(const struct dp_addr *a, const struct dp_addr *lo,
                         const struct dp_addr *hi)
{
    if (a->hi < lo->hi || (a->hi == lo->hi && a->lo < lo->lo)) return 0;
    return a->hi < hi->hi || (a->hi == hi->hi && a->lo <= hi->lo);
}

/* 0: no. 1: yes. 2: everything known agrees, a field that is not known has a condition. */
DP_INLINE int dp_row_matches(const struct dp_row *row, const struct dp_key *key)
{
    __u16 known = row->fields & ~key->unknown;

    if ((known & DP_FIELD_PROTOCOL) &&
        (key->protocol < row->protocol_lo || key->protocol > row->protocol_hi))
        return 0;
    if ((known & DP_FIELD_LOCAL_PORT) &&
        (key->local_port < row->local_port_lo || key->local_port > row->local_port_hi))
        return 0;
    if ((known & DP_FIELD_REMOTE_PORT) &&
        (key->remote_port < row->remote_port_lo || key->remote_port > row->remote_port_hi))
        return 0;
    if ((known & DP_FIELD_LOCAL_ADDRESS) &&
        !dp_addr_in(&key->local, &row->local_lo, &row->local_hi))
        return 0;
    if ((known & DP_FIELD_REMOTE_ADDRESS) &&
        !dp_addr_in(&key->remote, &row->remote_lo, &row->remote_hi))
        return 0;
    return (row->fields & key->unknown) ? 2 : 1;
}

static long dp_search_step(__u32 i, struct dp_search *s)
{
    __u32 at = s->first + i;
    struct dp_match *m = s->match;
    struct dp_row *row = bpf_map_lookup_elem(s->image, &at);
    int r;

    if (!row) return 1;
    if (row->rank <= m->after || row->sublayer < m->from) return 0;
    r = dp_row_matches(row, s->key);
    if (!r) return 0;
    m->unknown = r == 2;
    m->flags = row->flags;
    m->filter_id = row->filter_id;
    m->rank = row->rank;
    m->sublayer = row->sublayer;
    m->action = row->action;
    m->callout = row->callout;
    s->found = 1;
    return 1;
}

/* The next row of the key's layer that matches after the given place: 1, none: 0, no policy: -1. */
__noinline int dp_next_match(struct dp_key *key, struct dp_match *match)
{
    struct dp_search s = {};
    struct dp_layer_index *index;
    __u32 layer, zero = 0;

    if (!key || !match) return -1;
    layer = key->layer;
    if (layer >= DP_LAYERS_MAX) return -1;
    s.image = bpf_map_lookup_elem(&policy, &zero);
    if (!s.image) return -1;
    index = bpf_map_lookup_elem(s.image, &layer);
    if (!index) return -1;
    match->generation = index->generation;
    s.match = match;
    s.key = key;
    s.first = index->first;
    bpf_loop(index->count, dp_search_step, &s, 0);
    return s.found;
}

DP_INLINE __u64 dp_generation(void)
{
    __u32 zero = 0;
    void *image = bpf_map_lookup_elem(&policy, &zero);
    struct dp_layer_index *index = image ? bpf_map_lookup_elem(image, &zero) : 0;
    return index ? index->generation : 0;
}

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

DP_INLINE int dp_callout_registered(__u32 callout)
{
    struct dp_callout *c = bpf_map_lookup_elem(&callouts, &callout);
    __u32 host = c ? c->host : 0;
    struct dp_host *h = host ? bpf_map_lookup_elem(&hosts, &host) : 0;
    return h && h->alive;
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

DP_INLINE long dp_walk_callout(struct dp_walk *w, const struct dp_match *m)
{
    struct dp_eval *e = w->eval;
    const struct dp_answer *answer;
    __u32 action;

    /* A kept answer first: a flow that was authorised goes on when the callout's host ends. */
    answer = dp_eval_answer(e, m->filter_id);
    if (!answer && !dp_callout_registered(m->callout)) {
        if (m->action == DP_ACTION_CALLOUT_INSPECTION) return 0;
        if (m->flags & DP_ROW_PERMIT_IF_UNREGISTERED)
            dp_eval_apply(e, m, DP_ACTION_PERMIT, 0, 0);
        else
            dp_eval_apply(e, m, DP_ACTION_BLOCK, 1, 0);
        return 0;
    }
    if (!answer) {
        e->rank = m->rank - 1; /* found again when resumed */
        e->asked_id = m->filter_id;
        e->callout = m->callout;
        e->callout_action = m->action;
        e->row_flags = m->flags;
        return dp_walk_end(w, DP_CLASSIFY_CALLOUT);
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
    w.key = key;
    w.eval = eval;
    bpf_loop(4096, dp_walk_step, &w, 0);
    /* More matches than steps cannot be decided: closed. */
    return w.done ? w.result : DP_CLASSIFY_BLOCK;
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
