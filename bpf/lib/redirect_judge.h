/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_CONNECT_REDIRECT: the layer's evaluation, in which the kernel itself answers for filters with
   a fixed target (DP_ROW_REDIRECT) and for callouts whose decision was learned. For sock_addr
   programs and TC alike. */
#ifndef SLUICE_BPF_LIB_REDIRECT_JUDGE_H
#define SLUICE_BPF_LIB_REDIRECT_JUDGE_H

#include "lib/process.h"
#include "lib/redirect.h"
#include "lib/report.h"

/* What a filter would make of the request. */
struct dp_offer {
    struct dp_redirect_version version;
    struct dp_redirect_name provider;
    __u64 context_id;
    __u32 context_bytes;
    __u32 pad;
};

/* Whose executable it is, for `learned`. 0: not known, so nothing is learned of it. */
DP_INLINE int dp_learned_key_fill(struct dp_learned_key *key, const struct dp_process *p,
                                  const struct dp_flow_key *app, __u64 filter_id)
{
    struct dp_exe_key exe = {.inode = p->exe_inode, .dev = p->exe_dev};
    struct dp_exe *known = bpf_map_lookup_elem(&exes, &exe);

    if (!known || !p->exe_inode || !p->start_ns) return 0;
    __builtin_memset(key, 0, sizeof *key);
    key->remote = app->remote;
    key->remote_port = app->remote_port;
    key->protocol = app->protocol;
    key->exe_inode = p->exe_inode;
    key->exe_dev = p->exe_dev;
    key->exe_generation = known->generation;
    key->uid = p->uid;
    key->filter_id = filter_id;
    return 1;
}

/* In whose name a handle redirects; 0: it was destroyed, or there is none. */
DP_INLINE const struct dp_handle *dp_handle_find(__u64 handle)
{
    struct dp_handle_key key = {.host = handle >> 32, .number = handle};

    return handle ? bpf_map_lookup_elem(&handles, &key) : 0;
}

/* Where the request goes so far. */
DP_INLINE void dp_offer_begin(struct dp_offer *o, const struct dp_eval *e,
                              const struct dp_redirecting *r)
{
    const struct dp_redirect *d = dp_redirect_find(r->draft);
    const struct dp_redirect_version *v = d ? dp_redirect_latest(d) : 0;

    __builtin_memset(o, 0, sizeof *o);
    o->version.remote = v ? v->remote : r->app.remote;
    o->version.remote_port = v ? v->remote_port : r->app.remote_port;
    o->version.filter_id = e->asked_id;
}

/* 0: it does not redirect this family, or leaves the request as it is. */
DP_INLINE int dp_offer_fixed(struct dp_offer *o, const struct dp_eval *e,
                             const struct dp_redirecting *r)
{
    __u32 at = e->callout;
    const struct dp_redirect_goal *goal = bpf_map_lookup_elem(&targets, &at);
    const struct dp_target_family *to;
    __u16 port;

    if (!goal) return 0;
    to = dp_addr_is_v4(&r->app.remote) ? &goal->v4 : &goal->v6;
    if (!to->present) return 0;
    port = to->port ? to->port : o->version.remote_port;
    if (port == o->version.remote_port &&
        (dp_addr_is_any(&to->address) || dp_addr_equal(&to->address, &o->version.remote)))
        return 0;
    if (!dp_addr_is_any(&to->address)) o->version.remote = to->address;
    o->version.remote_port = port;
    o->version.target_pid = goal->target_pid;
    o->version.flags = goal->flags & (DP_REDIRECT_PROXY_V2 | DP_REDIRECT_LOCAL);
    if (goal->target_pid || dp_addr_is_own(&o->version.remote))
        o->version.flags |= DP_REDIRECT_LOCAL;
    __builtin_memcpy(&o->provider, goal->provider, sizeof o->provider);
    return 1;
}

/* 0: nothing is learned that stands: its callout is asked. */
DP_INLINE int dp_offer_learned(struct dp_offer *o, const struct dp_eval *e,
                               const struct dp_redirecting *r)
{
    struct dp_learned_key key;
    const struct dp_learned *l;
    const struct dp_handle *h;

    if (!dp_learned_key_fill(&key, &r->process, &r->app, e->asked_id)) return 0;
    l = bpf_map_lookup_elem(&learned, &key);
    if (!l || l->generation != e->generation || bpf_ktime_get_ns() >= l->until_ns) return 0;
    h = dp_handle_find(l->version.handle);
    if (l->version.handle && !h) return 0;
    o->version = l->version;
    o->version.filter_id = e->asked_id;
    o->context_id = l->context_id;
    o->context_bytes = l->context_bytes;
    if (h) __builtin_memcpy(&o->provider, h->provider, sizeof o->provider);
    return 1;
}

/* Whether the chain has a hop in the provider's name; of a filter without one, a hop of the filter.
   Without branches in its loop. */
