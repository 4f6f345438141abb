/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* CONNECT_REDIRECT as TC egress sees it, by the first packet of an outbound flow that connect() has
   not settled: decided here, or its callout is asked with that packet. AUTH_CONNECT follows. */
#ifndef SLUICE_BPF_HOOKS_REDIRECT_OUT_H
#define SLUICE_BPF_HOOKS_REDIRECT_OUT_H

#include "hooks/ale_outbound.h"

/* The request of f, in scratch, and the key of its layer. */
static __noinline int dp_redirect_request_of(struct __sk_buff *skb, struct dp_scratch *s)
{
    struct dp_flow *f = (void *)s->flow;
    struct dp_redirecting *r = &s->redirecting;

    f->layer = dp_layer_for(DP_LAYER_ALE_CONNECT_REDIRECT_V4, &s->flow_key.remote);
    __builtin_memset(r, 0, sizeof *r);
    r->app = s->flow_key;
    r->process = f->process;
    r->cookie = f->cookie;
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    dp_key_from_flow(&s->key, &s->flow_key, f, s->way.ifindex, 0);
    if (s->packet.fragment) DP_NUMBER(&s->key, FLAGS) |= DP_CONDITION_IS_FRAGMENT;
    return 0;
}

/* The layer's verdict: enum dp_classify_result; CALLOUT is admitted, and there is a draft. */
DP_INLINE int dp_redirect_first(const struct dp_out *o)
{
    struct dp_scratch *s = o->scratch;
    struct dp_redirecting *r = &s->redirecting;
    const struct dp_redirect_record *record = dp_carried_of(o->skb);
    int result = dp_redirect_judge(&s->key, &s->eval, r, record);

    DP_FORGET(result);
    dp_redirect_report(&s->key, &s->eval, result, o->packet->bytes, r);
    if (result != DP_CLASSIFY_CALLOUT) return result;
    if (!r->draft && !dp_redirect_begin(r, dp_carried_of(o->skb))) {
        dp_count(DP_REASON_REDIRECTS_FULL, o->packet->bytes);
        return DP_CLASSIFY_BLOCK;
    }
    return dp_redirect_admit(s, o->packet->bytes);
}

/* Beside the other steps, for its stack. Scratch has the new flow; passes: it only passes this
   machine, and comes in. */
__noinline int dp_redirect_begin_out(struct __sk_buff *skb, __u32 passes)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int r;

    if (!s) return DP_CLASSIFY_BLOCK;
    o = dp_out_of(skb, s, passes != 0);
    f = dp_out_prepare(&o, passes ? DP_FLOW_PASSES : 0, DP_DIRECTION_OUTBOUND);
    dp_redirect_request_of(skb, s);
    r = dp_redirect_first(&o);
    f->redirect = s->redirecting.draft;
    return r;
}

/* The layer has come to r: the flow is asked about, refused, or meets AUTH_CONNECT now. */
__noinline int dp_redirect_on(struct __sk_buff *skb, int r)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 0);
    f = (void *)s->flow;
    if (r == DP_CLASSIFY_CALLOUT) {
        f->state = DP_FLOW_ASKED;
        f->up = dp_out_frames(&o, f);
    } else if (r == DP_CLASSIFY_PERMIT) {
        dp_flow_connects(o.key, f, &s->eval);
        r = dp_out_judge(&o, f, 0);
        return dp_out_decide(&o, f, r, 1);
    }
    action = dp_flow_decide(r, 1, 0);
    DP_FORGET(action);
    if (action == DP_ASKS) return dp_out_upcall(&o, DP_UPCALL_CLASSIFY);
    return action == DP_REFUSED ? dp_out_answer(&o) : action;
}

/* What the packet came to: a redirection whose flow has no entry is given up, and a packet that it
   concerned must not leave. */
static __noinline int dp_redirect_kept(struct dp_scratch *s, int action)
{
    struct dp_flow *f = (void *)s->flow;
    __u64 id = f->redirect;

    if (!id || dp_flow_find(&s->flow_key)) return action;
    dp_redirect_end(id);
    return action == DP_PASS ? TC_ACT_SHOT : action;
}

DP_INLINE int dp_stage_redirect(struct __sk_buff *skb, struct dp_scratch *s)
{
    int r = dp_redirect_begin_out(skb, 0), action;

    DP_FORGET(r);
    action = dp_redirect_on(skb, r);
    DP_FORGET(action);
    return dp_redirect_kept(s, action);
}

/* Nobody has answered: the layer goes on with the filter's outcome. dp_stage_ale_out follows. */
__noinline int dp_redirect_overdue(void)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;

    if (!s) return 0;
    o = dp_out_of(0, s, 0);
    s->way.redirected = 0x10 | DP_CLASSIFY_BLOCK;
    f = dp_flow_find(o.key);
    if (!f || !dp_flow_redirects(f) || !dp_out_outcome_keep(&o, f)) return 0;
    dp_redirect_answered(f->redirect, f->eval.asked_id, 0, &f->process);
    dp_flow_redirect(s, f, o.packet->bytes);
    return 0;
}

#endif
