/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon is told of verdicts: ring buffer `events`. A full ring loses events, counted, and
   nothing else. */
#ifndef SLUICE_BPF_SHARED_EVENT_H
#define SLUICE_BPF_SHARED_EVENT_H

#include "flow.h"

enum dp_event_type {
    DP_EVENT_DROP = 1,
    DP_EVENT_ALLOW = 2, /* ALE layers only: a flow was authorised */
    DP_EVENT_HOLD =
        3, /* a hold was opened; generation is its ticket. Told while somebody watches */
    DP_EVENT_HOLD_END =
        4, /* and has ended, by reason HOLD_PERMITTED, _BLOCKED, _EXPIRED or _ABANDONED */
    DP_EVENT_SOCKET_CLOSED =
        5, /* filter_id is the cookie of a socket that had flows with contexts; always told */
};

struct dp_event {
    __u64 time_ns; /* CLOCK_MONOTONIC */
    __u64 filter_id;
    __u64 generation;
    enum dp_event_type type;
    enum dp_layer layer;
    enum dp_reason reason;
    __u32 ifindex;
    __u32 condition_flags;
    __u32 reauthorize_reason;
    __u32 direction; /* enum dp_direction */
    __u32 pad;
    struct dp_flow_key flow; /* zero at MAC layers */
    struct dp_process process;
};
DP_ASSERT(sizeof(struct dp_event) == 136, "layout");

/* Map `options`, array, one entry; written by the daemon. */
struct dp_options {
    __u32 events; /* a bit 1 << dp_event_type for each type that is told */
    __u32 pad;
};

#define DP_EVENTS_BYTES (1 << 20)

#endif
