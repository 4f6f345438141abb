/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* connect() and sendmsg() of every process: what a filter alone decides fails here with EPERM; the
   owner of the socket is left in its storage for TC. Local address and port are not chosen yet: a
   filter that asks for them is left to TC. */
#ifndef SLUICE_BPF_HOOKS_ALE_CONNECT_H
#define SLUICE_BPF_HOOKS_ALE_CONNECT_H

#include "hooks/ale_bind.h"
#include "lib/redirect_judge.h"
#include "lib/redirect_target.h"

#define DP_SOL_TCP 6
#define DP_TCP_SYNCNT 7
#define DP_TCP_SYNCNT_MAX 127

DP_INLINE struct dp_socket *dp_socket_own(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!sk) return 0;
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!s) return 0;
    dp_process_current(&s->process, &s->cgroups);
    s->cookie = bpf_get_socket_cookie(ctx);
    return s;
}

/* connect() gives up after about two minutes of unanswered SYNs; one that is held must not. */
DP_INLINE void dp_connect_patience(struct bpf_sock_addr *ctx, struct dp_socket *s)
{
    int count = 0;

    if (ctx->protocol != DP_PROTO_TCP || s->syncnt) return;
    if (bpf_getsockopt(ctx, DP_SOL_TCP, DP_TCP_SYNCNT, &count, sizeof count)) return;
    s->syncnt = count;
    count = DP_TCP_SYNCNT_MAX;
    bpf_setsockopt(ctx, DP_SOL_TCP, DP_TCP_SYNCNT, &count, sizeof count);
}

/* Where a connect() or sendmsg() wants to go. */
struct dp_target {
    struct dp_addr remote;
    __u16 port;
    __u16 sendmsg;
    __u32 pad;
};

DP_INLINE int dp_refused_before(struct bpf_sock_addr *ctx, const struct dp_target *to)
{
    struct dp_refusal_key k = {
        .cookie = bpf_get_socket_cookie(ctx), .remote = to->remote, .remote_port = to->port};
    struct dp_refusal *r = bpf_map_lookup_elem(&refusals, &k);

    return r && r->generation == dp_generation() && bpf_ktime_get_ns() < r->until_ns;
}

/* Local address, port and interface are not chosen yet. */
DP_INLINE void dp_connect_key(struct dp_key *key, const struct dp_target *to, __u8 protocol,
                              const struct dp_socket *s)
{
    struct dp_addr none = {};

    dp_key_begin(key, dp_layer_for(DP_LAYER_ALE_AUTH_CONNECT_V4, &to->remote));
    dp_key_addresses(key, &none, &to->remote, 0, 0);
    dp_key_interfaces(key, 0, 0);
    key->unknown = DP_SLOT_BIT(LOCAL_ADDRESS) | DP_SLOT_BIT(LOCAL_ADDRESS_TYPE) |
                   DP_SLOT_BIT(LOCAL_PORT) | DP_SLOT_BIT(INTERFACE) |
                   DP_SLOT_BIT(NEXTHOP_INTERFACE);
    /* A group by its link address only is seen on the packet. */
    if (dp_addr_is_v4(&to->remote)) key->unknown |= DP_SLOT_BIT(REMOTE_ADDRESS_TYPE);
    DP_NUMBER(key, PROTOCOL) = protocol;
    DP_NUMBER(key, REMOTE_PORT) = to->port;
    key->empty |= DP_SLOT_BIT(ORIGINAL_ICMP_TYPE);
    dp_key_owner(key, &s->process, &s->cgroups);
}

/* The implicit bind, once a socket: its port is not known before the system call goes on. */
DP_INLINE int dp_connect_binds(struct bpf_sock_addr *ctx, struct dp_socket *s)
{
    struct dp_endpoint at = {.v6 = ctx->family == 10};
    struct bpf_sock *sk = ctx->sk;
    int r;

    if (s->bind_judged || !sk || sk->src_port) return DP_ALLOW;
    if (!at.v6) at.address = dp_addr_v4(0);
    if (dp_bind_has_rows()) {
        r = dp_bind_judge(&at, s, ctx->protocol, DP_CONDITION_IS_IMPLICIT_BIND);
        DP_FORGET(r);
        if (r != DP_ALLOW) return DP_DENY;
    }
    dp_bind_granted(s, &at);
    return DP_ALLOW;
}

DP_INLINE int dp_connect_classify(struct bpf_sock_addr *ctx, const struct dp_target *to,
                                  struct dp_socket *s)
{
    struct dp_work *w = dp_work_take();
    __u32 reason;
    int r;

    if (!w) return DP_DENY;
    dp_connect_key(&w->key, to, ctx->protocol, s);
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

static __noinline int dp_ale_connect(struct bpf_sock_addr *ctx, const struct dp_target *to)
{
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
    if (dp_connect_binds(ctx, s) == DP_DENY) return DP_DENY;
    if (ctx->protocol != DP_PROTO_TCP && ctx->protocol != DP_PROTO_UDP)
        return DP_ALLOW; /* its type and code are in the packet */
    return dp_connect_classify(ctx, to, s);
}

/* Not ours: another namespace. */
DP_INLINE int dp_ale_foreign(struct bpf_sock_addr *ctx)
{
    return bpf_get_netns_cookie(ctx) != cfg.netns_cookie;
}

DP_INLINE int dp_ale_v4(struct bpf_sock_addr *ctx, int sendmsg)
{
    struct dp_target to = {
        .remote = dp_addr_v4(ctx->user_ip4), .port = bpf_ntohs(ctx->user_port), .sendmsg = sendmsg};

    return dp_ale_foreign(ctx) ? DP_ALLOW : dp_ale_connect(ctx, &to);
}

/* v4-mapped: the packets are IPv4 and so is the layer. */
DP_INLINE int dp_ale_v6(struct bpf_sock_addr *ctx, int sendmsg)
{
    __be32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    struct dp_target to = {
        .remote = dp_addr_v6(words), .port = bpf_ntohs(ctx->user_port), .sendmsg = sendmsg};

    return dp_ale_foreign(ctx) ? DP_ALLOW : dp_ale_connect(ctx, &to);
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
    if (!s || !s->needs_user || bpf_map_lookup_elem(&nics, &ifindex)) return DP_ALLOW;
    dp_count(DP_REASON_NO_NIC, skb->len);
    return DP_DENY;
}

#endif
