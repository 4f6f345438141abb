/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A bind that a callout is asked about at ALE_BIND_REDIRECT, and the socket that it gave another
   local end: an entry of `redirects` under the number of the operation, its way DP_WAY_BIND.

   version     the ends, in `remote`: [0] as bind() had it, then what callouts made of it
   app.local   the socket's own end as far as it is known; the port once it is bound
   wire.local  the end that others see; its port is 0 until it is found in `redirect_peers`: by
               { local: that end } for what comes in, by { remote: app.remote } for what the socket
               sends, where app.remote is its own end as it was then

   A draft while it is asked about. LIVE it stays until the socket is closed, of TCP (ended_ns is
   set then) until sluiced has not seen it for a minute: what is left to send needs it. */
#ifndef SLUICE_BPF_LIB_BINDING_H
#define SLUICE_BPF_LIB_BINDING_H

#include "lib/bind_redirect.h"
#include "lib/redirect_flow.h"
#include "lib/redirect_peer.h"
#include "lib/sock_lookup.h"

#define DP_BINDING_TRIES 8
#define DP_BINDING_PORT_FIRST 61000
#define DP_BINDING_PORTS 4536

DP_INLINE int dp_layer_binds(__u32 layer)
{
    return layer == DP_LAYER_ALE_BIND_REDIRECT_V4 || layer == DP_LAYER_ALE_BIND_REDIRECT_V6;
}

DP_INLINE struct dp_redirect *dp_binding_find(__u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);

    return d && d->way == DP_WAY_BIND ? d : 0;
}

DP_INLINE struct dp_redirect *dp_binding_draft_of(__u64 id)
{
    struct dp_redirect *d = dp_binding_find(id);

    return d && d->state == DP_REDIRECT_DRAFT ? d : 0;
}

/* Its packets are rewritten. */
DP_INLINE struct dp_redirect *dp_binding_active(__u64 id)
{
    struct dp_redirect *d = dp_binding_find(id);

    return d && d->state == DP_REDIRECT_LIVE ? d : 0;
}

/* Before the operation's callout is asked. 0: no room, counted. Global functions, here and below:
   for the stacks of their callers. */
__noinline int dp_binding_begin(__u64 id)
{
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);
    struct dp_redirect *d = 0;
    __u32 zero = 0;
    void *empty = bpf_map_lookup_elem(&empty_redirect, &zero);

    if (op && empty && !bpf_map_update_elem(&redirects, &id, empty, BPF_NOEXIST))
        d = dp_redirect_find(id);
    if (!op || !d) {
        dp_count(DP_REASON_REDIRECTS_FULL, 0);
        return 0;
    }
    d->way = DP_WAY_BIND;
    d->created_ns = bpf_ktime_get_ns();
    d->cookie = op->cookie;
    d->app.local = op->address;
    d->app.local_port = op->port;
    d->app.protocol = DP_NUMBER(&op->key, PROTOCOL);
    d->wire.protocol = d->app.protocol;
    d->version[0].remote = op->address;
    d->version[0].remote_port = op->port;
    d->versions = 1;
    d->state = DP_REDIRECT_DRAFT;
    return 1;
}

/* What the newest version chose differs from what bind() asked for. */
DP_INLINE int dp_binding_turns(const struct dp_redirect *d)
{
    const struct dp_redirect_version *v = dp_redirect_latest(d);

    return v && d->versions > 1 &&
           (!dp_addr_equal(&v->remote, &d->version[0].remote) ||
            (v->remote_port && v->remote_port != d->version[0].remote_port));
}

/* The entry at that place is another binding's, whose socket is open. */
DP_INLINE int dp_binding_is_taken(const struct dp_flow_key *key, __u64 mine)
{
    __u64 *id = bpf_map_lookup_elem(&redirect_peers, key);
    const struct dp_redirect *d = id && *id != mine ? dp_redirect_find(*id) : 0;

    return d && d->state == DP_REDIRECT_LIVE && !d->ended_ns;
}

/* A socket has been bound to this very end: what is left of one that others saw there is over. */
__noinline int dp_binding_yield(const struct dp_endpoint *at, __u32 protocol)
{
    struct dp_flow_key key = {};

    if (!at || !dp_translating()) return 0;
    key.local = at->address;
    key.local_port = at->port;
    key.protocol = protocol;
    if (!dp_binding_is_taken(&key, 0)) bpf_map_delete_elem(&redirect_peers, &key);
    return 1;
}

/* For others to see, where a socket's own port is another one's at the new address. */
DP_INLINE __u16 dp_binding_port(void)
{
    return DP_BINDING_PORT_FIRST + bpf_get_prandom_u32() % DP_BINDING_PORTS;
}

