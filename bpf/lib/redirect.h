/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entries of `redirects`, from the draft that the first redirection of a request makes to the end
   of its connection. What sock_addr programs and TC share.

   dp_redirect_begin   a draft: the request as asked, and the chain that its connection carries
   dp_redirect_amend   one more version, in a provider's name; its context by dp_redirect_context_*
   dp_redirect_own     (lib/redirect_target.h) who owns the socket there
   dp_redirect_finish  the draft is LIVE
   dp_redirect_wire    its tuple is known
   dp_redirect_end     LIVE is ENDED, a draft is gone */
#ifndef SLUICE_BPF_LIB_REDIRECT_H
#define SLUICE_BPF_LIB_REDIRECT_H

#include "lib/classify.h"

DP_INLINE int dp_redirect_has_rows(void)
{
    return dp_layer_has_rows(DP_LAYER_ALE_CONNECT_REDIRECT_V4) ||
           dp_layer_has_rows(DP_LAYER_ALE_CONNECT_REDIRECT_V6);
}

DP_INLINE struct dp_redirect *dp_redirect_find(__u64 id)
{
    return id ? bpf_map_lookup_elem(&redirects, &id) : 0;
}

/* Whether connect() has judged the flow, which its socket begins, at ALE_CONNECT_REDIRECT. Its
   redirection, if any, is s->redirect. */
DP_INLINE int dp_redirect_is_settled(const struct dp_socket *s, const struct dp_flow_key *k)
{
    return s->peer_settled && s->peer_port == k->remote_port && dp_addr_equal(&s->peer, &k->remote);
}

/* Of this machine, in this namespace. */
DP_INLINE int dp_addr_is_own(const struct dp_addr *a)
{
    struct dp_addr key = *a; /* Linux 6.1 looks up nothing but its own stack */

    return dp_addr_is_loopback(a) || bpf_map_lookup_elem(&own_addresses, &key);
}

/* The newest version; 0: there is none. */
DP_INLINE const struct dp_redirect_version *dp_redirect_latest(const struct dp_redirect *d)
{
    __u64 at = (__u64)d->versions - 1;

    if (at >= DP_REDIRECT_VERSIONS_MAX) return 0;
    DP_FORGET(at); /* so that nothing is computed from it before the verifier has seen the check */
    return &d->version[at];
}

/* Its own hop, behind those that its connection carries; 0: there is no room for one more. */
DP_INLINE struct dp_redirect_hop *dp_redirect_hop_of(struct dp_redirect *d)
{
    __u64 at = d->record.hops;

    if (at >= DP_RECORD_HOPS_MAX) return 0;
    DP_FORGET(at);
    return &d->record.hop[at];
}

/* carried: the record of the request's socket; 0: none. 1: r->draft is its number; 0: refused for
   r->reason. Global functions, here and below: for the stacks of their callers. */
__noinline int dp_redirect_begin(struct dp_redirecting *r, const struct dp_redirect_record *carried)
{
    __u64 id = dp_ticket_number();
    struct dp_redirect *d = 0;
    __u32 zero = 0;
    void *empty = bpf_map_lookup_elem(&empty_redirect, &zero);

    if (!r) return 0;
    if (id && empty && !bpf_map_update_elem(&redirects, &id, empty, BPF_NOEXIST))
        d = dp_redirect_find(id);
    if (!d) {
        r->reason = DP_REASON_REDIRECTS_FULL;
        return 0;
    }
    if (carried) d->record = *carried;
    d->record.mac = 0;
    d->created_ns = bpf_ktime_get_ns();
    d->app = r->app;
    d->cookie = r->cookie;
    d->version[0].remote = r->app.remote;
    d->version[0].remote_port = r->app.remote_port;
    d->versions = 1;
    d->state = DP_REDIRECT_DRAFT;
    r->draft = id;
    return 1;
}

/* One more version of the draft, made by v->filter_id in the provider's name for the process.
   enum dp_reason: why it is refused, and nothing has changed. */
