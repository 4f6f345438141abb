/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two ends of a question about a flow: it becomes ASKED, it leaves ASKED or HELD. Whatever is
   counted of open questions is counted here and nowhere else. */
#ifndef SLUICE_BPF_LIB_FLOW_OPEN_H
#define SLUICE_BPF_LIB_FLOW_OPEN_H

#include "lib/flow_table.h"
#include "lib/upcall.h"
#include "lib/use.h"

#define DP_FLOW_QUESTION_FLAGS (DP_FLOW_KEEP_DATA | DP_FLOW_PERMIT_ON_LOSS | DP_FLOW_ASKED_BEFORE)

/* The flow, which is ASKED or about to be inserted so, waits for the callout that e names. 0: there
   is nobody to ask, f is as it was. */
DP_INLINE int dp_flow_opens(struct dp_flow *f, const struct dp_eval *e)
{
    __u32 id = e->callout, flags = 0;
    struct dp_callout *c = bpf_map_lookup_elem(&callouts, &id);
    struct dp_host *h = dp_host_alive(c ? c->host : 0);
    __u64 now = bpf_ktime_get_ns();

    if (!c || !h) return 0;
    f->host = c->host;
    f->asked_ns = now;
    f->deadline_ns = now + h->watchdog_ns;
    *dp_flow_eval(f) = *e;
    if (!(f->flags & DP_FLOW_ESTABLISHING)) {
        f->generation = e->generation;
        if (dp_eval_asked_before(&f->eval)) flags |= DP_FLOW_ASKED_BEFORE;
        if (c->flags & DP_CALLOUT_KEEP_PENDED_DATA) flags |= DP_FLOW_KEEP_DATA;
    }
    if (e->row_flags & DP_ROW_PERMIT_IF_UNREGISTERED) flags |= DP_FLOW_PERMIT_ON_LOSS;
    f->flags = (f->flags & ~DP_FLOW_QUESTION_FLAGS) | flags;
    return 1;
}

/* Whoever watches holds hears of this one. k: zero of an end, which its ticket tells. */
static __noinline int dp_hold_tell(const struct dp_flow *f, const struct dp_flow_key *k,
                                   __u32 reason)
{
    __u32 zero = 0, type = reason ? DP_EVENT_HOLD_END : DP_EVENT_HOLD;
    struct dp_options *o = bpf_map_lookup_elem(&options, &zero);
    struct dp_event *ev;

    if (!o || !(o->events & (1u << type))) return 0;
    ev = bpf_ringbuf_reserve(&events, sizeof *ev, 0);
    if (!ev) {
        dp_count(DP_REASON_EVENTS_LOST, 0);
        return 0;
    }
    __builtin_memset(ev, 0, sizeof *ev);
    ev->time_ns = bpf_ktime_get_ns();
    ev->filter_id = f->eval.asked_id; /* ALE_FLOW_ESTABLISHED cannot pend */
    ev->generation = f->ticket;
    ev->type = type;
    ev->layer = f->layer;
    ev->reason = reason;
    ev->ifindex = f->ifindex;
    ev->direction = f->direction;
    if (k) ev->flow = *k;
    ev->process = f->process;
    bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
    return 0;
}

/* The question, admitted by dp_use_admit, stands in `uses` with `bytes` of packets. */
DP_INLINE void dp_flow_counted(struct dp_flow *f, __u32 bytes)
{
    f->use_bytes = bytes;
    f->flags |= DP_FLOW_COUNTED;
}

/* It does so no longer. */
DP_INLINE void dp_flow_uncount(struct dp_flow *f)
{
    __u32 counted, bytes;

    bpf_spin_lock(&f->lock);
    counted = f->flags & DP_FLOW_COUNTED;
    bytes = f->use_bytes;
    f->flags &= ~DP_FLOW_COUNTED;
    f->use_bytes = 0;
    bpf_spin_unlock(&f->lock);
    if (counted) dp_use_give(f->host, &f->process, 1, bytes);
}

/* The callout pended: how long it may, by the filter or its host. 0: for ever. */
DP_INLINE __u64 dp_hold_limit(const struct dp_eval *e, const struct dp_host *h)
{
    if (e->hold_ms == DP_HOLD_FOREVER) return 0;
    if (e->hold_ms) return (__u64)e->hold_ms * 1000000;
    return h ? h->hold_deadline_ns : 0;
}

