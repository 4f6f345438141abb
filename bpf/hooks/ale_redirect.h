/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_CONNECT_REDIRECT in connect(): where the kernel can decide, the socket is connected to the
   target itself, and no packet is touched. In sendmsg() it only finds out whether there is anything
   to decide, since one socket has many peers: TC does. */
#ifndef SLUICE_BPF_HOOKS_ALE_REDIRECT_H
#define SLUICE_BPF_HOOKS_ALE_REDIRECT_H

#include "hooks/connect.h"
#include "lib/redirect_infer.h"
#include "lib/redirect_judge.h"
#include "lib/redirect_target.h"

#define DP_SETTLED 2 /* the layer has decided: ALE_AUTH_CONNECT is next */

/* A new connect() ends what the one before had redirected. */
DP_INLINE void dp_connect_forget(struct dp_socket *s)
{
    __u64 id = s->redirect;

    s->redirect = 0;
    s->peer_settled = 0;
    if (id) dp_redirect_end(id);
}

DP_INLINE void dp_redirect_request(struct bpf_sock_addr *ctx, const struct dp_target *to,
                                   const struct dp_socket *s, struct dp_redirecting *r)
{
    __builtin_memset(r, 0, sizeof *r);
    r->app.remote = to->remote;
    r->app.remote_port = to->port;
    r->app.protocol = ctx->protocol;
    r->process = s->process;
    r->cookie = s->cookie;
    r->dry = to->sendmsg;
}

/* Classifies into w; what is decided here is counted. enum dp_classify_result. */
DP_INLINE int dp_redirect_classify(struct bpf_sock_addr *ctx, const struct dp_target *to,
                                   struct dp_socket *s, struct dp_work *w)
{
    struct bpf_sock *sk = ctx->sk;
    int r;

    if (!sk) return DP_CLASSIFY_NO_POLICY;
    dp_redirect_request(ctx, to, s, &w->redirecting);
    dp_connect_key(&w->key, DP_LAYER_ALE_CONNECT_REDIRECT_V4, to, ctx->protocol, s);
    r = dp_redirect_judge(&w->key, &w->eval, &w->redirecting,
                          bpf_sk_storage_get(&carried, sk, 0, 0));
    DP_FORGET(r);
    /* An answer belongs to the flow that the peer began: TC knows. */
    if (to->sendmsg && s->answers && r == DP_CLASSIFY_BLOCK) return DP_CLASSIFY_DEFER;
    if (r == DP_CLASSIFY_PERMIT || r == DP_CLASSIFY_BLOCK || r == DP_CLASSIFY_NO_POLICY)
        dp_redirect_report(&w->key, &w->eval, r, 0, &w->redirecting);
    return r;
}

/* TC decides with the first packet of each flow. */
DP_INLINE int dp_redirect_leave(struct bpf_sock_addr *ctx, struct dp_socket *s)
{
    s->needs_user = 1;
    dp_connect_patience(ctx, s);
    return DP_ALLOW;
}

/* The draft chose another destination. */
DP_INLINE int dp_redirect_turn(struct bpf_sock_addr *ctx, struct dp_target *to, __u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);
    __u32 reason;

    if (!d) return DP_DENY;
    reason = dp_redirect_own(ctx, d);
    if (reason) {
        dp_count(reason, 0);
        dp_redirect_end(id);
        return DP_DENY;
    }
    to->remote = d->wire.remote;
    to->port = d->wire.remote_port;
    to->redirect = id;
    return DP_SETTLED;
}

/* DP_SETTLED, with the destination and the draft in `to`; DP_ALLOW: nothing is to be decided here
   any more; DP_DENY. */
static __noinline int dp_ale_redirect(struct bpf_sock_addr *ctx, struct dp_target *to)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
    struct dp_work *w = s ? dp_work_take() : 0;
    __u64 draft;
    int r;

    if (!w || !to || !sk) return DP_DENY;
    dp_redirect_infer(sk, &s->process);
    to->proxy = !!bpf_sk_storage_get(&carried, sk, 0, 0);
    r = dp_redirect_classify(ctx, to, s, w);
    draft = w->redirecting.draft;
    dp_work_give(w);
    if (r == DP_CLASSIFY_PERMIT) return draft ? dp_redirect_turn(ctx, to, draft) : DP_SETTLED;
    if (draft) dp_redirect_end(draft);
    if (r == DP_CLASSIFY_CALLOUT || r == DP_CLASSIFY_DEFER) return dp_redirect_leave(ctx, s);
    return DP_DENY;
}

/* ALE_AUTH_CONNECT has come to r about the destination, which is the socket's peer now, or the
   redirection is given up. */
static __noinline int dp_ale_settle(struct bpf_sock_addr *ctx, const struct dp_target *to, int r)
{
    struct bpf_sock *sk = ctx->sk;
    struct dp_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;

    if (!to || !s) return DP_DENY;
    if (r != DP_ALLOW) {
        dp_redirect_end(to->redirect);
        return DP_DENY;
    }
    s->peer = to->remote;
    s->peer_port = to->port;
    s->peer_settled = 1;
    s->redirect = to->redirect;
    if (to->redirect && !dp_redirect_finish(to->redirect, DP_WAY_SOCKET)) return DP_DENY;
    return DP_ALLOW;
}

#endif
