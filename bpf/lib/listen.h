/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_AUTH_LISTEN: judged at listen(), which a sockops program cannot refuse, and enforced on each
   SYN to the socket; under a newer policy judged again there. Where a callout decides, SYNs wait.
 */
#ifndef SLUICE_BPF_LIB_LISTEN_H
#define SLUICE_BPF_LIB_LISTEN_H

#include "lib/operation.h"

DP_INLINE int dp_listen_has_rows(void)
{
    return dp_layer_has_rows(DP_LAYER_ALE_AUTH_LISTEN_V4) ||
           dp_layer_has_rows(DP_LAYER_ALE_AUTH_LISTEN_V6);
}

DP_INLINE int dp_listen_ask(struct dp_work *w, const struct dp_endpoint *at, struct dp_socket *s)
{
    int r;

    if (s->listen_operation) return DP_CLASSIFY_PERMIT;
    r = dp_use_admit(&w->key, &w->eval, &s->process, 0);
    DP_FORGET(r);
    if (r != DP_CLASSIFY_CALLOUT) return r;
    s->listen_operation = dp_operation_begin(w, at, s);
    return s->listen_operation ? DP_CLASSIFY_PERMIT : DP_CLASSIFY_BLOCK;
}

/* Judges and remembers in the socket's storage. Inline: a kernel follows calls eight deep. */
DP_INLINE int dp_listen_judge(const struct dp_endpoint *at, struct dp_socket *s)
{
    struct dp_work *w;
    int r;

    if (!at || !s) return 0;
    w = dp_work_take();
    if (!w) {
        s->listen_blocked = 1;
        return 0;
    }
    dp_key_endpoint(&w->key, DP_LAYER_ALE_AUTH_LISTEN_V4, at, &s->process, &s->cgroups);
    DP_NUMBER(&w->key, PROTOCOL) = DP_PROTO_TCP;
    if (s->listen_generation) {
        DP_NUMBER(&w->key, FLAGS) |= DP_CONDITION_IS_REAUTHORIZE;
        DP_NUMBER(&w->key, REAUTHORIZE_REASON) = DP_REAUTHORIZE_POLICY_CHANGE;
    }
    r = dp_classify(&w->key, &w->eval);
    DP_FORGET(r);
    dp_report(&w->key, &w->eval, r, 0, &s->process);
    /* A callout's permit stands for as long as the socket listens. */
    if (r == DP_CLASSIFY_CALLOUT) r = dp_listen_ask(w, at, s);
    s->listen_blocked = r != DP_CLASSIFY_PERMIT;
    s->listen_generation = w->eval.generation;
    dp_work_give(w);
    return 0;
}

/* A SYN has come for the listener. */
DP_INLINE int dp_listen_allowed(const struct bpf_sock *sk, struct dp_socket *s,
                                struct dp_endpoint *at)
{
    if (s->listen_generation == dp_generation()) return !s->listen_blocked;
    at->port = sk->src_port;
    at->v6 = sk->family == 10;
    if (at->v6) {
        at->address.hi = (__u64)bpf_ntohl(sk->src_ip6[0]) << 32 | bpf_ntohl(sk->src_ip6[1]);
        at->address.lo = (__u64)bpf_ntohl(sk->src_ip6[2]) << 32 | bpf_ntohl(sk->src_ip6[3]);
    } else {
        at->address = dp_addr_v4(sk->src_ip4);
    }
    dp_listen_judge(at, s);
    return !s->listen_blocked;
}

#endif
