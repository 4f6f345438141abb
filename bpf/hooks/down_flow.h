/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Downcalls at ALE layers: the flow is the ticket. */
#ifndef SLUICE_BPF_HOOKS_DOWN_FLOW_H
#define SLUICE_BPF_HOOKS_DOWN_FLOW_H

#include "hooks/down_context.h"
#include "lib/redirect_flow.h"
#include "lib/timestamp.h"

/* The stage that has answered, or asks again. */
DP_INLINE __u32 dp_down_stage(const struct dp_down *d, const struct dp_flow *f)
{
    if (d->established && d->scratch->head.kind != DP_DOWNCALL_RELEASE)
        return d->inbound ? DP_STAGE_ESTABLISHED_IN : DP_STAGE_ESTABLISHED_OUT;
    return d->inbound ? DP_STAGE_ALE_IN : DP_STAGE_ALE_OUT;
}

DP_INLINE void dp_down_meta(const struct dp_down *d, __u32 op, const struct dp_flow *f)
{
    d->scratch->meta.op = op;
    d->scratch->meta.stage = dp_down_stage(d, f);
    d->scratch->meta.ifindex = dp_flow_nic(f, d->inbound);
    d->scratch->meta.mark = f->mark;
    d->scratch->meta.priority = f->priority;
    d->scratch->meta.vlan = f->vlan;
}

/* The packet goes on behind its stage. */
DP_INLINE int dp_down_on(const struct dp_down *d, const struct dp_flow *f)
{
    __u32 passes = f->flags & DP_FLOW_PASSES;

    dp_down_meta(d, passes ? DP_PORT_PASS : d->inbound ? DP_PORT_RECEIVE : DP_PORT_SEND, f);
    return XDP_PASS;
}

/* A function of its own for its stack. */
static __noinline int dp_refusal_remember(const struct dp_flow *f, const struct dp_flow_key *k)
{
    struct dp_refusal_key key = {
        .cookie = f->cookie, .remote = k->remote, .remote_port = k->remote_port};
    struct dp_refusal refusal = {.generation = f->eval.generation,
                                 .until_ns = bpf_ktime_get_ns() + DP_UDP_IDLE_NS};

    if (f->cookie && k->protocol == DP_PROTO_UDP)
        bpf_map_update_elem(&refusals, &key, &refusal, BPF_ANY);
    return 0;
}

/* What its callout has made of the request stands with its own permit, no other's. 0: it permits
   what could not be carried out, which is then blocked. */
DP_INLINE int dp_down_redirected(const struct dp_down *d, const struct dp_flow *f)
{
    const struct dp_downcall *head = &d->scratch->head;
    __u32 permits = head->action == DP_ACTION_PERMIT &&
                    !(head->flags & (DP_DOWNCALL_EXPIRED | DP_DOWNCALL_ABANDONED));
    int reason = dp_redirect_answered(f->redirect, head->filter_id, permits, &f->process);

    DP_FORGET(reason);
    if (reason)
        dp_count(reason, d->bytes);
    else if (permits)
        dp_redirect_learn(f->redirect, &f->process, f->eval.generation);
    return !reason;
}

/* Scratch's key and eval are those of the open question. */
DP_INLINE void dp_down_question(const struct dp_down *d, struct dp_flow *f)
{
    struct dp_key *key = &d->scratch->key;

    dp_key_question(key, &d->scratch->head.key, f, dp_flow_nic(f, d->inbound), d->inbound);
    if (f->flags & DP_FLOW_REAUTHORIZE) {
        DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_REAUTHORIZE;
        DP_NUMBER(key, REAUTHORIZE_REASON) = f->again;
    }
}

