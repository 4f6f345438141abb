/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which callouts have a context on a flow. The values live in the hosts; here is a bit for each
   slot, and a slot belongs to one callout of one host. */
#ifndef SLUICE_BPF_LIB_CONTEXT_H
#define SLUICE_BPF_LIB_CONTEXT_H

#include "lib/flow_table.h"

/* Number of the lowest bit; bits is not zero. The bits below it are counted without a branch: the
   verifier would follow each of 64 ways through whatever comes after. */
DP_INLINE __u32 dp_lowest_bit(__u64 bits)
{
    __u64 below = (bits & -bits) - 1;

    below -= below >> 1 & 0x5555555555555555ULL;
    below = (below & 0x3333333333333333ULL) + (below >> 2 & 0x3333333333333333ULL);
    below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return (below * 0x0101010101010101ULL) >> 56 & (DP_CONTEXT_SLOTS - 1);
}

/* The slot of the lowest bit. */
DP_INLINE struct dp_context_slot *dp_context_slot_of(__u64 bits)
{
    __u32 at = dp_lowest_bit(bits);

    return bpf_map_lookup_elem(&context_slots, &at);
}

/* All of these bits are of callouts of the host. */
DP_INLINE int dp_contexts_are_of(__u32 host, __u64 bits)
{
    struct dp_context_slot *slot = dp_context_slot_of(bits);

    return slot && slot->host == host && !(bits & ~slot->slots);
}

/* The flow has its first context: its socket's end will be its own. TCP tells by itself. */
DP_INLINE void dp_endpoint_note(const struct dp_flow_key *k, const struct dp_flow *f)
{
    struct dp_endpoint_flows fresh = {.last = *k, .id = f->ticket, .flows = 1}, *kept;
    __u64 cookie = f->cookie;

    if (!cookie || k->protocol == DP_PROTO_TCP) return;
    if (!bpf_map_update_elem(&endpoints, &cookie, &fresh, BPF_NOEXIST)) return;
    kept = bpf_map_lookup_elem(&endpoints, &cookie);
    if (!kept) return; /* no room: the flow ends when it has been idle */
    kept->last = *k;
    kept->id = f->ticket;
    __sync_fetch_and_add(&kept->flows, 1);
}

/* Clears, then sets. 0: bits of others, or a flow that is ending; nothing has changed. */
DP_INLINE int dp_contexts_change(const struct dp_flow_key *k, struct dp_flow *f, __u32 host,
                                 __u64 set, __u64 clear)
{
    __u64 before;
    __u32 gone;

    if (!(set | clear)) return 1;
    if (!dp_contexts_are_of(host, set | clear)) return 0;
    bpf_spin_lock(&f->lock);
    gone = f->gone;
    before = f->contexts;
    if (!gone) f->contexts = (before & ~clear) | set;
    bpf_spin_unlock(&f->lock);
    if (gone) return 0;
    if (!before && set) dp_endpoint_note(k, f);
    dp_count(DP_REASON_CONTEXT_SET, 0);
    return 1;
}

#endif
