/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two ends of a question about a flow: it becomes ASKED, it leaves ASKED or HELD. Whatever is
   counted of open questions is counted here and nowhere else. */
#ifndef SLUICE_BPF_LIB_FLOW_OPEN_H
#define SLUICE_BPF_LIB_FLOW_OPEN_H

#include "lib/flow_table.h"
#include "lib/upcall.h"

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
    f->eval = *e;
    f->generation = e->generation;
    if (dp_eval_asked_before(&f->eval)) flags |= DP_FLOW_ASKED_BEFORE;
    if (c->flags & DP_CALLOUT_KEEP_PENDED_DATA) flags |= DP_FLOW_KEEP_DATA;
    if (e->row_flags & DP_ROW_PERMIT_IF_UNREGISTERED) flags |= DP_FLOW_PERMIT_ON_LOSS;
    f->flags = (f->flags & ~DP_FLOW_QUESTION_FLAGS) | flags;
    return 1;
}

/* How a question ends, when the flow was held meanwhile: DP_REASON_HOLD_*. */
DP_INLINE void dp_flow_close_count(__u32 held, __u32 how, __u64 bytes)
{
    if (held)
        dp_count(how, bytes);
    else if (how == DP_REASON_HOLD_EXPIRED)
        dp_count(DP_REASON_ASK_EXPIRED, bytes);
}

/* The flow leaves ASKED or HELD: `to` is its state, where PERMITTED is DRAINING while packets are
   out besides the `settled` ones that have come down now. `how`: DP_REASON_HOLD_PERMITTED,
   _BLOCKED, _EXPIRED or _ABANDONED. 0: somebody else was first, nothing has changed. */
DP_INLINE int dp_flow_closes(struct dp_flow *f, __u32 to, __u32 settled, __u32 how, __u64 bytes)
{
    __u32 mine, held;

    bpf_spin_lock(&f->lock);
    mine = f->state == DP_FLOW_ASKED || f->state == DP_FLOW_HELD;
    held = f->flags & DP_FLOW_WAS_HELD;
    if (mine) {
        f->flags &= ~DP_FLOW_WAS_HELD;
        if (settled > f->up - f->down) settled = f->up - f->down;
        f->down += settled;
        if (to == DP_FLOW_PERMITTED && f->down != f->up) to = DP_FLOW_DRAINING;
        f->state = to;
        if (to == DP_FLOW_PERMITTED) f->flags &= ~DP_FLOW_REAUTHORIZE;
    }
    bpf_spin_unlock(&f->lock);
    if (!mine) return 0;
    dp_flow_close_count(held, how, bytes);
    return 1;
}

/* What was on its way down has come, or is given up for lost. */
DP_INLINE void dp_flow_drained(struct dp_flow *f)
{
    bpf_spin_lock(&f->lock);
    if (f->state == DP_FLOW_DRAINING) {
        f->state = DP_FLOW_PERMITTED;
        f->flags &= ~DP_FLOW_REAUTHORIZE;
    }
    bpf_spin_unlock(&f->lock);
}

/* Nobody will answer: the next packet of the flow is judged anew. */
DP_INLINE void dp_flow_abandon(const struct dp_flow_key *k, struct dp_flow *f)
{
    dp_flow_closes(f, DP_FLOW_BLOCKED, 0, DP_REASON_HOLD_ABANDONED, 0);
    dp_flow_delete(k);
}

#endif