/* Resumes the layer with the answer appended. */
DP_INLINE int dp_down_resume(const struct dp_down *d, struct dp_flow *f)
{
    struct dp_eval *e = &d->scratch->eval;
    struct dp_resuming g = {.key = &d->scratch->head.key,
                            .flow = f,
                            .ifindex = dp_flow_nic(f, d->inbound),
                            .inbound = d->inbound,
                            .bytes = d->bytes};
    int r;

    if (!d->scratch->way.redirected) {
        *e = *dp_flow_eval(f);
        if (d->scratch->head.filter_id != e->asked_id) return -DP_REASON_DOWNCALL_STALE;
        dp_down_contexts(d, &d->scratch->head.key, f);
        if (!dp_down_keep(d, e)) return -DP_REASON_TOO_MANY_HOPS;
        dp_down_question(d, f);
    }
    r = dp_flow_resume(d->scratch, &g);
    if (r == DP_CLASSIFY_PERMIT) dp_event_tell(&d->scratch->key, e, &f->process, DP_REASON_NONE);
    *dp_flow_eval(f) = *e;
    if (!d->established) f->generation = e->generation;
    return r;
}

/* Packets of the flow that drains are accounted for; PERMITTED when none is out any more. */
DP_INLINE void dp_down_settle(struct dp_flow *f, __u32 packets, __u32 bytes)
{
    bpf_spin_lock(&f->lock);
    if (packets > f->up - f->down) packets = f->up - f->down;
    f->down += packets;
    f->queue_bytes = f->queue_bytes > bytes ? f->queue_bytes - bytes : 0;
    if (f->state == DP_FLOW_DRAINING && dp_flow_is_drained(f)) f->state = DP_FLOW_PERMITTED;
    if (f->state == DP_FLOW_PERMITTED) f->flags &= ~DP_FLOW_REAUTHORIZE;
    bpf_spin_unlock(&f->lock);
}

/* The question is about a connection that goes on, not about its beginning. */
DP_INLINE int dp_down_is_again(const struct dp_flow *f)
{
    return !!(f->flags & (DP_FLOW_MID_STREAM | DP_FLOW_REAUTHORIZE | DP_FLOW_REPLIED));
}

DP_INLINE __u32 dp_down_how(const struct dp_down *d, __u32 answered)
{
    if (d->scratch->head.flags & DP_DOWNCALL_EXPIRED) return DP_REASON_HOLD_EXPIRED;
    return d->scratch->head.flags & DP_DOWNCALL_ABANDONED ? DP_REASON_HOLD_ABANDONED : answered;
}

/* As dp_flow_closes; of what was decided in its place the host hears. A function of its own for its
   stack. */
static __noinline int dp_down_closes(const struct dp_down *d, struct dp_flow *f, __u32 to,
                                     __u32 settled, __u32 answered)
{
    if (!dp_flow_closes(f, to, settled, dp_down_how(d, answered), d->bytes)) return 0;
    if (d->scratch->head.flags & DP_DOWNCALL_EXPIRED)
        dp_over_tell(f->host, f->ticket, &d->scratch->head.key, d->scratch->head.filter_id,
                     dp_over(d->scratch->head.generation, to));
    return 1;
}

DP_INLINE int dp_down_permit(struct xdp_md *ctx, const struct dp_down *d, struct dp_flow *f)
{
    __u32 tcp = d->scratch->head.key.protocol == DP_PROTO_TCP;
    /* Only the headers of TCP data went up; TCP sends it again. */
    __u32 given_up = d->established ? f->flags & DP_FLOW_SHORT : tcp && dp_down_is_again(f);
    __u32 injected = f->flags & DP_FLOW_INJECTED, on = d->bytes && !given_up;

    f->seen_ns = bpf_ktime_get_ns();
    f->deadline_ns = f->seen_ns + DP_DRAIN_NS;
    /* A peer's clock need not be ours: the time in its SYN stays. */
    if (d->bytes && !d->inbound && !(f->flags & DP_FLOW_PASSES))
        dp_timestamp_advance(ctx, &d->scratch->head.key, f->created_ns);
    if (on) dp_flow_passes(f);
    if (!dp_down_closes(d, f, DP_FLOW_PERMITTED, 1, DP_REASON_HOLD_PERMITTED)) {
        if (on) dp_flow_passed(f);
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    }
    if (!on) return XDP_DROP;
    if (injected) d->scratch->meta.ticket = dp_identity_of_flow(f->ticket);
    return dp_down_on(d, f);
}

