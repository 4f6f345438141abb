/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, XDP: a host's answer. Nothing in it is believed. The flow (or ticket) that it
   names must be out, be this host's, carry this number and fit the packet behind the header; then
   the evaluation is resumed here. What is to happen with the packet travels in data_meta to
   dp_port_apply. */
#ifndef SLUICE_BPF_HOOKS_PORT_DOWN_H
#define SLUICE_BPF_HOOKS_PORT_DOWN_H

#include "lib/flow_judge.h"
#include "lib/parse_xdp.h"
#include "lib/timestamp.h"
#include "lib/upcall.h"

struct dp_down {
    struct dp_downcall *head;
    struct dp_scratch *scratch;
    struct dp_port_meta *meta;
    __u32 host;
    __u32 bytes; /* of the packet; 0: none */
};

DP_INLINE int dp_down_drop(const struct dp_down *d, __u32 reason)
{
    dp_count(reason, d->bytes);
    return XDP_DROP;
}

DP_INLINE void dp_down_meta(const struct dp_down *d, __u32 op, const struct dp_flow *f)
{
    d->meta->op = op;
    d->meta->ifindex = f->ifindex;
    d->meta->mark = f->mark;
    d->meta->priority = f->priority;
    d->meta->vlan = f->vlan;
}

DP_INLINE void dp_refusal_remember(const struct dp_flow *f, const struct dp_flow_key *k)
{
    struct dp_refusal_key key = {
        .cookie = f->cookie, .remote = k->remote, .remote_port = k->remote_port};
    struct dp_refusal refusal = {.generation = f->eval.generation,
                                 .until_ns = bpf_ktime_get_ns() + DP_UDP_IDLE_NS};

    if (f->cookie && k->protocol == DP_PROTO_UDP)
        bpf_map_update_elem(&refusals, &key, &refusal, BPF_ANY);
}

/* Resumes the layer with the answer appended. */
DP_INLINE int dp_down_resume(const struct dp_down *d, struct dp_flow *f)
{
    struct dp_eval *e = &d->scratch->eval;
    struct dp_key *key = &d->scratch->key;
    int r;

    *e = f->eval;
    if (d->head->filter_id != e->asked_id) return -DP_REASON_DOWNCALL_STALE;
    if (!dp_eval_keep(e, d->head->action, d->head->rights)) return -DP_REASON_TOO_MANY_HOPS;
    dp_key_from_flow(key, &d->head->key, f, f->ifindex, 0);
    DP_NUMBER(key, REAUTHORIZE_REASON) =
        f->flags & DP_FLOW_REAUTHORIZE ? DP_REAUTHORIZE_POLICY_CHANGE : 0;
    r = dp_classify(key, e);
    if (r == DP_CLASSIFY_PERMIT) dp_event_tell(key, e, &f->process, DP_REASON_NONE);
    f->eval = *e;
    f->generation = e->generation;
    return r;
}

/* One packet of the flow is accounted for; PERMITTED when none is out any more. */
DP_INLINE void dp_down_settle(struct dp_flow *f, __u32 packets, __u32 bytes, __u32 from_state)
{
    bpf_spin_lock(&f->lock);
    if (packets > f->up - f->down) packets = f->up - f->down;
    f->down += packets;
    f->queue_bytes = f->queue_bytes > bytes ? f->queue_bytes - bytes : 0;
    if (f->state == from_state) f->state = f->down == f->up ? DP_FLOW_PERMITTED : DP_FLOW_DRAINING;
    if (f->state == DP_FLOW_PERMITTED) f->flags &= ~DP_FLOW_REAUTHORIZE;
    bpf_spin_unlock(&f->lock);
}

DP_INLINE int dp_down_permit(struct xdp_md *ctx, const struct dp_down *d, struct dp_flow *f,
                             __u32 state)
{
    if (state == DP_FLOW_HELD) dp_count(DP_REASON_HOLD_PERMITTED, d->bytes);
    f->seen_ns = bpf_ktime_get_ns();
    f->deadline_ns = f->seen_ns + DP_DRAIN_NS;
    if (d->bytes) dp_timestamp_advance(ctx, &d->head->key, f->created_ns);
    dp_down_settle(f, 1, 0, state);
    if (!d->bytes) return XDP_DROP;
    /* Only the headers of TCP data went up; TCP sends it again. */
    if (f->flags & DP_FLOW_MID_STREAM || (f->flags & DP_FLOW_REPLIED)) {
        if (d->head->key.protocol == DP_PROTO_TCP) return XDP_DROP;
    }
    dp_down_meta(d, DP_PORT_SEND, f);
    return XDP_PASS;
}

