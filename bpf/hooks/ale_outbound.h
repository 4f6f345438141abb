/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows as TC egress sees them: ALE_AUTH_CONNECT for the first packet of an outbound one, the
   verdict for the rest; a packet of an inbound one obeys ALE_AUTH_RECV_ACCEPT's. A packet of an
   unknown flow leaves only after the layer has decided. */
#ifndef SLUICE_BPF_HOOKS_ALE_OUTBOUND_H
#define SLUICE_BPF_HOOKS_ALE_OUTBOUND_H

#include <linux/pkt_cls.h>

#include "lib/flow_judge.h"
#include "lib/owner.h"
#include "lib/parse_skb.h"
#include "lib/reject.h"
#include "lib/upcall.h"

#define DP_PASS TC_ACT_UNSPEC /* on to the next program or filter */

/* What the steps of one packet share. */
struct dp_out {
    struct __sk_buff *skb;
    struct dp_packet *packet;
    struct dp_flow_key *key;
    struct dp_scratch *scratch;
    __u32 ifindex;
    __u32 inbound; /* the packet */
};

DP_INLINE int dp_out_drop(const struct dp_out *o, __u32 reason)
{
    dp_count(reason, o->packet->bytes);
    return TC_ACT_SHOT;
}

/* The packet is refused by the layer: its sender hears at once. */
DP_INLINE int dp_out_refuse(const struct dp_out *o, __u32 reason)
{
    dp_count(reason, o->packet->bytes);
    return dp_reject(o->skb, o->packet, o->skb->ifindex);
}

/* Classifies f's layer for this packet into scratch's eval. */
DP_INLINE int dp_out_judge(const struct dp_out *o, const struct dp_flow *f, __u32 reauthorize)
{
    struct dp_scratch *s = o->scratch;
    struct dp_judging j = {.key = o->key,
                           .flow = f,
                           .ifindex = o->ifindex,
                           .inbound = o->inbound,
                           .reauthorize = reauthorize,
                           .fragment = !!o->packet->fragment,
                           .bytes = o->packet->bytes};

    return dp_flow_judge(&j, &s->key, &s->eval);
}

/* A new entry in scratch, not in the table yet. */
DP_INLINE struct dp_flow *dp_out_prepare(const struct dp_out *o, __u32 flags, __u8 direction)
{
    struct dp_flow *f = (void *)o->scratch->flow;
    const struct dp_packet *p = o->packet;
    struct __sk_buff *skb = o->skb;

    __builtin_memset((void *)f + 4, 0, sizeof *f - 4);
    f->state = DP_FLOW_PERMITTED;
    f->flags = flags;
    f->direction = direction;
    f->layer = dp_layer_for(direction == DP_DIRECTION_INBOUND ? DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4
                                                              : DP_LAYER_ALE_AUTH_CONNECT_V4,
                            &o->key->remote);
    f->ticket = dp_ticket_number();
    f->created_ns = bpf_ktime_get_ns();
    f->seen_ns = f->created_ns;
    f->cookie = bpf_get_socket_cookie(skb);
    f->ifindex = o->ifindex;
    f->mark = skb->mark;
    f->priority = skb->priority;
    f->packets = 1;
    f->bytes = p->bytes;
    if (dp_is_icmp(p->protocol)) f->icmp = p->source_port << 8 | p->destination_port;
    if (p->group) f->flags |= DP_FLOW_GROUP;
    if (dp_addr_is_loopback(&o->key->remote)) f->flags |= DP_FLOW_LOOPBACK;
    if (!o->inbound) dp_owner_copy(f, dp_socket_of(skb));
    return f;
}

/* The flow waits for the callout named by eval; fields that an open question has. */
DP_INLINE __u32 dp_flow_ask(struct dp_flow *f, const struct dp_eval *e)
{
    __u32 id = e->callout;
    struct dp_callout *c = bpf_map_lookup_elem(&callouts, &id);
    struct dp_host *h = dp_host_alive(c ? c->host : 0);
    __u64 now = bpf_ktime_get_ns();

    if (!c || !h) return 0;
    f->host = c->host;
    f->asked_ns = now;
    f->deadline_ns = now + h->watchdog_ns;
    f->eval = *e;
    f->generation = e->generation;
    f->flags &= ~(DP_FLOW_KEEP_DATA | DP_FLOW_PERMIT_ON_LOSS | DP_FLOW_ASKED_BEFORE);
    if (dp_eval_asked_before(&f->eval)) f->flags |= DP_FLOW_ASKED_BEFORE;
    if (c->flags & DP_CALLOUT_KEEP_PENDED_DATA) f->flags |= DP_FLOW_KEEP_DATA;
    if (e->row_flags & DP_ROW_PERMIT_IF_UNREGISTERED) f->flags |= DP_FLOW_PERMIT_ON_LOSS;
    return 1;
}

