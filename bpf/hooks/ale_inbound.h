/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows as TC ingress sees them: ALE_AUTH_LISTEN and ALE_AUTH_RECV_ACCEPT for what a peer begins,
   the inbound half of what this machine began. */
#ifndef SLUICE_BPF_HOOKS_ALE_INBOUND_H
#define SLUICE_BPF_HOOKS_ALE_INBOUND_H

#include "hooks/ale_again.h"
#include "hooks/operation_wait.h"
#include "lib/listen.h"

/* No socket waits for the packet: the stack refuses it. From a port one that is bound to the NIC is
   not found: there the packet is judged on, by the mark bit alone. */
DP_INLINE int dp_in_nobody(const struct dp_out *o)
{
    if (!o->scratch->way.back) return DP_PASS;
    if (dp_way_tag(o->skb, &o->scratch->way)) return TC_ACT_SHOT;
    o->skb->mark |= cfg.mark_bit;
    return bpf_redirect(o->ifindex, BPF_F_INGRESS);
}

/* Judges the first packet of f, in scratch, which has its owner. `keep`: a permit makes an entry.
 */
DP_INLINE int dp_in_first(const struct dp_out *o, struct dp_flow *f, int keep)
{
    __builtin_memset(&o->scratch->eval, 0, sizeof o->scratch->eval);
    return dp_out_decide(o, f, dp_out_judge(o, f, 0), keep);
}

/* A SYN. Where filters alone permit it no entry is made: the answer makes it, so that a flood of
   SYNs leaves nothing behind. What no listener waits for is the stack's to refuse. */
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
    if (!sk) return dp_in_nobody(o);
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    allowed = s && dp_listen_allowed(sk, s, &o->scratch->endpoint);
    f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
    dp_owner_copy(f, s);
    if (s) f->parent = s->cookie;
    bind = s ? s->bind_operation : 0;
    listen = s ? s->listen_operation : 0;
    bpf_sk_release(sk);
    action = dp_wait(o->skb, bind, listen, 1);
    DP_FORGET(action);
    if (action != DP_PASS) return action;
    if (!allowed) return dp_out_drop(o, DP_REASON_LISTEN_BLOCKED);
    return dp_in_first(o, f, 0);
}

/* A datagram to a local socket begins an inbound flow, so that the answer is not taken for a
   connect. To a group: many may listen, nobody is its owner; judged each time. */
DP_INLINE int dp_in_datagram(const struct dp_out *o)
{
    struct dp_socket *s;
    struct bpf_sock *sk;
    struct dp_flow *f;
    __u64 bind;
    int action;

    if (o->packet->group) {
        f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
        return dp_layer_has_rows(f->layer) ? dp_in_first(o, f, 0) : DP_PASS;
    }
    sk = dp_udp_socket(o->skb, o->packet);
    if (!sk) return dp_in_nobody(o);
    f = dp_out_prepare(o, 0, DP_DIRECTION_INBOUND);
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    dp_owner_copy(f, s);
    if (s) f->cookie = s->cookie;
    if (s) s->answers = 1;
    bind = s ? s->bind_operation : 0;
    bpf_sk_release(sk);
    action = dp_wait(o->skb, bind, 0, 1);
    DP_FORGET(action);
    return action == DP_PASS ? dp_in_first(o, f, 1) : action;
}

/* ICMP that is no error, and what is none of TCP, UDP and ICMP. */
DP_INLINE int dp_in_other(const struct dp_out *o)
{
    if (!dp_layer_has_rows(dp_layer_for(DP_LAYER_ALE_AUTH_CONNECT_V4, &o->key->remote)) &&
        !dp_flow_has_layers(o->key, DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4))
        return DP_PASS;
    return dp_in_first(o, dp_out_prepare(o, 0, DP_DIRECTION_INBOUND), !o->packet->group);
}

DP_INLINE int dp_is_syn(const struct dp_packet *p)
{
    return p->protocol == DP_PROTO_TCP && (p->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN;
}

DP_INLINE int dp_in_unknown(const struct dp_out *o)
{
    if (o->packet->protocol == DP_PROTO_UDP) return dp_in_datagram(o);
    if (o->packet->protocol != DP_PROTO_TCP) return dp_in_other(o);
    if (dp_is_syn(o->packet)) return dp_in_syn(o);
    return DP_PASS; /* the next packet that leaves makes the entry */
}

/* The verdict is told until it is old; then the next attempt is judged as a new one. */
DP_INLINE int dp_in_blocked(const struct dp_out *o, const struct dp_flow *f)
{
    int inbound = f->direction == DP_DIRECTION_INBOUND;

    /* A RST ends the local socket's wait, whoever sent it; ours comes this way. */
    if (o->packet->protocol == DP_PROTO_TCP && (o->packet->tcp_flags & DP_TCP_RST)) return DP_PASS;
    if (!dp_is_syn(o->packet) && dp_flow_awaits_cut(f))
        return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
    if (!inbound || (f->generation == dp_generation() &&
                     bpf_ktime_get_ns() < f->seen_ns + DP_BLOCKED_LINGER_NS))
        return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
    if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
    return dp_in_unknown(o);
}

DP_INLINE int dp_in_known(const struct dp_out *o, struct dp_flow *f)
{
    /* Of what passes this machine only packets that wait come here. */
    __u32 state = o->scratch->way.passes ? DP_FLOW_HELD : f->state, again;

    switch (state) {
    case DP_FLOW_PERMITTED:
        if (dp_is_syn(o->packet) && dp_flow_is_over(f)) {
            /* the peer begins a new connection on the old tuple */
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_in_unknown(o);
        }
        if (f->generation != dp_generation() || dp_flow_strays(o, f)) {
            again = dp_again_reason(o, f);
            if (again) return dp_again(o, f, again);
        }
        o->scratch->way.seen = dp_seen(f, 1);
        dp_flow_touch(f, o->packet, 0);
        o->scratch->way.indicated = dp_flow_is_indicated(f);
        return DP_PASS;
    case DP_FLOW_BLOCKED:
        return dp_in_blocked(o, f);
    case DP_FLOW_COMPLETED:
        if (bpf_ktime_get_ns() > f->deadline_ns) { /* nothing was injected */
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_in_unknown(o);
        }
        return dp_in_completed(o, f);
    default:
        /* The end of a connection that is asked about again need not wait. */
        if (o->packet->protocol == DP_PROTO_TCP && o->packet->tcp_flags & DP_TCP_RST &&
            f->flags & DP_FLOW_REAUTHORIZE)
            return DP_PASS;
        return dp_out_waits(o, f);
    }
}

#endif
