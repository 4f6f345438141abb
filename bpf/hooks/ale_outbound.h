/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows as TC egress sees them: ALE_AUTH_CONNECT for the first packet of an outbound one, the
   verdict for the rest; a packet of an inbound one obeys ALE_AUTH_RECV_ACCEPT's. A packet of an
   unknown flow leaves only after the layer has decided. */
#ifndef SLUICE_BPF_HOOKS_ALE_OUTBOUND_H
#define SLUICE_BPF_HOOKS_ALE_OUTBOUND_H

#include "hooks/ale_again.h"

/* CONNECT_REDIRECT is to judge the flow's first packet. Not of what was injected, nor where
   connect() has settled it. */
DP_INLINE int dp_out_redirects(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;
    const struct dp_socket *s;

    if (o->inbound || o->scratch->way.injected.host || p->group ||
        p->fragment == DP_FRAGMENT_LATER ||
        dp_address_type(&p->destination, 0) != DP_ADDRESS_UNICAST ||
        !dp_layer_has_rows(dp_layer_for(DP_LAYER_ALE_CONNECT_REDIRECT_V4, &o->key->remote)))
        return 0;
    s = dp_socket_of(o->skb);
    return !s || !dp_redirect_is_settled(s, o->key);
}

/* First packet of a flow that has no entry. */
DP_INLINE int dp_out_first(const struct dp_out *o, __u32 flags)
{
    struct dp_eval *e = &o->scratch->eval;
    struct dp_flow *f;
    int r;

    if (!(flags & DP_FLOW_MID_STREAM) && dp_out_redirects(o)) return DP_REDIRECTS;
    f = dp_out_prepare(o, flags, DP_DIRECTION_OUTBOUND);

    __builtin_memset(e, 0, sizeof *e);
    if (flags & DP_FLOW_MID_STREAM) f->again = DP_REAUTHORIZE_MID_STREAM;
    r = dp_out_judge(o, f, f->again);
    return dp_out_decide(o, f, r, 1);
}

/* The answer to what a peer began, which had no entry: TCP's SYN makes none. */
DP_INLINE int dp_out_accepted(const struct dp_out *o)
{
    struct dp_eval *e = &o->scratch->eval;
    __u32 reason = o->packet->tcp_flags & DP_TCP_SYN ? 0 : DP_REAUTHORIZE_MID_STREAM;
    __u32 flags = DP_FLOW_REPLIED | (reason ? DP_FLOW_MID_STREAM | DP_FLOW_REAUTHORIZE : 0);
    struct dp_flow *f = dp_out_prepare(o, flags, DP_DIRECTION_INBOUND);
    int r;

    dp_owner_of_listener(f, o->skb, o->packet);
    __builtin_memset(e, 0, sizeof *e);
    f->again = reason;
    r = dp_out_judge(o, f, reason);
    return dp_out_decide(o, f, r, 1);
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

/* A socket has taken the place of the one whose flow this was, which is closed: UDP has no SYN that
   would tell. Tunnels send with the sockets of what they carry, which say nothing. */
DP_INLINE int dp_out_other_socket(const struct dp_out *o, const struct dp_flow *f)
{
    struct bpf_sock *sk = o->skb->sk;

    if (!sk || !f->cookie || f->direction != DP_DIRECTION_OUTBOUND || o->scratch->way.back)
        return 0;
    sk = bpf_sk_fullsock(sk);
    if (!sk || sk->protocol != o->key->protocol || sk->src_port != o->key->local_port) return 0;
    return bpf_get_socket_cookie(o->skb) != f->cookie;
}

/* The SYN that was out went on less than half a second ago: this one is of the timer that ran while
   it was held, and its answer may be on the way. */
DP_INLINE int dp_out_doubles(const struct dp_flow *f)
{
    return bpf_ktime_get_ns() + DP_DRAIN_NS / 2 < f->deadline_ns;
}

DP_INLINE int dp_out_known(const struct dp_out *o, struct dp_flow *f)
{
    __u64 generation = dp_generation();
    int syn = (o->packet->tcp_flags & (DP_TCP_SYN | DP_TCP_ACK)) == DP_TCP_SYN &&
              o->packet->protocol == DP_PROTO_TCP;
    int other = (syn || o->packet->protocol == DP_PROTO_UDP) && dp_out_other_socket(o, f);
    __u32 again;

    switch (f->state) {
    case DP_FLOW_PERMITTED:
        if (other ||
            (syn && (dp_flow_is_over(f) || (f->flags & DP_FLOW_REPLIED) || f->direction))) {
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_out_first(o, 0);
        }
        if (syn && !o->scratch->way.injected.host && dp_out_doubles(f))
            return dp_out_drop(o, DP_REASON_HELD);
        if (f->generation != generation || dp_flow_strays(o, f)) {
            again = dp_again_reason(o, f);
            if (again) return dp_again(o, f, again);
        }
        o->scratch->way.seen = dp_seen(f, 0);
        dp_flow_touch(f, o->packet, 1);
        o->scratch->way.indicated = dp_flow_is_indicated(f);
        /* An accepted connection is known by its socket from the answer to the SYN on. */
        if (!f->cookie && !o->scratch->way.back) f->cookie = bpf_get_socket_cookie(o->skb);
        return DP_PASS;
    case DP_FLOW_BLOCKED:
        /* The same attempt once more hears the same; what comes later is a new one. */
        if (o->packet->tcp_flags & DP_TCP_RST) return DP_PASS; /* the peer hears of the end */
        if (!syn && dp_flow_awaits_cut(f)) return dp_out_drop(o, DP_REASON_FLOW_BLOCKED);
        if (other || f->generation != generation ||
            bpf_ktime_get_ns() > f->seen_ns + DP_BLOCKED_LINGER_NS) {
            if (!dp_flow_end(o->key, 0, 0)) return TC_ACT_SHOT;
            return dp_out_unknown(o);
        }
        return dp_out_refuse(o, DP_REASON_FLOW_BLOCKED);
    case DP_FLOW_COMPLETED:
        return dp_out_drop(o, DP_REASON_HELD);
    default:
        return dp_out_waits(o, f);
    }
}

#endif
