/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A flow's packet goes up: as the question, or behind one that waits. The same for both directions.
 */
#ifndef SLUICE_BPF_HOOKS_ALE_ASK_H
#define SLUICE_BPF_HOOKS_ALE_ASK_H

#include "hooks/step.h"
#include "lib/owner.h"
#include "lib/redirect_flow.h"

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

/* What connect() has decided at ALE_CONNECT_REDIRECT: the first packet shows the client's end. */
DP_INLINE void dp_flow_redirected(struct __sk_buff *skb, struct dp_flow *f,
                                  const struct dp_flow_key *k)
{
    struct dp_socket *s = dp_socket_of(skb);

    if (dp_carried_of(skb)) f->flags |= DP_FLOW_PROXY;
    if (s && s->redirect && dp_redirect_is_settled(s, k)) {
        f->redirect = s->redirect;
        dp_redirect_wire(f->redirect, k);
    } else if (dp_redirect_has_rows()) {
        dp_redirect_unwire(k);
    }
}

/* Functions that are global, here and below, are verified once and not once a path. */

/* A new entry in scratch, not in the table yet. */
__noinline int dp_flow_prepare(struct __sk_buff *skb, __u32 flags, __u32 direction, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    const struct dp_packet *p;
    struct dp_flow_key *k;
    struct dp_flow *f;

    if (!s) return 0;
    f = (void *)s->flow;
    p = &s->packet;
    k = &s->flow_key;
    __builtin_memset((void *)f + 4, 0, sizeof *f - 4);
    f->state = DP_FLOW_PERMITTED;
    f->flags = flags;
    f->direction = direction;
    f->layer = dp_layer_for(direction == DP_DIRECTION_INBOUND ? DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4
                                                              : DP_LAYER_ALE_AUTH_CONNECT_V4,
                            &k->remote);
    f->ticket = dp_ticket_number();
    f->created_ns = bpf_ktime_get_ns();
    f->seen_ns = f->created_ns;
    f->cookie = inbound || s->way.back ? 0 : bpf_get_socket_cookie(skb);
    f->ifindex = s->way.ifindex;
    f->arrival = inbound ? f->ifindex : 0;
    f->nexthop = inbound ? 0 : f->ifindex;
    f->vlan = s->way.vlan;
    f->mark = skb->mark;
    f->priority = skb->priority;
    f->packets = 1;
    f->bytes = p->bytes;
    if (dp_is_icmp(p->protocol)) f->icmp = p->source_port << 8 | p->destination_port;
    if (p->group) f->flags |= DP_FLOW_GROUP;
    if (dp_addr_is_loopback(&k->remote)) f->flags |= DP_FLOW_LOOPBACK;
    s->way.seen = dp_seen(f, inbound);
    if (inbound) return 0;
    dp_owner_copy(f, dp_socket_of(skb));
    if (direction == DP_DIRECTION_OUTBOUND) dp_flow_redirected(skb, f, k);
    if (s->way.operation) dp_owner_of_operation(f, s->way.operation);
    return 0;
}

DP_INLINE struct dp_flow *dp_out_prepare(const struct dp_out *o, __u32 flags, __u8 direction)
{
    dp_flow_prepare(o->skb, flags, direction, o->inbound);
    return (void *)o->scratch->flow;
}

/* The IP header says as many bytes as are left: the packet comes back, and is parsed then. */
DP_INLINE int dp_up_length(struct __sk_buff *skb, const struct dp_packet *p, __u32 end)
{
    __be16 length, old;

    if (p->version == 6) {
        length = bpf_htons(end - p->l3 - sizeof(struct ipv6hdr));
        return bpf_skb_store_bytes(skb, p->l3 + 4, &length, sizeof length, 0);
    }
    length = bpf_htons(end - p->l3);
    if (bpf_skb_load_bytes(skb, p->l3 + 2, &old, sizeof old)) return -1;
    if (bpf_l3_csum_replace(skb, p->l3 + 10, old, length, sizeof length)) return -1;
    return bpf_skb_store_bytes(skb, p->l3 + 2, &length, sizeof length, 0);
}

/* TCP data says nothing that its headers do not; it is sent again. So the port carries no
 * super-packets. */
DP_INLINE int dp_up_shorten(struct __sk_buff *skb, const struct dp_packet *p)
{
    __u32 end = p->l4 + sizeof(struct dp_tcp);
    __u8 offset = sizeof(struct dp_tcp) / 4 << 4; /* no options */

    if (!p->l4) return 0;
    return bpf_skb_change_tail(skb, end, 0) || dp_up_length(skb, p, end) ||
           bpf_skb_store_bytes(skb, p->l4 + 12, &offset, sizeof offset, 0);
}

/* TCP that waits behind ALE_FLOW_ESTABLISHED, or is on its way from there. */
DP_INLINE int dp_flow_keeps_tcp(const struct dp_flow *f)
{
    return f->flags & (DP_FLOW_ESTABLISHING | DP_FLOW_ESTABLISHED) &&
           !(f->flags & DP_FLOW_REAUTHORIZE);
}

