/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Contexts on flows, as hosts say: with an answer, or by a downcall of their own, which is
   acknowledged: the frame turns round here as an upcall. */
#ifndef SLUICE_BPF_HOOKS_DOWN_CONTEXT_H
#define SLUICE_BPF_HOOKS_DOWN_CONTEXT_H

#include "hooks/down.h"

/* What an accepted answer brings with it. Bits of others are left out, and counted. */
DP_INLINE void dp_down_contexts(const struct dp_down *d, const struct dp_flow_key *k,
                                struct dp_flow *f)
{
    const struct dp_downcall *head = &d->scratch->head;

    if (!dp_contexts_change(k, f, d->host, head->contexts_set, head->contexts_clear))
        dp_count(DP_REASON_DOWNCALL_FOREIGN, 0);
}

/* The flow that the downcall names has the contexts now: 1. */
DP_INLINE int dp_down_context_apply(const struct dp_downcall *head, __u32 host)
{
    struct dp_flow *f = dp_flow_find(&head->key);

    if (!f || f->ticket != head->ticket) {
        dp_count(DP_REASON_DOWNCALL_UNKNOWN_FLOW, 0);
        return 0;
    }
    if (dp_contexts_change(&head->key, f, host, head->contexts_set, head->contexts_clear)) return 1;
    dp_count(f->gone ? DP_REASON_DOWNCALL_UNKNOWN_FLOW : DP_REASON_DOWNCALL_FOREIGN, 0);
    return 0;
}

/* DP_DOWNCALL_CONTEXT: no packet follows. */
static __noinline int dp_down_context(struct xdp_md *ctx, struct dp_scratch *s, __u32 host)
{
    const struct dp_downcall *head = &s->head;
    struct dp_upcall *up = &s->up;

    if (ctx->data_end - ctx->data != sizeof *head) {
        dp_count(DP_REASON_DOWNCALL_MALFORMED, 0);
        return XDP_DROP;
    }
    dp_notice_begin(up, DP_UPCALL_ACK);
    up->ticket = head->ticket;
    up->flow = head->ticket;
    up->filter_id = head->filter_id;
    up->key = head->key;
    up->action = dp_down_context_apply(head, host);
    if (bpf_xdp_adjust_head(ctx, (int)sizeof *head - (int)sizeof *up) ||
        bpf_xdp_store_bytes(ctx, 0, up, sizeof *up)) {
        dp_count(DP_REASON_INTERNAL, 0);
        return XDP_DROP;
    }
    return XDP_TX;
}

#endif
