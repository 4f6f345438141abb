/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* connect() and sendmsg() of every process: what a filter alone decides fails here with EPERM; the
   owner of the socket is left in its storage for TC. Local address and port are not chosen yet: a
   filter that asks for them is left to TC. */
#ifndef SLUICE_BPF_HOOKS_ALE_CONNECT_H
#define SLUICE_BPF_HOOKS_ALE_CONNECT_H

#include "lib/process.h"

#include "lib/classify.h"
#include "lib/key.h"

#define DP_SOL_TCP 6
#define DP_TCP_SYNCNT 7
#define DP_TCP_SYNCNT_MAX 127

#define DP_ALLOW 1
#define DP_DENY 0 /* EPERM */

DP_INLINE struct dp_socket *dp_socket_own(struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s;

    if (!sk) return 0;
    s = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (s) dp_process_current(&s->process);
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

DP_INLINE int dp_refused_before(struct bpf_sock_addr *ctx, const struct dp_key *key)
{
    struct dp_refusal_key k = {.cookie = bpf_get_socket_cookie(ctx),
                               .remote = key->remote,
                               .remote_port = key->remote_port};
    struct dp_refusal *r = bpf_map_lookup_elem(&refusals, &k);

    return r && r->generation == dp_generation() && bpf_ktime_get_ns() < r->until_ns;
}

static __noinline int dp_ale_connect(struct bpf_sock_addr *ctx, struct dp_key *key, int sendmsg)
{
    struct dp_eval e = {};
    struct dp_socket *s;
    int r;

    if (!key) return DP_DENY;
    if (sendmsg && dp_refused_before(ctx, key)) {
        dp_count(DP_REASON_FLOW_BLOCKED, 0);
        return DP_DENY;
    }
    s = dp_socket_own(ctx);
    key->layer = dp_connect_layer(&key->remote);
    key->protocol = ctx->protocol;
    key->unknown = DP_FIELD_LOCAL_ADDRESS | DP_FIELD_LOCAL_PORT;
    r = dp_classify(key, &e);
    if (r == DP_CLASSIFY_BLOCK || r == DP_CLASSIFY_NO_POLICY) {
        dp_count_layer(key->layer, DP_LAYER_BLOCK, 0);
        dp_count_filter(e.filter_id);
        dp_count(r == DP_CLASSIFY_BLOCK ? DP_REASON_FILTER_BLOCK : DP_REASON_POLICY_MISSING, 0);
        return DP_DENY;
    }
    if (s) {
        s->needs_user = r == DP_CLASSIFY_CALLOUT || r == DP_CLASSIFY_DEFER;
        if (s->needs_user) dp_connect_patience(ctx, s);
    }
    return DP_ALLOW;
}

/* Not ours: another namespace, or neither TCP nor UDP. */
DP_INLINE int dp_ale_foreign(struct bpf_sock_addr *ctx)
{
    if (ctx->protocol != DP_PROTO_TCP && ctx->protocol != DP_PROTO_UDP) return 1;
    return bpf_get_netns_cookie(ctx) != cfg.netns_cookie;
}

DP_INLINE int dp_ale_v4(struct bpf_sock_addr *ctx, int sendmsg)
{
    struct dp_key key = {};

    if (dp_ale_foreign(ctx)) return DP_ALLOW;
    key.remote = dp_addr_v4(ctx->user_ip4);
    key.remote_port = bpf_ntohs(ctx->user_port);
    return dp_ale_connect(ctx, &key, sendmsg);
}

DP_INLINE int dp_ale_v6(struct bpf_sock_addr *ctx, int sendmsg)
{
    struct dp_key key = {};
    __be32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

    if (dp_ale_foreign(ctx)) return DP_ALLOW;
    key.remote = dp_addr_v6(words); /* v4-mapped: the packets are IPv4 and so is the layer */
    key.remote_port = bpf_ntohs(ctx->user_port);
    return dp_ale_connect(ctx, &key, sendmsg);
}

SEC("cgroup/connect4") int dp_connect4(struct bpf_sock_addr *ctx)
{
    return dp_ale_v4(ctx, 0);
}
SEC("cgroup/connect6") int dp_connect6(struct bpf_sock_addr *ctx)
{
    return dp_ale_v6(ctx, 0);
}
SEC("cgroup/sendmsg4") int dp_sendmsg4(struct bpf_sock_addr *ctx)
{
    return dp_ale_v4(ctx, 1);
}
SEC("cgroup/sendmsg6") int dp_sendmsg6(struct bpf_sock_addr *ctx)
{
    return dp_ale_v6(ctx, 1);
}

/* What a callout must see cannot leave where no port is reached from. */
SEC("cgroup_skb/egress") int dp_skb_egress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    __u32 ifindex = skb->ifindex;
    struct dp_socket *s;

    if (!sk) return DP_ALLOW;
    sk = bpf_sk_fullsock(sk);
    if (!sk) return DP_ALLOW;
    s = bpf_sk_storage_get(&sockets, sk, 0, 0);
    if (!s || !s->needs_user || bpf_map_lookup_elem(&nics, &ifindex)) return DP_ALLOW;
    dp_count(DP_REASON_NO_NIC, skb->len);
    return DP_DENY;
}

#endif