/* The IP header says as many bytes as are left: the packet comes back, and is parsed then. */
DP_INLINE int dp_out_length(const struct dp_out *o, __u32 end)
{
    const struct dp_packet *p = o->packet;
    __be16 length, old;

    if (p->version == 6) {
        length = bpf_htons(end - p->l3 - sizeof(struct ipv6hdr));
        return bpf_skb_store_bytes(o->skb, p->l3 + 4, &length, sizeof length, 0);
    }
    length = bpf_htons(end - p->l3);
    if (bpf_skb_load_bytes(o->skb, p->l3 + 2, &old, sizeof old)) return -1;
    if (bpf_l3_csum_replace(o->skb, p->l3 + 10, old, length, sizeof length)) return -1;
    return bpf_skb_store_bytes(o->skb, p->l3 + 2, &length, sizeof length, 0);
}

/* TCP data says nothing that its headers do not; it is sent again. So the port carries no
 * super-packets. */
DP_INLINE int dp_out_shorten(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;
    __u32 end = p->l4 + sizeof(struct dp_tcp);
    __u8 offset = sizeof(struct dp_tcp) / 4 << 4; /* no options */

    if (p->protocol != DP_PROTO_TCP || !p->l4 || (p->tcp_flags & DP_TCP_SYN)) return 0;
    return bpf_skb_change_tail(o->skb, end, 0) || dp_out_length(o, end) ||
           bpf_skb_store_bytes(o->skb, p->l4 + 12, &offset, sizeof offset, 0);
}

DP_INLINE int dp_out_upcall(const struct dp_out *o, const struct dp_flow *f, __u8 kind)
{
    struct dp_upcall *up = &o->scratch->up;
    __u32 host = f->host, reason;
    int action;

    if (dp_out_shorten(o)) return dp_out_drop(o, DP_REASON_INTERNAL);
    dp_upcall_begin(up, kind, o->packet);
    dp_upcall_flow(up, f, o->key);
    dp_upcall_eval(up, &f->eval);
    if (kind == DP_UPCALL_QUEUED)
        up->created_ns = bpf_ktime_get_ns(); /* the order of a queue that outlives its host */
    action = dp_upcall_skb(o->skb, up, host, &reason);
    /* Nobody will answer: the next packet is judged anew. */
    if (reason && kind == DP_UPCALL_CLASSIFY) dp_flow_delete(o->key);
    return action;
}

DP_INLINE __u32 dp_out_segments(const struct dp_out *o)
{
    if (o->packet->protocol == DP_PROTO_TCP) return 1;
    return o->skb->gso_segs > 1 ? o->skb->gso_segs : 1;
}

/* First packet of a flow that has no entry. */
DP_INLINE int dp_out_first(const struct dp_out *o, __u32 flags)
{
    struct dp_eval *e = &o->scratch->eval;
    struct dp_flow *f = dp_out_prepare(o, flags, DP_DIRECTION_OUTBOUND), *kept;
    int r;

    __builtin_memset(e, 0, sizeof *e);
    r = dp_out_judge(o, f, flags & DP_FLOW_MID_STREAM ? DP_REAUTHORIZE_MID_STREAM : 0);
    if (r == DP_CLASSIFY_NO_POLICY) return TC_ACT_SHOT;
    if (r == DP_CLASSIFY_BLOCK || r == DP_CLASSIFY_DEFER)
        return dp_reject(o->skb, o->packet, o->ifindex);
    f->generation = e->generation;
    f->eval = *e;
    if (r == DP_CLASSIFY_CALLOUT) {
        if (o->packet->group && o->packet->protocol == DP_PROTO_TCP)
            return dp_out_drop(o, DP_REASON_MALFORMED);
        f->state = DP_FLOW_ASKED;
        f->up = dp_out_segments(o);
        if (!dp_flow_ask(f, e)) return dp_out_refuse(o, DP_REASON_CALLOUT_UNREGISTERED);
        if (o->skb->vlan_present) f->vlan = 0x10000 | o->skb->vlan_tci;
    }
    kept = dp_flow_insert(o->key, f);
    if (r == DP_CLASSIFY_PERMIT) {
        dp_event_tell(&o->scratch->key, e, &f->process, DP_REASON_NONE);
        dp_count(kept ? DP_REASON_FLOW_CREATED : DP_REASON_FLOWS_FULL, o->packet->bytes);
        return DP_PASS; /* without an entry: judged again, with the same result */
    }
    if (!kept) return dp_out_drop(o, DP_REASON_FLOWS_FULL);
    dp_count(DP_REASON_FLOW_CREATED, o->packet->bytes);
    return dp_out_upcall(o, f, DP_UPCALL_CLASSIFY);
}

