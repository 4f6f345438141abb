/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A bind or listen that a callout decides: the call has returned, the question stands in
   `operations` and goes to the host by its ring of notices. Meanwhile the socket's traffic waits.
   A bind that is asked about at ALE_BIND_REDIRECT goes on with ALE_RESOURCE_ASSIGNMENT.

     ASKED ──▶ HELD ──▶ DRAINING ──▶ PERMITTED      the record goes with the next sweep
       └────────┴─────▶ BLOCKED                     and stays until the socket is closed

   A socket whose storage names no record, or one that is gone, is not waited for. */
#ifndef SLUICE_BPF_LIB_OPERATION_H
#define SLUICE_BPF_LIB_OPERATION_H

#include "lib/binding.h"
#include "lib/flow_open.h"
#include "lib/over.h"
#include "lib/report.h"
#include "lib/work.h"

DP_INLINE int dp_operation_is_open(const struct dp_operation *op)
{
    return op->state == DP_FLOW_ASKED || op->state == DP_FLOW_HELD;
}

/* What callouts before have made of the bind. */
DP_INLINE void dp_operation_show(struct dp_upcall *up, __u64 id)
{
    const struct dp_redirect *d = dp_binding_draft_of(id);
    const struct dp_redirect_version *v = d ? dp_redirect_latest(d) : 0;

    if (!v || d->versions < 2) return;
    up->key.remote = v->remote;
    up->key.remote_port = v->remote_port;
    up->injected.context = v->filter_id;
}

/* The callout that eval names is asked; up is room. 0: it cannot be, counted. */
static __noinline int dp_operation_notice(const struct dp_operation *op, __u64 id,
                                          struct dp_upcall *up)
{
    const struct dp_key *key = &op->key;

    dp_notice_begin(up, DP_UPCALL_CLASSIFY);
    up->ticket = id;
    dp_upcall_eval(up, &op->eval);
    up->condition_flags = DP_NUMBER(key, FLAGS);
    up->layer = op->layer;
    up->flags = DP_UPCALL_OPERATION | DP_UPCALL_MAY_PEND;
    if (op->flags & DP_FLOW_KEEP_DATA) up->flags |= DP_UPCALL_KEEP_DATA;
    up->created_ns = op->asked_ns;
    up->process = op->process;
    up->key.local = op->address;
    up->key.local_port = op->port;
    up->key.protocol = DP_NUMBER(key, PROTOCOL);
    up->endpoint = op->cookie;
    if (dp_layer_binds(op->layer)) dp_operation_show(up, id);
    return dp_notice_send(op->host, up);
}

/* Whoever watches holds hears of this one, as of a flow's. */
static __noinline int dp_operation_tell(const struct dp_operation *op, __u64 id, __u32 reason)
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
    dp_event_fill(ev, &op->key, &op->eval);
    ev->filter_id = op->eval.asked_id;
    ev->generation = id;
    ev->type = type;
    ev->reason = reason;
    ev->process = op->process;
    bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
    return 0;
}

/* The question that e, admitted by dp_use_admit with no bytes, asks now. The caller alone has the
   record, or it is ASKED. 0: its host has ended; the place in `uses` is given back. */
DP_INLINE int dp_operation_opens(struct dp_operation *op, const struct dp_eval *e)
{
    __u32 id = e->callout, flags = DP_FLOW_COUNTED;
    struct dp_callout *c = bpf_map_lookup_elem(&callouts, &id);
    struct dp_host *h = dp_host_alive(c ? c->host : 0);

    if (!c || !h) {
        dp_use_give(c ? c->host : 0, &op->process, 1, 0);
        dp_count(DP_REASON_CALLOUT_UNREGISTERED, 0);
        return 0;
    }
    op->host = c->host;
    op->asked_ns = bpf_ktime_get_ns();
    op->deadline_ns = op->asked_ns + h->watchdog_ns;
    op->eval = *e;
    if (c->flags & DP_CALLOUT_KEEP_PENDED_DATA) flags |= DP_FLOW_KEEP_DATA;
    bpf_spin_lock(&op->lock);
    op->flags = (op->flags & ~DP_FLOW_KEEP_DATA) | flags;
    bpf_spin_unlock(&op->lock);
    return 1;
}