/* A TCP segment, or each of a super-packet's, fits the port. */
DP_INLINE int dp_up_fits(struct __sk_buff *skb, const struct dp_packet *p)
{
    __u32 bytes = skb->gso_segs > 1 ? p->l4 + DP_TCP_BYTES_MAX + skb->gso_size : skb->len;

    return bytes + sizeof(struct dp_upcall) + DP_EXE_PATH_MAX <= DP_PORT_MTU + ETH_HLEN;
}

/* The packet at hand, which is f's, goes up as it is: of TCP what is to come back, and fits. */
DP_INLINE int dp_up_is_whole(struct __sk_buff *skb, const struct dp_packet *p,
                             const struct dp_flow *f)
{
    if (p->protocol != DP_PROTO_TCP || p->tcp_flags & DP_TCP_SYN) return 1;
    return dp_flow_keeps_tcp(f) && dp_up_fits(skb, p);
}

/* The packet at hand goes up for its flow, which has an entry. */
__noinline int dp_up_flow(struct __sk_buff *skb, __u32 kind, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_upcall *up;
    struct dp_flow *f;
    __u32 reason;
    int action;

    if (!s) return TC_ACT_SHOT;
    f = dp_flow_find(&s->flow_key);
    if (!f) return TC_ACT_SHOT; /* it ended just now */
    up = &s->up;
    if (!dp_up_is_whole(skb, &s->packet, f) && dp_up_shorten(skb, &s->packet)) {
        dp_count(DP_REASON_INTERNAL, s->packet.bytes);
        return TC_ACT_SHOT;
    }
    dp_upcall_begin(up, kind, &s->packet);
    dp_upcall_flow(up, f, &s->flow_key);
    dp_upcall_question(up, f);
    up->direction = f->flags & (DP_FLOW_ESTABLISHING | DP_FLOW_PASSES) ? f->direction : inbound;
    up->ifindex = s->way.ifindex;
    up->injected = s->way.injected;
    if (kind == DP_UPCALL_QUEUED)
        up->created_ns = bpf_ktime_get_ns(); /* the order of a queue that outlives its host */
    if (up->flags & DP_UPCALL_HAS_REDIRECT &&
        !dp_upcall_view(skb, f->redirect, !!(f->flags & DP_FLOW_PROXY))) {
        dp_count(DP_REASON_INTERNAL, s->packet.bytes);
        dp_flow_abandon(&s->flow_key, f);
        return TC_ACT_SHOT;
    }
    action = dp_upcall_skb(skb, up, f->host, &reason);
    if (reason && kind == DP_UPCALL_CLASSIFY) dp_flow_abandon(&s->flow_key, f);
    return action;
}

DP_INLINE int dp_out_upcall(const struct dp_out *o, __u8 kind)
{
    return dp_up_flow(o->skb, kind, o->inbound);
}

/* The packet that is out for f was injected: by whom is kept until it comes back. 0: no room. */
DP_INLINE int dp_out_identity(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_ticket *t = &o->scratch->ticket;
    __u64 number = f->ticket;

    f->flags &= ~DP_FLOW_INJECTED;
    if (!o->scratch->way.injected.host) return 1;
    __builtin_memset(t, 0, sizeof *t);
    t->asked_ns = bpf_ktime_get_ns();
    t->injected = o->scratch->way.injected;
    t->ahead = o->scratch->way.ahead;
    if (bpf_map_update_elem(&tickets, &number, t, BPF_ANY)) {
        dp_count(DP_REASON_TICKETS_FULL, o->packet->bytes);
        return 0;
    }
    f->flags |= DP_FLOW_INJECTED;
    return 1;
}

/* Scratch's eval asks for a callout on behalf of f, which is ASKED in scratch or becomes so in the
   table, and is admitted. 0: the callout's host has ended since. Else f is open, and counted. */
DP_INLINE int dp_out_open(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_eval *e = &o->scratch->eval;

    if (dp_flow_opens(f, e)) {
        dp_flow_counted(f, o->packet->bytes);
        return 1;
    }
    dp_use_give(dp_callout_host(e->callout), &f->process, 1, o->packet->bytes);
    dp_count(DP_REASON_CALLOUT_UNREGISTERED, o->packet->bytes);
    return 0;
}

/* Frames that the packet, which is f's, makes. */
DP_INLINE __u32 dp_out_frames(const struct dp_out *o, const struct dp_flow *f)
{
    if (!dp_up_is_whole(o->skb, o->packet, f)) return 1;
    return o->skb->gso_segs > 1 ? o->skb->gso_segs : 1;
}

/* f, in scratch and opened, goes into the table. Its first packet is to go up. */
DP_INLINE int dp_out_ask(const struct dp_out *o, struct dp_flow *f)
{
    __u32 bytes = o->packet->bytes;

    if (dp_out_identity(o, f) && dp_flow_insert(o->key, f)) {
        dp_count(DP_REASON_FLOW_CREATED, bytes);
        return DP_ASKS;
    }
    dp_use_give(f->host, &f->process, 1, f->use_bytes);
    return dp_out_drop(o, DP_REASON_FLOWS_FULL);
}

