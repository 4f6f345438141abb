/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The application's view of a socket that connect() has redirected: its peer is the one that it
   asked for. And the target's: who asks for the peer of a redirected connection that it accepted,
   as accept() does, is a proxy. */
#ifndef SLUICE_BPF_HOOKS_REDIRECT_NAMES_H
#define SLUICE_BPF_HOOKS_REDIRECT_NAMES_H

#include "hooks/ale_connect.h"
#include "lib/redirect_peer.h"

/* Who accepts need not be who listens: a worker, or what a daemon has become. */
static __noinline int dp_peer_accepts(__u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_cgroups cgroups;
    struct dp_process process = {};

    if (!d || !d->record.hops) return 0;
    dp_process_current(&process, &cgroups);
    return dp_redirect_proxies(&process, id, d->record.hops - 1);
}

/* What the socket's owner asked for; 0: it was not redirected. */
DP_INLINE const struct dp_redirect *dp_name_of(struct bpf_sock *sk)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, 0);

    return s ? dp_redirect_find(s->redirect) : 0;
}

DP_INLINE void dp_name_write_v4(struct bpf_sock_addr *ctx, const struct dp_redirect *d)
{
    ctx->user_ip4 = bpf_htonl((__u32)d->app.remote.lo);
    ctx->user_port = bpf_htons(d->app.remote_port);
}

DP_INLINE void dp_name_write_v6(struct bpf_sock_addr *ctx, const struct dp_redirect *d)
{
    ctx->user_ip6[0] = bpf_htonl(d->app.remote.hi >> 32);
    ctx->user_ip6[1] = bpf_htonl((__u32)d->app.remote.hi);
    ctx->user_ip6[2] = bpf_htonl(d->app.remote.lo >> 32);
    ctx->user_ip6[3] = bpf_htonl((__u32)d->app.remote.lo);
    ctx->user_port = bpf_htons(d->app.remote_port);
}

DP_INLINE const struct dp_redirect *dp_name_peer(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    const struct dp_redirect *d;

    if (!sk || dp_ale_foreign(ctx)) return 0;
    d = dp_name_of(sk);
    if (!d && sk->protocol == DP_PROTO_TCP) dp_peer_accepts(dp_peer_redirect(sk));
    return d;
}

/* A datagram is received by another process than bound the socket. */
DP_INLINE void dp_peer_receives(struct bpf_sock *sk, const struct dp_addr *from, __u16 port)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    struct dp_flow_key k = {.local = *from, .local_port = port, .protocol = DP_PROTO_UDP};

    if (!s || s->process.tgid == bpf_get_current_pid_tgid() >> 32) return;
    k.remote = dp_sock_local(sk);
    k.remote_port = sk->src_port;
    dp_peer_accepts(dp_peer_search(&k));
}

/* The sender of a datagram, if it is the target in place of the peer. */
DP_INLINE const struct dp_redirect *dp_name_sender(struct bpf_sock_addr *ctx,
                                                   const struct dp_addr *from)
{
    struct bpf_sock *sk = ctx->sk;
    const struct dp_redirect *d;

    if (!sk || dp_ale_foreign(ctx)) return 0;
    d = dp_name_of(sk);
    if (!d) dp_peer_receives(sk, from, bpf_ntohs(ctx->user_port));
    return d && dp_addr_equal(&d->wire.remote, from) &&
                   d->wire.remote_port == bpf_ntohs(ctx->user_port)
               ? d
               : 0;
}

SEC("cgroup/getpeername4") int dp_getpeername4(struct bpf_sock_addr *ctx)
{
    const struct dp_redirect *d = dp_name_peer(ctx);

    if (d) dp_name_write_v4(ctx, d);
    return DP_ALLOW;
}

SEC("cgroup/getpeername6") int dp_getpeername6(struct bpf_sock_addr *ctx)
{
    const struct dp_redirect *d = dp_name_peer(ctx);

    if (d) dp_name_write_v6(ctx, d);
    return DP_ALLOW;
}

/* The local end that a callout chose; 0: bind() has it as it is. Of a port that the kernel chose in
   passing the socket knows more before its first packet. */
DP_INLINE const struct dp_redirect *dp_name_local(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!sk || dp_ale_foreign(ctx)) return 0;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    return s ? dp_binding_active(s->bind_operation) : 0;
}

SEC("cgroup/getsockname4") int dp_getsockname4(struct bpf_sock_addr *ctx)
{
    const struct dp_redirect *d = dp_name_local(ctx);

    if (!d) return DP_ALLOW;
    if (!dp_addr_is_any(&d->wire.local)) ctx->user_ip4 = bpf_htonl((__u32)d->wire.local.lo);
    if (d->wire.local_port) ctx->user_port = bpf_htons(d->wire.local_port);
    return DP_ALLOW;
}

SEC("cgroup/getsockname6") int dp_getsockname6(struct bpf_sock_addr *ctx)
{
    const struct dp_redirect *d = dp_name_local(ctx);

    if (!d) return DP_ALLOW;
    if (d->wire.local_port) ctx->user_port = bpf_htons(d->wire.local_port);
    if (dp_addr_is_any(&d->wire.local)) return DP_ALLOW;
    ctx->user_ip6[0] = bpf_htonl(d->wire.local.hi >> 32);
    ctx->user_ip6[1] = bpf_htonl((__u32)d->wire.local.hi);
    ctx->user_ip6[2] = bpf_htonl(d->wire.local.lo >> 32);
    ctx->user_ip6[3] = bpf_htonl((__u32)d->wire.local.lo);
    return DP_ALLOW;
}

SEC("cgroup/recvmsg4") int dp_recvmsg4(struct bpf_sock_addr *ctx)
{
    struct dp_addr from = dp_addr_v4(ctx->user_ip4);
    const struct dp_redirect *d = dp_name_sender(ctx, &from);

    if (d) dp_name_write_v4(ctx, d);
    return DP_ALLOW;
}

SEC("cgroup/recvmsg6") int dp_recvmsg6(struct bpf_sock_addr *ctx)
{
    __be32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    struct dp_addr from = dp_addr_v6(words);
    const struct dp_redirect *d = dp_name_sender(ctx, &from);

    if (d) dp_name_write_v6(ctx, d);
    return DP_ALLOW;
}

#endif
