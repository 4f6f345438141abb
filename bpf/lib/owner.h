/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who a packet's socket belongs to. TC only. */
#ifndef SLUICE_BPF_LIB_OWNER_H
#define SLUICE_BPF_LIB_OWNER_H

#include "lib/sock_lookup.h"

/* The storage of the socket that sends this packet; 0: it has none, or is older than we are. */
DP_INLINE struct dp_socket *dp_socket_of(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;

    if (!sk) return 0;
    sk = bpf_sk_fullsock(sk);
    return sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
}

/* The record of the proxy's socket that sends this packet; 0: it has none. */
DP_INLINE const struct dp_redirect_record *dp_carried_of(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;

    if (!sk) return 0;
    sk = bpf_sk_fullsock(sk);
    return sk ? bpf_sk_storage_get(&carried, sk, 0, 0) : 0;
}

DP_INLINE void dp_owner_copy(struct dp_flow *f, const struct dp_socket *s)
{
    if (!s) return;
    f->process = s->process;
    f->cgroups = s->cgroups;
}

/* p is outbound, of a connection that a peer began: its owner is the listener's, which its socket
   has inherited. */
DP_INLINE void dp_owner_of_listener(struct dp_flow *f, struct __sk_buff *skb,
                                    const struct dp_packet *p)
{
    struct dp_socket *s;
    struct bpf_sock *sk = dp_listener(skb, p, 1);

    if (!sk) return;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (!f->process.start_ns) dp_owner_copy(f, s);
    if (s) f->parent = s->cookie;
    bpf_sk_release(sk);
}

/* The owner of a packet that waited for an operation: no socket is at hand when it comes back. */
DP_INLINE void dp_owner_of_operation(struct dp_flow *f, __u64 id)
{
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);

    if (!op) return;
    f->process = op->process;
    f->cgroups = op->cgroups;
    f->cookie = op->cookie;
}

#endif
