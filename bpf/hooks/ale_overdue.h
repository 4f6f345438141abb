/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets of flows that wait, and what becomes of a question that nobody has answered in time while
   sluiced is dead: its filter's outcome. */
#ifndef SLUICE_BPF_HOOKS_ALE_OVERDUE_H
#define SLUICE_BPF_HOOKS_ALE_OVERDUE_H

#include "hooks/ale_ask.h"

/* Scratch's eval keeps the outcome of the filter whose callout did not answer in place of the
   answer, and key is that of the question. 0: too many hops. */
DP_INLINE int dp_out_outcome_keep(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_scratch *s = o->scratch;
    __u32 host = f->host;

    s->eval = *dp_flow_eval(f);
    dp_key_question(&s->key, o->key, f, o->ifindex, f->direction == DP_DIRECTION_INBOUND);
    return dp_outcome_keep(&s->eval, bpf_map_lookup_elem(&hosts, &host), 0);
}

/* The evaluation with that outcome: enum dp_classify_result, in scratch. */
DP_INLINE int dp_out_outcome(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_resuming g = {.key = o->key,
                            .flow = f,
                            .ifindex = o->ifindex,
                            .inbound = f->direction == DP_DIRECTION_INBOUND,
                            .bytes = o->packet->bytes};

    if (!o->scratch->way.redirected && !dp_out_outcome_keep(o, f)) return DP_CLASSIFY_BLOCK;
    return dp_flow_resume(o->scratch, &g);
}

/* The next filter's callout is asked with the packet at hand: the one that is out is lost. */
DP_INLINE int dp_out_overdue_next(const struct dp_out *o, struct dp_flow *f)
{
    __u32 frames = dp_out_frames(o, f), bytes = o->packet->bytes;

    if (!dp_flow_opens(f, &o->scratch->eval)) {
        dp_use_give(dp_callout_host(o->scratch->eval.callout), &f->process, 1, bytes);
        dp_flow_abandon(o->key, f);
        return dp_out_drop(o, DP_REASON_CALLOUT_UNREGISTERED);
    }
    bpf_spin_lock(&f->lock);
    f->up = frames;
    f->down = 0;
    f->queue_bytes = 0;
    bpf_spin_unlock(&f->lock);
    f->created_ns = bpf_ktime_get_ns();
    dp_flow_counted(f, bytes);
    return dp_out_upcall(o, DP_UPCALL_CLASSIFY);
}

/* The deadline has passed and nobody applied it (the daemon is dead): the filter's outcome, now. A
   flow that drains is permitted: a packet that was on its way is lost. */
DP_INLINE int dp_out_overdue(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_eval *question = dp_flow_eval(f);
    __u64 asked = question->asked_id;
    __u32 under = dp_flow_asked_under(f), to = DP_FLOW_BLOCKED;
    int r;

    if (f->state == DP_FLOW_DRAINING) {
        dp_flow_drained(f);
        return DP_PASS;
    }
    if (dp_flow_redirects(f) && !o->scratch->way.redirected) return DP_OVERDUE;
    r = dp_out_outcome(o, f);
    DP_FORGET(r);
    if (r == DP_CLASSIFY_PERMIT) to = DP_FLOW_PERMITTED;
    if (r == DP_CLASSIFY_CALLOUT) to = DP_FLOW_ASKED;
    if (!dp_flow_closes(f, to, ~0u, DP_REASON_HOLD_EXPIRED, o->packet->bytes)) {
        if (r == DP_CLASSIFY_CALLOUT)
            dp_use_give(dp_callout_host(o->scratch->eval.callout), &f->process, 1,
                        o->packet->bytes);
        return dp_out_drop(o, DP_REASON_HELD);
    }
    dp_over_tell(f->host, f->ticket, o->key, asked, dp_over(under, to));
    if (r == DP_CLASSIFY_CALLOUT) return dp_out_overdue_next(o, f);
    __sync_fetch_and_or(&f->flags, DP_FLOW_EXPIRED);
    *question = o->scratch->eval;
    f->reason = DP_REASON_HOLD_EXPIRED;
    if (r == DP_CLASSIFY_PERMIT) return DP_PASS;
    return o->inbound ? TC_ACT_SHOT : dp_out_answer(o);
}

#define DP_OVERDUE_GRACE_NS (2ULL * 1000000000) /* the daemon sweeps every quarter of a second */

/* A packet of a flow that is ASKED, HELD or DRAINING. */
DP_INLINE int dp_out_waits(const struct dp_out *o, struct dp_flow *f)
{
    if (f->deadline_ns && bpf_ktime_get_ns() > f->deadline_ns + DP_OVERDUE_GRACE_NS)
        return dp_out_overdue(o, f);
    /* The clone of a packet that was held and given up: it goes before what is queued. */
    if (f->state == DP_FLOW_DRAINING && o->scratch->way.injected.host == f->host) return DP_PASS;
    return dp_out_queue(o, f);
}

#endif
