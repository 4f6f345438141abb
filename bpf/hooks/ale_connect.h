/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* connect() and sendmsg() of every process: what a filter alone decides fails here with EPERM; the
   owner of the socket is left in its storage for TC. Local address and port are not chosen yet: a
   filter that asks for them is left to TC. */
#ifndef SLUICE_BPF_HOOKS_ALE_CONNECT_H
#define SLUICE_BPF_HOOKS_ALE_CONNECT_H

#include "hooks/ale_redirect.h"
#include "hooks/bind_redirect.h"
#include "lib/redirect_peer.h"

DP_INLINE int dp_refused_before(struct bpf_sock_addr *ctx, const struct dp_target *to)
{
    struct dp_refusal_key k = {
        .cookie = bpf_get_socket_cookie(ctx), .remote = to->remote, .remote_port = to->port};
    struct dp_refusal *r = bpf_map_lookup_elem(&refusals, &k);

    return r && r->generation == dp_generation() && bpf_ktime_get_ns() < r->until_ns;
}

/* The implicit bind, once a socket: its port is not known before the system call goes on. */
static __noinline int dp_ale_binds(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
    struct dp_endpoint at = {.v6 = ctx->family == 10};
    int r;

    if (!s || s->bind_judged || sk->src_port) return DP_ALLOW;
    at.address = dp_sock_local(sk);
    if (dp_bind_is_asked(s)) return dp_bind_follows(s, &at);
    if (dp_bind_has_rows()) {
        r = dp_bind_judge(&at, s, ctx->protocol, DP_CONDITION_IS_IMPLICIT_BIND);
        DP_FORGET(r);
        if (r != DP_ALLOW) return DP_DENY;
    }
    dp_bind_granted(s, &at);
    return DP_ALLOW;
}

/* The address that it binds, chosen by ALE_BIND_REDIRECT. */
DP_INLINE int dp_ale_source(struct bpf_sock_addr *ctx, const struct dp_target *to)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!sk || !dp_bind_redirect_has_rows()) return DP_ALLOW;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (!s || sk->src_port || !dp_source_is_open(sk, s)) return DP_ALLOW;
    return dp_source_asks(ctx, &to->remote);
}

/* The same of a datagram that names its peer itself. */
DP_INLINE int dp_ale_sends(struct bpf_sock_addr *ctx, const struct dp_target *to)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!sk || ctx->protocol != DP_PROTO_UDP || !dp_bind_redirect_has_rows()) return DP_ALLOW;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (!s || !dp_source_is_open(sk, s)) return DP_ALLOW;
    if (dp_addr_is_v4(&to->remote) ? s->source_judged_v4 : s->source_judged_v6) return DP_ALLOW;
    return dp_source_sends(ctx, &to->remote);
}

/* The owner, and what it may do at all. The steps are functions beside each other, for their
   stacks and for the depth of their calls. */
static __noinline int dp_ale_begin(struct bpf_sock_addr *ctx, struct dp_target *to)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!to) return DP_DENY;
    if (to->sendmsg && dp_refused_before(ctx, to)) {
        dp_count(DP_REASON_FLOW_BLOCKED, 0);
        return DP_DENY;
    }
    s = dp_socket_own(ctx);
    if (!s) return DP_DENY; /* no memory: nobody would know whose the packets are */
    if (dp_operation_refused(s->bind_operation)) {
        dp_count(DP_REASON_BIND_BLOCKED, 0);
        return DP_DENY;
    }
    if (!to->sendmsg) dp_connect_forget(s);
    to->proxy = sk && bpf_sk_storage_get(&carried, sk, 0, 0);
    return DP_ALLOW;
}

/* ALE_AUTH_CONNECT. */
static __noinline int dp_ale_judge(struct bpf_sock_addr *ctx, const struct dp_target *to)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
    struct dp_work *w = s ? dp_work_take() : 0;
    __u32 reason;
    int r;

    if (!w || !to) return DP_DENY;
    dp_connect_key(&w->key, DP_LAYER_ALE_AUTH_CONNECT_V4, to, ctx->protocol, s);
    r = dp_classify(&w->key, &w->eval);
    /* An answer belongs to the flow that the peer began. Which one is not known before the local
       address is: left to TC, which finds the flow or judges the first packet of a new one. */
    if (to->sendmsg && s->answers && r == DP_CLASSIFY_BLOCK) r = DP_CLASSIFY_DEFER;
    /* What TC decides is counted there. */
    reason = r == DP_CLASSIFY_BLOCK || r == DP_CLASSIFY_NO_POLICY
                 ? dp_report(&w->key, &w->eval, r, 0, &s->process)
                 : DP_REASON_NONE;
    dp_work_give(w);
    if (reason) return DP_DENY;
    s->needs_user = r == DP_CLASSIFY_CALLOUT || r == DP_CLASSIFY_DEFER;
    if (s->needs_user) dp_connect_patience(ctx, s);
    return DP_ALLOW;
}