/* A permitted flow goes to the callout that the newer policy names. */
DP_INLINE int dp_out_ask_again(const struct dp_out *o, struct dp_flow *f)
{
    int mine;

    bpf_spin_lock(&f->lock);
    mine = f->state == DP_FLOW_PERMITTED;
    if (mine) {
        f->state = DP_FLOW_ASKED;
        f->flags |= DP_FLOW_REAUTHORIZE;
        f->up = 1;
        f->down = 0;
    }
    bpf_spin_unlock(&f->lock);
    if (!mine) return dp_out_drop(o, DP_REASON_HELD);
    if (!dp_flow_ask(f, &o->scratch->eval)) return dp_out_drop(o, DP_REASON_CALLOUT_UNREGISTERED);
    return dp_out_upcall(o, f, DP_UPCALL_CLASSIFY);
}

/* A permitted flow under a policy that is newer than its verdict. */
DP_INLINE int dp_out_again(const struct dp_out *o, struct dp_flow *f)
{
    int r;

    o->scratch->eval = f->eval;
    r = dp_out_judge(o, f, DP_REAUTHORIZE_POLICY_CHANGE);
    if (r == DP_CLASSIFY_CALLOUT && f->direction == DP_DIRECTION_OUTBOUND)
        return dp_out_ask_again(o, f);
    if (dp_flow_judged(f, &o->scratch->eval, r, o->packet->protocol)) {
        dp_flow_touch(f, o->packet, 1);
        return DP_PASS;
    }
    if (f->flags & DP_FLOW_REVOKED) return TC_ACT_SHOT;
    return dp_reject(o->skb, o->packet, o->ifindex);
}

/* A packet behind one that is held: kept in order by the host, within its quota. */
DP_INLINE int dp_out_queue(const struct dp_out *o, struct dp_flow *f)
{
    __u32 host = f->host;
    struct dp_host *h = dp_host_alive(host);
    __u32 segments = dp_out_segments(o), max;
    __u32 state, fits;

    if (o->packet->protocol == DP_PROTO_TCP) return dp_out_drop(o, DP_REASON_HELD);
    if (!h) return dp_out_drop(o, DP_REASON_PORT_GONE);
    max = h->queue_bytes_max;
    bpf_spin_lock(&f->lock);
    state = f->state;
    fits = f->queue_bytes + o->packet->bytes <= max;
    if (fits && state >= DP_FLOW_ASKED && state <= DP_FLOW_DRAINING) {
        f->up += segments;
        f->queue_bytes += o->packet->bytes;
    }
    bpf_spin_unlock(&f->lock);
    if (state == DP_FLOW_PERMITTED) return DP_PASS;
    if (state == DP_FLOW_BLOCKED) return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
    if (!fits) return dp_out_drop(o, DP_REASON_HOLD_QUOTA);
    f->seen_ns = bpf_ktime_get_coarse_ns();
    return dp_out_upcall(o, f, DP_UPCALL_QUEUED);
}

/* The deadline has passed and nobody applied it (the daemon is dead): the filter's outcome, now. A
   flow that drains is permitted: a packet that was on its way is lost. */
DP_INLINE int dp_out_overdue(const struct dp_out *o, struct dp_flow *f)
{
    __u32 permit = f->state == DP_FLOW_DRAINING || (f->flags & DP_FLOW_PERMIT_ON_LOSS);

    bpf_spin_lock(&f->lock);
    f->state = permit ? DP_FLOW_PERMITTED : DP_FLOW_BLOCKED;
    f->flags |= DP_FLOW_EXPIRED;
    bpf_spin_unlock(&f->lock);
    f->reason = DP_REASON_HOLD_EXPIRED;
    dp_count(DP_REASON_HOLD_EXPIRED, o->packet->bytes);
    return permit ? DP_PASS : dp_reject(o->skb, o->packet, o->skb->ifindex);
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

#define DP_OVERDUE_GRACE_NS (2ULL * 1000000000) /* the daemon sweeps every quarter of a second */

DP_INLINE int dp_out_known(const struct dp_out *o, struct dp_flow *f)
{
    __u64 generation = dp_generation();
    int syn = (o->packet->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN &&
              o->packet->protocol == DP_PROTO_TCP;

    switch (f->state) {
    case DP_FLOW_PERMITTED:
        if (syn && (dp_flow_is_over(f) || (f->flags & DP_FLOW_REPLIED) || f->direction)) {
            dp_flow_delete(o->key);
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
            dp_flow_delete(o->key);
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