/* A listener or UDP socket other than d's has the port at that address, or at the wildcard. ctx: of
   TC or XDP. */
static __noinline int dp_binding_is_used(void *ctx, const struct dp_redirect *d,
                                         const struct dp_addr *at, __u32 port)
{
    struct bpf_sock_tuple t = {};
    __u32 size = dp_sock_tuple(&t, dp_addr_is_v4(at) ? 4 : 6, at, 0, at, port);
    struct dp_addr local;
    struct bpf_sock *sk;
    int own;

    sk = d->app.protocol == DP_PROTO_TCP ? bpf_sk_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0)
                                         : bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
    if (!sk) return 0;
    local = dp_sock_local(sk);
    own = sk->src_port == d->app.local_port && dp_addr_equal(&local, &d->version[0].remote);
    bpf_sk_release(sk);
    return !own;
}

/* Both ends are known: it is found by them from now on. Where bind() left the port to the kernel
   and another binding has the same port at the new address, others see another one. enum dp_reason.
 */
__noinline int dp_binding_wire(__u64 id)
{
    struct dp_redirect *d = dp_binding_active(id);
    const struct dp_redirect_version *v = d ? dp_redirect_latest(d) : 0;
    struct dp_flow_key key = {};

    if (!v || !d->app.local_port) return DP_REASON_INTERNAL;
    key.protocol = d->app.protocol;
    key.local = d->wire.local;
    key.local_port = v->remote_port ? v->remote_port : d->app.local_port;
    for (int i = 0; i < DP_BINDING_TRIES && dp_binding_is_taken(&key, id); i++) {
        if (v->remote_port) return DP_REASON_BIND_TAKEN;
        key.local_port = dp_binding_port();
    }
    if (dp_binding_is_taken(&key, id) || bpf_map_update_elem(&redirect_peers, &key, &id, BPF_ANY))
        return DP_REASON_REDIRECTS_FULL;
    d->app.remote = d->app.local;
    d->app.remote_port = d->app.local_port;
    d->wire.local_port = key.local_port;
    __builtin_memset(&key.local, 0, sizeof key.local);
    key.local_port = 0;
    key.remote = d->app.remote;
    key.remote_port = d->app.remote_port;
    return bpf_map_update_elem(&redirect_peers, &key, &id, BPF_ANY) ? DP_REASON_REDIRECTS_FULL
                                                                    : DP_REASON_NONE;
}

/* The kernel has bound the socket: its port is known. enum dp_reason. */
__noinline int dp_binding_bound(__u64 id, __u32 port)
{
    struct dp_redirect *d = dp_binding_find(id);

    if (!d || !port) return DP_REASON_NONE;
    d->app.local_port = port;
    return d->state == DP_REDIRECT_LIVE && !d->wire.local_port ? dp_binding_wire(id)
                                                               : DP_REASON_NONE;
}

/* The kernel may bind so by itself for a while, as the callout says: the same executable's, user's
   and end. */
__noinline int dp_binding_learn(__u64 id, __u64 filter_id)
{
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);
    struct dp_redirect *d = dp_binding_draft_of(id);
    const struct dp_redirect_version *from, *to;
    struct dp_flow_key asked = {};
    struct dp_learned_key key;
    struct dp_learned l = {};

    if (!op || !d || !d->learn_ms) return 0;
    from = dp_redirect_latest(d);
    if (!from) return 0;
    to = dp_redirect_pending(d, filter_id);
    DP_FORGET(to);
    if (!to) return 0;
    asked.remote = from->remote;
    asked.remote_port = from->remote_port;
    asked.protocol = d->app.protocol;
    if (!dp_learned_key_fill(&key, &op->process, &asked, filter_id)) return 0;
    l.until_ns = bpf_ktime_get_ns() + (__u64)d->learn_ms * 1000000;
    l.generation = op->eval.generation;
    l.version = *to;
    l.version.handle = 0;
    d->learn_ms = 0;
    return !bpf_map_update_elem(&learned, &key, &l, BPF_ANY);
}

/* The filter's callout has answered: what it brought stands with its permit. enum dp_reason of what
   is against that. */
__noinline int dp_binding_answered(__u64 id, __u64 filter_id, __u32 permits)
{
    struct dp_redirect *d = dp_binding_draft_of(id);
    struct dp_redirect_version *v;
    __u32 reason;

    if (!d) return DP_REASON_NONE;
    reason = d->refused;
    d->refused = 0;
    if (!permits) reason = DP_REASON_NONE;
    v = dp_redirect_pending(d, filter_id);
    DP_FORGET(v);
    if (!v) return reason;
    if (!permits || reason) {
        dp_redirect_withdraw(d, v);
        return reason;
    }
    dp_binding_learn(id, filter_id);
    d->versions++;
    return DP_REASON_NONE;
}