/* All but the writing of another destination. */
DP_INLINE int dp_ale_connect(struct bpf_sock_addr *ctx, struct dp_target *to, int sendmsg)
{
    int r = dp_ale_begin(ctx, to);

    if (r == DP_ALLOW) r = sendmsg ? dp_ale_sends(ctx, to) : dp_ale_source(ctx, to);
    if (r != DP_ALLOW || dp_ale_binds(ctx) != DP_ALLOW) return DP_DENY;
    if (ctx->protocol != DP_PROTO_TCP && ctx->protocol != DP_PROTO_UDP)
        return DP_ALLOW; /* its type and code are in the packet */
    if (!dp_redirect_has_rows()) return dp_ale_judge(ctx, to);
    r = dp_ale_redirect(ctx, to);
    if (r != DP_SETTLED) return r;
    r = dp_ale_judge(ctx, to);
    return sendmsg ? r : dp_ale_settle(ctx, to, r);
}

/* Not ours: another namespace. */
DP_INLINE int dp_ale_foreign(struct bpf_sock_addr *ctx)
{
    return bpf_get_netns_cookie(ctx) != cfg.netns_cookie;
}

/* What ALE_BIND_REDIRECT chose for the datagrams of a socket, unless this one names its source. */
DP_INLINE void dp_ale_source_v4(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    const struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;

    if (s && !dp_addr_is_any(&s->source_v4) && !ctx->msg_src_ip4)
        ctx->msg_src_ip4 = bpf_htonl((__u32)s->source_v4.lo);
}

DP_INLINE void dp_ale_source_v6(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    const struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;

    if (!s || dp_addr_is_any(&s->source_v6) || ctx->msg_src_ip6[0] || ctx->msg_src_ip6[1] ||
        ctx->msg_src_ip6[2] || ctx->msg_src_ip6[3])
        return;
    ctx->msg_src_ip6[0] = bpf_htonl(s->source_v6.hi >> 32);
    ctx->msg_src_ip6[1] = bpf_htonl((__u32)s->source_v6.hi);
    ctx->msg_src_ip6[2] = bpf_htonl(s->source_v6.lo >> 32);
    ctx->msg_src_ip6[3] = bpf_htonl((__u32)s->source_v6.lo);
}

DP_INLINE int dp_ale_v4(struct bpf_sock_addr *ctx, int sendmsg)
{
    struct dp_target to = {
        .remote = dp_addr_v4(ctx->user_ip4), .port = bpf_ntohs(ctx->user_port), .sendmsg = sendmsg};
    int r;

    if (dp_ale_foreign(ctx)) return DP_ALLOW;
    r = dp_ale_connect(ctx, &to, sendmsg);
    if (r == DP_ALLOW && sendmsg) dp_ale_source_v4(ctx);
    if (r != DP_ALLOW || !to.redirect) return r;
    ctx->user_ip4 = bpf_htonl((__u32)to.remote.lo);
    ctx->user_port = bpf_htons(to.port);
    return DP_ALLOW;
}

/* v4-mapped: the packets are IPv4 and so is the layer. */
DP_INLINE int dp_ale_v6(struct bpf_sock_addr *ctx, int sendmsg)
{
    __be32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    struct dp_target to = {
        .remote = dp_addr_v6(words), .port = bpf_ntohs(ctx->user_port), .sendmsg = sendmsg};
    int r;

    if (dp_ale_foreign(ctx)) return DP_ALLOW;
    r = dp_ale_connect(ctx, &to, sendmsg);
    if (r == DP_ALLOW && sendmsg) dp_ale_source_v6(ctx);
    if (r != DP_ALLOW || !to.redirect) return r;
    ctx->user_ip6[0] = bpf_htonl(to.remote.hi >> 32);
    ctx->user_ip6[1] = bpf_htonl((__u32)to.remote.hi);
    ctx->user_ip6[2] = bpf_htonl(to.remote.lo >> 32);
    ctx->user_ip6[3] = bpf_htonl((__u32)to.remote.lo);
    ctx->user_port = bpf_htons(to.port);
    return DP_ALLOW;
}

SEC("cgroup/connect4") int dp_connect4(struct bpf_sock_addr *ctx)
{
    return dp_ale_v4(ctx, 0);
}
SEC("cgroup/connect6") int dp_connect6(struct bpf_sock_addr *ctx)
{
    return dp_ale_v6(ctx, 0);
}
SEC("cgroup/sendmsg4") int dp_sendmsg4(struct bpf_sock_addr *ctx)
{
    return dp_ale_v4(ctx, 1);
}
SEC("cgroup/sendmsg6") int dp_sendmsg6(struct bpf_sock_addr *ctx)
{
    return dp_ale_v6(ctx, 1);
}

/* A socket that was bound by the way has its port by now. */
DP_INLINE void dp_egress_learn(struct dp_socket *s, const struct bpf_sock *sk)
{
    __be32 words[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

    if (s->bound_port || !s->bind_judged || sk->type == DP_SOCK_RAW) return;
    s->bound = s->bound_v6 ? dp_addr_v6(words) : dp_addr_v4(sk->src_ip4);
    s->bound_port = sk->src_port;
}

/* What a callout must see cannot leave where no port is reached from. */
SEC("cgroup_skb/egress") int dp_skb_egress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    __u32 ifindex = skb->ifindex;
    struct dp_socket *s;

    if (!sk) return DP_ALLOW;
    sk = bpf_sk_fullsock(sk);
    if (!sk) return DP_ALLOW;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (s) dp_egress_learn(s, sk);
    if (!s || bpf_map_lookup_elem(&nics, &ifindex) ||
        (!s->needs_user && (!s->bind_operation || !dp_binding_find(s->bind_operation))))
        return DP_ALLOW;
    dp_count(DP_REASON_NO_NIC, skb->len);
    return DP_DENY;
}

#endif