/* What a peer begins is dropped silently. Of a connection that goes on both ends must hear: that is
   sluiced's to do. */
DP_INLINE int dp_down_block(const struct dp_down *d, struct dp_flow *f)
{
    __u32 tcp = d->scratch->head.key.protocol == DP_PROTO_TCP,
          cut = tcp && (d->established || dp_down_is_again(f));

    if (!dp_down_closes(d, f, DP_FLOW_BLOCKED, 0, DP_REASON_HOLD_BLOCKED))
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    dp_count(DP_REASON_CALLOUT_BLOCK, d->bytes);
    dp_event_tell(&d->scratch->key, &d->scratch->eval, &f->process, DP_REASON_CALLOUT_BLOCK);
    f->seen_ns = bpf_ktime_get_ns();
    f->reason = DP_REASON_CALLOUT_BLOCK;
    f->deadline_ns = 0;
    if (cut) __sync_fetch_and_or(&f->flags, DP_FLOW_REVOKED | DP_FLOW_TO_CUT);
    if (f->direction == DP_DIRECTION_OUTBOUND) dp_refusal_remember(f, &d->scratch->head.key);
    if (!d->bytes || d->inbound || cut || f->flags & DP_FLOW_PASSES ||
        (d->scratch->head.flags & DP_DOWNCALL_ABSORB))
        return XDP_DROP;
    dp_down_meta(d, DP_PORT_REJECT, f);
    return XDP_PASS;
}

/* The evaluation goes on to another callout: the packet turns round in dp_port_apply. */
DP_INLINE int dp_down_next(const struct dp_down *d, struct dp_flow *f)
{
    if (!d->bytes) { /* nothing to show it: the next packet of the flow asks */
        dp_flow_abandon(&d->scratch->head.key, f);
        return XDP_DROP;
    }
    if (!dp_down_closes(d, f, DP_FLOW_ASKED, 0, DP_REASON_HOLD_PERMITTED)) {
        dp_use_give(dp_callout_host(d->scratch->eval.callout), &f->process, 1, d->bytes);
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    }
    if (d->established) f->host_before = d->host;
    if (!dp_flow_opens(f, &d->scratch->eval)) {
        dp_use_give(dp_callout_host(d->scratch->eval.callout), &f->process, 1, d->bytes);
        dp_flow_abandon(&d->scratch->head.key, f);
        return XDP_DROP;
    }
    dp_flow_counted(f, d->bytes);
    dp_down_meta(d, DP_PORT_ASK, f);
    return XDP_PASS;
}

/* Not again, and not what was injected. */
DP_INLINE int dp_down_may_pend(const struct dp_flow *f)
{
    return f->state == DP_FLOW_ASKED &&
           !(f->flags & (DP_FLOW_REAUTHORIZE | DP_FLOW_INJECTED | DP_FLOW_ESTABLISHING));
}

DP_INLINE int dp_down_held(const struct dp_down *d, struct dp_flow *f)
{
    __u32 id = d->host;
    struct dp_host *h = bpf_map_lookup_elem(&hosts, &id);
    __u64 now = bpf_ktime_get_ns();
    __u64 limit = dp_hold_limit(&f->eval, h);
    int done;

    bpf_spin_lock(&f->lock);
    done = dp_down_may_pend(f);
    if (done) {
        f->state = DP_FLOW_HELD;
        f->flags |= DP_FLOW_WAS_HELD;
    }
    bpf_spin_unlock(&f->lock);
    if (!done) return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    dp_down_contexts(d, &d->scratch->head.key, f);
    f->deadline_ns = limit ? now + limit : 0;
    dp_count(DP_REASON_HOLD_OPENED, d->bytes);
    dp_hold_tell(f, &d->scratch->head.key, 0);
    return XDP_DROP;
}

