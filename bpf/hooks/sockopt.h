/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Socket options by which a target asks about the connection that it has accepted, and by which it
   says on whose behalf it will connect: level DP_SOL_SLUICE, and the options by which proxies
   have always asked NAT for the original destination. A program cannot tell more than fits the
   caller's buffer, nor a size with an error: a buffer that is too small is ERANGE. */
#ifndef SLUICE_BPF_HOOKS_SOCKOPT_H
#define SLUICE_BPF_HOOKS_SOCKOPT_H

#include <linux/errno.h>

#include "hooks/ale_bind.h"
#include "lib/redirect_peer.h"
#include "lib/redirect_record.h"

#define DP_SOL_IP 0
#define DP_SOL_IPV6 41
#define DP_ORIGINAL_DST 80
#define DP_COPY_WORDS (DP_REDIRECT_CONTEXT_MAX / 8)

struct dp_sockaddr_in {
    __u16 family;
    __be16 port;
    __be32 address;
    __u8 zero[8];
};
struct dp_sockaddr_in6 {
    __u16 family;
    __be16 port;
    __be32 flow;
    __be32 address[4];
    __u32 scope;
};

/* getsockopt: the call fails so. */
DP_INLINE int dp_option_fails(struct bpf_sockopt *ctx, int error)
{
    ctx->retval = -error;
    return 1;
}

/* getsockopt: the buffer holds the answer, so many bytes. */
DP_INLINE int dp_option_answers(struct bpf_sockopt *ctx, __u32 bytes)
{
    ctx->optlen = bytes;
    ctx->retval = 0;
    return 1;
}

DP_INLINE int dp_option_destination_v4(struct bpf_sockopt *ctx, const struct dp_redirect *d,
                                       int small)
{
    struct dp_sockaddr_in *to = ctx->optval;

    if ((void *)(to + 1) > ctx->optval_end) return dp_option_fails(ctx, small);
    __builtin_memset(to, 0, sizeof *to);
    to->family = 2;
    to->port = bpf_htons(d->app.remote_port);
    to->address = bpf_htonl((__u32)d->app.remote.lo);
    return dp_option_answers(ctx, sizeof *to);
}

DP_INLINE int dp_option_destination_v6(struct bpf_sockopt *ctx, const struct dp_redirect *d,
                                       int small)
{
    struct dp_sockaddr_in6 *to = ctx->optval;

    if ((void *)(to + 1) > ctx->optval_end) return dp_option_fails(ctx, small);
    __builtin_memset(to, 0, sizeof *to);
    to->family = DP_FAMILY_V6;
    to->port = bpf_htons(d->app.remote_port);
    to->address[0] = bpf_htonl(d->app.remote.hi >> 32);
    to->address[1] = bpf_htonl((__u32)d->app.remote.hi);
    to->address[2] = bpf_htonl(d->app.remote.lo >> 32);
    to->address[3] = bpf_htonl((__u32)d->app.remote.lo);
    return dp_option_answers(ctx, sizeof *to);
}

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, each for connections of its family only: the kernel's
   own answer stands otherwise. EINVAL is conntrack's word for a small buffer. */
DP_INLINE int dp_option_nat(struct bpf_sockopt *ctx, struct bpf_sock *sk, int v6)
{
    const struct dp_redirect *d = dp_redirect_find(dp_peer_redirect(sk));

    if (!d || v6 == dp_addr_is_v4(&d->app.remote)) return 1;
    return v6 ? dp_option_destination_v6(ctx, d, EINVAL) : dp_option_destination_v4(ctx, d, EINVAL);
}

DP_INLINE int dp_option_record(struct bpf_sockopt *ctx, struct dp_redirect *d)
{
    struct dp_redirect_record *to = ctx->optval;
    int sealed;

    if ((void *)(to + 1) > ctx->optval_end) return dp_option_fails(ctx, ERANGE);
    sealed = dp_record_seal(&d->record);
    DP_FORGET(sealed);
    if (!sealed) return dp_option_fails(ctx, ENETDOWN);
    *to = d->record;
    return dp_option_answers(ctx, sizeof *to);
}

struct dp_copy {
    struct bpf_sockopt *ctx;
    const __u8 *from; /* DP_REDIRECT_CONTEXT_MAX bytes */
    __u32 bytes;
};

