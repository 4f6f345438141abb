/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_BIND_REDIRECT: bind() takes another address or port, which getsockname() then shows by
   itself; the bind that connect() implies takes another address, once a socket.
   ALE_RESOURCE_ASSIGNMENT sees what was taken. Where a callout must be asked the call takes what
   filters have made of it, and goes on (lib/binding.h). */
#ifndef SLUICE_BPF_HOOKS_BIND_REDIRECT_H
#define SLUICE_BPF_HOOKS_BIND_REDIRECT_H

#include <linux/in.h>
#include <linux/in6.h>

#include "hooks/connect.h"
#include "lib/bind_redirect.h"

#define DP_TURNED 3 /* another end than was asked for */

/* A bind() that failed has asked in vain. */
DP_INLINE void dp_bind_forget(struct dp_socket *s)
{
    __u64 id = s->bind_operation;

    s->bind_operation = 0;
    dp_operation_end(id);
    dp_redirect_end(id);
}

/* r: what the layer has come to in w. 1: it permits, or its callout is asked. */
DP_INLINE int dp_bind_put(struct dp_work *w, struct dp_socket *s, int r)
{
    if (r == DP_CLASSIFY_CALLOUT) {
        r = dp_bind_admit(&w->key, &w->eval, &w->told.at, &s->process);
        DP_FORGET(r);
    }
    if (r != DP_CLASSIFY_CALLOUT) return r == DP_CLASSIFY_PERMIT;
    s->bind_operation = dp_operation_begin(w, &w->told.at, s);
    return !!s->bind_operation;
}

/* `at`: the end that s is to be bound to, then the one to take. DP_ALLOW: that is the same. */
DP_INLINE int dp_bind_turn(struct dp_endpoint *at, struct dp_socket *s, __u32 protocol, __u32 flags)
{
    struct dp_work *w;
    int r, same;

    if (dp_operation_refused(s->bind_operation)) return DP_DENY;
    if (dp_bind_is_asked(s)) dp_bind_forget(s);
    w = dp_work_take();
    if (!w) return DP_DENY;
    w->told.at = *at;
    dp_key_endpoint(&w->key, DP_LAYER_ALE_BIND_REDIRECT_V4, at, &s->process, &s->cgroups);
    DP_NUMBER(&w->key, PROTOCOL) = protocol;
    DP_NUMBER(&w->key, FLAGS) |= flags;
    if (!at->port) w->key.empty |= DP_SLOT_BIT(LOCAL_PORT);
    r = dp_bind_redirect(&w->key, &w->eval, &w->told.at, &s->process);
    DP_FORGET(r);
    dp_report(&w->key, &w->eval, r, 0, &s->process);
    r = dp_bind_put(w, s, r);
    same = dp_addr_equal(&at->address, &w->told.at.address) && at->port == w->told.at.port;
    *at = w->told.at;
    dp_work_give(w);
    if (!r) return DP_DENY;
    if (same) return DP_ALLOW;
    dp_count(DP_REASON_BIND_REDIRECTED, 0);
    return DP_TURNED;
}

/* bind(). A function of its own for its stack. */
static __noinline int dp_bind_asks(struct bpf_sock_addr *ctx, struct dp_endpoint *at)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!at || !sk) return DP_ALLOW;
    s = dp_socket_own(ctx);
    return s ? dp_bind_turn(at, s, ctx->protocol, 0) : DP_DENY;
}

SEC("cgroup/bind4") int dp_bind4(struct bpf_sock_addr *ctx)
{
    struct dp_endpoint at = {.address = dp_addr_v4(ctx->user_ip4),
                             .port = bpf_ntohs(ctx->user_port)};
    int r;

    if (bpf_get_netns_cookie(ctx) != cfg.netns_cookie || !dp_bind_redirect_has_rows())
        return DP_ALLOW;
    r = dp_bind_asks(ctx, &at);
    if (r != DP_TURNED) return r;
    ctx->user_ip4 = bpf_htonl((__u32)at.address.lo);
    ctx->user_port = bpf_htons(at.port);
    return DP_ALLOW;
}

