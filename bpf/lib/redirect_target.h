/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who owns the socket that a redirected connection will reach. */
#ifndef SLUICE_BPF_LIB_REDIRECT_TARGET_H
#define SLUICE_BPF_LIB_REDIRECT_TARGET_H

#include "lib/redirect.h"
#include "lib/sock_lookup.h"

/* The listener or UDP socket at the draft's newest destination, to be released; 0: none. By a peer
   port of 0, which finds no connection. */
DP_INLINE struct bpf_sock *dp_redirect_socket(void *ctx, const struct dp_redirect *d)
{
    struct bpf_sock_tuple t = {};
    const struct dp_addr *at = &d->wire.remote;
    __u32 size = dp_sock_tuple(&t, dp_addr_is_v4(at) ? 4 : 6, at, 0, at, d->wire.remote_port);

    return d->app.protocol == DP_PROTO_TCP
               ? bpf_sk_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0)
               : bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
}

/* Fills d->target. ctx: of a sock_addr program or of TC. enum dp_reason: NONE also where nobody
   listens, which the application hears as of any other address; REDIRECT_TARGET: it is not the
   process that was named. */
DP_INLINE __u32 dp_redirect_own(void *ctx, struct dp_redirect *d)
{
    const struct dp_redirect_version *v = dp_redirect_latest(d);
    struct bpf_sock *sk = dp_redirect_socket(ctx, d);
    struct dp_socket *s;

    if (!sk) return DP_REASON_NONE;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (s) d->target = s->process;
    bpf_sk_release(sk);
    return v && v->target_pid && d->target.tgid != v->target_pid ? DP_REASON_REDIRECT_TARGET
                                                                 : DP_REASON_NONE;
}

#endif
