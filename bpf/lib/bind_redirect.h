/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_BIND_REDIRECT: the layer's evaluation, in which the kernel answers for filters with a fixed
   target and for what was learned. Where a callout must be asked bind() takes what the evaluation
   has come to, and the question stands as an operation (lib/binding.h): bind() cannot wait, and
   what it has bound cannot be bound anew. */
#ifndef SLUICE_BPF_LIB_BIND_REDIRECT_H
#define SLUICE_BPF_LIB_BIND_REDIRECT_H

#include "lib/key_endpoint.h"
#include "lib/redirect_flow.h"

DP_INLINE int dp_bind_redirect_has_rows(void)
{
    return dp_layer_has_rows(DP_LAYER_ALE_BIND_REDIRECT_V4) ||
           dp_layer_has_rows(DP_LAYER_ALE_BIND_REDIRECT_V6);
}

/* 1: `at` is what the filter's target makes of it. */
DP_INLINE int dp_bind_offer_fixed(struct dp_endpoint *at, const struct dp_eval *e)
{
    __u32 slot = e->callout;
    const struct dp_redirect_goal *goal = bpf_map_lookup_elem(&targets, &slot);
    const struct dp_target_family *to;

    if (!goal) return 0;
    to = at->v6 ? &goal->v6 : &goal->v4;
    if (!to->present) return 0;
    if (!dp_addr_is_any(&to->address)) at->address = to->address;
    if (to->port) at->port = to->port;
    return 1;
}

/* The same, of what was learned of binding to this very end; the key's remote end is that. */
DP_INLINE int dp_bind_offer_learned(struct dp_endpoint *at, const struct dp_eval *e,
                                    const struct dp_process *p, __u32 protocol)
{
    struct dp_flow_key asked = {.remote = at->address, .remote_port = at->port};
    struct dp_learned_key key;
    const struct dp_learned *l;

    asked.protocol = protocol;
    if (!dp_learned_key_fill(&key, p, &asked, e->asked_id)) return 0;
    l = bpf_map_lookup_elem(&learned, &key);
    if (!l || l->generation != e->generation || bpf_ktime_get_ns() >= l->until_ns) return 0;
    at->address = l->version.remote;
    at->port = l->version.remote_port;
    dp_count(DP_REASON_REDIRECT_LEARNED, 0);
    return 1;
}

enum { DP_BIND_FULL = 0, DP_BIND_KEPT = 1, DP_BIND_ASK = 2 };

/* The kernel's answer to e's open question. FULL: too many are kept. */
__noinline int dp_bind_answer(struct dp_eval *e, struct dp_endpoint *at, const struct dp_process *p,
                              __u32 protocol)
{
    __u32 action = DP_ACTION_CONTINUE, rights = DP_RIGHT_ACTION_WRITE;
    int there;

    if (!e || !at || !p) return DP_BIND_FULL;
    if (e->row_flags & DP_ROW_CLEAR_ACTION_RIGHT) rights = 0;
    if (e->rights & DP_RIGHT_ACTION_WRITE) {
        there = e->row_flags & DP_ROW_REDIRECT ? dp_bind_offer_fixed(at, e)
                                               : dp_bind_offer_learned(at, e, p, protocol);
        if (there) action = DP_ACTION_PERMIT;
    }
    if (action == DP_ACTION_CONTINUE && !(e->row_flags & DP_ROW_REDIRECT)) return DP_BIND_ASK;
    return dp_eval_keep(e, action, rights) ? DP_BIND_KEPT : DP_BIND_FULL;
}

/* Evaluates the key's layer from eval's place; `at` is the end so far, and the one that the kernel
   chose. enum dp_classify_result; nothing is counted of it yet. */
__noinline int dp_bind_redirect(struct dp_key *key, struct dp_eval *eval, struct dp_endpoint *at,
                                const struct dp_process *p)
{
    int r, kept;

    if (!key || !eval || !at || !p) return DP_CLASSIFY_NO_POLICY;
    for (int i = 0; i <= DP_HOPS_MAX; i++) {
        r = dp_classify(key, eval);
        DP_FORGET(r);
        if (r != DP_CLASSIFY_CALLOUT) return r;
        kept = dp_bind_answer(eval, at, p, DP_NUMBER(key, PROTOCOL));
        DP_FORGET(kept);
        if (kept == DP_BIND_ASK) return DP_CLASSIFY_CALLOUT;
        if (kept == DP_BIND_FULL) return DP_CLASSIFY_BLOCK;
    }
    return DP_CLASSIFY_BLOCK;
}

/* As dp_use_admit, for a question of this layer. */
DP_INLINE int dp_bind_admit(struct dp_key *key, struct dp_eval *eval, struct dp_endpoint *at,
                            const struct dp_process *p)
{
    int r = DP_CLASSIFY_BLOCK, reason;

    if (!key || !eval || !at || !p) return r;
    for (int i = 0; i < DP_HOPS_MAX; i++) {
        reason = dp_redirect_take(eval, p, 0);
        DP_FORGET(reason);
        if (!reason) return DP_CLASSIFY_CALLOUT;
        r = DP_CLASSIFY_BLOCK;
        if (reason == 0x10000) break;
        r = dp_bind_redirect(key, eval, at, p);
        DP_FORGET(r);
        if (r != DP_CLASSIFY_CALLOUT) break;
    }
    if (r == DP_CLASSIFY_PERMIT) return r;
    dp_event_tell(key, eval, p, eval->quota);
    return DP_CLASSIFY_BLOCK;
}

#endif
