/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a local socket waits for what a packet belongs to. TC only. */
#ifndef SLUICE_BPF_LIB_SOCK_LOOKUP_H
#define SLUICE_BPF_LIB_SOCK_LOOKUP_H

#include "lib/parse.h"

/* As a packet from `remote` to `local` would be looked up. Returns the bytes of the tuple in use.
 */
DP_INLINE __u32 dp_sock_tuple(struct bpf_sock_tuple *t, __u8 version, const struct dp_addr *remote,
                              __u16 remote_port, const struct dp_addr *local, __u16 local_port)
{
    if (version == 4) {
        t->ipv4.saddr = bpf_htonl((__u32)remote->lo);
        t->ipv4.daddr = bpf_htonl((__u32)local->lo);
        t->ipv4.sport = bpf_htons(remote_port);
        t->ipv4.dport = bpf_htons(local_port);
        return sizeof t->ipv4;
    }
    t->ipv6.saddr[0] = bpf_htonl(remote->hi >> 32);
    t->ipv6.saddr[1] = bpf_htonl((__u32)remote->hi);
    t->ipv6.saddr[2] = bpf_htonl(remote->lo >> 32);
    t->ipv6.saddr[3] = bpf_htonl((__u32)remote->lo);
    t->ipv6.daddr[0] = bpf_htonl(local->hi >> 32);
    t->ipv6.daddr[1] = bpf_htonl((__u32)local->hi);
    t->ipv6.daddr[2] = bpf_htonl(local->lo >> 32);
    t->ipv6.daddr[3] = bpf_htonl((__u32)local->lo);
    t->ipv6.sport = bpf_htons(remote_port);
    t->ipv6.dport = bpf_htons(local_port);
    return sizeof t->ipv6;
}

/* With the peer's port `remote_port`. A socket that is no listener counts for none. */
DP_INLINE struct bpf_sock *dp_listener_by(struct __sk_buff *skb, const struct dp_packet *p,
                                          int outbound, __u16 remote_port)
{
    struct bpf_sock_tuple t = {};
    __u32 size = outbound ? dp_sock_tuple(&t, p->version, &p->destination, remote_port, &p->source,
                                          p->source_port)
                          : dp_sock_tuple(&t, p->version, &p->source, remote_port, &p->destination,
                                          p->destination_port);
    struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);

    if (sk && sk->state != BPF_TCP_LISTEN) {
        bpf_sk_release(sk);
        return 0;
    }
    return sk;
}

/* The listener of the local side's port, to be released; 0: none. Of an SO_REUSEPORT group the one
   that the stack takes, by the peer's port; that port may also find what is left of a connection,
   and port 0 finds only listeners. */
DP_INLINE struct bpf_sock *dp_listener(struct __sk_buff *skb, const struct dp_packet *p,
                                       int outbound)
{
    struct bpf_sock *sk =
        dp_listener_by(skb, p, outbound, outbound ? p->destination_port : p->source_port);

    return sk ? sk : dp_listener_by(skb, p, outbound, 0);
}

/* p is outbound: does its own port have a listener? */
DP_INLINE int dp_listener_exists(struct __sk_buff *skb, const struct dp_packet *p)
{
    struct bpf_sock *sk = dp_listener(skb, p, 1);

    if (!sk) return 0;
    bpf_sk_release(sk);
    return 1;
}

/* The socket that a datagram is for, to be released; 0: none. */
DP_INLINE struct bpf_sock *dp_udp_socket(struct __sk_buff *skb, const struct dp_packet *p)
{
    struct bpf_sock_tuple t = {};
    __u32 size = dp_sock_tuple(&t, p->version, &p->source, p->source_port, &p->destination,
                               p->destination_port);

    return bpf_sk_lookup_udp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
}

#endif