DP_INLINE int dp_down_block(const struct dp_down *d, struct dp_flow *f, __u32 state)
{
    if (state == DP_FLOW_HELD) dp_count(DP_REASON_HOLD_BLOCKED, d->bytes);
    dp_count(DP_REASON_CALLOUT_BLOCK, d->bytes);
    dp_event_tell(&d->scratch->key, &d->scratch->eval, &f->process, DP_REASON_CALLOUT_BLOCK);
    f->seen_ns = bpf_ktime_get_ns();
    f->reason = DP_REASON_CALLOUT_BLOCK;
    f->deadline_ns = 0;
    bpf_spin_lock(&f->lock);
    f->state = DP_FLOW_BLOCKED;
    bpf_spin_unlock(&f->lock);
    dp_refusal_remember(f, &d->head->key);
    if (!d->bytes || (d->head->flags & DP_DOWNCALL_ABSORB)) return XDP_DROP;
    dp_down_meta(d, DP_PORT_REJECT, f);
    return XDP_PASS;
}

/* The evaluation goes on to another callout: the packet turns round in dp_port_apply. */
DP_INLINE int dp_down_next(const struct dp_down *d, struct dp_flow *f)
{
    __u32 id = d->scratch->eval.callout;
    struct dp_callout *c = bpf_map_lookup_elem(&callouts, &id);
    struct dp_host *h = dp_host_alive(c ? c->host : 0);
    __u64 now = bpf_ktime_get_ns();
    int before;

    if (!d->bytes || !c ||
        !h) { /* nothing to show it: the next packet of the flow asks, with the answers kept */
        dp_flow_delete(&d->head->key);
        return XDP_DROP;
    }
    f->host = c->host;
    f->asked_ns = now;
    f->deadline_ns = now + h->watchdog_ns;
    before = dp_eval_asked_before(&f->eval);
    bpf_spin_lock(&f->lock);
    f->state = DP_FLOW_ASKED;
    f->flags &= ~(DP_FLOW_KEEP_DATA | DP_FLOW_PERMIT_ON_LOSS | DP_FLOW_ASKED_BEFORE);
    if (before) f->flags |= DP_FLOW_ASKED_BEFORE;
    if (c->flags & DP_CALLOUT_KEEP_PENDED_DATA) f->flags |= DP_FLOW_KEEP_DATA;
    if (d->scratch->eval.row_flags & DP_ROW_PERMIT_IF_UNREGISTERED)
        f->flags |= DP_FLOW_PERMIT_ON_LOSS;
    bpf_spin_unlock(&f->lock);
    dp_down_meta(d, DP_PORT_ASK, f);
    return XDP_PASS;
}

DP_INLINE int dp_down_answer(struct xdp_md *ctx, const struct dp_down *d, struct dp_flow *f)
{
    __u32 state = f->state;
    int r;

    if (state != DP_FLOW_ASKED && state != DP_FLOW_HELD)
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    if (d->head->flags & DP_DOWNCALL_EXPIRED) {
        dp_count(DP_REASON_HOLD_EXPIRED, d->bytes);
        __sync_fetch_and_or(&f->flags, DP_FLOW_EXPIRED);
    }
    r = dp_down_resume(d, f);
    if (r == -DP_REASON_DOWNCALL_STALE) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    if (r == DP_CLASSIFY_PERMIT) return dp_down_permit(ctx, d, f, state);
    if (r == DP_CLASSIFY_CALLOUT) return dp_down_next(d, f);
    if (r < 0) dp_count(-r, d->bytes);
    return dp_down_block(d, f, state);
}

DP_INLINE int dp_down_held(const struct dp_down *d, struct dp_flow *f)
{
    __u32 id = d->host;
    struct dp_host *h = bpf_map_lookup_elem(&hosts, &id);
    __u64 now = bpf_ktime_get_ns();
    __u64 limit = h ? h->hold_deadline_ns : 0;
    int done;

    bpf_spin_lock(&f->lock);
    done = f->state == DP_FLOW_ASKED && !(f->flags & DP_FLOW_REAUTHORIZE);
    if (done) f->state = DP_FLOW_HELD;
    bpf_spin_unlock(&f->lock);
    if (!done) return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    f->deadline_ns = limit ? now + limit : 0;
    dp_count(DP_REASON_HOLD_OPENED, d->bytes);
    return XDP_DROP;
}

