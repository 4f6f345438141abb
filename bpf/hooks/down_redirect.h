/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DP_DOWNCALL_REDIRECT: what the callout that is asked at CONNECT_REDIRECT makes of the request. It
   waits in the draft for that callout's permit. What is refused is counted, and changes nothing. */
#ifndef SLUICE_BPF_HOOKS_DOWN_REDIRECT_H
#define SLUICE_BPF_HOOKS_DOWN_REDIRECT_H

#include "hooks/down_flow.h"
#include "lib/route.h"

/* enum dp_reason */
DP_INLINE __u32 dp_request_malformed(const struct dp_redirect_request *q, __u32 bytes)
{
    if (q->piece > DP_REDIRECT_PIECE || bytes != sizeof *q + q->piece ||
        q->context_bytes > DP_REDIRECT_CONTEXT_MAX || q->context_offset % DP_REDIRECT_PIECE ||
        q->context_offset > q->context_bytes || q->piece > q->context_bytes - q->context_offset)
        return DP_REASON_DOWNCALL_MALFORMED;
    return DP_REASON_NONE;
}

/* Whose question it is, and whether it is open. */
DP_INLINE __u32 dp_request_unfit(struct dp_down *d, const struct dp_flow *f)
{
    __u32 reason = dp_down_unfit(d, f);

    if (reason || !f) return reason;
    if (!dp_flow_redirects(f) || (f->state != DP_FLOW_ASKED && f->state != DP_FLOW_HELD))
        return DP_REASON_DOWNCALL_STATE;
    return d->scratch->head.filter_id == f->eval.asked_id ? DP_REASON_NONE
                                                          : DP_REASON_DOWNCALL_STALE;
}

/* The port sees the routing tables. */
DP_INLINE int dp_request_is_local(struct xdp_md *ctx, const struct dp_redirect *r,
                                  const struct dp_addr *to)
{
    return dp_addr_is_own(to) ||
           dp_route_is_local(ctx, &r->app.local, to, ctx->ingress_ifindex);
}

/* A handle must be this host's; what goes to a local process needs one. */
DP_INLINE __u32 dp_request_handle(const struct dp_redirect_version *v, __u32 host)
{
    if (!v->handle) return v->flags & DP_REDIRECT_LOCAL ? DP_REASON_REDIRECT_HANDLE : 0;
    return v->handle >> 32 == host && dp_handle_find(v->handle) ? DP_REASON_NONE
                                                                : DP_REASON_REDIRECT_HANDLE;
}

/* An address of the same family that a connection can have. */
DP_INLINE __u32 dp_request_target(const struct dp_redirect_version *v, const struct dp_redirect *r)
{
    if (dp_addr_is_v4(&v->remote) != dp_addr_is_v4(&r->app.remote) || dp_addr_is_any(&v->remote) ||
        dp_address_type(&v->remote, 0) != DP_ADDRESS_UNICAST ||
        (!v->remote_port && r->app.remote_port))
        return DP_REASON_REDIRECT_TARGET;
    return DP_REASON_NONE;
}

/* Room for one more version, and for its hop; only one filter of an evaluation redirects to a local
   process. */
DP_INLINE __u32 dp_request_again(const struct dp_redirect_version *v, const struct dp_redirect *r)
{
    __u32 local = 0;

    for (int i = 1; i < DP_REDIRECT_VERSIONS_MAX; i++)
        if (i < r->versions) local |= r->version[i].flags & DP_REDIRECT_LOCAL;
    if (local && v->flags & DP_REDIRECT_LOCAL) return DP_REASON_REDIRECT_AGAIN;
    return r->versions >= DP_REDIRECT_VERSIONS_MAX || r->record.hops >= DP_RECORD_HOPS_MAX
               ? DP_REASON_REDIRECT_CHAIN
               : DP_REASON_NONE;
}

