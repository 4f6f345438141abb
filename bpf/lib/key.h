/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fills the classify key from what a hook sees. */
#ifndef SLUICE_BPF_LIB_KEY_H
#define SLUICE_BPF_LIB_KEY_H

#include "lib/flow_table.h"

DP_INLINE __u16 dp_connect_layer(const struct dp_addr *remote)
{
    return dp_addr_is_v4(remote) ? DP_LAYER_ALE_AUTH_CONNECT_V4 : DP_LAYER_ALE_AUTH_CONNECT_V6;
}

DP_INLINE void dp_key_from_flow(struct dp_key *key, const struct dp_flow_key *k, __u32 layer,
                                __u32 ifindex)
{
    __builtin_memset(key, 0, sizeof *key);
    key->layer = layer;
    key->ifindex = ifindex;
    key->protocol = k->protocol;
    key->local_port = k->local_port;
    key->remote_port = k->remote_port;
    key->local = k->local;
    key->remote = k->remote;
}

/* INBOUND_IPPACKET: local is the destination. A later fragment has no ports to compare. */
DP_INLINE void dp_key_from_ippacket(struct dp_key *key, const struct dp_packet *p, __u32 ifindex)
{
    __builtin_memset(key, 0, sizeof *key);
    key->layer = p->version == 4 ? DP_LAYER_INBOUND_IPPACKET_V4 : DP_LAYER_INBOUND_IPPACKET_V6;
    key->ifindex = ifindex;
    key->protocol = p->protocol;
    key->local_port = p->destination_port;
    key->remote_port = p->source_port;
    key->local = p->destination;
    key->remote = p->source;
    if (p->fragment) key->condition_flags |= DP_CONDITION_IS_FRAGMENT;
    if (p->fragment == DP_FRAGMENT_LATER) key->unknown = DP_FIELD_LOCAL_PORT | DP_FIELD_REMOTE_PORT;
}

/* Who opened the socket that sends this packet; zero if it is older than we are. */
DP_INLINE void dp_process_of(struct __sk_buff *skb, struct dp_process *p)
{
    struct bpf_sock *sk = skb->sk;
    struct dp_socket *s;

    if (!sk) return;
    sk = bpf_sk_fullsock(sk);
    if (!sk) return;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (s) *p = s->process;
}

#endif