DP_INLINE int dp_down_answer(struct xdp_md *ctx, const struct dp_down *d, struct dp_flow *f)
{
    __u32 state = f->state;
    int r;

    if (state != DP_FLOW_ASKED && state != DP_FLOW_HELD)
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    /* Pended and completed before the classify returned: a hold all the same, in one frame. */
    if (d->scratch->head.kind == DP_DOWNCALL_COMPLETE && dp_down_may_pend(f)) dp_down_held(d, f);
    if (d->scratch->head.flags & DP_DOWNCALL_EXPIRED)
        __sync_fetch_and_or(&f->flags, DP_FLOW_EXPIRED);
    r = dp_down_resume(d, f);
    if (r == -DP_REASON_DOWNCALL_STALE) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    if (r == DP_CLASSIFY_PERMIT) return dp_down_permit(ctx, d, f);
    if (r == DP_CLASSIFY_CALLOUT) return dp_down_next(d, f);
    if (r < 0) dp_count(-r, d->bytes);
    return dp_down_block(d, f);
}

/* The hold of what a peer began is over and its packet is given up: the host injects a clone, which
   is then judged. */
DP_INLINE int dp_down_close(const struct dp_down *d, struct dp_flow *f)
{
    if (d->scratch->head.kind != DP_DOWNCALL_COMPLETE || d->bytes ||
        f->direction != DP_DIRECTION_INBOUND || d->scratch->head.filter_id != f->eval.asked_id)
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    if (dp_down_may_pend(f)) dp_down_held(d, f); /* closed before the classify returned */
    if (f->state != DP_FLOW_HELD) return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    f->deadline_ns = bpf_ktime_get_ns() + DP_COMPLETED_NS;
    if (!dp_flow_closes(f, DP_FLOW_COMPLETED, 1, DP_REASON_HOLD_PERMITTED, 0))
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    return XDP_DROP;
}

DP_INLINE int dp_down_release(const struct dp_down *d, struct dp_flow *f)
{
    __u32 state = f->state;
    __u32 left;

    bpf_spin_lock(&f->lock);
    left = f->up - f->down;
    bpf_spin_unlock(&f->lock);
    /* What drains meets ALE_FLOW_ESTABLISHED, and waits there once more. */
    if (!d->bytes || !left ||
        (state != DP_FLOW_DRAINING && state != DP_FLOW_PERMITTED && !d->established))
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    dp_flow_passes(f);
    dp_down_settle(f, 1, d->bytes);
    return dp_down_on(d, f);
}

/* A packet of the other direction can be the question only of a flow that goes on; any may be
   queued. */
DP_INLINE int dp_down_direct(struct dp_down *d, const struct dp_flow *f)
{
    __u32 own = f->direction == DP_DIRECTION_INBOUND ? DP_FITS_INBOUND : DP_FITS_OUTBOUND;

    d->inbound = f->direction == DP_DIRECTION_INBOUND;
    if (!d->bytes || d->fits & own) return 1;
    d->inbound = !d->inbound;
    return d->scratch->head.kind == DP_DOWNCALL_RELEASE ||
           f->flags & (DP_FLOW_REAUTHORIZE | DP_FLOW_ESTABLISHING);
}

/* A permitted flow is asked about again under a newer policy with the ticket that it has: what
   comes late for the question before is no answer to that. */
DP_INLINE int dp_down_is_late(const struct dp_down *d, const struct dp_flow *f)
{
    __u32 kind = d->scratch->head.kind;

    return (kind <= DP_DOWNCALL_COMPLETE || kind == DP_DOWNCALL_REDIRECT) &&
           d->scratch->head.generation && d->scratch->head.generation != dp_flow_asked_under(f);
}

/* What waited with a host whose question was answered, while another's is open. */
DP_INLINE int dp_down_is_left(const struct dp_down *d, const struct dp_flow *f)
{
    return f->host_before == d->host && (d->scratch->head.kind == DP_DOWNCALL_RELEASE ||
                                         d->scratch->head.kind == DP_DOWNCALL_DISCARD);
}