/* The piece of context behind the request. 0: no room. */
static __noinline int dp_request_context(struct xdp_md *ctx, const struct dp_redirect_request *q,
                                         __u64 id)
{
    __u32 zero = 0, bytes = q->piece, at = q->context_offset;
    void *empty = bpf_map_lookup_elem(&empty_context, &zero);
    struct dp_redirect_context *c = bpf_map_lookup_elem(&contexts_of, &id);

    if (!bytes) return 1;
    if (!c && empty) bpf_map_update_elem(&contexts_of, &id, empty, BPF_NOEXIST);
    if (!c) c = bpf_map_lookup_elem(&contexts_of, &id);
    DP_FORGET(at);
    at &= DP_REDIRECT_CONTEXT_MAX - DP_REDIRECT_PIECE;
    if (!c) return 0;
    /* 1 .. PIECE, as Linux 6.1 understands it. */
    bytes--;
    DP_FORGET(bytes);
    bytes = (bytes & (DP_REDIRECT_PIECE - 1)) + 1;
    return !bpf_xdp_load_bytes(ctx, sizeof(struct dp_downcall) + sizeof *q, &c->bytes[at], bytes);
}

DP_INLINE __u32 dp_request_check(struct xdp_md *ctx, struct dp_redirect_version *v,
                                 const struct dp_redirect *r, __u32 host)
{
    __u32 reason = dp_request_target(v, r);

    if (reason) return reason;
    v->flags &= DP_REDIRECT_REAUTHORIZE | DP_REDIRECT_PROXY_V2;
    if (dp_request_is_local(ctx, r, &v->remote)) v->flags |= DP_REDIRECT_LOCAL;
    reason = dp_request_handle(v, host);
    return reason ? reason : dp_request_again(v, r);
}

/* It replaces what the same filter has sent before, but for the pieces of its context. */
DP_INLINE __u32 dp_request_store(struct xdp_md *ctx, const struct dp_redirect_request *q,
                                 struct dp_redirect *r, __u64 id)
{
    __u64 at;

    if (!dp_request_context(ctx, q, id)) return DP_REASON_REDIRECTS_FULL;
    at = r->versions;
    if (at >= DP_REDIRECT_VERSIONS_MAX) return DP_REASON_REDIRECT_CHAIN;
    DP_FORGET(at);
    r->version[at] = q->version;
    r->context_bytes = q->context_bytes;
    r->learn_ms = q->learn_ms;
    return DP_REASON_NONE;
}

DP_INLINE __u32 dp_down_request(struct xdp_md *ctx, struct dp_down *d)
{
    struct dp_redirect_request *q = &d->scratch->request;
    struct dp_flow *f = dp_flow_find(&d->scratch->head.key);
    __u64 id = f ? f->redirect : 0;
    struct dp_redirect *r;
    __u32 reason;

    if (bpf_xdp_load_bytes(ctx, sizeof d->scratch->head, q, sizeof *q))
        return DP_REASON_DOWNCALL_MALFORMED;
    reason = dp_request_malformed(q, d->bytes);
    if (reason) return reason;
    d->bytes = 0; /* what follows is no packet */
    reason = dp_request_unfit(d, f);
    if (reason) return reason;
    r = dp_redirect_find(id);
    if (!r || r->state != DP_REDIRECT_DRAFT) return DP_REASON_DOWNCALL_STATE;
    q->version.filter_id = d->scratch->head.filter_id;
    reason = dp_request_check(ctx, &q->version, r, d->host);
    if (!reason) reason = dp_request_store(ctx, q, r, id);
    r->refused = reason; /* its permit then lets nothing go on as it was */
    return reason;
}

static __noinline int dp_down_redirect(struct xdp_md *ctx, struct dp_scratch *s, __u32 host,
                                       __u32 bytes)
{
    struct dp_down d = {.host = host, .scratch = s, .bytes = bytes};
    __u32 reason = dp_down_request(ctx, &d);

    if (reason) dp_count(reason, bytes);
    return XDP_DROP;
}

#endif
