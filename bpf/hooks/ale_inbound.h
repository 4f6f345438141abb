/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows as TC ingress sees them: ALE_AUTH_LISTEN and ALE_AUTH_RECV_ACCEPT for what a peer begins,
   the inbound half of what this machine began. */
#ifndef SLUICE_BPF_HOOKS_ALE_INBOUND_H
#define SLUICE_BPF_HOOKS_ALE_INBOUND_H

#include "hooks/ale_outbound.h"
#include "hooks/operation_wait.h"
#include "lib/listen.h"

/* Judges f, in scratch, for the first time. */
DP_INLINE int dp_in_judge(const struct dp_out *o, const struct dp_flow *f)
{
    __builtin_memset(&o->scratch->eval, 0, sizeof o->scratch->eval);
    return dp_out_judge(o, f, 0) == DP_CLASSIFY_PERMIT;
}

DP_INLINE void dp_in_keep(const struct dp_out *o, struct dp_flow *f)
{
    f->generation = o->scratch->eval.generation;
    f->eval = o->scratch->eval;
    dp_event_tell(&o->scratch->key, &o->scratch->eval, &f->process, DP_REASON_NONE);
    dp_count(dp_flow_insert(o->key, f) ? DP_REASON_FLOW_CREATED : DP_REASON_FLOWS_FULL,
             o->packet->bytes);
}

/* A SYN. No entry is made: the answer makes it, so that a flood of SYNs leaves nothing behind. What
   no listener waits for is the stack's to refuse. */
DP_INLINE int dp_in_syn(const struct dp_out *o)
{
    __u32 accept = dp_layer_for(DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4, &o->key->remote);
    struct dp_socket *s;
    struct bpf_sock *sk;
    struct dp_flow *f;
    __u64 bind, listen;
    int allowed, action;

    if (!dp_layer_has_rows(accept) && !dp_wait_has_rows()) return DP_PASS;
    sk = dp_listener(o->skb, o->packet, 0);
    if (!sk) return DP_PASS;
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    allowed = s && dp_listen_allowed(sk, s, &o->scratch->endpoint);
    f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
    dp_owner_copy(f, s);
    bind = s ? s->bind_operation : 0;
    listen = s ? s->listen_operation : 0;
    bpf_sk_release(sk);
    action = dp_wait(o->skb, o->scratch, bind, listen, 1);
    if (action != DP_PASS) return action;
    if (!allowed) return dp_out_drop(o, DP_REASON_LISTEN_BLOCKED);
    if (!dp_in_judge(o, f)) return TC_ACT_SHOT;
    dp_event_tell(&o->scratch->key, &o->scratch->eval, &f->process, DP_REASON_NONE);
    return DP_PASS;
}

/* A datagram to a local socket begins an inbound flow, so that the answer is not taken for a
   connect. To a group: judged each time, many may listen. */
DP_INLINE int dp_in_datagram(const struct dp_out *o)
{
    struct dp_socket *s;
    struct bpf_sock *sk;
    struct dp_flow *f;
    __u64 bind;
    int action;

    if (o->packet->group) {
        f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
        if (!dp_layer_has_rows(f->layer) || dp_in_judge(o, f)) return DP_PASS;
        return TC_ACT_SHOT;
    }
    sk = dp_udp_socket(o->skb, o->packet);
    if (!sk) return DP_PASS;
    f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    dp_owner_copy(f, s);
    bind = s ? s->bind_operation : 0;
    bpf_sk_release(sk);
    action = dp_wait(o->skb, o->scratch, bind, 0, 1);
    if (action != DP_PASS) return action;
    if (!dp_in_judge(o, f)) return TC_ACT_SHOT;
    dp_in_keep(o, f);
    return DP_PASS;
}

/* ICMP that is no error, and what is none of TCP, UDP and ICMP. */
DP_INLINE int dp_in_other(const struct dp_out *o)
{
    struct dp_flow *f;

    if (!dp_layer_has_rows(dp_layer_for(DP_LAYER_ALE_AUTH_CONNECT_V4, &o->key->remote)) &&
        !dp_layer_has_rows(dp_layer_for(DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4, &o->key->remote)))
        return DP_PASS;
    f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
    if (!dp_in_judge(o, f)) return TC_ACT_SHOT;
    if (!o->packet->group) dp_in_keep(o, f);
    return DP_PASS;
}

DP_INLINE int dp_in_unknown(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;

    if (p->protocol == DP_PROTO_UDP) return dp_in_datagram(o);
    if (p->protocol != DP_PROTO_TCP) return dp_in_other(o);
    if ((p->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN) return dp_in_syn(o);
    return DP_PASS; /* the next packet that leaves makes the entry */
}

/* A permitted flow under a newer policy. What a callout must decide waits for the next packet that
   leaves: the port takes what a socket sent. */
DP_INLINE int dp_in_again(const struct dp_out *o, struct dp_flow *f)
{
    int r;

    o->scratch->eval = f->eval;
    r = dp_out_judge(o, f, DP_REAUTHORIZE_POLICY_CHANGE);
    if (r == DP_CLASSIFY_CALLOUT || dp_flow_judged(f, &o->scratch->eval, r, o->packet->protocol)) {
        dp_flow_touch(f, o->packet, 0);
        return DP_PASS;
    }
    return TC_ACT_SHOT;
}

DP_INLINE int dp_in_known(const struct dp_out *o, struct dp_flow *f)
{
    const struct dp_packet *p = o->packet;
    int tcp = p->protocol == DP_PROTO_TCP;
    int syn = tcp && (p->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN;

    switch (f->state) {
    case DP_FLOW_PERMITTED:
        if (syn && dp_flow_is_over(f)) {
            /* the peer begins a new connection on the old tuple */
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_in_unknown(o);
        }
        if (f->generation != dp_generation()) return dp_in_again(o, f);
        dp_flow_touch(f, p, 0);
        return DP_PASS;
    case DP_FLOW_BLOCKED:
        /* A RST ends the local socket's wait, whoever sent it; ours comes this way. */
        if (tcp && (p->tcp_flags & DP_TCP_RST)) return DP_PASS;
        if (!syn && dp_flow_awaits_cut(f)) return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
        if (f->generation != dp_generation() && f->direction == DP_DIRECTION_INBOUND) {
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_in_unknown(o);
        }
        return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
    default:
        if (f->flags & DP_FLOW_REAUTHORIZE)
            return DP_PASS; /* an open connection that is asked about again */
        return dp_out_drop(o, DP_REASON_HELD);
    }
}

#endif
