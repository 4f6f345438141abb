/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A flow that has an entry is judged once more: a permitted one under a newer policy, where it uses
   another interface, or as sluiced says, by its next packet of either direction; one whose hold its
   callout has closed, by the clone that is injected. */
#ifndef SLUICE_BPF_HOOKS_ALE_AGAIN_H
#define SLUICE_BPF_HOOKS_ALE_AGAIN_H

#include "hooks/ale_overdue.h"
#include "lib/flow_cache.h"

/* The packet is not where the flow's last one in this direction was, or sluiced has a reason. */
DP_INLINE int dp_flow_strays(const struct dp_out *o, const struct dp_flow *f)
{
    return !!(((o->inbound ? f->arrival : f->nexthop) ^ o->ifindex) | f->due);
}

/* What comes back from a host is where the host or the flow says. To a group or on lo there is no
   other interface, or every one. A device beneath another sees the packet once more. */
DP_INLINE int dp_flow_can_move(const struct dp_out *o, const struct dp_flow *f)
{
    if (o->scratch->way.back || f->flags & (DP_FLOW_LOOPBACK | DP_FLOW_GROUP)) return 0;
    if (dp_address_type(&o->key->remote, 0) != DP_ADDRESS_UNICAST) return 0;
    return o->skb->tc_index != dp_seen(f, o->inbound);
}

/* Each direction has its interface: the first one is learned, another one is a new one. */
DP_INLINE __u32 dp_flow_moves(const struct dp_out *o, struct dp_flow *f)
{
    __u32 before = o->inbound ? f->arrival : f->nexthop;

    if (before == o->ifindex || !dp_flow_can_move(o, f)) return 0;
    if (o->inbound)
        f->arrival = o->ifindex;
    else
        f->nexthop = o->ifindex;
    if (!before) return 0;
    f->ifindex = o->ifindex;
    return o->inbound ? DP_REAUTHORIZE_NEW_ARRIVAL_INTERFACE : DP_REAUTHORIZE_NEW_NEXTHOP_INTERFACE;
}

/* Why a permitted flow is judged again for the packet at hand: DP_REAUTHORIZE_*; 0: it need not be.
 */
DP_INLINE __u32 dp_again_reason(const struct dp_out *o, struct dp_flow *f)
{
    __u32 reason = f->generation != dp_generation() ? DP_REAUTHORIZE_POLICY_CHANGE : 0;

    if (f->due) reason |= __sync_lock_test_and_set(&f->due, 0);
    return reason | dp_flow_moves(o, f);
}

/* A permitted flow goes to the callout that the newer policy names, admitted by dp_use_admit. */
DP_INLINE int dp_again_ask(const struct dp_out *o, struct dp_flow *f)
{
    __u32 frames = 1, bytes = o->packet->bytes; /* of TCP only the headers go up */
    int mine;

    if (o->packet->protocol != DP_PROTO_TCP) frames = dp_out_frames(o, f);

    bpf_spin_lock(&f->lock);
    mine = f->state == DP_FLOW_PERMITTED;
    if (mine) {
        f->state = DP_FLOW_ASKED;
        f->flags |= DP_FLOW_REAUTHORIZE;
        f->round++;
        f->up = frames;
        f->down = 0;
    }
    bpf_spin_unlock(&f->lock);
    if (mine) dp_flow_uncache(f, o->key);
    if (mine && dp_out_identity(o, f) && dp_flow_opens(f, &o->scratch->eval)) {
        dp_flow_counted(f, bytes);
        return dp_out_upcall(o, DP_UPCALL_CLASSIFY);
    }
    dp_use_give(dp_callout_host(o->scratch->eval.callout), &f->process, 1, bytes);
    if (!mine) return dp_out_drop(o, DP_REASON_HELD);
    dp_flow_abandon(o->key, f);
    return dp_out_drop(o, DP_REASON_CALLOUT_UNREGISTERED);
}

DP_INLINE int dp_again(const struct dp_out *o, struct dp_flow *f, __u32 reason)
{
    int r;

    o->scratch->eval = f->eval;
    dp_eval_again(&o->scratch->eval, reason);
    f->again = reason;
    o->scratch->way.seen = dp_seen(f, o->inbound);
    r = dp_out_judge(o, f, reason);
    if (r == DP_CLASSIFY_CALLOUT) {
        r = dp_use_admit(&o->scratch->key, &o->scratch->eval, &f->process, o->packet->bytes);
        DP_FORGET(r);
        if (r == DP_CLASSIFY_CALLOUT) return dp_again_ask(o, f);
    }
    if (dp_flow_judged(f, &o->scratch->eval, r, o->packet->protocol)) {
        dp_flow_touch(f, o->packet, !o->inbound);
        return DP_PASS;
    }
    dp_flow_uncache(f, o->key);
    return o->inbound || f->flags & DP_FLOW_REVOKED ? TC_ACT_SHOT : dp_out_answer(o);
}

/* Takes a flow whose hold was closed back to ASKED. 0: it is not, or not by this host. */
DP_INLINE int dp_completed_take(const struct dp_out *o, struct dp_flow *f)
{
    __u32 by = o->scratch->way.injected.host;
    int mine;

    if (!by || by != f->host) return 0;
    bpf_spin_lock(&f->lock);
    mine = f->state == DP_FLOW_COMPLETED;
    if (mine) {
        f->state = DP_FLOW_ASKED;
        f->up = 1;
        f->down = 0;
        f->queue_bytes = 0;
    }
    bpf_spin_unlock(&f->lock);
    return mine;
}

/* Only the clone of the packet that was held, by the host that held it, may be the one that
   authorises the flow: the layer is classified from the top, and nobody may pend. */
DP_INLINE int dp_in_completed(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_eval *e = &o->scratch->eval;
    __u32 to = DP_FLOW_BLOCKED;
    int r;

    if (!dp_completed_take(o, f)) return dp_out_drop(o, DP_REASON_HELD);
    *e = f->eval;
    e->generation = 0;
    e->answers = 0;
    __builtin_memset(e->answer, 0, sizeof e->answer);
    r = dp_out_judge(o, f, 0);
    if (r == DP_CLASSIFY_CALLOUT && dp_out_identity(o, f)) {
        r = dp_use_admit(&o->scratch->key, e, &f->process, o->packet->bytes);
        DP_FORGET(r);
        if (r == DP_CLASSIFY_CALLOUT && dp_out_open(o, f))
            return dp_out_upcall(o, DP_UPCALL_CLASSIFY);
    }
    if (r == DP_CLASSIFY_PERMIT) to = DP_FLOW_PERMITTED;
    f->generation = e->generation;
    f->eval = *e;
    f->seen_ns = bpf_ktime_get_ns();
    dp_flow_closes(f, to, 1, DP_REASON_HOLD_PERMITTED, o->packet->bytes);
    return to == DP_FLOW_PERMITTED ? DP_PASS : TC_ACT_SHOT;
}

#endif