/* Why the downcall may not name the flow: enum dp_reason. */
DP_INLINE __u32 dp_down_unfit(struct dp_down *d, const struct dp_flow *f)
{
    if (!f) return DP_REASON_DOWNCALL_UNKNOWN_FLOW;
    if (f->host != d->host && !dp_down_is_left(d, f)) return DP_REASON_DOWNCALL_FOREIGN;
    if (f->ticket != d->scratch->head.ticket || dp_down_is_late(d, f))
        return DP_REASON_DOWNCALL_STALE;
    return dp_down_direct(d, f) ? DP_REASON_NONE : DP_REASON_DOWNCALL_MISMATCH;
}

/* The flow that the downcall names; 0: it may not, counted. */
DP_INLINE struct dp_flow *dp_down_named(struct dp_down *d)
{
    struct dp_flow *f = dp_flow_find(&d->scratch->head.key);
    __u32 reason = dp_down_unfit(d, f);

    if (reason) {
        dp_count(reason, d->bytes);
        return 0;
    }
    d->established = f && f->flags & DP_FLOW_ESTABLISHING;
    return f;
}

/* An answer at CONNECT_REDIRECT: the layer goes on. What may not answer is refused later. */
DP_INLINE void dp_down_redirect_resume(struct dp_down *d)
{
    struct dp_flow *f = dp_flow_find(&d->scratch->head.key);
    struct dp_scratch *s = d->scratch;
    int stands;

    s->way.redirected = 0;
    if (!f || dp_down_unfit(d, f) || !dp_flow_redirects(f) ||
        (f->state != DP_FLOW_ASKED && f->state != DP_FLOW_HELD) ||
        s->head.filter_id != f->eval.asked_id)
        return;
    s->eval = f->eval;
    dp_down_contexts(d, &s->head.key, f);
    stands = dp_down_redirected(d, f);
    dp_down_question(d, f);
    if (stands && dp_down_keep(d, &s->eval))
        dp_flow_redirect(s, f, d->bytes);
    else
        s->way.redirected = 0x10 | DP_CLASSIFY_BLOCK;
}

DP_INLINE int dp_down_is_answer(const struct dp_downcall *head)
{
    return (head->kind == DP_DOWNCALL_ANSWER || head->kind == DP_DOWNCALL_COMPLETE) &&
           !(head->flags & DP_DOWNCALL_CLOSE);
}

/* What is no answer. */
DP_INLINE int dp_down_flow(const struct dp_down *d, struct dp_flow *f)
{
    switch (d->scratch->head.kind) {
    case DP_DOWNCALL_ANSWER:
    case DP_DOWNCALL_COMPLETE:
        return dp_down_close(d, f);
    case DP_DOWNCALL_HELD:
        return dp_down_held(d, f);
    case DP_DOWNCALL_RELEASE:
        return dp_down_release(d, f);
    default: /* DISCARD; other kinds were refused before */
        dp_count(DP_REASON_DISCARDED, d->bytes);
        dp_down_settle(f, d->scratch->head.count, ~0u);
        if (d->scratch->head.flags & DP_DOWNCALL_ABANDONED) dp_flow_drained(f);
        return XDP_DROP;
    }
}

DP_INLINE int dp_down_fits_way(struct dp_scratch *s, const struct dp_flow_key *k, int outbound)
{
    struct dp_flow_key *have = &s->flow_key;

    dp_flow_key_fill(have, &s->packet, outbound);
    if (s->packet.fragment != DP_FRAGMENT_LATER) return dp_flow_key_equal(have, k);
    return dp_addr_equal(&have->local, &k->local) && dp_addr_equal(&have->remote, &k->remote) &&
           have->protocol == k->protocol;
}

/* The packet must be one of the flow's: DP_FITS_*, 0 if it is not. */
DP_INLINE __u32 dp_down_fits(struct dp_scratch *s, const struct dp_flow_key *k)
{
    return (dp_down_fits_way(s, k, 1) ? DP_FITS_OUTBOUND : 0) |
           (dp_down_fits_way(s, k, 0) ? DP_FITS_INBOUND : 0);
}

#endif
