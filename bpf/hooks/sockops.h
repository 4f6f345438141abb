/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection that was held is established: its patience goes back to what it was, and the window
   that the kernel cut for "lost" SYNs to the usual initial one. ALE_AUTH_LISTEN. The ends of
   connections. */
#ifndef SLUICE_BPF_HOOKS_SOCKOPS_H
#define SLUICE_BPF_HOOKS_SOCKOPS_H

#include "hooks/ale_connect.h"
#include "hooks/proxy_header.h"
#include "lib/flow_end.h"
#include "lib/tell.h"

#define DP_INITIAL_WINDOW 10

DP_INLINE void dp_sockops_established(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    int value;

    if (!s || !s->syncnt) return;
    value = s->syncnt;
    bpf_setsockopt(ctx, DP_SOL_TCP, DP_TCP_SYNCNT, &value, sizeof value);
    s->syncnt = 0;
    value = DP_INITIAL_WINDOW;
    bpf_setsockopt(ctx, DP_SOL_TCP, TCP_BPF_IW, &value, sizeof value);
}

DP_INLINE void dp_sockops_watch(struct bpf_sock_ops *ctx)
{
    bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* listen() itself cannot be refused here: the verdict stands in the socket's storage, and the
   daemon, which is told of it, destroys the socket. A function of its own for its stack. */
static __noinline int dp_sockops_listen(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    struct dp_endpoint at = {.port = ctx->local_port, .v6 = ctx->family == 10};
    __be32 words[4] = {ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2], ctx->local_ip6[3]};

    dp_sockops_watch(ctx);
    if (!s) return 0;
    dp_process_current(&s->process, &s->cgroups);
    s->cookie = bpf_get_socket_cookie(ctx);
    if (!dp_listen_has_rows()) return 0;
    at.address = at.v6 ? dp_addr_v6(words) : dp_addr_v4(ctx->local_ip4);
    dp_listen_judge(&at, s);
    return 0;
}

DP_INLINE void dp_sockops_key(struct bpf_sock_ops *ctx, struct dp_flow_key *k)
{
    __be32 local[4] = {ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2], ctx->local_ip6[3]};
    __be32 remote[4] = {ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2],
                        ctx->remote_ip6[3]};
    int v6 = ctx->family == 10;

    __builtin_memset(k, 0, sizeof *k);
    k->local = v6 ? dp_addr_v6(local) : dp_addr_v4(ctx->local_ip4);
    k->remote = v6 ? dp_addr_v6(remote) : dp_addr_v4(ctx->remote_ip4);
    k->local_port = ctx->local_port;
    k->remote_port = bpf_ntohl(ctx->remote_port);
    k->protocol = DP_PROTO_TCP;
}

/* A function of its own for its stack. */
static __noinline int dp_sockops_header(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct dp_flow_key k;

    dp_sockops_key(ctx, &k);
    dp_header_begin(ctx, sk, &k);
    return 0;
}

/* A connection that came to be, or a listener, is closed: each tells once. */
DP_INLINE int dp_sockops_ends(const struct bpf_sock_ops *ctx)
{
    __u32 was = ctx->args[0];

    return was != BPF_TCP_CLOSE && was != BPF_TCP_SYN_SENT && was != BPF_TCP_SYN_RECV &&
           dp_tell_has_rows(DP_LAYER_ALE_ENDPOINT_CLOSURE_V4);
}

DP_INLINE void dp_sockops_tell(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
                               const struct dp_flow_key *k, __u64 contexts)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    struct dp_work *w = s ? dp_work_take() : 0; /* no storage: older than the data plane */
    struct dp_told *t;

    if (!w) return;
    t = &w->told;
    __builtin_memset(t, 0, sizeof *t);
    t->layer = DP_LAYER_ALE_ENDPOINT_CLOSURE_V4;
    t->protocol = DP_PROTO_TCP;
    t->at.address = k->local;
    t->at.port = k->local_port;
    /* An IPv4 connection is one by whatever socket. */
    t->at.v6 = ctx->args[0] == BPF_TCP_LISTEN ? ctx->family == 10 : !dp_addr_is_v4(&k->remote);
    t->remote = k->remote;
    t->remote_port = k->remote_port;
    t->endpoint = bpf_get_socket_cookie(ctx);
    if (s->cookie != t->endpoint) t->parent = s->cookie;
    t->contexts = contexts;
    dp_tell(w, s);
    dp_work_give(w);
}

/* CLOSED, also on the way into TIME_WAIT: the peer may send on, so the entry stays for a while,
   unless the connection never came to be. A function of its own for its stack. */
static __noinline int dp_sockops_closed(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct dp_flow_key k;
    struct dp_flow *f;

    dp_sockops_key(ctx, &k);
    f = dp_flow_find(&k);
    if (dp_sockops_ends(ctx)) dp_sockops_tell(ctx, sk, &k, f ? f->contexts : 0);
    if (f) dp_flow_end(&k, f->ticket, f->state != DP_FLOW_ASKED && f->state != DP_FLOW_HELD);
    return 0;
}

SEC("sockops") int dp_sockops(struct bpf_sock_ops *ctx)
{
    struct bpf_sock *sk = ctx->sk;

    if (!sk || bpf_get_netns_cookie(ctx) != cfg.netns_cookie) return 1;
    if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
        dp_sockops_established(ctx, sk);
        dp_sockops_header(ctx, sk);
    }
    if (ctx->op == BPF_SOCK_OPS_RTT_CB) dp_header_end(ctx, sk);
    if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB || ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
        dp_sockops_watch(ctx);
    if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE)
        dp_sockops_closed(ctx, sk);
    if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB) dp_sockops_listen(ctx, sk);
    return 1;
}

#endif