DP_INLINE int dp_down_release(const struct dp_down *d, struct dp_flow *f)
{
    __u32 state = f->state;
    __u32 left;

    bpf_spin_lock(&f->lock);
    left = f->up - f->down;
    bpf_spin_unlock(&f->lock);
    if (!d->bytes || !left || (state != DP_FLOW_DRAINING && state != DP_FLOW_PERMITTED))
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    dp_down_settle(f, 1, d->bytes, DP_FLOW_DRAINING);
    dp_down_meta(d, DP_PORT_SEND, f);
    return XDP_PASS;
}

DP_INLINE int dp_down_flow(struct xdp_md *ctx, const struct dp_down *d)
{
    struct dp_flow *f = dp_flow_find(&d->head->key);

    if (!f) return dp_down_drop(d, DP_REASON_DOWNCALL_UNKNOWN_FLOW);
    if (f->host != d->host) return dp_down_drop(d, DP_REASON_DOWNCALL_FOREIGN);
    if (f->ticket != d->head->ticket) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    switch (d->head->kind) {
    case DP_DOWNCALL_ANSWER:
    case DP_DOWNCALL_COMPLETE:
        return dp_down_answer(ctx, d, f);
    case DP_DOWNCALL_HELD:
        return dp_down_held(d, f);
    case DP_DOWNCALL_RELEASE:
        return dp_down_release(d, f);
    default: /* DISCARD; other kinds were refused before */
        dp_count(DP_REASON_DISCARDED, d->bytes);
        dp_down_settle(f, d->head->count, ~0u, DP_FLOW_DRAINING);
        return XDP_DROP;
    }
}

/* The packet must be one of the flow's. */
DP_INLINE int dp_down_fits(struct dp_scratch *s, const struct dp_flow_key *k)
{
    struct dp_flow_key *have = &s->flow_key;

    dp_flow_key_fill(have, &s->packet, 1);
    if (s->packet.fragment != DP_FRAGMENT_LATER) return dp_flow_key_equal(have, k);
    return dp_addr_equal(&have->local, &k->local) && dp_addr_equal(&have->remote, &k->remote) &&
           have->protocol == k->protocol;
}

/* At a packet layer it must have the ticket's addresses and ports. */
DP_INLINE int dp_down_fits_ticket(const struct dp_packet *p, const struct dp_key *key)
{
    int swap = !dp_is_icmp(p->protocol);

    if (!dp_addr_equal(&p->destination, &DP_WIDE(key, LOCAL_ADDRESS)) ||
        !dp_addr_equal(&p->source, &DP_WIDE(key, REMOTE_ADDRESS)) ||
        p->protocol != DP_NUMBER(key, PROTOCOL))
        return 0;
    if (p->fragment == DP_FRAGMENT_LATER) return 1;
    return (swap ? p->destination_port : p->source_port) == DP_NUMBER(key, LOCAL_PORT) &&
           (swap ? p->source_port : p->destination_port) == DP_NUMBER(key, REMOTE_PORT);
}