__noinline int dp_redirect_in_chain(const struct dp_redirect_record *chain,
                                    const struct dp_redirect_name *provider, __u64 filter_id)
{
    __u64 found = 0, differs, other;
    __u64 name[2];

    if (!chain || !provider) return 0;
    __builtin_memcpy(name, provider, sizeof name);
    for (__u32 i = 0; i < DP_RECORD_HOPS_MAX; i++) {
        const struct dp_redirect_hop *hop = &chain->hop[i];
        __u64 at[2];

        __builtin_memcpy(at, hop->provider, sizeof at);
        differs = (at[0] ^ name[0]) | (at[1] ^ name[1]);
        other = dp_name_is_none(name) ? hop->filter_id ^ filter_id : 0;
        differs |= other | ((__u64)i < chain->hops ? 0 : 1);
        differs = (differs | -differs) >> 63;
        DP_FORGET(differs);
        found |= differs ^ 1;
    }
    return found & 1;
}

/* Whether an evaluation before this one, or another filter of it, keeps the offer from standing. */
DP_INLINE int dp_offer_is_passed_over(const struct dp_offer *o, const struct dp_eval *e,
                                      struct dp_redirecting *r,
                                      const struct dp_redirect_record *carried)
{
    const struct dp_redirect *d = dp_redirect_find(r->draft);
    const struct dp_redirect_version *v = d ? dp_redirect_latest(d) : 0;

    if (!(e->rights & DP_RIGHT_ACTION_WRITE)) return 1;
    if (v && v->flags & DP_REDIRECT_LOCAL) return 1;
    if (!dp_redirect_in_chain(carried, &o->provider, o->version.filter_id)) return 0;
    if (carried && !carried->id && !r->dry) dp_count(DP_REASON_REDIRECT_LOOP, 0);
    return 1;
}

/* The offer becomes a version of the draft. enum dp_reason of what is against it. */
DP_INLINE __u32 dp_offer_take(const struct dp_offer *o, const struct dp_eval *e,
                              struct dp_redirecting *r, const struct dp_redirect_record *carried)
{
    __u32 reason;
    int kept;

    if (!r->draft && !dp_redirect_begin(r, carried)) return r->reason;
    reason = dp_redirect_amend(r->draft, &o->version, &o->provider, &r->process);
    DP_FORGET(reason);
    if (reason) return reason;
    kept = e->row_flags & DP_ROW_REDIRECT
               ? dp_redirect_context_fixed(r->draft, e->callout)
               : dp_redirect_context_learned(r->draft, o->context_id, o->context_bytes);
    DP_FORGET(kept);
    if (!kept) return DP_REASON_REDIRECTS_FULL;
    if (!(e->row_flags & DP_ROW_REDIRECT)) dp_count(DP_REASON_REDIRECT_LEARNED, 0);
    return DP_REASON_NONE;
}

enum { DP_REDIRECT_ASK = 0, DP_REDIRECT_ANSWERED = 1, DP_REDIRECT_REFUSED = 2 };

/* ANSWERED: the draft has a version of this filter, and evaluation has begun anew, under a newer
   policy or as another's callout wishes. ASK: this one's does. REFUSED: there is none. */
DP_INLINE int dp_offer_taken(const struct dp_eval *e, const struct dp_redirecting *r)
{
    struct dp_redirect *d = dp_redirect_find(r->draft);
    int taken = DP_REDIRECT_REFUSED;

    if (!d) return taken;
    for (int i = 1; i < DP_REDIRECT_VERSIONS_MAX; i++) {
        struct dp_redirect_version *v = &d->version[i];

        if (v->filter_id != e->asked_id || i >= d->versions) continue;
        if (v->flags & DP_REDIRECT_AGAIN) {
            v->flags &= ~DP_REDIRECT_AGAIN;
            return DP_REDIRECT_ASK;
        }
        taken = DP_REDIRECT_ANSWERED;
    }
    return taken;
}

/* The answer that is kept of this filter goes, and evaluation begins at the layer's top. */
DP_INLINE void dp_eval_reopen(struct dp_eval *e, __u64 filter_id)
{
    for (int i = 0; i < DP_ANSWERS_MAX; i++)
        if (e->answer[i].filter_id == filter_id) e->answer[i].filter_id = 0;
    dp_eval_restart(e, e->generation);
}

/* The layer has permitted. Where a callout has asked to see what others make of the request after
   it (DP_REDIRECT_REAUTHORIZE), and they have made something of it, it is asked once more. 1: so
   evaluation goes on. */
