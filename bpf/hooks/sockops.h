/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection that was held is established: its patience goes back to what it was, and the window
   that the kernel cut for "lost" SYNs to the usual initial one. ALE_AUTH_LISTEN. The ends of
   connections. */
#ifndef SLUICE_BPF_HOOKS_SOCKOPS_H
#define SLUICE_BPF_HOOKS_SOCKOPS_H

#include "hooks/ale_connect.h"
#include "lib/flow_end.h"

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

/* listen() itself cannot be refused here: the verdict stands in the socket's storage, and the
   daemon, which is told of it, destroys the socket. */
DP_INLINE void dp_sockops_listen(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    struct dp_endpoint at = {.port = ctx->local_port, .v6 = ctx->family == 10};
    __be32 words[4] = {ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2], ctx->local_ip6[3]};

    if (!s) return;
    dp_process_current(&s->process, &s->cgroups);
    s->cookie = bpf_get_socket_cookie(ctx);
    if (!dp_listen_has_rows()) return;
    at.address = at.v6 ? dp_addr_v6(words) : dp_addr_v4(ctx->local_ip4);
    dp_listen_judge(&at, s);
}

DP_INLINE void dp_sockops_watch(struct bpf_sock_ops *ctx)
{
    bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
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

/* CLOSED, also on the way into TIME_WAIT: the peer may send on, so the entry stays for a while,
   unless the connection never came to be. */
DP_INLINE void dp_sockops_closed(struct bpf_sock_ops *ctx)
{
    struct dp_flow_key k;
    struct dp_flow *f;

    dp_sockops_key(ctx, &k);
    f = dp_flow_find(&k);
    if (f) dp_flow_end(&k, f->ticket, f->state != DP_FLOW_ASKED && f->state != DP_FLOW_HELD);
}

SEC("sockops") int dp_sockops(struct bpf_sock_ops *ctx)
{
    struct bpf_sock *sk = ctx->sk;

    if (!sk || bpf_get_netns_cookie(ctx) != cfg.netns_cookie) return 1;
    if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) dp_sockops_established(ctx, sk);
    if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB || ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
        dp_sockops_watch(ctx);
    if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE) dp_sockops_closed(ctx);
    if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB) dp_sockops_listen(ctx, sk);
    return 1;
}

#endif