/* Packet layers: the ticket is redeemed by deleting it, which succeeds once. */
DP_INLINE int dp_down_ticket(const struct dp_down *d, const struct dp_packet *p)
{
    struct dp_ticket *t = &d->scratch->ticket, *kept;
    __u64 number = d->head->ticket;
    __u32 ifindex;
    struct dp_nic *nic;
    int r;

    kept = bpf_map_lookup_elem(&tickets, &number);
    if (!kept) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    if (kept->host != d->host) return dp_down_drop(d, DP_REASON_DOWNCALL_FOREIGN);
    *t = *kept;
    if (d->head->kind != DP_DOWNCALL_ANSWER || d->head->filter_id != t->eval.asked_id)
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    if (d->bytes && !dp_down_fits_ticket(p, &t->key))
        return dp_down_drop(d, DP_REASON_DOWNCALL_MISMATCH);
    if (bpf_map_delete_elem(&tickets, &number)) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    if (!dp_eval_keep(&t->eval, d->head->action, d->head->rights))
        return dp_down_drop(d, DP_REASON_TOO_MANY_HOPS);
    r = dp_classify(&t->key, &t->eval);
    ifindex = t->ifindex;
    d->meta->ifindex = ifindex;
    d->meta->priority = t->priority;
    d->meta->vlan = t->vlan;
    if (r == DP_CLASSIFY_CALLOUT && d->bytes) {
        d->meta->op = DP_PORT_ASK;
        d->meta->ticket = dp_ticket_issue(t, d->bytes);
        return d->meta->ticket ? XDP_PASS : XDP_DROP;
    }
    if (r != DP_CLASSIFY_PERMIT || !d->bytes) {
        if (r != DP_CLASSIFY_PERMIT) dp_event_tell(&t->key, &t->eval, 0, DP_REASON_CALLOUT_BLOCK);
        return dp_down_drop(d, DP_REASON_CALLOUT_BLOCK);
    }
    nic = bpf_map_lookup_elem(&nics, &ifindex);
    d->meta->op = DP_PORT_RECEIVE;
    d->meta->mark = t->mark | (nic && !nic->xdp ? cfg.mark_bit : 0);
    return XDP_PASS;
}

DP_INLINE int dp_down_wrap(struct xdp_md *ctx, const struct dp_port_meta *meta)
{
    struct dp_port_meta *m;

    if (bpf_xdp_adjust_head(ctx, sizeof(struct dp_downcall))) return 0;
    if (bpf_xdp_adjust_meta(ctx, -(int)sizeof *m)) return 0;
    m = (void *)(long)ctx->data_meta;
    if ((void *)(m + 1) > (void *)(long)ctx->data) return 0;
    *m = *meta;
    return 1;
}

static __noinline int dp_down_apply(struct xdp_md *ctx, struct dp_scratch *s, __u32 host)
{
    struct dp_downcall *head = &s->head;
    struct dp_down d = {.head = head, .meta = &s->meta, .host = host, .scratch = s};
    struct dp_packet *p = &s->packet;

    d.bytes = ctx->data_end - ctx->data - sizeof *head;
    if (d.bytes) {
        if (dp_parse_xdp(ctx, sizeof *head, p))
            return dp_down_drop(&d, DP_REASON_DOWNCALL_MISMATCH);
        if (head->key.protocol && !dp_down_fits(s, &head->key))
            return dp_down_drop(&d, DP_REASON_DOWNCALL_MISMATCH);
    }
    return head->key.protocol ? dp_down_flow(ctx, &d) : dp_down_ticket(&d, p);
}

/* A function of its own: a packet pointer cut to 32 bits may not be spilled. */
static __noinline __u32 dp_down_bytes(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data;
}

DP_INLINE int dp_down(struct xdp_md *ctx, struct dp_scratch *s, __u32 host)
{
    struct dp_downcall *head = &s->head;
    __u32 bytes = dp_down_bytes(ctx);
    int action;

    if (bpf_xdp_load_bytes(ctx, 0, head, sizeof *head) || head->magic != DP_DOWNCALL_MAGIC ||
        head->version != DP_LAYOUT_VERSION || head->kind < DP_DOWNCALL_ANSWER ||
        head->kind > DP_DOWNCALL_DISCARD) {
        dp_count(DP_REASON_DOWNCALL_MALFORMED, bytes);
        return XDP_DROP;
    }
    dp_count(DP_REASON_DOWNCALL, bytes);
    __builtin_memset(&s->meta, 0, sizeof s->meta);
    s->meta.magic = DP_DOWNCALL_MAGIC;
    action = dp_down_apply(ctx, s, host);
    if (action != XDP_PASS) return action;
    if (dp_down_wrap(ctx, &s->meta)) return XDP_PASS;
    dp_count(DP_REASON_INTERNAL, 0);
    return XDP_DROP;
}

SEC("xdp") int dp_port_down(struct xdp_md *ctx)
{
    __u32 ifindex = ctx->ingress_ifindex;
    struct dp_port *port = bpf_map_lookup_elem(&ports, &ifindex);
    struct dp_scratch *s = dp_scratch();

    if (port && s) return dp_down(ctx, s, port->host);
    dp_count(DP_REASON_PORT_FOREIGN_FRAME, 0);
    return XDP_DROP;
}

#endif
