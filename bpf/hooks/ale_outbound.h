/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows as TC egress sees them: ALE_AUTH_CONNECT for the first packet of an outbound one, the
   verdict for the rest; a packet of an inbound one obeys ALE_AUTH_RECV_ACCEPT's. A packet of an
   unknown flow leaves only after the layer has decided. */
#ifndef SLUICE_BPF_HOOKS_ALE_OUTBOUND_H
#define SLUICE_BPF_HOOKS_ALE_OUTBOUND_H

#include "hooks/ale_ask.h"

/* First packet of a flow that has no entry. */
DP_INLINE int dp_out_first(const struct dp_out *o, __u32 flags)
{
    struct dp_eval *e = &o->scratch->eval;
    struct dp_flow *f = dp_out_prepare(o, flags, DP_DIRECTION_OUTBOUND), *kept;
    int r;

    __builtin_memset(e, 0, sizeof *e);
    r = dp_out_judge(o, f, flags & DP_FLOW_MID_STREAM ? DP_REAUTHORIZE_MID_STREAM : 0);
    if (r == DP_CLASSIFY_CALLOUT) {
        if (o->packet->group && o->packet->protocol == DP_PROTO_TCP)
            return dp_out_drop(o, DP_REASON_MALFORMED);
        f->state = DP_FLOW_ASKED;
        f->up = dp_out_segments(o);
        r = dp_out_open(o, f);
    }
    if (r == DP_CLASSIFY_NO_POLICY) return TC_ACT_SHOT;
    if (r == DP_CLASSIFY_BLOCK || r == DP_CLASSIFY_DEFER)
        return dp_reject(o->skb, o->packet, o->ifindex);
    if (r == DP_CLASSIFY_PERMIT) { /* also where a quota was full */
        f->state = DP_FLOW_PERMITTED;
        f->up = 0;
        f->generation = e->generation;
        f->eval = *e;
    }
    kept = dp_flow_insert(o->key, f);
    if (r == DP_CLASSIFY_PERMIT) {
        dp_event_tell(&o->scratch->key, e, &f->process, DP_REASON_NONE);
        dp_count(kept ? DP_REASON_FLOW_CREATED : DP_REASON_FLOWS_FULL, o->packet->bytes);
        return DP_PASS; /* without an entry: judged again, with the same result */
    }
    if (!kept) {
        dp_use_give(f->host, &f->process, 1, f->use_bytes);
        return dp_out_drop(o, DP_REASON_FLOWS_FULL);
    }
    dp_count(DP_REASON_FLOW_CREATED, o->packet->bytes);
    return dp_out_upcall(o, f, DP_UPCALL_CLASSIFY);
}

/* A permitted flow under a policy that is newer than its verdict. */
DP_INLINE int dp_out_again(const struct dp_out *o, struct dp_flow *f)
{
    int r;

    o->scratch->eval = f->eval;
    r = dp_out_judge(o, f, DP_REAUTHORIZE_POLICY_CHANGE);
    if (r == DP_CLASSIFY_CALLOUT && f->direction == DP_DIRECTION_OUTBOUND) {
        r = dp_use_admit(&o->scratch->key, &o->scratch->eval, &f->process, o->packet->bytes);
        DP_FORGET(r);
        if (r == DP_CLASSIFY_CALLOUT) return dp_out_ask_again(o, f);
    }
    if (dp_flow_judged(f, &o->scratch->eval, r, o->packet->protocol)) {
        dp_flow_touch(f, o->packet, 1);
        return DP_PASS;
    }
    if (f->flags & DP_FLOW_REVOKED) return TC_ACT_SHOT;
    return dp_reject(o->skb, o->packet, o->ifindex);
}

/* The answer to what a peer began, which had no entry: TCP's SYN makes none. */
DP_INLINE int dp_out_accepted(const struct dp_out *o)
{
    struct dp_eval *e = &o->scratch->eval;
    struct dp_flow *f = dp_out_prepare(o, DP_FLOW_REPLIED, DP_DIRECTION_INBOUND);
    int r;

    dp_owner_of_listener(f, o->skb, o->packet);
    __builtin_memset(e, 0, sizeof *e);
    r = dp_out_judge(o, f, o->packet->tcp_flags & DP_TCP_SYN ? 0 : DP_REAUTHORIZE_MID_STREAM);
    if (r != DP_CLASSIFY_PERMIT) return TC_ACT_SHOT;
    f->generation = e->generation;
    f->eval = *e;
    dp_count(dp_flow_insert(o->key, f) ? DP_REASON_FLOW_CREATED : DP_REASON_FLOWS_FULL,
             o->packet->bytes);
    return DP_PASS;
}

/* No entry. Which side began it decides which layer owns it. */
DP_INLINE int dp_out_unknown(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;

    if (p->protocol != DP_PROTO_TCP) return dp_out_first(o, 0);
    if ((p->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN) return dp_out_first(o, 0);
    if (p->tcp_flags & DP_TCP_RST) return DP_PASS; /* the stack's own answer to a stray segment */
    if (!(p->tcp_flags & DP_TCP_SYN) && !dp_listener_exists(o->skb, p))
        return dp_out_first(o, DP_FLOW_MID_STREAM | DP_FLOW_REAUTHORIZE);
    return dp_out_accepted(o);
}

DP_INLINE int dp_out_known(const struct dp_out *o, struct dp_flow *f)
{
    __u64 generation = dp_generation();
    int syn = (o->packet->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN &&
              o->packet->protocol == DP_PROTO_TCP;

    switch (f->state) {
    case DP_FLOW_PERMITTED:
        if (syn && (dp_flow_is_over(f) || (f->flags & DP_FLOW_REPLIED) || f->direction)) {
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_out_first(o, 0);
        }
        if (f->generation != generation) return dp_out_again(o, f);
        dp_flow_touch(f, o->packet, 1);
        return DP_PASS;
    case DP_FLOW_BLOCKED:
        /* The same attempt once more hears the same; what comes later is a new one. */
        if (o->packet->tcp_flags & DP_TCP_RST) return DP_PASS; /* the peer hears of the end */
        if (!syn && dp_flow_awaits_cut(f)) return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
        if (f->generation != generation || bpf_ktime_get_ns() > f->seen_ns + DP_BLOCKED_LINGER_NS) {
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_out_unknown(o);
        }
        return dp_out_refuse(o, DP_REASON_FLOW_BLOCKED);
    default:
        if (f->deadline_ns && bpf_ktime_get_ns() > f->deadline_ns + DP_OVERDUE_GRACE_NS)
            return dp_out_overdue(o, f);
        return dp_out_queue(o, f);
    }
}

#endif