SEC("cgroup/bind6") int dp_bind6(struct bpf_sock_addr *ctx)
{
    __be32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    struct dp_endpoint at = {
        .address = dp_addr_v6(words), .port = bpf_ntohs(ctx->user_port), .v6 = 1};
    int r;

    if (bpf_get_netns_cookie(ctx) != cfg.netns_cookie || !dp_bind_redirect_has_rows())
        return DP_ALLOW;
    r = dp_bind_asks(ctx, &at);
    if (r != DP_TURNED) return r;
    ctx->user_ip6[0] = bpf_htonl(at.address.hi >> 32);
    ctx->user_ip6[1] = bpf_htonl((__u32)at.address.hi);
    ctx->user_ip6[2] = bpf_htonl(at.address.lo >> 32);
    ctx->user_ip6[3] = bpf_htonl((__u32)at.address.lo);
    ctx->user_port = bpf_htons(at.port);
    return DP_ALLOW;
}

DP_INLINE int dp_source_bind_v4(struct bpf_sock_addr *ctx, const struct dp_addr *a)
{
    struct sockaddr_in to = {.sin_family = 2};

    to.sin_addr.s_addr = bpf_htonl((__u32)a->lo);
    return bpf_bind(ctx, (void *)&to, sizeof to);
}

DP_INLINE int dp_source_bind_v6(struct bpf_sock_addr *ctx, const struct dp_addr *a)
{
    struct sockaddr_in6 to = {.sin6_family = 10};

    to.sin6_addr.s6_addr32[0] = bpf_htonl(a->hi >> 32);
    to.sin6_addr.s6_addr32[1] = bpf_htonl((__u32)a->hi);
    to.sin6_addr.s6_addr32[2] = bpf_htonl(a->lo >> 32);
    to.sin6_addr.s6_addr32[3] = bpf_htonl((__u32)a->lo);
    return bpf_bind(ctx, (void *)&to, sizeof to);
}

/* The bind that connect() implies. The family is the connection's: a source of the other is none.
   A function of its own for its stack. */
static __noinline int dp_source_asks(struct bpf_sock_addr *ctx, const struct dp_addr *remote)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
    struct dp_endpoint at = {};
    int r;

    if (!s || !remote) return DP_DENY;
    at.v6 = !dp_addr_is_v4(remote);
    if (!at.v6) at.address = dp_addr_v4(0);
    r = dp_bind_turn(&at, s, ctx->protocol, DP_CONDITION_IS_IMPLICIT_BIND);
    if (r != DP_TURNED || dp_addr_is_any(&at.address)) return r;
    r = ctx->family == 10 ? dp_source_bind_v6(ctx, &at.address)
                          : dp_source_bind_v4(ctx, &at.address);
    if (!r) return DP_ALLOW;
    dp_count(DP_REASON_REDIRECT_TARGET, 0); /* no address of this machine */
    return DP_DENY;
}

/* Whether it is to be asked for: once, of a socket that has no address yet. */
DP_INLINE int dp_source_is_open(const struct bpf_sock *sk, const struct dp_socket *s)
{
    return !s->bind_judged && !sk->src_ip4 && !sk->src_ip6[0] && !sk->src_ip6[1] &&
           !sk->src_ip6[2] && !sk->src_ip6[3];
}

/* sendmsg() of a socket that nobody has bound. The kernel has chosen its port; the address is each
   datagram's, as s says. Where a callout is asked, as of any bind. */
static __noinline int dp_source_sends(struct bpf_sock_addr *ctx, const struct dp_addr *remote)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
    struct dp_endpoint at = {};
    int r;

    if (!s || !remote) return DP_DENY;
    at.v6 = !dp_addr_is_v4(remote);
    if (!at.v6) at.address = dp_addr_v4(0);
    r = dp_bind_turn(&at, s, ctx->protocol, DP_CONDITION_IS_IMPLICIT_BIND);
    if (r == DP_DENY) return r;
    if (r == DP_TURNED && !dp_addr_is_any(&at.address) && !dp_addr_is_own(&at.address)) {
        dp_count(DP_REASON_REDIRECT_TARGET, 0);
        return DP_DENY;
    }
    if (at.v6) {
        s->source_judged_v6 = 1;
        s->source_v6 = at.address;
    } else {
        s->source_judged_v4 = 1;
        s->source_v4 = at.address;
    }
    at.port = sk->src_port;
    return dp_bind_is_asked(s) ? dp_bind_follows(s, &at) : DP_ALLOW;
}

#endif