/* Its layer has permitted f, in scratch. */
DP_INLINE int dp_out_permit(const struct dp_out *o, struct dp_flow *f, int tell, __u32 keep)
{
    struct dp_eval *e = &o->scratch->eval;

    f->state = DP_FLOW_PERMITTED; /* also where a quota was full */
    f->up = 0;
    f->generation = e->generation;
    f->eval = *e;
    if (o->inbound || tell) dp_event_tell(&o->scratch->key, e, &f->process, DP_REASON_NONE);
    if (keep)
        dp_count(dp_flow_insert(o->key, f) ? DP_REASON_FLOW_CREATED : DP_REASON_FLOWS_FULL,
                 o->packet->bytes);
    return DP_PASS;
}

/* Carries out what the layer came to about the first packet of the flow in scratch: enum
   dp_classify_result, where CALLOUT is admitted. `keep`: a permit makes an entry. Without one the
   next packet is judged again, with the same result. Also DP_REFUSED, DP_ASKS. */
__noinline int dp_flow_decide(int r, __u32 keep, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int tell;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(0, s, inbound);
    f = (void *)s->flow;
    tell = !inbound && f->direction == DP_DIRECTION_OUTBOUND;
    if (r == DP_CLASSIFY_CALLOUT && dp_out_open(&o, f)) return dp_out_ask(&o, f);
    if (r == DP_CLASSIFY_PERMIT) return dp_out_permit(&o, f, tell, keep);
    return r == DP_CLASSIFY_NO_POLICY || !tell ? TC_ACT_SHOT : DP_REFUSED;
}

/* The first packet of f, in scratch: the layer has come to r. */
DP_INLINE int dp_out_decide(const struct dp_out *o, struct dp_flow *f, int r, __u32 keep)
{
    int action;

    if (r == DP_CLASSIFY_CALLOUT) {
        if (o->packet->group && o->packet->protocol == DP_PROTO_TCP)
            return dp_out_drop(o, DP_REASON_MALFORMED);
        f->state = DP_FLOW_ASKED;
        f->up = dp_out_frames(o, f);
        r = dp_use_admit(&o->scratch->key, &o->scratch->eval, &f->process, o->packet->bytes);
        DP_FORGET(r);
    }
    action = dp_flow_decide(r, keep, o->inbound);
    DP_FORGET(action);
    if (action == DP_ASKS) return dp_out_upcall(o, DP_UPCALL_CLASSIFY);
    return action == DP_REFUSED ? dp_out_answer(o) : action;
}

/* A packet behind one that is held, or on its way down: kept in order by the host, within its
   quota. TCP sends again what is not kept. DP_ASKS: it is to go up. */
static __noinline int dp_out_enqueue(const struct dp_out *o, struct dp_flow *f)
{
    __u32 host = f->host;
    struct dp_host *h = dp_host_alive(host);
    __u32 frames = dp_out_frames(o, f), bytes = o->packet->bytes, max;
    __u32 state, fits, reason, counted = 0;

    if (o->packet->protocol == DP_PROTO_TCP &&
        (o->packet->tcp_flags & DP_TCP_SYN || !dp_up_is_whole(o->skb, o->packet, f)))
        return dp_out_again(o);
    if (!h) return dp_out_drop(o, DP_REASON_PORT_GONE);
    max = h->queue_bytes_max;
    reason = dp_use_take(host, &f->process, 0, bytes);
    if (reason) return dp_out_drop(o, reason);
    bpf_spin_lock(&f->lock);
    state = f->state;
    fits = f->queue_bytes + bytes <= max;
    if (fits && state >= DP_FLOW_ASKED && state <= DP_FLOW_DRAINING) {
        f->up += frames;
        f->queue_bytes += bytes;
        counted = state != DP_FLOW_DRAINING && f->flags & DP_FLOW_COUNTED;
        if (counted) f->use_bytes += bytes;
    }
    bpf_spin_unlock(&f->lock);
    if (!counted) dp_use_give(host, &f->process, 0, bytes);
    if (state == DP_FLOW_PERMITTED) return DP_PASS;
    if (state == DP_FLOW_BLOCKED) return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
    if (state == DP_FLOW_COMPLETED) return dp_out_drop(o, DP_REASON_HELD);
    if (!fits) return dp_out_drop(o, DP_REASON_HOLD_QUOTA);
    f->seen_ns = bpf_ktime_get_coarse_ns();
    return DP_ASKS;
}

DP_INLINE int dp_out_queue(const struct dp_out *o, struct dp_flow *f)
{
    int action = dp_out_enqueue(o, f);

    return action == DP_ASKS ? dp_out_upcall(o, DP_UPCALL_QUEUED) : action;
}

#endif
