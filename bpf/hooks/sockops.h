/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection that was held is established: its patience goes back to what it was, and the window
   that the kernel cut for "lost" SYNs to the usual initial one. */
#ifndef SLUICE_BPF_HOOKS_SOCKOPS_H
#define SLUICE_BPF_HOOKS_SOCKOPS_H

#include "hooks/ale_connect.h"

#define DP_INITIAL_WINDOW 10

SEC("sockops") int dp_sockops(struct bpf_sock_ops *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;
    int value;

    if (ctx->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || !sk) return 1;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (!s || !s->syncnt) return 1;
    value = s->syncnt;
    bpf_setsockopt(ctx, DP_SOL_TCP, DP_TCP_SYNCNT, &value, sizeof value);
    s->syncnt = 0;
    value = DP_INITIAL_WINDOW;
    bpf_setsockopt(ctx, DP_SOL_TCP, TCP_BPF_IW, &value, sizeof value);
    return 1;
}

#endif