DP_INLINE void dp_binding_end_of(struct dp_endpoint *at, const struct dp_redirect *d, __u32 layer)
{
    const struct dp_redirect_version *v = dp_redirect_latest(d);

    __builtin_memset(at, 0, sizeof *at);
    if (!v) return;
    at->address = v->remote;
    at->port = v->remote_port;
    at->v6 = layer == DP_LAYER_ALE_BIND_REDIRECT_V6;
}

/* What the kernel itself chose for a filter behind the callout that was asked. A filter before it
   chose what bind() took. 0: no room for one more version. */
DP_INLINE int dp_binding_amend(struct dp_redirect *d, const struct dp_endpoint *at, __u64 filter_id)
{
    const struct dp_redirect_version *v = dp_redirect_latest(d);
    __u64 n = d->versions;

    if (!v || (dp_addr_equal(&v->remote, &at->address) && v->remote_port == at->port)) return 1;
    v = &d->version[0];
    if (dp_addr_equal(&v->remote, &at->address) && v->remote_port == at->port) return 1;
    if (n >= DP_REDIRECT_VERSIONS_MAX) return 0;
    DP_FORGET(n);
    d->version[n].remote = at->address;
    d->version[n].remote_port = at->port;
    d->version[n].filter_id = filter_id;
    d->versions = n + 1;
    return 1;
}

/* The layer goes on behind an answer that is kept: enum dp_classify_result, CALLOUT only for one
   that is admitted. Inline: a kernel follows calls eight deep. */
DP_INLINE int dp_binding_judge(__u64 id, struct dp_key *key, struct dp_eval *eval)
{
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);
    struct dp_redirect *d = dp_binding_draft_of(id);
    struct dp_endpoint at;
    int r;

    if (!op || !d || !key || !eval) return DP_CLASSIFY_BLOCK;
    dp_binding_end_of(&at, d, key->layer);
    r = dp_bind_redirect(key, eval, &at, &op->process);
    DP_FORGET(r);
    if (r == DP_CLASSIFY_CALLOUT) {
        r = dp_bind_admit(key, eval, &at, &op->process);
        DP_FORGET(r);
    }
    return dp_binding_amend(d, &at, eval->filter_id) ? r : DP_CLASSIFY_BLOCK;
}

/* ALE_BIND_REDIRECT has permitted: ALE_RESOURCE_ASSIGNMENT sees the end that was chosen, of which
   eval knows nothing yet. */
__noinline int dp_binding_assigns(__u64 id, struct dp_key *key, struct dp_eval *eval)
{
    struct dp_operation *op = bpf_map_lookup_elem(&operations, &id);
    struct dp_redirect *d = dp_binding_draft_of(id);
    struct dp_endpoint at;
    __u64 flags, protocol;

    if (!op || !d || !key || !eval) return 0;
    flags = DP_NUMBER(key, FLAGS) & DP_CONDITION_IS_IMPLICIT_BIND;
    protocol = DP_NUMBER(key, PROTOCOL);
    dp_binding_end_of(&at, d, key->layer);
    if (!at.port) at.port = d->app.local_port;
    op->address = at.address;
    op->port = at.port;
    dp_key_endpoint(key, DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, &at, &op->process, &op->cgroups);
    DP_NUMBER(key, PROTOCOL) = protocol;
    DP_NUMBER(key, FLAGS) |= flags;
    if (!at.port) key->empty |= DP_SLOT_BIT(LOCAL_PORT);
    op->layer = key->layer;
    op->key = *key;
    __builtin_memset(eval, 0, sizeof *eval);
    return 1;
}

/* The draft redirects from now on; one that does not is gone. enum dp_reason of what is against it.
 */
__noinline int dp_binding_stands(__u64 id)
{
    struct dp_redirect *d = dp_binding_draft_of(id);
    const struct dp_redirect_version *v = d ? dp_redirect_latest(d) : 0;
    int reason;

    if (!v) return DP_REASON_INTERNAL;
    if (!dp_binding_turns(d)) {
        dp_redirect_end(id);
        return DP_REASON_NONE;
    }
    d->wire.local = v->remote;
    d->state = DP_REDIRECT_LIVE;
    dp_translating_begin();
    dp_count(DP_REASON_BIND_REDIRECTED, 0);
    if (!d->app.local_port) return DP_REASON_NONE; /* with the first packet, or in post_bind */
    reason = dp_binding_wire(id);
    DP_FORGET(reason);
    return reason;
}

#endif
