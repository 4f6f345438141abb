/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_RESOURCE_ASSIGNMENT: bind() once the port is chosen, the making of a raw socket, and the bind
   that connect() and sendmsg() imply. A refusal is EPERM. Who the socket belongs to is left in its
   storage. Where a callout decides the call succeeds and the socket's traffic waits
   (lib/operation.h). */
#ifndef SLUICE_BPF_HOOKS_ALE_BIND_H
#define SLUICE_BPF_HOOKS_ALE_BIND_H

#include "lib/listen.h"
#include "lib/operation.h"
#include "lib/process.h"

#define DP_ALLOW 1
#define DP_DENY 0 /* EPERM */
#define DP_SOCK_STREAM 1
#define DP_SOCK_DGRAM 2
#define DP_SOCK_RAW 3

DP_INLINE int dp_bind_has_rows(void)
{
    return dp_layer_has_rows(DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4) ||
           dp_layer_has_rows(DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6);
}

/* Inline: a kernel follows calls eight deep. */
DP_INLINE int dp_bind_judge(const struct dp_endpoint *at, struct dp_socket *s, __u32 protocol,
                            __u32 flags)
{
    struct dp_work *w;
    int r;

    if (!at || !s) return DP_DENY;
    w = dp_work_take();
    if (!w) return DP_DENY;
    dp_key_endpoint(&w->key, DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, at, &s->process, &s->cgroups);
    DP_NUMBER(&w->key, PROTOCOL) = protocol;
    DP_NUMBER(&w->key, FLAGS) |= flags;
    if (flags) w->key.empty |= DP_SLOT_BIT(LOCAL_PORT); /* none yet, or none ever */
    r = dp_classify(&w->key, &w->eval);
    DP_FORGET(r);
    dp_report(&w->key, &w->eval, r, 0, &s->process);
    if (r == DP_CLASSIFY_CALLOUT) {
        r = dp_use_admit(&w->key, &w->eval, &s->process, 0);
        DP_FORGET(r);
    }
    if (r == DP_CLASSIFY_CALLOUT) {
        s->bind_operation = dp_operation_begin(w, at, s);
        r = s->bind_operation ? DP_CLASSIFY_PERMIT : DP_CLASSIFY_BLOCK;
    }
    dp_work_give(w);
    return r == DP_CLASSIFY_PERMIT ? DP_ALLOW : DP_DENY;
}

DP_INLINE struct dp_socket *dp_bind_owner(struct bpf_sock *sk)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

    if (!s) return 0;
    dp_process_current(&s->process, &s->cgroups);
    s->cookie = bpf_get_socket_cookie(sk);
    return s;
}

/* A raw socket is judged as it is made and when it is bound: not again while the first is open. */
DP_INLINE int dp_bind_is_open(const struct dp_socket *s)
{
    __u64 id = s->bind_operation;
    struct dp_operation *op = id ? bpf_map_lookup_elem(&operations, &id) : 0;

    return op && dp_operation_is_open(op);
}

/* What is released when the socket closes. */
DP_INLINE void dp_bind_granted(struct dp_socket *s, const struct dp_endpoint *at)
{
    s->bind_judged++;
    s->bound = at->address;
    s->bound_port = at->port;
    s->bound_v6 = at->v6;
}

/* ALE_BIND_REDIRECT has asked about this very bind: ALE_RESOURCE_ASSIGNMENT follows there. */
DP_INLINE int dp_bind_is_asked(const struct dp_socket *s)
{
    return s && s->bind_operation && !s->bind_judged;
}

DP_INLINE int dp_bind_follows(struct dp_socket *s, const struct dp_endpoint *at)
{
    int reason;

    if (dp_operation_refused(s->bind_operation)) return DP_DENY;
    reason = dp_binding_bound(s->bind_operation, at->port);
    DP_FORGET(reason);
    if (reason) {
        dp_count(reason, 0);
        return DP_DENY;
    }
    dp_bind_granted(s, at);
    return DP_ALLOW;
}

DP_INLINE int dp_bind(struct bpf_sock *sk, const struct dp_endpoint *at, __u32 flags)
{
    struct dp_socket *s = dp_bind_owner(sk);
    int r;

    if (dp_bind_is_asked(s)) return dp_bind_follows(s, at);
    if (dp_bind_has_rows()) {
        if (!s) return DP_DENY;
        if (dp_operation_refused(s->bind_operation)) return DP_DENY;
        if (dp_bind_is_open(s)) return DP_ALLOW;
        r = dp_bind_judge(at, s, sk->protocol, flags);
        DP_FORGET(r);
        if (r != DP_ALLOW) return DP_DENY;
    }
    if (s) dp_bind_granted(s, at);
    if (at->port) dp_binding_yield(at, sk->protocol);
    return DP_ALLOW;
}

SEC("cgroup/post_bind4") int dp_post_bind4(struct bpf_sock *sk)
{
    struct dp_endpoint at = {.port = sk->src_port, .address = dp_addr_v4(sk->src_ip4)};

    if (bpf_get_netns_cookie(sk) != cfg.netns_cookie) return DP_ALLOW;
    return dp_bind(sk, &at, 0);
}

SEC("cgroup/post_bind6") int dp_post_bind6(struct bpf_sock *sk)
{
    __be32 words[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};
    struct dp_endpoint at = {.port = sk->src_port, .v6 = 1, .address = dp_addr_v6(words)};

    if (bpf_get_netns_cookie(sk) != cfg.netns_cookie) return DP_ALLOW;
    return dp_bind(sk, &at, 0);
}

/* Raw sockets have no other hook, ping sockets none that is sure to come. */
SEC("cgroup/sock_create") int dp_sock_create(struct bpf_sock *sk)
{
    struct dp_endpoint at = {.v6 = sk->family == 10};

    if (!at.v6) at.address = dp_addr_v4(0);
    if (sk->family != 2 && sk->family != 10) return DP_ALLOW;
    if (bpf_get_netns_cookie(sk) != cfg.netns_cookie) return DP_ALLOW;
    if (sk->type == DP_SOCK_RAW) return dp_bind(sk, &at, DP_CONDITION_IS_RAW_ENDPOINT);
    if (sk->type == DP_SOCK_DGRAM && dp_is_icmp(sk->protocol)) dp_bind_owner(sk);
    return DP_ALLOW;
}

#endif
