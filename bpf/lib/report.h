/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a verdict leaves behind: counters by layer, filter and reason, and an event. */
#ifndef SLUICE_BPF_LIB_REPORT_H
#define SLUICE_BPF_LIB_REPORT_H

#include "lib/classify.h"
#include "lib/key.h"

DP_INLINE void dp_event_fill(struct dp_event *ev, const struct dp_key *key, const struct dp_eval *e)
{
    ev->time_ns = bpf_ktime_get_ns();
    ev->filter_id = e->filter_id;
    ev->generation = e->generation;
    ev->layer = key->layer;
    ev->ifindex = DP_NUMBER(key, INTERFACE);
    ev->condition_flags = DP_NUMBER(key, FLAGS);
    ev->reauthorize_reason = DP_NUMBER(key, REAUTHORIZE_REASON);
    ev->direction = DP_NUMBER(key, DIRECTION);
    ev->pad = 0;
    ev->flow.local = DP_WIDE(key, LOCAL_ADDRESS);
    ev->flow.remote = DP_WIDE(key, REMOTE_ADDRESS);
    ev->flow.local_port = DP_NUMBER(key, LOCAL_PORT);
    ev->flow.remote_port = DP_NUMBER(key, REMOTE_PORT);
    ev->flow.protocol = DP_NUMBER(key, PROTOCOL);
    __builtin_memset(ev->flow.pad, 0, sizeof ev->flow.pad);
}

/* Woken by nobody: the daemon looks at its own pace, a flood of drops must not become a flood of
   wake-ups. */
__noinline int dp_event_tell(const struct dp_key *key, const struct dp_eval *e,
                             const struct dp_process *who, __u32 reason)
{
    __u32 zero = 0, type = reason ? DP_EVENT_DROP : DP_EVENT_ALLOW;
    struct dp_options *o = bpf_map_lookup_elem(&options, &zero);
    struct dp_event *ev;

    if (!key || !e || !o || !(o->events & (1u << type))) return 0;
    ev = bpf_ringbuf_reserve(&events, sizeof *ev, 0);
    if (!ev) {
        dp_count(DP_REASON_EVENTS_LOST, 0);
        return 0;
    }
    dp_event_fill(ev, key, e);
    ev->type = type;
    ev->reason = reason;
    if (who)
        ev->process = *who;
    else
        __builtin_memset(&ev->process, 0, sizeof ev->process);
    bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
    return 0;
}

DP_INLINE __u32 dp_reason_of(int result)
{
    switch (result) {
    case DP_CLASSIFY_PERMIT:
    case DP_CLASSIFY_CALLOUT:
        return DP_REASON_NONE;
    case DP_CLASSIFY_DEFER:
        return DP_REASON_VALUE_UNKNOWN;
    case DP_CLASSIFY_NO_POLICY:
        return DP_REASON_POLICY_MISSING;
    default:
        return DP_REASON_FILTER_BLOCK;
    }
}

/* Counts a classification; a refusal is told as well. The reason of a refusal, or NONE. */
__noinline int dp_report(const struct dp_key *key, const struct dp_eval *e, int result, __u64 bytes,
                         const struct dp_process *who)
{
    __u32 reason = dp_reason_of(result);

    if (!key || !e) return DP_REASON_INTERNAL;
    dp_count_layer(key->layer,
                   result == DP_CLASSIFY_PERMIT    ? DP_LAYER_PERMIT
                   : result == DP_CLASSIFY_CALLOUT ? DP_LAYER_CALLOUT
                                                   : DP_LAYER_BLOCK,
                   bytes);
    dp_count_filter(result == DP_CLASSIFY_CALLOUT ? e->asked_id : e->filter_id);
    if (!reason) return DP_REASON_NONE;
    dp_count(reason, bytes);
    dp_event_tell(key, e, who, reason);
    return reason;
}

#endif
