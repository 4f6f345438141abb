/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets of a socket whose bind or listen is not decided: they wait with the host that is asked,
   and go their way again when it has been permitted. */
#ifndef SLUICE_BPF_HOOKS_OPERATION_WAIT_H
#define SLUICE_BPF_HOOKS_OPERATION_WAIT_H

#include "hooks/ale_ask.h"
#include "lib/operation.h"
#include "lib/timestamp.h"

DP_INLINE int dp_wait_has_rows(void)
{
    return dp_layer_has_rows(DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4) ||
           dp_layer_has_rows(DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6) ||
           dp_layer_has_rows(DP_LAYER_ALE_AUTH_LISTEN_V4) ||
           dp_layer_has_rows(DP_LAYER_ALE_AUTH_LISTEN_V6) || dp_bind_redirect_has_rows();
}

/* Of the sender, by its time stamp; 0: it has none. */
DP_INLINE __u32 dp_wait_clock(struct __sk_buff *skb, __u32 l4)
{
    int at = dp_timestamp_seek(skb, l4);
    __be32 clock = 0;

    DP_FORGET(at);
    if (at <= 0 || bpf_skb_load_bytes(skb, at, &clock, sizeof clock)) return 0;
    return bpf_ntohl(clock);
}

/* The same SYN waits already, or the segment is none that could begin anything. */
DP_INLINE int dp_wait_again(const struct dp_out *o, __u64 id)
{
    struct dp_waiting *before, w = {.operation = id};

    if (o->packet->protocol != DP_PROTO_TCP) return 0;
    if ((o->packet->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) != DP_TCP_SYN) return 1;
    before = bpf_map_lookup_elem(&waiting, o->key);
    w.first_ns = w.last_ns = bpf_ktime_get_ns();
    w.first_clock = w.last_clock = dp_wait_clock(o->skb, o->packet->l4);
    if (before && before->operation == id) {
        before->last_ns = w.last_ns;
        before->last_clock = w.last_clock;
        return 1;
    }
    bpf_map_update_elem(&waiting, o->key, &w, BPF_ANY);
    return 0;
}

/* What the sender's clock shows now, or a little less: an answer must never echo what is still to
   come. Ours is known; a peer's is what it showed last, and it goes on from there if it was seen to
   count milliseconds, as nearly all do. */
DP_INLINE __u32 dp_waiting_clock(const struct dp_waiting *w, int inbound)
{
    __u64 now = bpf_ktime_get_ns();
    __u32 seen = (w->last_ns - w->first_ns) / 1000000, since = (now - w->last_ns) / 1000000;
    __u32 counted = w->last_clock - w->first_clock, slack = seen / 64 + 8, margin = since / 256 + 8;

    if (!inbound) return w->first_clock + (__u32)((now - w->first_ns) / 1000000);
    if (!seen || counted + slack < seen || counted > seen + slack || since <= margin)
        return w->last_clock;
    return w->last_clock + since - margin;
}

/* A SYN that has waited would make whoever sent it take the time of the hold for a round trip. */
static __noinline int dp_wait_refresh(struct __sk_buff *skb, struct dp_scratch *s, __u32 inbound)
{
    struct dp_waiting *w;
    __be32 clock, was;
    int at;

    if (s->packet.protocol != DP_PROTO_TCP || dp_flow_key_of(&s->flow_key, &s->packet, !inbound))
        return 0;
    w = bpf_map_lookup_elem(&waiting, &s->flow_key);
    if (!w || w->operation != s->way.operation || !w->first_clock) return 0;
    at = dp_timestamp_seek(skb, s->packet.l4);
    DP_FORGET(at);
    if (at <= 0 || bpf_skb_load_bytes(skb, at, &was, sizeof was)) return 0;
    clock = bpf_htonl(dp_waiting_clock(w, inbound));
    if (bpf_skb_store_bytes(skb, at, &clock, sizeof clock, 0)) return 0;
    return bpf_l4_csum_replace(skb, s->packet.l4 + 16, was, clock, sizeof clock);
}

/* The socket was refused. */
DP_INLINE int dp_wait_refuse(const struct dp_out *o)
{
    return o->inbound ? dp_out_drop(o, DP_REASON_BIND_BLOCKED) : DP_REFUSED;
}

