/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The redirection that a socket of its target belongs to: an accepted or connected one by its
   tuple, an unconnected one by a client that it names. */
#ifndef SLUICE_BPF_LIB_REDIRECT_PEER_H
#define SLUICE_BPF_LIB_REDIRECT_PEER_H

#include "lib/redirect.h"

#define DP_FAMILY_V6 10

DP_INLINE struct dp_addr dp_sock_local(const struct bpf_sock *sk)
{
    __be32 words[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

    return sk->family == DP_FAMILY_V6 ? dp_addr_v6(words) : dp_addr_v4(sk->src_ip4);
}

DP_INLINE struct dp_addr dp_sock_remote(const struct bpf_sock *sk)
{
    __be32 words[4] = {sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3]};

    return sk->family == DP_FAMILY_V6 ? dp_addr_v6(words) : dp_addr_v4(sk->dst_ip4);
}

/* The client at the other end, or the one that the socket named. 0: neither. */
DP_INLINE int dp_peer_client(struct bpf_sock *sk, struct dp_flow_key *k)
{
    struct dp_socket_peer *named = bpf_sk_storage_get(&socket_peer, sk, 0, 0);

    __builtin_memset(k, 0, sizeof *k);
    k->protocol = sk->protocol;
    k->remote = dp_sock_local(sk);
    k->remote_port = sk->src_port;
    k->local = named ? named->address : dp_sock_remote(sk);
    k->local_port = named ? named->port : bpf_ntohs(sk->dst_port);
    return !!k->local_port;
}

DP_INLINE __u64 dp_peer_lookup(const struct dp_flow_key *k)
{
    __u64 *id = bpf_map_lookup_elem(&redirect_peers, k);

    return id ? *id : 0;
}

/* Loopback, in the client's family. */
DP_INLINE struct dp_addr dp_peer_loopback(const struct dp_flow_key *k)
{
    struct dp_addr a = {.lo = dp_addr_is_v4(&k->local) ? DP_V4_MAPPED | 0x7f000001 : 1};

    return a;
}

/* The redirection that a packet of its target belongs to. A datagram that a socket bound to the
   wildcard answers has the client's own address for source, though the client sent to loopback. */
static __noinline __u64 dp_peer_answers(struct dp_flow_key *k)
{
    __u64 id = dp_peer_lookup(k);

    if (id || k->protocol != DP_PROTO_UDP || !dp_addr_equal(&k->remote, &k->local)) return id;
    k->remote = dp_peer_loopback(k);
    return dp_peer_lookup(k);
}

/* A socket that is bound to the wildcard does not know to which of its addresses the client sent:
   loopback, and the client's own, are tried. A target at another address must be bound to it. The
   number of the redirection; 0: there is none. */
static __noinline __u64 dp_peer_search(struct dp_flow_key *k)
{
    __u64 id;

    if (!dp_addr_is_any(&k->remote)) return dp_peer_lookup(k);
    k->remote = dp_peer_loopback(k);
    id = dp_peer_lookup(k);
    if (id) return id;
    k->remote = k->local;
    return dp_peer_lookup(k);
}

/* 0: the socket has none. */
static __noinline __u64 dp_peer_redirect(struct bpf_sock *sk)
{
    struct dp_flow_key k;

    return dp_peer_client(sk, &k) ? dp_peer_search(&k) : 0;
}

#endif
