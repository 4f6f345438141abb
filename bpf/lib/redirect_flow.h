/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A flow that is asked about at CONNECT_REDIRECT. Its draft takes what each callout makes of the
   request: pending behind the versions until that callout permits. When the layer permits the flow
   goes on with AUTH_CONNECT. */
#ifndef SLUICE_BPF_LIB_REDIRECT_FLOW_H
#define SLUICE_BPF_LIB_REDIRECT_FLOW_H

#include "lib/flow_end.h"
#include "lib/redirect_judge.h"

/* The open question of the flow, or its last one, is CONNECT_REDIRECT's. */
DP_INLINE int dp_flow_redirects(const struct dp_flow *f)
{
    return f->layer == DP_LAYER_ALE_CONNECT_REDIRECT_V4 ||
           f->layer == DP_LAYER_ALE_CONNECT_REDIRECT_V6;
}

/* Packets of some flow are rewritten from now on. */
DP_INLINE void dp_translating_begin(void)
{
    __u32 zero = 0;
    __u64 *on = bpf_map_lookup_elem(&translating, &zero);

    if (on) *on = 1;
}

DP_INLINE int dp_translating(void)
{
    __u32 zero = 0;
    __u64 *on = bpf_map_lookup_elem(&translating, &zero);

    return on && *on;
}

/* What the filter that is asked has brought so far; 0: nothing. Never one of the versions. */
DP_INLINE struct dp_redirect_version *dp_redirect_pending(struct dp_redirect *d, __u64 filter_id)
{
    __u64 at = d->versions;

    DP_FORGET(at); /* so that it is what is checked, and not a copy that was cut */
    if (at >= DP_REDIRECT_VERSIONS_MAX) return 0;
    DP_FORGET(at);
    return d->version[at].filter_id == filter_id ? &d->version[at] : 0;
}

/* The context goes with what it came with. */
DP_INLINE void dp_redirect_withdraw(struct dp_redirect *d, struct dp_redirect_version *v)
{
    __builtin_memset(v, 0, sizeof *v);
    d->learn_ms = 0;
    if (dp_redirect_latest(d) == &d->version[0]) d->context_bytes = 0;
}

/* The kernel may decide so by itself for a while, as the callout says. Where the context cannot be
   kept nothing is learned. */
__noinline int dp_redirect_learn(__u64 id, const struct dp_process *p, __u64 generation)
{
    struct dp_redirect *d = dp_redirect_find(id);
    const struct dp_redirect_version *v;
    struct dp_learned_key key;
    struct dp_learned l = {}, *before;
    __u64 old = 0;
    void *context;

    if (!d || !p || !d->learn_ms) return 0;
    v = dp_redirect_latest(d);
    if (!v || !dp_learned_key_fill(&key, p, &d->app, v->filter_id)) return 0;
    l.until_ns = bpf_ktime_get_ns() + (__u64)d->learn_ms * 1000000;
    l.generation = generation;
    l.version = *v;
    l.version.flags &= ~(DP_REDIRECT_AGAIN | DP_REDIRECT_SHOWN);
    if (d->context_bytes) {
        context = bpf_map_lookup_elem(&contexts_of, &id);
        l.context_id = dp_ticket_number();
        if (!context || bpf_map_update_elem(&contexts_of, &l.context_id, context, BPF_ANY))
            return 0;
        l.context_bytes = d->context_bytes;
    }
    before = bpf_map_lookup_elem(&learned, &key);
    if (before) old = before->context_id;
    if (bpf_map_update_elem(&learned, &key, &l, BPF_ANY)) old = l.context_id; /* full */
    if (old) bpf_map_delete_elem(&contexts_of, &old);
    return 1;
}

/* The filter's callout has answered: what it brought stands with its permit. enum dp_reason of what
   is against that. */
__noinline int dp_redirect_answered(__u64 id, __u64 filter_id, __u32 permits,
                                    const struct dp_process *p)
{
    struct dp_redirect_name provider = {};
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_redirect_version *v;
    const struct dp_handle *h;
    int reason;

    if (!d || !p || d->state != DP_REDIRECT_DRAFT) return DP_REASON_NONE;
    v = dp_redirect_pending(d, filter_id);
    reason = d->refused;
    d->refused = 0;
    if (reason) {
        if (v) dp_redirect_withdraw(d, v);
        return permits ? reason : DP_REASON_NONE;
    }
    if (!v) return DP_REASON_NONE;
    h = dp_handle_find(v->handle);
    if (h) __builtin_memcpy(&provider, h->provider, sizeof provider);
    reason = v->handle && !h ? DP_REASON_REDIRECT_HANDLE : DP_REASON_NONE;
    if (permits && !reason) {
        reason = dp_redirect_amend(id, v, &provider, p);
        DP_FORGET(reason);
        if (!reason) return DP_REASON_NONE;
    }
    dp_redirect_withdraw(d, v);
    return permits ? reason : DP_REASON_NONE;
}

/* The place of one more question of this layer: enum dp_reason of the quota that is full. Then the
   outcome stands in place of the answer, 0x10000: even that cannot be kept. */
