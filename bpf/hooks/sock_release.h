/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A socket closes: the flows that were its own are over. TCP connections outlive their sockets and
   tell by themselves (sockops). */
#ifndef SLUICE_BPF_HOOKS_SOCK_RELEASE_H
#define SLUICE_BPF_HOOKS_SOCK_RELEASE_H

#include "hooks/ale_bind.h"
#include "lib/flow_end.h"

/* The daemon knows the flows of a socket that had several. */
DP_INLINE void dp_release_tell(__u64 cookie)
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
    if (e.flows > 1) dp_release_tell(cookie);
}

/* An accepted socket has a copy of its listener's storage: not its own operations. */
DP_INLINE void dp_release_operations(struct bpf_sock *sk)
{
    struct dp_socket *s = bpf_sk_storage_get(&sockets, sk, 0, 0);

    if (!s || s->cookie != bpf_get_socket_cookie(sk)) return;
    dp_operation_end(s->bind_operation);
    dp_operation_end(s->listen_operation);
}

SEC("cgroup/sock_release") int dp_sock_release(struct bpf_sock *sk)
{
    if (bpf_get_netns_cookie(sk) != cfg.netns_cookie) return DP_ALLOW;
    dp_release_operations(sk);
    dp_release_flows(bpf_get_socket_cookie(sk));
    return DP_ALLOW;
}

#endif