/* The operation leaves ASKED or HELD, as dp_flow_closes. */
DP_INLINE int dp_operation_closes(struct dp_operation *op, __u64 id, __u32 to, __u32 how)
{
    __u32 mine, held, counted, bytes, decided = to;

    bpf_spin_lock(&op->lock);
    mine = op->state == DP_FLOW_ASKED || op->state == DP_FLOW_HELD;
    held = op->flags & DP_FLOW_WAS_HELD;
    counted = op->flags & DP_FLOW_COUNTED;
    bytes = op->use_bytes;
    if (mine) {
        op->flags &= ~(DP_FLOW_WAS_HELD | DP_FLOW_COUNTED);
        op->use_bytes = 0;
        if (to == DP_FLOW_PERMITTED && op->down != op->up) to = DP_FLOW_DRAINING;
        op->state = to;
    }
    bpf_spin_unlock(&op->lock);
    if (!mine) return 0;
    if (counted) dp_use_give(op->host, &op->process, 1, bytes);
    if (how == DP_REASON_HOLD_EXPIRED || how == DP_REASON_HOLD_ABANDONED)
        dp_over_tell(op->host, id, 0, op->eval.asked_id, dp_over(op->eval.generation, decided));
    if (!held && how == DP_REASON_HOLD_EXPIRED) dp_count(DP_REASON_ASK_EXPIRED, 0);
    if (!held) return 1;
    dp_count(how, 0);
    dp_operation_tell(op, id, how);
    return 1;
}

/* Its place in `uses`, before another callout takes one. What waits stays without. */
DP_INLINE void dp_operation_uncount(struct dp_operation *op)
{
    __u32 counted, bytes;

    bpf_spin_lock(&op->lock);
    counted = op->flags & DP_FLOW_COUNTED;
    bytes = op->use_bytes;
    op->flags &= ~DP_FLOW_COUNTED;
    op->use_bytes = 0;
    bpf_spin_unlock(&op->lock);
    if (counted) dp_use_give(op->host, &op->process, 1, bytes);
}

/* The socket's traffic is refused from now on; sluiced, which is told, destroys the socket. */
DP_INLINE void dp_operation_block(struct dp_operation *op, __u64 id, const struct dp_eval *e,
                                  __u32 how)
{
    if (!dp_operation_closes(op, id, DP_FLOW_BLOCKED, how)) return;
    op->reason = DP_REASON_BIND_BLOCKED;
    op->eval = *e;
    dp_count(DP_REASON_CALLOUT_BLOCK, 0);
    dp_event_tell(&op->key, &op->eval, &op->process, DP_REASON_BIND_BLOCKED);
}

/* Room to decide in: of `work` or of the scratch. */
struct dp_operation_room {
    struct dp_key *key;
    struct dp_eval *eval;
    struct dp_upcall *up;
};

/* Another callout is next, admitted. */
DP_INLINE void dp_operation_next(struct dp_operation *op, __u64 id,
                                 const struct dp_operation_room *room, __u32 how)
{
    if (!dp_operation_closes(op, id, DP_FLOW_ASKED, how)) {
        dp_use_give(dp_callout_host(room->eval->callout), &op->process, 1, 0);
        return;
    }
    if (!dp_operation_opens(op, room->eval) || !dp_operation_notice(op, id, room->up))
        dp_operation_block(op, id, room->eval, DP_REASON_HOLD_ABANDONED);
}

/* ALE_BIND_REDIRECT goes on behind its answer, and when it permits ALE_RESOURCE_ASSIGNMENT begins.
 */
DP_INLINE int dp_operation_binds(struct dp_operation *op, __u64 id,
                                 const struct dp_operation_room *room)
{
    int r, reason;

    dp_operation_uncount(op);
    r = dp_binding_judge(id, room->key, room->eval);
    DP_FORGET(r);
    if (r != DP_CLASSIFY_PERMIT) return r;
    if (!dp_binding_assigns(id, room->key, room->eval)) return DP_CLASSIFY_BLOCK;
    reason = dp_binding_stands(id);
    DP_FORGET(reason);
    if (reason) dp_count(reason, 0);
    return reason ? DP_CLASSIFY_BLOCK : DP_CLASSIFY_PERMIT;
}

/* On from an answer that is kept: enum dp_classify_result, CALLOUT is admitted. */
DP_INLINE int dp_operation_resume(struct dp_operation *op, __u64 id,
                                  const struct dp_operation_room *room)
{
    int r = DP_CLASSIFY_PERMIT;

    if (dp_layer_binds(op->layer)) r = dp_operation_binds(op, id, room);
    if (r != DP_CLASSIFY_PERMIT) return r;
    r = dp_classify(room->key, room->eval);
    DP_FORGET(r);
    if (r != DP_CLASSIFY_CALLOUT) return r;
    dp_operation_uncount(op);
    r = dp_use_admit(room->key, room->eval, &op->process, 0);
    DP_FORGET(r);
    return r;
}