__noinline int dp_redirect_amend(__u64 id, const struct dp_redirect_version *v,
                                 const struct dp_redirect_name *provider,
                                 const struct dp_process *process)
{
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_redirect_hop *hop;
    __u64 at;

    if (!d || !v || !provider || !process) return DP_REASON_INTERNAL;
    at = d->versions;
    hop = dp_redirect_hop_of(d);
    if (at >= DP_REDIRECT_VERSIONS_MAX || !hop) return DP_REASON_REDIRECT_CHAIN;
    DP_FORGET(at);
    d->version[at] = *v;
    d->versions = at + 1;
    __builtin_memcpy(hop->provider, provider->bytes, sizeof hop->provider);
    hop->from = d->version[0].remote;
    hop->from_port = d->version[0].remote_port;
    hop->to = v->remote;
    hop->to_port = v->remote_port;
    hop->target_pid = v->target_pid;
    hop->handle = v->handle;
    hop->filter_id = v->filter_id;
    hop->redirect = id;
    hop->process = *process;
    d->wire.remote = v->remote;
    d->wire.remote_port = v->remote_port;
    d->wire.protocol = d->app.protocol;
    return DP_REASON_NONE;
}

/* Into the entry itself, for a copy of thousands of bytes would be most of what a connection costs.
   What an earlier version brought gives way: it would be found first. */
DP_INLINE void dp_redirect_context_brief(struct dp_redirect *d, __u64 id, const __u64 *from,
                                         __u32 bytes)
{
    __u64 *to = (__u64 *)d->brief;

    if (d->context_bytes) bpf_map_delete_elem(&contexts_of, &id);
    for (int i = 0; i < DP_REDIRECT_BRIEF_MAX / 8; i++)
        to[i] = from[i];
    d->context_bytes = bytes;
}

/* The context that the newest version brings: of a fixed target. 0: no room. */
__noinline int dp_redirect_context_fixed(__u64 id, __u32 target)
{
    struct dp_redirect_goal *goal = bpf_map_lookup_elem(&targets, &target);
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_redirect_context *c;
    __u32 zero = 0;
    void *empty = bpf_map_lookup_elem(&empty_context, &zero);

    if (!goal || !d || !empty) return 0;
    if (goal->context_bytes <= DP_REDIRECT_BRIEF_MAX) {
        dp_redirect_context_brief(d, id, (__u64 *)goal->context, goal->context_bytes);
        return 1;
    }
    d->context_bytes = 0;
    bpf_map_update_elem(&contexts_of, &id, empty, BPF_ANY);
    c = bpf_map_lookup_elem(&contexts_of, &id);
    if (!c) return 0;
    __builtin_memcpy(c->bytes, goal->context, sizeof goal->context);
    d->context_bytes = goal->context_bytes & (2 * DP_TARGET_CONTEXT_MAX - 1);
    return 1;
}

/* The same, of a learned decision: its context is copied. */
__noinline int dp_redirect_context_learned(__u64 id, __u64 from, __u32 bytes)
{
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_redirect_context *context;

    if (!d) return 0;
    if (!from || !bytes) {
        d->context_bytes = 0;
        return 1;
    }
    context = bpf_map_lookup_elem(&contexts_of, &from);
    if (!context) return 0;
    if (bytes <= DP_REDIRECT_BRIEF_MAX) {
        dp_redirect_context_brief(d, id, (__u64 *)context->bytes, bytes);
        return 1;
    }
    d->context_bytes = 0;
    if (bpf_map_update_elem(&contexts_of, &id, context, BPF_ANY)) return 0;
    d->context_bytes = bytes;
    return 1;
}

DP_INLINE int dp_name_is_none(const __u64 *name)
{
    return !(name[0] | name[1]);
}

DP_INLINE int dp_proxy_is(const struct dp_proxy_name *name, const __u64 *words)
{
    __u64 at[2];

    __builtin_memcpy(at, name->provider, sizeof at);
    return at[0] == words[0] && at[1] == words[1];
}

/* The place of the name in the entry; of a new one the next place. */
DP_INLINE __u64 dp_proxy_place(struct dp_proxy *of, const __u64 *name)
{
    __u64 place = DP_PROXY_NAMES_MAX;

    for (__u64 i = 0; i < DP_PROXY_NAMES_MAX; i++)
        if (dp_proxy_is(&of->name[i], name)) place = i;
    if (place == DP_PROXY_NAMES_MAX) place = __sync_fetch_and_add(&of->next, 1);
    return place & (DP_PROXY_NAMES_MAX - 1);
}