/* The filter whose callout is asked. */
DP_INLINE __u64 dp_flow_asked(struct dp_flow *f)
{
    return dp_flow_eval(f)->asked_id;
}

/* The low half of the open question's number. */
DP_INLINE __u32 dp_flow_asked_under(const struct dp_flow *f)
{
    if (f->flags & DP_FLOW_ESTABLISHING) return f->hop.generation;
    return dp_question_number(f->eval.generation, f->round);
}

/* Nothing of it is out: a newer packet overtakes none. Under the lock. */
DP_INLINE int dp_flow_is_drained(const struct dp_flow *f)
{
    return f->up == f->down && !f->passing;
}

/* How a question ends, when the flow was held meanwhile: DP_REASON_HOLD_*. */
DP_INLINE void dp_flow_close_count(const struct dp_flow *f, __u32 held, __u32 how, __u64 bytes)
{
    if (held) {
        dp_count(how, bytes);
        dp_hold_tell(f, 0, how);
    } else if (how == DP_REASON_HOLD_EXPIRED) {
        dp_count(DP_REASON_ASK_EXPIRED, bytes);
    }
}

/* The flow leaves ASKED or HELD: `to` is its state, where PERMITTED is DRAINING while packets are
   out besides the `settled` ones that have come down now, or have not left their port. `how`:
   DP_REASON_HOLD_PERMITTED, _BLOCKED, _EXPIRED or _ABANDONED. 0: somebody else was first, nothing
   has changed. */
DP_INLINE int dp_flow_closes(struct dp_flow *f, __u32 to, __u32 settled, __u32 how, __u64 bytes)
{
    __u32 mine, held, counted, use_bytes;

    bpf_spin_lock(&f->lock);
    mine = f->state == DP_FLOW_ASKED || f->state == DP_FLOW_HELD;
    held = f->flags & DP_FLOW_WAS_HELD;
    counted = f->flags & DP_FLOW_COUNTED;
    use_bytes = f->use_bytes;
    if (mine) {
        f->flags &= ~(DP_FLOW_WAS_HELD | DP_FLOW_COUNTED);
        f->use_bytes = 0;
        if (settled > f->up - f->down) settled = f->up - f->down;
        f->down += settled;
        if (to == DP_FLOW_PERMITTED && !dp_flow_is_drained(f)) to = DP_FLOW_DRAINING;
        f->state = to;
        if (to == DP_FLOW_PERMITTED) f->flags &= ~DP_FLOW_REAUTHORIZE;
        if (to != DP_FLOW_ASKED && f->flags & DP_FLOW_ESTABLISHING)
            f->flags = (f->flags & ~DP_FLOW_ESTABLISHING) | DP_FLOW_ESTABLISHED;
    }
    bpf_spin_unlock(&f->lock);
    if (!mine) return 0;
    if (counted) dp_use_give(f->host, &f->process, 1, use_bytes);
    dp_flow_close_count(f, held, how, bytes);
    return 1;
}

/* A packet that has come down by XDP goes on to TC, where others are behind it. */
DP_INLINE void dp_flow_passes(struct dp_flow *f)
{
    bpf_spin_lock(&f->lock);
    f->passing++;
    bpf_spin_unlock(&f->lock);
}

/* It is through. */
DP_INLINE void dp_flow_passed(struct dp_flow *f)
{
    bpf_spin_lock(&f->lock);
    if (f->passing) f->passing--;
    if (f->state == DP_FLOW_DRAINING && dp_flow_is_drained(f)) {
        f->state = DP_FLOW_PERMITTED;
        f->flags &= ~DP_FLOW_REAUTHORIZE;
    }
    bpf_spin_unlock(&f->lock);
}

/* What was on its way down has come, or is given up for lost. */
DP_INLINE void dp_flow_drained(struct dp_flow *f)
{
    bpf_spin_lock(&f->lock);
    f->passing = 0;
    if (f->state == DP_FLOW_DRAINING) {
        f->state = DP_FLOW_PERMITTED;
        f->flags &= ~DP_FLOW_REAUTHORIZE;
    }
    bpf_spin_unlock(&f->lock);
}

#endif