/* The open question has its answer in the room, whose evaluation and key are copies of op's. how:
   as dp_flow_closes counts it; where it is HOLD_PERMITTED a block counts HOLD_BLOCKED. */
DP_INLINE void dp_operation_decide(struct dp_operation *op, __u64 id,
                                   const struct dp_operation_room *room, __u32 how)
{
    struct dp_eval *e = room->eval;
    int r = dp_operation_resume(op, id, room);

    if (r == DP_CLASSIFY_CALLOUT) {
        dp_operation_next(op, id, room, how);
    } else if (r == DP_CLASSIFY_PERMIT) {
        op->deadline_ns = bpf_ktime_get_ns() + DP_DRAIN_NS;
        dp_operation_closes(op, id, DP_FLOW_PERMITTED, how);
    } else {
        dp_operation_block(op, id, e,
                           how == DP_REASON_HOLD_PERMITTED ? DP_REASON_HOLD_BLOCKED : how);
    }
}

/* What the filter wants where no answer came: lost, its host has ended; else its time is over. */
DP_INLINE void dp_operation_outcome(struct dp_operation *op, __u64 id,
                                    const struct dp_operation_room *room, int lost)
{
    __u32 host = op->host, how = lost ? DP_REASON_HOLD_ABANDONED : DP_REASON_HOLD_EXPIRED;

    *room->key = op->key;
    *room->eval = op->eval;
    if (dp_outcome_keep(room->eval, bpf_map_lookup_elem(&hosts, &host), lost))
        dp_operation_decide(op, id, room, how);
    else
        dp_operation_block(op, id, room->eval, how);
}

/* w's evaluation asks for a callout, admitted by dp_use_admit with no bytes: it becomes a record,
   and the callout is asked. The number of the operation; 0: that could not be, and its place in
   `uses` is given back. */
static __noinline __u64 dp_operation_begin(struct dp_work *w, const struct dp_endpoint *at,
                                           const struct dp_socket *s)
{
    __u64 id = dp_ticket_number();
    struct dp_operation *op = 0;
    __u32 zero = 0;
    void *empty = bpf_map_lookup_elem(&empty_operation, &zero);

    if (id && empty && !bpf_map_update_elem(&operations, &id, empty, BPF_NOEXIST))
        op = bpf_map_lookup_elem(&operations, &id);
    if (!op) {
        dp_count(DP_REASON_TICKETS_FULL, 0);
        dp_use_give(dp_callout_host(w->eval.callout), &s->process, 1, 0);
        return 0;
    }
    op->cookie = s->cookie;
    op->layer = w->key.layer;
    op->port = at->port;
    op->address = at->address;
    op->process = s->process;
    op->cgroups = s->cgroups;
    op->key = w->key;
    if (dp_layer_binds(op->layer) && !dp_binding_begin(id)) {
        dp_use_give(dp_callout_host(w->eval.callout), &s->process, 1, 0);
    } else if (dp_operation_opens(op, &w->eval)) {
        op->state = DP_FLOW_ASKED;
        if (dp_operation_notice(op, id, &w->up)) return id;
        dp_operation_closes(op, id, DP_FLOW_BLOCKED, DP_REASON_HOLD_ABANDONED);
    }
    if (dp_layer_binds(op->layer)) dp_redirect_end(id);
    bpf_map_delete_elem(&operations, &id);
    return 0;
}

/* The socket is closed: what is open is abandoned, and the record goes. */
DP_INLINE void dp_operation_end(__u64 id)
{
    struct dp_operation *op = id ? bpf_map_lookup_elem(&operations, &id) : 0;

    if (!op) return;
    dp_operation_closes(op, id, DP_FLOW_BLOCKED, DP_REASON_HOLD_ABANDONED);
    bpf_map_delete_elem(&operations, &id);
}

/* Whether the socket may do nothing any more. */
DP_INLINE int dp_operation_refused(__u64 id)
{
    struct dp_operation *op = id ? bpf_map_lookup_elem(&operations, &id) : 0;

    return op && op->state == DP_FLOW_BLOCKED;
}

#endif
