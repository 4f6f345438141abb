/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a flow. Contexts on it are remembered in `ended` before the entry goes, so that no end
   is lost: their hosts are told by notices, and what a ring has no room for sluiced finds there. */
#ifndef SLUICE_BPF_LIB_FLOW_END_H
#define SLUICE_BPF_LIB_FLOW_END_H

#include "lib/context.h"
#include "lib/flow_cache.h"
#include "lib/flow_open.h"
#include "lib/over.h"
#include "lib/redirect.h"

struct dp_end_walk {
    const struct dp_flow_key *key;
    __u64 id;
    __u64 left; /* contexts whose hosts were not told yet */
    __u32 lost; /* a ring had no room */
    __u32 pad;
};

/* Written in place: a notice is too large for the stacks of some callers. */
DP_INLINE int dp_end_notice(__u32 host, const struct dp_end_walk *w)
{
    struct dp_upcall *up;
    void *ring;

    if (!dp_host_alive(host)) return 1; /* its contexts ended with it */
    ring = bpf_map_lookup_elem(&notices, &host);
    if (!ring) return 0;
    up = bpf_ringbuf_reserve(ring, sizeof *up, 0);
    if (!up) return 0;
    dp_notice_begin(up, DP_UPCALL_END);
    up->ticket = w->id;
    up->flow = w->id;
    up->key = *w->key;
    bpf_ringbuf_submit(up, 0);
    return 1;
}

/* One host a step. */
static long dp_end_tell_step(__u32 i, struct dp_end_walk *w)
{
    struct dp_context_slot *slot;

    if (!w->left) return 1;
    slot = dp_context_slot_of(w->left);
    if (!slot) return 1;
    if (slot->host && !dp_end_notice(slot->host, w)) w->lost = 1;
    w->left &= ~(slot->slots | 1ULL << dp_lowest_bit(w->left));
    return 0;
}

DP_INLINE void dp_end_tell(const struct dp_flow_key *key, __u64 id, __u64 contexts)
{
    struct dp_end_walk w = {.key = key, .id = id, .left = contexts};

    bpf_loop(DP_CONTEXT_SLOTS, dp_end_tell_step, &w, 0);
    if (!w.lost) bpf_map_delete_elem(&ended, &id);
}

DP_INLINE void dp_endpoint_forget(const struct dp_flow *f, const struct dp_flow_key *k)
{
    __u64 cookie = f->cookie;
    struct dp_endpoint_flows *e;

    if (!cookie || k->protocol == DP_PROTO_TCP) return;
    e = bpf_map_lookup_elem(&endpoints, &cookie);
    if (e && __sync_fetch_and_sub(&e->flows, 1) <= 1) bpf_map_delete_elem(&endpoints, &cookie);
}

/* No context is taken from now on; what there is stands in `ended`. 0: no room there; 2: somebody
   else is at it. */
DP_INLINE int dp_end_begin(struct dp_flow *f, __u64 *contexts)
{
    struct dp_ended end = {.ended_ns = bpf_ktime_get_ns()};
    __u64 id = f->ticket;
    __u32 gone;

    bpf_spin_lock(&f->lock);
    gone = f->gone;
    end.contexts = f->contexts;
    f->gone = 1;
    bpf_spin_unlock(&f->lock);
    *contexts = end.contexts;
    if (gone && end.contexts) return 2;
    if (!gone) dp_count(DP_REASON_FLOW_ENDED, 0);
    if (!end.contexts) return 1;
    if (bpf_map_update_elem(&ended, &id, &end, BPF_ANY)) {
        f->gone = 0;
        dp_count(DP_REASON_ENDS_FULL, 0);
        return 0;
    }
    f->contexts = 0;
    return 1;
}

/* What is open of the flow ends without an answer; its host hears of it. */
DP_INLINE void dp_flow_give_up(const struct dp_flow_key *key, struct dp_flow *f)
{
    __u64 asked = dp_flow_asked(f); /* known while it is open */
    __u32 under = dp_flow_asked_under(f);

    if (dp_flow_closes(f, DP_FLOW_BLOCKED, 0, DP_REASON_HOLD_ABANDONED, 0))
        dp_over_tell(f->host, f->ticket, key, asked, dp_over(under, DP_FLOW_BLOCKED));
}

/* A UDP socket that was connected elsewhere stays so when it has been idle. */
DP_INLINE void dp_flow_end_redirect(const struct dp_flow *f, const struct dp_flow_key *k)
{
    const struct dp_redirect *d = dp_redirect_find(f->redirect);

    if (!d || (d->way == DP_WAY_SOCKET && k->protocol != DP_PROTO_TCP)) return;
    dp_redirect_end(f->redirect);
}

/* The flow with this id (0: any) is over. linger: the entry stays for what the connection's ends
   still send, as that of a closed one. 1: it is so; 0: there is no room to remember its contexts,
   all is as it was. Global: for the stacks of its callers. */
__noinline int dp_flow_end(const struct dp_flow_key *of, __u64 id, __u32 linger)
{
    struct dp_flow_key at, *key = &at; /* Linux 6.1 looks up nothing but its own stack */
    struct dp_flow *f;
    __u64 contexts;
    int r;

    if (!of) return 1;
    at = *of;
    f = dp_flow_find(key);
    if (!f || (id && f->ticket != id)) return 1;
    id = f->ticket;
    r = dp_end_begin(f, &contexts);
    if (r != 1) return r;
    if (contexts) dp_endpoint_forget(f, key);
    dp_flow_give_up(key, f);
    dp_flow_end_redirect(f, key);
    if (linger) __sync_fetch_and_or(&f->flags, DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE);
    dp_flow_uncache(f, key);
    if (!linger) dp_flow_delete(key);
    if (contexts) dp_end_tell(key, id, contexts);
    return 1;
}

/* Nobody will answer ALE_FLOW_ESTABLISHED, and `settled` packets that were out are lost: the flow's
   next packet is to establish it. */
DP_INLINE void dp_established_undo(struct dp_flow *f, __u32 settled)
{
    __sync_fetch_and_and(&f->flags, ~DP_FLOW_ESTABLISHING);
    f->deadline_ns = bpf_ktime_get_ns() + DP_DRAIN_NS;
    dp_flow_closes(f, DP_FLOW_PERMITTED, settled, DP_REASON_HOLD_ABANDONED, 0);
}

/* Nobody will answer: the next packet of the flow is judged anew. */
DP_INLINE void dp_flow_abandon(const struct dp_flow_key *k, struct dp_flow *f)
{
    if (f->flags & DP_FLOW_ESTABLISHING) return dp_established_undo(f, 1);
    dp_flow_give_up(k, f);
    dp_flow_end(k, 0, 0);
}

#endif
