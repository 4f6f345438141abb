/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Downcalls about binds and listens: DP_DOWNCALL_OPERATION. */
#ifndef SLUICE_BPF_HOOKS_DOWN_OPERATION_H
#define SLUICE_BPF_HOOKS_DOWN_OPERATION_H

#include "hooks/down.h"
#include "lib/operation.h"

/* What the callout made of the bind stands with its permit, not with an outcome. 0: what it asked
   for cannot be, so that nothing is let go. */
DP_INLINE int dp_down_operation_bound(const struct dp_down *d, struct dp_operation *op,
                                      const struct dp_eval *e)
{
    const struct dp_downcall *head = &d->scratch->head;
    __u32 decided = head->flags & (DP_DOWNCALL_EXPIRED | DP_DOWNCALL_ABANDONED);
    int reason = dp_binding_answered(head->ticket, head->filter_id,
                                     head->action == DP_ACTION_PERMIT && !decided);

    DP_FORGET(reason);
    if (!reason) return 1; /* else it was counted as it came */
    dp_operation_block(op, head->ticket, e, DP_REASON_HOLD_BLOCKED);
    return 0;
}

DP_INLINE int dp_down_operation_answer(const struct dp_down *d, struct dp_operation *op)
{
    struct dp_scratch *s = d->scratch;
    struct dp_eval *e = &s->eval;
    const struct dp_operation_room room = {.key = &s->key, .eval = e, .up = &s->up};
    __u32 how = DP_REASON_HOLD_PERMITTED;

    if (!dp_operation_is_open(op)) return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    *e = op->eval;
    if (d->scratch->head.filter_id != e->asked_id) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    s->key = op->key;
    if (d->scratch->head.flags & DP_DOWNCALL_EXPIRED) how = DP_REASON_HOLD_EXPIRED;
    if (d->scratch->head.flags & DP_DOWNCALL_ABANDONED) how = DP_REASON_HOLD_ABANDONED;
    if (dp_layer_binds(op->layer) && !dp_down_operation_bound(d, op, e)) return XDP_DROP;
    if (!dp_down_keep(d, e)) {
        dp_count(DP_REASON_TOO_MANY_HOPS, 0);
        dp_operation_block(op, d->scratch->head.ticket, e, DP_REASON_HOLD_BLOCKED);
        return XDP_DROP;
    }
    dp_operation_decide(op, d->scratch->head.ticket, &room, how);
    return XDP_DROP;
}

DP_INLINE int dp_down_operation_held(const struct dp_down *d, struct dp_operation *op)
{
    __u32 id = d->host;
    __u64 limit = dp_hold_limit(&op->eval, bpf_map_lookup_elem(&hosts, &id));
    int done;

    bpf_spin_lock(&op->lock);
    done = op->state == DP_FLOW_ASKED;
    if (done) {
        op->state = DP_FLOW_HELD;
        op->flags |= DP_FLOW_WAS_HELD;
    }
    bpf_spin_unlock(&op->lock);
    if (!done) return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    op->deadline_ns = limit ? bpf_ktime_get_ns() + limit : 0;
    dp_count(DP_REASON_HOLD_OPENED, 0);
    dp_operation_tell(op, d->scratch->head.ticket, 0);
    return XDP_DROP;
}

/* Packets that waited are accounted for. The number of those that were still out. */
DP_INLINE __u32 dp_down_operation_settle(struct dp_operation *op, __u32 packets, __u32 bytes)
{
    __u32 left;

    bpf_spin_lock(&op->lock);
    left = op->up - op->down;
    if (op->state != DP_FLOW_DRAINING && op->state != DP_FLOW_PERMITTED) left = 0;
    if (packets > left) packets = left;
    op->down += packets;
    op->queue_bytes = op->queue_bytes > bytes ? op->queue_bytes - bytes : 0;
    if (op->state == DP_FLOW_DRAINING && op->down == op->up) op->state = DP_FLOW_PERMITTED;
    bpf_spin_unlock(&op->lock);
    return packets;
}

/* It passes ALE as if it came now, on an interface of ours. */
DP_INLINE int dp_down_operation_release(const struct dp_down *d, struct dp_operation *op)
{
    __u32 ifindex = d->scratch->head.inject.ifindex, kind = d->scratch->head.inject.kind;

    if (!d->bytes || !bpf_map_lookup_elem(&nics, &ifindex) ||
        (kind != DP_INJECT_RECEIVE && kind != DP_INJECT_SEND))
        return dp_down_drop(d, DP_REASON_DOWNCALL_MISMATCH);
    if (!dp_down_operation_settle(op, 1, d->bytes))
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    d->scratch->meta.op = DP_PORT_AGAIN;
    d->scratch->meta.stage = kind == DP_INJECT_RECEIVE ? DP_STAGE_ALE_IN : DP_STAGE_ALE_OUT;
    d->scratch->meta.ifindex = ifindex;
    d->scratch->meta.ticket = d->scratch->head.ticket;
    return XDP_PASS;
}

/* The packet behind the header, of `bytes`, is looked at where it goes on. */
static __noinline int dp_down_operation(struct dp_scratch *s, __u32 host, __u32 bytes)
{
    const struct dp_down d = {.host = host, .scratch = s, .bytes = bytes};
    __u64 id = s->head.ticket;
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);

    if (!op) return dp_down_drop(&d, DP_REASON_DOWNCALL_STALE);
    if (op->host != host) return dp_down_drop(&d, DP_REASON_DOWNCALL_FOREIGN);
    switch (s->head.kind) {
    case DP_DOWNCALL_ANSWER:
    case DP_DOWNCALL_COMPLETE:
        return dp_down_operation_answer(&d, op);
    case DP_DOWNCALL_HELD:
        return dp_down_operation_held(&d, op);
    case DP_DOWNCALL_RELEASE:
        return dp_down_operation_release(&d, op);
    default: /* DISCARD; other kinds were refused before */
        dp_count(DP_REASON_DISCARDED, 0);
        dp_down_operation_settle(op, s->head.count, ~0u);
        return XDP_DROP;
    }
}

#endif
