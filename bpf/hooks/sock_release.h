/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A socket closes: the flows that were its own are over. TCP connections outlive their sockets and
   tell by themselves (sockops). */
#ifndef SLUICE_BPF_HOOKS_SOCK_RELEASE_H
#define SLUICE_BPF_HOOKS_SOCK_RELEASE_H

#include "hooks/ale_bind.h"
#include "lib/flow_end.h"
#include "lib/tell.h"

#define DP_RELEASES_MAX 4 /* a raw socket is assigned as it is made and with each bind */

/* The daemon knows the flows of a socket that had several. */
DP_INLINE void dp_release_report(__u64 cookie)
{
    struct dp_event *ev = bpf_ringbuf_reserve(&events, sizeof *ev, 0);

    if (!ev) { /* they end when they have been idle */
        dp_count(DP_REASON_EVENTS_LOST, 0);
        return;
    }
    __builtin_memset(ev, 0, sizeof *ev);
    ev->type = DP_EVENT_SOCKET_CLOSED;
    ev->time_ns = bpf_ktime_get_ns();
    ev->filter_id = cookie;
    bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
}

DP_INLINE void dp_release_flows(__u64 cookie)
{
    struct dp_endpoint_flows *kept = bpf_map_lookup_elem(&endpoints, &cookie), e;

    if (!kept) return;
    e = *kept;
    bpf_map_delete_elem(&endpoints, &cookie);
    dp_flow_end(&e.last, e.id, 0);
    if (e.flows > 1) dp_release_report(cookie);
}

/* What the socket was, before it is closed. */
DP_INLINE void dp_release_told(struct dp_told *t, struct bpf_sock *sk, const struct dp_socket *s)
{
    __be32 remote[4] = {sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3]};

    __builtin_memset(t, 0, sizeof *t);
    t->at.v6 = sk->family == 10;
    t->at.address = s->bound; /* a socket on its way out shows its own no more */
    t->at.port = s->bound_port;
    t->remote = t->at.v6 ? dp_addr_v6(remote) : dp_addr_v4(sk->dst_ip4);
    t->remote_port = bpf_ntohs(sk->dst_port);
    if (sk->type == DP_SOCK_RAW) { /* its port is the protocol */
        t->flags = DP_CONDITION_IS_RAW_ENDPOINT;
        t->at.port = 0;
    }
    t->protocol = sk->protocol;
    t->endpoint = s->cookie;
}

/* Once for each assignment; one that is open or was refused had none. */
DP_INLINE void dp_release_resources(struct dp_work *w, const struct dp_socket *s)
{
    __u64 id = s->bind_operation;
    struct dp_operation *op = id ? bpf_map_lookup_elem(&operations, &id) : 0;
    __u32 count = s->bind_judged;

    if (op && op->state != DP_FLOW_PERMITTED && op->state != DP_FLOW_DRAINING && count) count--;
    w->told.layer = DP_LAYER_ALE_RESOURCE_RELEASE_V4;
    for (__u32 i = 0; i < DP_RELEASES_MAX && i < count; i++)
        dp_tell(w, s);
}

DP_INLINE void dp_release_tell_all(struct bpf_sock *sk, const struct dp_socket *s)
{
    int closure = dp_tell_has_rows(DP_LAYER_ALE_ENDPOINT_CLOSURE_V4);
    int release = dp_tell_has_rows(DP_LAYER_ALE_RESOURCE_RELEASE_V4);
    struct dp_work *w = closure || release ? dp_work_take() : 0;

    if (!w) return;
    dp_release_told(&w->told, sk, s);
    w->told.layer = DP_LAYER_ALE_ENDPOINT_CLOSURE_V4;
    /* A TCP connection or listener tells by itself. */
    if (closure && (sk->type == DP_SOCK_DGRAM || sk->type == DP_SOCK_RAW)) dp_tell(w, s);
    if (release) dp_release_resources(w, s);
    dp_work_give(w);
}

/* A TCP connection ends by itself, if it has begun. */
DP_INLINE void dp_release_redirect(const struct bpf_sock *sk, const struct dp_socket *s)
{
    const struct dp_redirect *d = dp_redirect_find(s->redirect);

    if (d && (sk->type != DP_SOCK_STREAM || !d->wire.local_port)) dp_redirect_end(s->redirect);
}

/* What TCP has yet to send needs it: sluiced ends it when the connection is gone. */
DP_INLINE void dp_release_binding(const struct bpf_sock *sk, const struct dp_socket *s)
{
    struct dp_redirect *d = dp_binding_find(s->bind_operation);

    if (!d) return;
    if (sk->type == DP_SOCK_STREAM && d->state == DP_REDIRECT_LIVE)
        d->ended_ns = bpf_ktime_get_ns();
    else
        dp_redirect_end(s->bind_operation);
}

/* An accepted socket has a copy of its listener's storage: neither its own binds nor operations. */
DP_INLINE void dp_release_own(struct bpf_sock *sk, __u64 cookie)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, 0);

    if (!s || s->cookie != cookie) return;
    dp_release_tell_all(sk, s);
    dp_release_redirect(sk, s);
    dp_operation_end(s->bind_operation);
    dp_release_binding(sk, s);
    dp_operation_end(s->listen_operation);
}

SEC("cgroup/sock_release") int dp_sock_release(struct bpf_sock *sk)
{
    __u64 cookie = bpf_get_socket_cookie(sk);

    if (bpf_get_netns_cookie(sk) != cfg.netns_cookie) return DP_ALLOW;
    dp_release_own(sk, cookie);
    dp_release_flows(cookie);
    return DP_ALLOW;
}

#endif
