/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the steps of connect() and sendmsg() share. */
#ifndef SLUICE_BPF_HOOKS_CONNECT_H
#define SLUICE_BPF_HOOKS_CONNECT_H

#include "hooks/ale_bind.h"

#define DP_SOL_TCP 6
#define DP_TCP_SYNCNT 7
#define DP_TCP_SYNCNT_MAX 127

DP_INLINE struct dp_socket *dp_socket_own(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!sk) return 0;
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!s) return 0;
    dp_process_current(&s->process, &s->cgroups);
    s->cookie = bpf_get_socket_cookie(ctx);
    return s;
}

/* connect() gives up after about two minutes of unanswered SYNs; one that is held must not. */
DP_INLINE void dp_connect_patience(struct bpf_sock_addr *ctx, struct dp_socket *s)
{
    int count = 0;

    if (ctx->protocol != DP_PROTO_TCP || s->syncnt) return;
    if (bpf_getsockopt(ctx, DP_SOL_TCP, DP_TCP_SYNCNT, &count, sizeof count)) return;
    s->syncnt = count;
    count = DP_TCP_SYNCNT_MAX;
    bpf_setsockopt(ctx, DP_SOL_TCP, DP_TCP_SYNCNT, &count, sizeof count);
}

/* Where a connect() or sendmsg() wants to go. */
struct dp_target {
    struct dp_addr remote;
    __u16 port;
    __u16 sendmsg;
    __u32 proxy;    /* its socket carries a record */
    __u64 redirect; /* draft of `redirects` that chose `remote`; 0: the application did */
};

/* Local address, port and interface are not chosen yet. */
DP_INLINE void dp_connect_key(struct dp_key *key, __u32 layer, const struct dp_target *to,
                              __u8 protocol, const struct dp_socket *s)
{
    struct dp_addr none = {};

    dp_key_begin(key, dp_layer_for(layer, &to->remote));
    dp_key_addresses(key, &none, &to->remote, 0, 0);
    dp_key_interfaces(key, 0, 0);
    key->unknown = DP_SLOT_BIT(LOCAL_ADDRESS) | DP_SLOT_BIT(LOCAL_ADDRESS_TYPE) |
                   DP_SLOT_BIT(LOCAL_PORT) | DP_SLOT_BIT(INTERFACE) |
                   DP_SLOT_BIT(NEXTHOP_INTERFACE);
    /* A group by its link address only is seen on the packet. */
    if (dp_addr_is_v4(&to->remote)) key->unknown |= DP_SLOT_BIT(REMOTE_ADDRESS_TYPE);
    DP_NUMBER(key, PROTOCOL) = protocol;
    DP_NUMBER(key, REMOTE_PORT) = to->port;
    if (to->redirect) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_CONNECTION_REDIRECTED;
    if (to->proxy) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_PROXY_CONNECTION;
    key->empty |= DP_SLOT_BIT(ORIGINAL_ICMP_TYPE);
    dp_key_owner(key, &s->process, &s->cgroups);
}

#endif