/* The packet goes up behind the question. Its frame could not say to which VLAN it belongs. */
DP_INLINE int dp_wait_upcall(const struct dp_out *o, const struct dp_operation *op, __u64 id)
{
    struct dp_upcall *up = &o->scratch->up;
    __u32 reason;

    dp_upcall_begin(up, DP_UPCALL_QUEUED, o->packet);
    dp_upcall_eval(up, &op->eval);
    up->ticket = id;
    up->layer = op->layer;
    up->direction = o->inbound ? DP_DIRECTION_INBOUND : DP_DIRECTION_OUTBOUND;
    up->flags = DP_UPCALL_OPERATION;
    if (op->flags & DP_FLOW_KEEP_DATA) up->flags |= DP_UPCALL_KEEP_DATA;
    up->ifindex = o->ifindex;
    up->created_ns = bpf_ktime_get_ns();
    up->process = op->process;
    up->key = *o->key;
    up->endpoint = op->cookie;
    return dp_upcall_skb(o->skb, up, op->host, &reason);
}

/* Within the quotas of the socket, its host and its process. */
DP_INLINE int dp_wait_queue(const struct dp_out *o, struct dp_operation *op, __u64 id)
{
    __u32 host = op->host, bytes = o->packet->bytes, frames;
    struct dp_host *h = dp_host_alive(host);
    __u32 max, state, fits, reason, counted = 0;

    if (!h) return dp_out_drop(o, DP_REASON_PORT_GONE);
    frames = o->skb->gso_segs > 1 ? o->skb->gso_segs : 1;
    if (o->scratch->way.vlan || o->scratch->way.back || dp_wait_again(o, id))
        return dp_out_again(o);
    max = h->queue_bytes_max;
    reason = dp_use_take(host, &op->process, 0, bytes);
    if (reason) return dp_out_drop(o, reason);
    bpf_spin_lock(&op->lock);
    state = op->state;
    fits = op->queue_bytes + bytes <= max;
    if (fits && (state == DP_FLOW_ASKED || state == DP_FLOW_HELD)) {
        op->up += frames;
        op->queue_bytes += bytes;
        counted = op->flags & DP_FLOW_COUNTED;
        if (counted) op->use_bytes += bytes;
    }
    bpf_spin_unlock(&op->lock);
    if (!counted) dp_use_give(host, &op->process, 0, bytes);
    if (state == DP_FLOW_DRAINING || state == DP_FLOW_PERMITTED) return DP_PASS;
    if (state == DP_FLOW_BLOCKED) return dp_wait_refuse(o);
    if (!fits) return dp_out_drop(o, DP_REASON_HOLD_QUOTA);
    return dp_wait_upcall(o, op, id);
}

/* DP_PASS: the packet goes on. Behind packets that are on their way down it may overtake them. A
   deadline that has passed is sluiced's to apply: until then the packets wait. */
DP_INLINE int dp_wait_one(const struct dp_out *o, __u64 id)
{
    struct dp_operation *op = id ? bpf_map_lookup_elem(&operations, &id) : 0;

    if (!op) return DP_PASS;
    if (op->state == DP_FLOW_BLOCKED) return dp_wait_refuse(o);
    if (!dp_operation_is_open(op)) return DP_PASS;
    return dp_wait_queue(o, op, id);
}

/* Of the socket with this storage. Functions of their own, given what scratch holds anyway: the
   steps of a packet stay off the stack of whoever calls. */
__noinline int dp_wait(struct __sk_buff *skb, __u64 bind_operation, __u64 listen_operation,
                       __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_out o;
    int action;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, inbound);
    action = dp_wait_one(&o, bind_operation);
    return action == DP_PASS ? dp_wait_one(&o, listen_operation) : action;
}

/* What a socket sends. Also DP_REFUSED. */
DP_INLINE int dp_wait_sender(struct __sk_buff *skb)
{
    struct dp_socket *s;
    int action;

    if (!dp_wait_has_rows()) return DP_PASS;
    s = dp_socket_of(skb);
    if (!s || (!s->bind_operation && !s->listen_operation)) return DP_PASS;
    action = dp_wait(skb, s->bind_operation, s->listen_operation, 0);
    DP_FORGET(action);
    return action;
}

#endif
