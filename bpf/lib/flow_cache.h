/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows and their entries in the flow cache. */
#ifndef SLUICE_BPF_LIB_FLOW_CACHE_H
#define SLUICE_BPF_LIB_FLOW_CACHE_H

#include "lib/cache.h"
#include "lib/flow_table.h"
#include "lib/policy_head.h"

#define DP_CACHE_IDLE_NS (10ULL * 1000000000) /* an entry that gives way to another flow's */

DP_INLINE struct dp_cached_set *dp_cache_set(__u64 hash)
{
    __u32 at = hash >> 32 & (cfg.cache_sets - 1);

    return bpf_map_lookup_elem(&flow_cache, &at);
}

/* The flow is one whose packets pass without more ado, as long as that is so. Read each time anew.
 */
DP_INLINE int dp_flow_may_pass(const struct dp_flow *flow)
{
    const volatile struct dp_flow *f = flow;
    __u32 not = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE | DP_FLOW_RST | DP_FLOW_REVOKED |
                DP_FLOW_TO_CUT | DP_FLOW_GROUP | DP_FLOW_ESTABLISHING | DP_FLOW_TRANSLATE |
                DP_FLOW_PASSES | DP_FLOW_REAUTHORIZE;

    return f->state == DP_FLOW_PERMITTED && !f->gone && !f->due && !(f->flags & not ) &&
           f->flags & (DP_FLOW_ESTABLISHED | DP_FLOW_MID_STREAM) &&
           f->generation == dp_generation();
}

/* What has passed by the cache is the flow's. used: when last, in jiffies; 0: not known. */
DP_INLINE void dp_flow_fold(struct dp_flow *f, __u64 counts, __u32 used)
{
    __u64 packets = (counts & DP_CACHED_PACKETS) / DP_CACHED_PACKET, ago, now;

    if (!packets) return;
    __sync_fetch_and_add(&f->packets, packets);
    __sync_fetch_and_add(&f->bytes, counts & DP_CACHED_BYTES);
    now = bpf_ktime_get_coarse_ns();
    ago = used ? (__u64)((__u32)bpf_jiffies64() - used) * cfg.jiffy_ns : 0;
    if (now > ago && now - ago > f->seen_ns) f->seen_ns = now - ago;
    dp_count_packets(DP_REASON_FLOW_CACHED, packets, counts & DP_CACHED_BYTES);
}

/* The same for the flow that the entry is, or was, of. */
static __noinline int dp_cached_fold(const struct dp_cached *e, __u64 counts)
{
    struct dp_flow_key k = {.local = e->local,
                            .remote = e->remote,
                            .local_port = e->local_port,
                            .remote_port = e->remote_port,
                            .protocol = e->protocol};
    struct dp_flow *f = counts & DP_CACHED_COUNTS ? dp_flow_find(&k) : 0;

    if (f && dp_flow_mark(f) == e->seen) dp_flow_fold(f, counts & DP_CACHED_COUNTS, e->used);
    return 0;
}

/* f, which says so itself by now, has been blocked, asked about or ended. */
DP_INLINE void dp_flow_uncache(struct dp_flow *f, const struct dp_flow_key *k)
{
    __u64 hash = dp_cache_hash(k, cfg.cache_seed);
    struct dp_cached_set *set = dp_cache_set(hash);

    if (set) dp_flow_fold(f, dp_cache_drop(set, k, dp_cache_tag(hash)), 0);
}

#endif
