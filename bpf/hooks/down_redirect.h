/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DP_DOWNCALL_REDIRECT: what the callout that is asked at CONNECT_REDIRECT makes of the request. It
   waits in the draft for that callout's permit. What is refused is counted, and changes nothing. */
#ifndef SLUICE_BPF_HOOKS_DOWN_REDIRECT_H
#define SLUICE_BPF_HOOKS_DOWN_REDIRECT_H

#include "hooks/down_flow.h"
#include "lib/operation.h"
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

/* The port sees the routing tables, which do not know ways for packets from ::1. */
DP_INLINE int dp_request_is_local(struct xdp_md *ctx, const struct dp_addr *to)
{
    const struct dp_addr any = {};

    return dp_addr_is_own(to) || dp_route_is_local(ctx, &any, to, ctx->ingress_ifindex);
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
   process. One that has seen what others made of its version is not asked a third time. */
DP_INLINE __u32 dp_request_again(struct dp_redirect_version *v, const struct dp_redirect *r)
{
    __u32 local = 0;

    for (int i = 1; i < DP_REDIRECT_VERSIONS_MAX; i++) {
        if (i >= r->versions) continue;
        if (r->version[i].filter_id != v->filter_id)
            local |= r->version[i].flags & DP_REDIRECT_LOCAL;
        else if (r->version[i].flags & DP_REDIRECT_SHOWN)
            v->flags &= ~DP_REDIRECT_REAUTHORIZE;
    }
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
    if (dp_request_is_local(ctx, &v->remote)) v->flags |= DP_REDIRECT_LOCAL;
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

/* Whose question about a bind it is, and whether it is open. */
DP_INLINE __u32 dp_bind_request_unfit(const struct dp_down *d, const struct dp_operation *op)
{
    const struct dp_downcall *head = &d->scratch->head;

    if (!op) return DP_REASON_DOWNCALL_STALE;
    if (op->host != d->host) return DP_REASON_DOWNCALL_FOREIGN;
    if (!dp_operation_is_open(op) || !dp_layer_binds(op->layer)) return DP_REASON_DOWNCALL_STATE;
    return head->filter_id == op->eval.asked_id ? DP_REASON_NONE : DP_REASON_DOWNCALL_STALE;
}

/* An address of this machine, of the same family; loopback remains loopback, since what is to leave
   cannot have it. None: as bind() had it, where that was none either. */
DP_INLINE __u32 dp_bind_request_target(const struct dp_redirect_version *to,
                                       const struct dp_redirect *r)
{
    const struct dp_redirect_version *asked = &r->version[0];

    if (r->versions >= DP_REDIRECT_VERSIONS_MAX) return DP_REASON_REDIRECT_CHAIN;
    if (dp_addr_is_v4(&to->remote) != dp_addr_is_v4(&asked->remote))
        return DP_REASON_REDIRECT_TARGET;
    if (dp_addr_equal(&to->remote, &asked->remote)) return DP_REASON_NONE;
    if (dp_addr_is_any(&to->remote) || dp_addr_is_loopback(&to->remote) ||
        dp_addr_is_loopback(&asked->remote) ||
        dp_address_type(&to->remote, 0) != DP_ADDRESS_UNICAST || !dp_addr_is_own(&to->remote))
        return DP_REASON_REDIRECT_TARGET;
    return DP_REASON_NONE;
}

/* A port that the callout names must be free; one that bind() had may be had by nobody else, or
   others see another. */
DP_INLINE __u32 dp_bind_request_port(struct xdp_md *ctx, struct dp_redirect_request *q,
                                     const struct dp_redirect *r)
{
    __u32 port = q->version.remote_port ? q->version.remote_port : r->app.local_port;

    if (!port || !dp_binding_is_used(ctx, r, &q->version.remote, port)) return DP_REASON_NONE;
    if (q->version.remote_port && q->version.remote_port != r->app.local_port)
        return DP_REASON_BIND_TAKEN;
    q->version.remote_port = dp_binding_port();
    q->learn_ms = 0; /* of this socket only */
    return DP_REASON_NONE;
}

DP_INLINE __u32 dp_down_bind_request(struct xdp_md *ctx, struct dp_down *d)
{
    struct dp_redirect_request *q = &d->scratch->request;
    __u64 id = d->scratch->head.ticket, at;
    struct dp_redirect *r;
    __u32 reason;

    if (bpf_xdp_load_bytes(ctx, sizeof d->scratch->head, q, sizeof *q))
        return DP_REASON_DOWNCALL_MALFORMED;
    reason = dp_request_malformed(q, d->bytes);
    if (reason || q->context_bytes) return DP_REASON_DOWNCALL_MALFORMED;
    d->bytes = 0; /* what follows is no packet */
    reason = dp_bind_request_unfit(d, bpf_map_lookup_elem(&operations, &id));
    if (reason) return reason;
    r = dp_binding_draft_of(id);
    if (!r) return DP_REASON_DOWNCALL_STATE;
    r->refused = dp_bind_request_target(&q->version, r);
    if (!r->refused) r->refused = dp_bind_request_port(ctx, q, r);
    at = r->versions;
    if (r->refused || at >= DP_REDIRECT_VERSIONS_MAX) return r->refused;
    DP_FORGET(at);
    q->version.filter_id = d->scratch->head.filter_id;
    q->version.handle = (__u64)d->host << 32; /* whose port shows the routing tables */
    q->version.flags = 0;
    q->version.target_pid = 0;
    r->version[at] = q->version;
    r->learn_ms = q->learn_ms;
    return DP_REASON_NONE;
}

static __noinline int dp_down_redirect(struct xdp_md *ctx, struct dp_scratch *s, __u32 host,
                                       __u32 bytes)
{
    struct dp_down d = {.host = host, .scratch = s, .bytes = bytes};
    __u32 reason = s->head.flags & DP_DOWNCALL_OPERATION ? dp_down_bind_request(ctx, &d)
                                                         : dp_down_request(ctx, &d);

    if (reason) dp_count(reason, bytes);
    return XDP_DROP;
}

#endif