__noinline int dp_redirect_reopen(struct dp_eval *e, __u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);

    if (!d || !e) return 0;
    for (int i = 1; i < DP_REDIRECT_VERSIONS_MAX - 1; i++) {
        struct dp_redirect_version *v = &d->version[i];

        if (i + 1 >= d->versions || !(v->flags & DP_REDIRECT_REAUTHORIZE)) continue;
        v->flags = (v->flags & ~DP_REDIRECT_REAUTHORIZE) | DP_REDIRECT_AGAIN | DP_REDIRECT_SHOWN;
        dp_eval_reopen(e, v->filter_id);
        return 1;
    }
    return 0;
}

/* The kernel's answer to e's open question; ASK: the callout must be asked. */
__noinline int dp_redirect_answer(struct dp_eval *e, struct dp_redirecting *r,
                                  const struct dp_redirect_record *carried)
{
    __u32 action = DP_ACTION_PERMIT, rights = DP_RIGHT_ACTION_WRITE;
    struct dp_offer o;
    int there, taken;

    if (!e || !r) return DP_REDIRECT_REFUSED;
    taken = dp_offer_taken(e, r);
    if (taken == DP_REDIRECT_ASK) {
        dp_eval_asked_before(e); /* also of one whose decision was learned: it is IS_REAUTHORIZE */
        return DP_REDIRECT_ASK;
    }
    if (taken != DP_REDIRECT_ANSWERED) {
        dp_offer_begin(&o, e, r);
        there =
            e->row_flags & DP_ROW_REDIRECT ? dp_offer_fixed(&o, e, r) : dp_offer_learned(&o, e, r);
        if (!there && !(e->row_flags & DP_ROW_REDIRECT)) return DP_REDIRECT_ASK;
        if (!there || dp_offer_is_passed_over(&o, e, r, carried)) {
            action = DP_ACTION_CONTINUE;
        } else {
            if (r->dry) return DP_REDIRECT_ASK;
            r->reason = dp_offer_take(&o, e, r, carried);
            if (r->reason) return DP_REDIRECT_REFUSED;
        }
    }
    if (e->row_flags & DP_ROW_CLEAR_ACTION_RIGHT) rights = 0;
    if (dp_eval_keep(e, action, rights)) return DP_REDIRECT_ANSWERED;
    r->reason = DP_REASON_TOO_MANY_HOPS;
    return DP_REDIRECT_REFUSED;
}

/* Evaluates the key's layer, ALE_CONNECT_REDIRECT, from eval's place to the end or to a callout
   that must be asked: enum dp_classify_result, of which nothing is counted or told yet
   (dp_redirect_report). `key` is as for AUTH_CONNECT but for its layer. `r`: all of it to be set;
   on resuming with the draft that it had. `carried`: the record of the request's socket; 0: none.

   PERMIT with r->draft: the request goes where the draft's newest version says. The caller finds
   its target's owner, chooses the way, and finishes it; or gives it up by dp_redirect_end.
   PERMIT without: as asked. CALLOUT, DEFER: the draft, if any, is kept for resuming, or is the
   caller's to give up. BLOCK, NO_POLICY: refused, the draft likewise. A callout's own answer is
   kept in eval (dp_eval_keep), and what it redirected in the draft, before resuming. */
__noinline int dp_redirect_judge(struct dp_key *key, struct dp_eval *eval, struct dp_redirecting *r,
                                 const struct dp_redirect_record *carried)
{
    int result, answered;

    if (!key || !eval || !r) return DP_CLASSIFY_NO_POLICY;
    r->reason = 0;
    if (carried && carried->hops) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_PROXY_CONNECTION;
    for (int i = 0; i <= DP_HOPS_MAX; i++) {
        result = dp_classify(key, eval);
        DP_FORGET(result);
        if (result == DP_CLASSIFY_PERMIT && r->draft) {
            answered = dp_redirect_reopen(eval, r->draft);
            DP_FORGET(answered);
            if (answered) continue;
        }
        if (result != DP_CLASSIFY_CALLOUT) return result;
        answered = dp_redirect_answer(eval, r, carried);
        DP_FORGET(answered);
        if (answered == DP_REDIRECT_ASK) return DP_CLASSIFY_CALLOUT;
        if (answered == DP_REDIRECT_REFUSED) return DP_CLASSIFY_BLOCK;
    }
    return DP_CLASSIFY_BLOCK;
}

/* dp_report for what dp_redirect_judge came to. The reason of a refusal, or NONE. */
__noinline int dp_redirect_report(const struct dp_key *key, const struct dp_eval *e, int result,
                                  __u64 bytes, const struct dp_redirecting *r)
{
    if (!r || !key || !e) return DP_REASON_INTERNAL;
    if (result != DP_CLASSIFY_BLOCK || !r->reason)
        return dp_report(key, e, result, bytes, &r->process);
    dp_count_layer(key->layer, DP_LAYER_BLOCK, bytes);
    dp_count_filter(e->asked_id);
    dp_count(r->reason, bytes);
    dp_event_tell(key, e, &r->process, r->reason);
    return r->reason;
}

#endif
