/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a host hears of a question that was decided without it: it keeps a record, a packet and what
   is queued behind that. */
#ifndef SLUICE_BPF_LIB_OVER_H
#define SLUICE_BPF_LIB_OVER_H

#include "lib/notice.h"

/* What a question came to, and which of its ticket's it was: others of the same ticket may be on
   their way up the port. */
DP_INLINE __u64 dp_over(__u32 generation, __u32 to)
{
    return (__u64)generation << 32 | (to == DP_FLOW_PERMITTED ? DP_ACTION_PERMIT : DP_ACTION_BLOCK);
}

/* The host's question `ticket`, of the filter `asked`, is over: dp_over. key: of the flow; 0: the
   ticket is an operation's. Written in place, for the stacks of the callers. */
static __noinline int dp_over_tell(__u32 host, __u64 ticket, const struct dp_flow_key *key,
                                   __u64 asked, __u64 over)
{
    struct dp_upcall *up;
    void *ring;

    if (!dp_host_alive(host)) return 0; /* what it kept is sluiced's */
    ring = bpf_map_lookup_elem(&notices, &host);
    if (!ring) return 0;
    up = bpf_ringbuf_reserve(ring, sizeof *up, 0);
    if (!up) {
        dp_count(DP_REASON_NOTICES_FULL, 0);
        return 0;
    }
    dp_notice_begin(up, DP_UPCALL_OVER);
    up->ticket = ticket;
    up->filter_id = asked;
    up->generation = over >> 32;
    up->action = (__u32)over;
    if (key) {
        up->flow = ticket;
        up->layer = DP_LAYER_ALE_AUTH_CONNECT_V4; /* any at which the flow is the ticket */
        up->key = *key;
    } else {
        up->flags = DP_UPCALL_OPERATION;
    }
    bpf_ringbuf_submit(up, 0);
    return 1;
}

#endif