/* The process is a proxy in the provider's name from now on. generation: dp_proxy_name. */
__noinline int dp_redirect_proxy(const struct dp_process *p,
                                 const struct dp_redirect_name *provider, __u64 generation)
{
    struct dp_proxy_key key = {};
    struct dp_proxy_name *name;
    struct dp_proxy *known;
    __u64 words[2], place;

    if (!p || !provider || !p->start_ns) return 0;
    key.start_ns = p->start_ns;
    key.tgid = p->tgid;
    known = bpf_map_lookup_elem(&proxies, &key);
    if (!known) {
        struct dp_proxy none = {};

        bpf_map_update_elem(&proxies, &key, &none, BPF_NOEXIST);
        known = bpf_map_lookup_elem(&proxies, &key);
    }
    if (!known) return 0;
    __builtin_memcpy(words, provider, sizeof words);
    place = dp_proxy_place(known, words);
    DP_FORGET(place);
    if (place >= DP_PROXY_NAMES_MAX) return 0;
    name = &known->name[place];
    /* Who redirects to it need not be told again; who came before is known as of this policy. */
    if (!dp_proxy_is(name, words) || name->generation || !generation) name->generation = generation;
    __builtin_memcpy(name->provider, words, sizeof words);
    return 1;
}

/* The process is the proxy to which this redirection leads: in the name of its own hop, which is
   behind `before` others, and for now of those too. */
__noinline int dp_redirect_proxies(const struct dp_process *p, __u64 id, __u32 before)
{
    struct dp_redirect *d = dp_redirect_find(id);
    __u64 generation = dp_generation();

    if (!d || !p) return 0;
    for (__u32 i = 0; i < DP_RECORD_HOPS_MAX; i++)
        if (i <= before)
            dp_redirect_proxy(p, (const struct dp_redirect_name *)d->record.hop[i].provider,
                              i == before ? 0 : generation);
    return 1;
}

/* The draft's way (enum dp_redirect_way) is chosen and its target is known as far as it is: LIVE
   from now on, with its own hop in the record, and counted. 1; 0: there is no such draft. */
__noinline int dp_redirect_finish(__u64 id, __u32 way)
{
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_redirect_record *record;
    struct dp_redirect_hop *hop;

    if (!d || d->state != DP_REDIRECT_DRAFT) return 0;
    record = &d->record;
    hop = dp_redirect_hop_of(d);
    if (!hop) return 0;
    record->magic = DP_RECORD_MAGIC;
    record->version = DP_RECORD_VERSION;
    record->id = id;
    record->compartment = cfg.compartment;
    record->target_uid = d->target.start_ns ? d->target.uid : ~0u; /* nobody but root */
    record->target_cgroup = d->target.cgroup;
    record->mac = 0; /* when it is asked for: dp_record_seal */
    dp_redirect_proxies(&d->target, id, record->hops);
    record->hops++;
    d->way = way;
    d->state = DP_REDIRECT_LIVE;
    dp_count(DP_REASON_REDIRECTED, 0);
    return 1;
}

/* The client as the target sees it, with port: it is found by that from now on. k: the connection
   as it is on the wire, and the application's own end if that is the same. 1: done now. */
__noinline int dp_redirect_wire(__u64 id, const struct dp_flow_key *k)
{
    struct dp_redirect *d = dp_redirect_find(id);

    if (!d || !k || d->wire.local_port) return 0;
    if (!d->app.local_port) {
        d->app.local = k->local;
        d->app.local_port = k->local_port;
    }
    d->wire.local = k->local;
    d->wire.local_port = k->local_port;
    return !bpf_map_update_elem(&redirect_peers, &d->wire, &id, BPF_ANY);
}

/* Its connection is over, or its question is given up. The tuple stays known: a proxy may still
   read what it has accepted. */
__noinline int dp_redirect_end(__u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);

    if (!d || d->state == DP_REDIRECT_ENDED) return 0;
    if (d->state != DP_REDIRECT_LIVE) {
        bpf_map_delete_elem(&contexts_of, &id);
        bpf_map_delete_elem(&redirects, &id);
        return 1;
    }
    d->ended_ns = bpf_ktime_get_ns();
    if (__sync_val_compare_and_swap(&d->state, DP_REDIRECT_LIVE, DP_REDIRECT_ENDED) !=
        DP_REDIRECT_LIVE)
        return 0;
    dp_count(DP_REASON_REDIRECT_ENDED, 0);
    return 1;
}

/* A connection of its own has the tuple of one that was redirected and is over: it is nobody's. */
__noinline int dp_redirect_unwire(const struct dp_flow_key *of)
{
    struct dp_flow_key at, *key = &at; /* Linux 6.1 looks up nothing but its own stack */
    struct dp_redirect *d;
    __u64 *id;

    if (!of) return 0;
    at = *of;
    id = bpf_map_lookup_elem(&redirect_peers, key);
    if (!id) return 0;
    d = dp_redirect_find(*id);
    if (d && d->state == DP_REDIRECT_LIVE) return 0;
    bpf_map_delete_elem(&redirect_peers, key);
    return 1;
}

#endif