/* Eight bytes a step, the last of them singly. */
static long dp_copy_step(__u32 i, struct dp_copy *c)
{
    __u32 at = i * 8 & (DP_REDIRECT_CONTEXT_MAX - 1);
    __u8 *to = c->ctx->optval;

    if (at >= c->bytes) return 1;
    to += at;
    for (__u32 n = 0; n < 8; n++) {
        if ((void *)(to + n + 1) > c->ctx->optval_end || at + n >= c->bytes) return 1;
        to[n] = c->from[at + n];
    }
    return 0;
}

DP_INLINE int dp_option_brief(struct bpf_sockopt *ctx, const struct dp_redirect *d, __u32 bytes)
{
    __u8 *to = ctx->optval;

    for (__u32 n = 0; n < DP_REDIRECT_BRIEF_MAX; n++) {
        if (n >= bytes || (void *)(to + n + 1) > ctx->optval_end) break;
        to[n] = d->brief[n];
    }
    return dp_option_answers(ctx, bytes);
}

DP_INLINE int dp_option_context(struct bpf_sockopt *ctx, const struct dp_redirect *d, __u64 id)
{
    struct dp_redirect_context *context = bpf_map_lookup_elem(&contexts_of, &id);
    struct dp_copy c = {.ctx = ctx, .bytes = d->context_bytes};

    if (!c.bytes) return dp_option_fails(ctx, ENODATA); /* 0 bytes would not be told */
    if (ctx->optlen < 0 || (__u32)ctx->optlen < c.bytes) return dp_option_fails(ctx, ERANGE);
    if (!context) return dp_option_brief(ctx, d, c.bytes);
    c.from = context->bytes;
    bpf_loop(DP_COPY_WORDS, dp_copy_step, &c, 0);
    return dp_option_answers(ctx, c.bytes);
}

DP_INLINE int dp_option_context_size(struct bpf_sockopt *ctx, const struct dp_redirect *d)
{
    __u32 *to = ctx->optval;

    if ((void *)(to + 1) > ctx->optval_end) return dp_option_fails(ctx, ERANGE);
    *to = d->context_bytes;
    return dp_option_answers(ctx, sizeof *to);
}

static __noinline int dp_option_caller(struct dp_process *p)
{
    struct dp_cgroups cgroups;

    dp_process_current(p, &cgroups);
    return 0;
}

/* Anybody with the socket may know where it was to go; what the callout said is for the target. */
DP_INLINE int dp_option_get(struct bpf_sockopt *ctx, struct bpf_sock *sk)
{
    __u64 id = dp_peer_redirect(sk);
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_process caller = {};

    if (ctx->optname < DP_SO_REDIRECT_RECORDS || ctx->optname > DP_SO_REDIRECT_CONTEXT_SIZE ||
        ctx->optname == DP_SO_REDIRECT_PEER)
        return dp_option_fails(ctx, ENOPROTOOPT);
    if (sk->protocol != DP_PROTO_TCP && sk->protocol != DP_PROTO_UDP)
        return dp_option_fails(ctx, EOPNOTSUPP);
    if (!d || d->state == DP_REDIRECT_DRAFT) return dp_option_fails(ctx, ENOENT);
    if (ctx->optname == DP_SO_ORIGINAL_DST)
        return dp_addr_is_v4(&d->app.remote) ? dp_option_destination_v4(ctx, d, ERANGE)
                                             : dp_option_destination_v6(ctx, d, ERANGE);
    dp_option_caller(&caller);
    if (!dp_record_is_for(&d->record, &caller)) return dp_option_fails(ctx, EACCES);
    if (ctx->optname == DP_SO_REDIRECT_CONTEXT) return dp_option_context(ctx, d, id);
    if (ctx->optname == DP_SO_REDIRECT_CONTEXT_SIZE) return dp_option_context_size(ctx, d);
    return dp_option_record(ctx, d);
}

SEC("cgroup/getsockopt") int dp_getsockopt(struct bpf_sockopt *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    int ours = ctx->level == DP_SOL_SLUICE;
    int v4 = ctx->level == DP_SOL_IP && ctx->optname == DP_ORIGINAL_DST;
    int v6 = ctx->level == DP_SOL_IPV6 && ctx->optname == DP_ORIGINAL_DST;

    if (!sk || (!ours && !v4 && !v6)) return 1;
    if (sk->family != 2 && sk->family != DP_FAMILY_V6) return 1;
    if (bpf_get_netns_cookie(ctx) != cfg.netns_cookie) return 1;
    return ours ? dp_option_get(ctx, sk) : dp_option_nat(ctx, sk, v6);
}

/* setsockopt: the call fails so. */
DP_INLINE int dp_option_refuses(int error)
{
    bpf_set_retval(-error);
    return 0;
}