__noinline int dp_redirect_take(struct dp_eval *e, const struct dp_process *p, __u64 bytes)
{
    __u32 host, reason;

    if (!e || !p) return 0x10000;
    host = dp_callout_host(e->callout);
    reason = dp_use_take(host, p, 1, bytes);
    DP_FORGET(reason);
    if (!reason) return DP_REASON_NONE;
    return dp_use_outcome(e, host, reason, bytes) ? reason : 0x10000;
}

/* As dp_use_admit, for a question of this layer, of scratch's key and eval. */
DP_INLINE int dp_redirect_admit(struct dp_scratch *s, __u64 bytes)
{
    struct dp_redirecting *r = &s->redirecting;
    int result = DP_CLASSIFY_BLOCK;

    for (int i = 0; i < DP_HOPS_MAX; i++) {
        int reason = dp_redirect_take(&s->eval, &r->process, bytes);
        struct dp_redirect *d;

        DP_FORGET(reason);
        if (!reason) return DP_CLASSIFY_CALLOUT;
        result = DP_CLASSIFY_BLOCK;
        if (reason == 0x10000) break;
        d = dp_redirect_find(r->draft);
        result = dp_redirect_judge(&s->key, &s->eval, r, d ? &d->record : 0);
        DP_FORGET(result);
        if (result != DP_CLASSIFY_CALLOUT) break;
    }
    if (result == DP_CLASSIFY_PERMIT) return result;
    dp_event_tell(&s->key, &s->eval, &r->process, r->reason ? r->reason : s->eval.quota);
    return DP_CLASSIFY_BLOCK;
}

/* The layer has permitted: whether the draft redirects. One that does not is gone. */
__noinline int dp_redirect_stands(__u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);

    if (!d) return 0;
    if (d->versions > 1) return 1;
    dp_redirect_end(id);
    return 0;
}

/* CONNECT_REDIRECT has permitted: f's layer is AUTH_CONNECT now, of which e knows nothing yet. What
   passes this machine is through. */
DP_INLINE void dp_flow_connects(const struct dp_flow_key *k, struct dp_flow *f, struct dp_eval *e)
{
    f->layer = dp_layer_for(DP_LAYER_ALE_AUTH_CONNECT_V4, &k->remote);
    f->round++; /* what comes late is an answer to another question */
    __builtin_memset(e, 0, sizeof *e);
    if (f->flags & DP_FLOW_PASSES) e->generation = dp_generation(); /* nothing else judges it */
    if (!f->redirect) return;
    if (dp_redirect_stands(f->redirect)) {
        f->flags |= DP_FLOW_TRANSLATE;
        dp_translating_begin();
    } else {
        f->redirect = 0;
    }
}

/* CONNECT_REDIRECT goes on from scratch's key and eval, which keeps the answer to f's question: as
   far as it goes, which scratch then says. A step by itself, for its stack. */
DP_INLINE void dp_flow_redirect(struct dp_scratch *s, struct dp_flow *f, __u64 bytes)
{
    struct dp_redirecting *r = &s->redirecting;
    const struct dp_redirect *d = dp_redirect_find(f->redirect);
    int result;

    s->way.redirected = 0x10 | DP_CLASSIFY_BLOCK;
    if (!d) return;
    __builtin_memset(r, 0, sizeof *r);
    r->app = d->app;
    r->process = f->process;
    r->cookie = d->cookie;
    r->draft = f->redirect;
    result = dp_redirect_judge(&s->key, &s->eval, r, &d->record);
    DP_FORGET(result);
    if (result == DP_CLASSIFY_CALLOUT && bytes) {
        dp_flow_uncount(f);
        result = dp_redirect_admit(s, bytes);
    }
    s->way.redirected = 0x10 | result;
}

/* Whose flow, and which packet. */
struct dp_resuming {
    const struct dp_flow_key *key;
    struct dp_flow *flow;
    __u32 ifindex, inbound;
    __u64 bytes;
};

/* Scratch's eval and key are the open question's, with its answer kept: the evaluation goes on, and
   behind CONNECT_REDIRECT, which has gone on before (dp_flow_redirect), with AUTH_CONNECT. enum
   dp_classify_result; CALLOUT is admitted where there is a packet to show. */
DP_INLINE int dp_flow_resume(struct dp_scratch *s, const struct dp_resuming *g)
{
    struct dp_flow *f = g->flow;
    int r;

    if (s->way.redirected) {
        r = s->way.redirected & 0xf;
        if (r == DP_CLASSIFY_CALLOUT) f->round++; /* it may be the same one again */
        if (r != DP_CLASSIFY_PERMIT) return r;
        dp_flow_connects(g->key, f, &s->eval);
        if (f->flags & DP_FLOW_PASSES) return r;
        dp_key_question(&s->key, g->key, f, g->ifindex, g->inbound);
    }
    r = dp_classify(&s->key, &s->eval);
    DP_FORGET(r);
    if (r != DP_CLASSIFY_CALLOUT || !g->bytes) return r;
    dp_flow_uncount(f); /* on to another, with the place that it has */
    r = dp_use_admit(&s->key, &s->eval, &f->process, g->bytes);
    DP_FORGET(r);
    return r;
}

#endif
