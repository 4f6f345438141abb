/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* PROXY protocol v2 for targets that ask for it: the header goes in front of the first bytes that
   the application sends. The connection is in `headers` only until then, so that what follows goes
   the usual way. A target that speaks first must not wait for it. */
#ifndef SLUICE_BPF_HOOKS_PROXY_HEADER_H
#define SLUICE_BPF_HOOKS_PROXY_HEADER_H

#include "lib/flow_table.h"
#include "lib/route.h"

#define DP_HEADER_START 16
#define DP_HEADER_V4 (DP_HEADER_START + 12)
#define DP_HEADER_V6 (DP_HEADER_START + 36)

struct dp_header_v4 {
    __u8 start[DP_HEADER_START];
    __be32 source, destination;
    __be16 source_port, destination_port;
};
struct dp_header_v6 {
    __u8 start[DP_HEADER_START];
    __be32 source[4], destination[4];
    __be16 source_port, destination_port;
};

/* Signature, version 2 with command PROXY, TCP by the family, length of the addresses. */
DP_INLINE void dp_header_start(__u8 *to, __u8 family, __u8 bytes)
{
    __builtin_memcpy(to, "\r\n\r\n\0\r\nQUIT\n\x21", 13);
    to[13] = family;
    to[14] = 0;
    to[15] = bytes - DP_HEADER_START;
}

/* The version in force is the last one. */
DP_INLINE int dp_header_wanted(const struct dp_redirect *r)
{
    __u32 last = r->versions - 1;

    return last < DP_REDIRECT_VERSIONS_MAX && r->version[last].flags & DP_REDIRECT_PROXY_V2;
}

/* The connection with this key is established: one that was redirected to a target that reads the
   header has it due. */
DP_INLINE void dp_header_begin(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
                               const struct dp_flow_key *k)
{
    struct dp_flow *f = dp_flow_find(k);
    __u64 id = f ? f->redirect : 0, cookie = bpf_get_socket_cookie(ctx);
    struct dp_redirect *r = id ? bpf_map_lookup_elem(&redirects, &id) : 0;
    struct dp_header_due *due;

    if (!r || !dp_header_wanted(r)) return;
    due = bpf_sk_storage_get(&headers_due, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!due || bpf_sock_hash_update(ctx, &headers, &cookie, BPF_NOEXIST)) {
        dp_count(DP_REASON_INTERNAL, 0); /* the target gives up on what does not begin so */
        return;
    }
    due->ends = r->app;
    due->due = 1;
    bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_RTT_CB_FLAG);
}

/* Something was acknowledged: once the header is out the connection leaves `headers`. */
DP_INLINE void dp_header_end(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct dp_header_due *due = bpf_sk_storage_get(&headers_due, sk, 0, 0);
    __u64 cookie = bpf_get_socket_cookie(ctx);

    if (!due || due->due) return;
    bpf_map_delete_elem(&headers, &cookie);
    bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

DP_INLINE int dp_header_write_v4(struct sk_msg_md *msg, const struct dp_flow_key *k)
{
    struct dp_header_v4 *h;

    if (bpf_msg_push_data(msg, 0, DP_HEADER_V4, 0) || bpf_msg_pull_data(msg, 0, DP_HEADER_V4, 0))
        return SK_DROP;
    h = msg->data;
    if ((void *)(h + 1) > msg->data_end) return SK_DROP;
    dp_header_start(h->start, 0x11, DP_HEADER_V4);
    h->source = bpf_htonl((__u32)k->local.lo);
    h->destination = bpf_htonl((__u32)k->remote.lo);
    h->source_port = bpf_htons(k->local_port);
    h->destination_port = bpf_htons(k->remote_port);
    return SK_PASS;
}

DP_INLINE int dp_header_write_v6(struct sk_msg_md *msg, const struct dp_flow_key *k)
{
    struct dp_header_v6 *h;

    if (bpf_msg_push_data(msg, 0, DP_HEADER_V6, 0) || bpf_msg_pull_data(msg, 0, DP_HEADER_V6, 0))
        return SK_DROP;
    h = msg->data;
    if ((void *)(h + 1) > msg->data_end) return SK_DROP;
    dp_header_start(h->start, 0x21, DP_HEADER_V6);
    dp_route_words(h->source, &k->local);
    dp_route_words(h->destination, &k->remote);
    h->source_port = bpf_htons(k->local_port);
    h->destination_port = bpf_htons(k->remote_port);
    return SK_PASS;
}

SEC("sk_msg") int dp_header_msg(struct sk_msg_md *msg)
{
    struct bpf_sock *sk = msg->sk;
    struct dp_header_due *due = sk ? bpf_sk_storage_get(&headers_due, sk, 0, 0) : 0;
    int r;

    if (!due || !due->due) return SK_PASS;
    r = dp_addr_is_v4(&due->ends.remote) ? dp_header_write_v4(msg, &due->ends)
                                         : dp_header_write_v6(msg, &due->ends);
    if (r == SK_PASS) due->due = 0;
    return r;
}

#endif