/* setsockopt: done, and nothing for the kernel. */
DP_INLINE int dp_option_is_set(struct bpf_sockopt *ctx)
{
    ctx->optlen = -1;
    return 1;
}

/* enum dp_reason of what is against the record, which is whole. */
DP_INLINE __u32 dp_option_examine(const struct dp_redirect_record *record)
{
    struct dp_process caller = {};
    __u64 mac;

    if (record->magic != DP_RECORD_MAGIC || record->version != DP_RECORD_VERSION || !record->hops ||
        record->hops > DP_RECORD_HOPS_MAX)
        return DP_REASON_RECORDS_FORGED;
    mac = dp_record_mac(record);
    if (!mac || mac != record->mac) return DP_REASON_RECORDS_FORGED;
    if (record->compartment != cfg.compartment) return DP_REASON_RECORDS_FOREIGN;
    dp_option_caller(&caller);
    if (!dp_record_is_for(record, &caller)) return DP_REASON_RECORDS_FOREIGN;
    return dp_record_is_current(record);
}

DP_INLINE int dp_option_reason(__u32 reason)
{
    dp_count(reason, 0);
    switch (reason) {
    case DP_REASON_RECORDS_FOREIGN:
        return dp_option_refuses(EACCES);
    case DP_REASON_RECORDS_OLD:
        return dp_option_refuses(ESTALE);
    default:
        return dp_option_refuses(EINVAL);
    }
}

/* Before connect() only: afterwards it would say nothing about the connection. */
DP_INLINE int dp_option_set_record(struct bpf_sockopt *ctx, struct bpf_sock *sk)
{
    struct dp_redirect_record *record = ctx->optval, *kept;
    __u32 reason;

    if (sk->state != BPF_TCP_CLOSE) return dp_option_refuses(EISCONN);
    if (ctx->optlen != sizeof *record || (void *)(record + 1) > ctx->optval_end)
        return dp_option_reason(DP_REASON_RECORDS_FORGED);
    reason = dp_option_examine(record);
    if (reason) return dp_option_reason(reason);
    kept = bpf_sk_storage_get(&carried, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!kept) return dp_option_refuses(ENOMEM);
    *kept = *record;
    dp_count(DP_REASON_RECORDS_SET, 0);
    return dp_option_is_set(ctx);
}

/* The client may be named by the sockaddr that recvfrom() gave. */
DP_INLINE int dp_option_set_peer(struct bpf_sockopt *ctx, struct bpf_sock *sk)
{
    struct dp_sockaddr_in *v4 = ctx->optval;
    struct dp_sockaddr_in6 *v6 = ctx->optval;
    struct dp_socket_peer *peer;
    __u16 family, port;
    struct dp_addr at;

    if (sk->protocol != DP_PROTO_UDP) return dp_option_refuses(EOPNOTSUPP);
    if (ctx->optlen < (int)sizeof *v4 || (void *)(v4 + 1) > ctx->optval_end)
        return dp_option_refuses(EINVAL);
    family = v4->family;
    port = v4->port;
    at = dp_addr_v4(v4->address);
    if (family == DP_FAMILY_V6) {
        if (ctx->optlen < (int)sizeof *v6 || (void *)(v6 + 1) > ctx->optval_end)
            return dp_option_refuses(EINVAL);
        at = dp_addr_v6(v6->address);
    } else if (family != 2) {
        return dp_option_refuses(EAFNOSUPPORT);
    }
    peer = bpf_sk_storage_get(&socket_peer, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!peer) return dp_option_refuses(ENOMEM);
    peer->address = at;
    peer->port = bpf_ntohs(port);
    return dp_option_is_set(ctx);
}

SEC("cgroup/setsockopt") int dp_setsockopt(struct bpf_sockopt *ctx)
{
    struct bpf_sock *sk = ctx->sk;

    if (ctx->level != DP_SOL_SLUICE || !sk) return 1;
    if (sk->family != 2 && sk->family != DP_FAMILY_V6) return 1;
    if (bpf_get_netns_cookie(ctx) != cfg.netns_cookie) return 1;
    if (sk->protocol != DP_PROTO_TCP && sk->protocol != DP_PROTO_UDP)
        return dp_option_refuses(EOPNOTSUPP);
    if (ctx->optname == DP_SO_REDIRECT_RECORDS) return dp_option_set_record(ctx, sk);
    if (ctx->optname == DP_SO_REDIRECT_PEER) return dp_option_set_peer(ctx, sk);
    return dp_option_refuses(ENOPROTOOPT);
}

#endif
