/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Quotas: how much waits for a host, and how much one process of origin makes wait. Counted in
   `uses` while a flow or an operation is ASKED or HELD, its packets with it. */
#ifndef SLUICE_BPF_LIB_USE_H
#define SLUICE_BPF_LIB_USE_H

#include "lib/outcome.h"
#include "lib/report.h"

#define DP_USE_TRIES 8

/* The entry, made at need; 0: `uses` is full. */
DP_INLINE struct dp_use *dp_use_of(__u64 id, __u64 start_ns)
{
    struct dp_use_key key = {.id = id, .start_ns = start_ns};
    struct dp_use *u = bpf_map_lookup_elem(&uses, &key), none = {};

    if (u) return u;
    bpf_map_update_elem(&uses, &key, &none, BPF_NOEXIST); /* another CPU may be first */
    return bpf_map_lookup_elem(&uses, &key);
}

/* Adds first and looks then, so that no two CPUs share the last place. A limit of 0 is none. */
DP_INLINE int dp_use_enter(struct dp_use *u, __u32 holds, __u64 bytes, __u32 holds_max,
                           __u64 bytes_max)
{
    __u32 had = __sync_fetch_and_add(&u->holds, holds);
    __u64 heavy = __sync_fetch_and_add(&u->bytes, bytes);
    int over = (holds && holds_max && had >= holds_max) || (bytes_max && heavy + bytes > bytes_max);

    if (!over) return 1;
    __sync_fetch_and_add(&u->holds, -holds);
    __sync_fetch_and_add(&u->bytes, -bytes);
    __sync_fetch_and_add(&u->refused_total, 1);
    return 0;
}

/* Never below zero: sluiced takes away an ended process's entry when it counts nothing, and may do
   so while a packet of it is entered. */
DP_INLINE void dp_use_leave(struct dp_use *u, __u32 holds, __u64 bytes)
{
    for (int i = 0; i < DP_USE_TRIES; i++) {
        __u32 had = u->holds, left = had > holds ? had - holds : 0;

        if (!holds || __sync_val_compare_and_swap(&u->holds, had, left) == had) break;
        if (i == DP_USE_TRIES - 1) __sync_fetch_and_add(&u->holds, -holds); /* busy, so not empty */
    }
    for (int i = 0; i < DP_USE_TRIES; i++) {
        __u64 had = u->bytes, left = had > bytes ? had - bytes : 0;

        if (!bytes || __sync_val_compare_and_swap(&u->bytes, had, left) == had) break;
        if (i == DP_USE_TRIES - 1) __sync_fetch_and_add(&u->bytes, -bytes);
    }
}

/* One more packet is out at a packet layer. 0: as many are as its port can carry without losing
   some, which would be asked in vain. */
__noinline int dp_packet_enter(__u32 host)
{
    struct dp_host *h = bpf_map_lookup_elem(&hosts, &host);
    struct dp_use *u;

    if (!h || !h->packets_max) return 1;
    u = dp_use_of(DP_USE_PACKETS | host, 0);
    return u && dp_use_enter(u, 1, 0, h->packets_max, 0);
}

__noinline int dp_packet_leave(__u32 host)
{
    struct dp_use_key key = {.id = DP_USE_PACKETS | host};
    struct dp_use *u = bpf_map_lookup_elem(&uses, &key);

    if (u) dp_use_leave(u, 1, 0);
    return 0;
}

/* Who answers for a callout; 0: nobody. */
DP_INLINE __u32 dp_callout_host(__u32 callout)
{
    struct dp_callout *c = bpf_map_lookup_elem(&callouts, &callout);

    return c ? c->host : 0;
}

/* `holds` more questions (1, or 0 for a packet behind one) and `bytes` of packets for this host,
   caused by this process. NONE: they are counted, dp_use_give takes them back. Else why not. */
__noinline __u32 dp_use_take(__u32 host, const struct dp_process *who, __u32 holds, __u64 bytes)
{
    struct dp_host *h = bpf_map_lookup_elem(&hosts, &host);
    struct dp_use *all, *mine;

    if (!h || !who) return DP_REASON_PORT_GONE;
    all = dp_use_of(host, 0);
    if (!all || !dp_use_enter(all, holds, bytes, h->holds_max, h->hold_bytes_max))
        return DP_REASON_HOST_QUOTA;
    mine = dp_use_of(who->tgid, who->start_ns);
    if (mine && dp_use_enter(mine, holds, bytes, h->process_holds_max, h->process_bytes_max)) {
        __sync_fetch_and_add(&all->holds_total, holds);
        __sync_fetch_and_add(&mine->holds_total, holds);
        return DP_REASON_NONE;
    }
    dp_use_leave(all, holds, bytes);
    return DP_REASON_PROCESS_QUOTA;
}

__noinline int dp_use_give(__u32 host, const struct dp_process *who, __u32 holds, __u64 bytes)
{
    struct dp_use_key key = {.id = host};
    struct dp_use *u;

    if (!who) return 0;
    u = bpf_map_lookup_elem(&uses, &key);
    if (u) dp_use_leave(u, holds, bytes);
    key.id = who->tgid;
    key.start_ns = who->start_ns;
    u = bpf_map_lookup_elem(&uses, &key);
    if (u) dp_use_leave(u, holds, bytes);
    return 0;
}

/* The quota that refused the question is counted, and the outcome kept as its answer. 0: too many
   hops. A function of its own for its caller's stack. */
static __noinline int dp_use_outcome(struct dp_eval *e, __u32 host, __u32 reason, __u64 bytes)
{
    dp_count(reason, bytes);
    e->quota = reason;
    return dp_outcome_keep(e, bpf_map_lookup_elem(&hosts, &host), reason == DP_REASON_PORT_GONE);
}

/* e asks for a callout. CALLOUT: it may be asked, and the question is counted with `bytes` of
   packets. Where a quota is full the filter's outcome stands in place of the answer and the
   evaluation goes on: to PERMIT, BLOCK, or the next callout that may be asked. What is blocked so
   is told with the quota as its reason. */
__noinline int dp_use_admit(struct dp_key *key, struct dp_eval *e, const struct dp_process *who,
                            __u64 bytes)
{
    int r = DP_CLASSIFY_BLOCK;

    if (!key || !e || !who) return r;
    for (int i = 0; i < DP_HOPS_MAX; i++) {
        __u32 host = dp_callout_host(e->callout), reason;

        reason = dp_use_take(host, who, 1, bytes);
        DP_FORGET(reason);
        if (!reason) return DP_CLASSIFY_CALLOUT;
        r = DP_CLASSIFY_BLOCK;
        if (!dp_use_outcome(e, host, reason, bytes)) break;
        r = dp_classify(key, e);
        DP_FORGET(r);
        if (r != DP_CLASSIFY_CALLOUT) break;
    }
    if (r == DP_CLASSIFY_PERMIT) return r;
    dp_event_tell(key, e, who, e->quota);
    return DP_CLASSIFY_BLOCK;
}

#endif
