/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packets of sockets that a callout at ALE_BIND_REDIRECT gave another local end: what they send
   is rewritten behind its last outbound layer and leaves by the NIC of the new address; what comes
   in for the new end is rewritten before its layers, and delivered by the NIC of the old one. */
#ifndef SLUICE_BPF_HOOKS_TRANSLATE_BIND_H
#define SLUICE_BPF_HOOKS_TRANSLATE_BIND_H

#include "hooks/link.h"
#include "hooks/rewrite.h"
#include "hooks/translated.h"
#include "lib/binding.h"
#include "lib/owner.h"

/* The kernel chose the socket's port for another address: there it may be another socket's. */
DP_INLINE void dp_binding_avoid(struct __sk_buff *skb, struct dp_redirect *d)
{
    struct dp_redirect_version *v = (void *)dp_redirect_latest(d);

    if (v && !v->remote_port && dp_binding_is_used(skb, d, &d->wire.local, d->app.local_port))
        v->remote_port = dp_binding_port();
}

/* The first packet that the socket sends shows where it was bound; before its ALE layers, behind
   which no socket is at hand any more. */
__noinline int dp_binding_seen(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_redirect *d;
    struct dp_socket *of;
    __u64 id;

    if (!s || !dp_translating() || s->way.ifindex == DP_IFINDEX_LO) return 0;
    id = s->way.operation;
    of = id ? 0 : dp_socket_of(skb);
    if (of) id = of->bind_operation;
    d = dp_binding_active(id);
    if (!d || d->app.protocol != s->flow_key.protocol) return 0;
    if (dp_addr_is_any(&d->app.local)) d->app.local = s->flow_key.local;
    if (d->wire.local_port) return 0;
    d->app.local_port = s->flow_key.local_port;
    dp_binding_avoid(skb, d);
    return dp_binding_wire(id);
}

DP_INLINE __u64 dp_binding_at(const struct dp_flow_key *at)
{
    __u64 *id = bpf_map_lookup_elem(&redirect_peers, at);

    return id && dp_binding_active(*id) ? *id : 0;
}

/* By its place in `redirect_peers`: at the address, or at the wildcard. */
static __noinline __u64 dp_binding_search(struct dp_flow_key *key, struct dp_addr *at)
{
    __u64 id = dp_binding_at(key);

    if (id) return id;
    if (dp_addr_is_v4(at))
        *at = dp_addr_v4(0);
    else
        __builtin_memset(at, 0, sizeof *at);
    return dp_binding_at(key);
}

/* Of which binding no socket tells: the answer to a SYN, what a port sends, a connection that is
   closing. Two sockets may have the same end with other peers: the flow knows which it is. */
static __noinline __u64 dp_binding_by_key(const struct dp_scratch *s)
{
    const struct dp_flow *f = dp_flow_find(&s->flow_key);
    struct dp_flow_key key = {};
    const struct dp_redirect *d;
    __u64 id;

    key.remote = s->flow_key.local;
    key.remote_port = s->flow_key.local_port;
    key.protocol = s->flow_key.protocol;
    id = dp_binding_search(&key, &key.remote);
    d = dp_binding_active(id);
    if (!d) return 0;
    return !f || !f->cookie || f->cookie == d->cookie || f->parent == d->cookie ? id : 0;
}

/* The binding of the socket that sends the packet; 0: it has none. */
DP_INLINE __u64 dp_binding_sender(struct __sk_buff *skb, const struct dp_scratch *s)
{
    const struct dp_socket *of;

    if (s->flow_key.protocol != DP_PROTO_TCP && s->flow_key.protocol != DP_PROTO_UDP) return 0;
    if (s->way.ifindex == DP_IFINDEX_LO || !s->way.of_flow) return 0;
    if (s->way.operation) return dp_binding_active(s->way.operation) ? s->way.operation : 0;
    of = dp_socket_of(skb);
    if (!of) return dp_binding_by_key(s);
    return dp_binding_active(of->bind_operation) ? of->bind_operation : 0;
}

/* The way of the new address: a NIC, 0: none; the packet's own where no interface shows the routing
   tables. */
static __noinline __u32 dp_binding_route(struct __sk_buff *skb, const struct dp_redirect *d,
                                         __u32 ifindex)
{
    const struct dp_redirect_version *v = dp_redirect_latest(d);
    __u32 host = v ? v->handle >> 32 : 0;
    struct dp_host *h = bpf_map_lookup_elem(&hosts, &host);
    struct dp_scratch *s = dp_scratch();
    struct bpf_fib_lookup fib;
    long r;

    if (!s) return 0;
    r = dp_route(skb, &fib, h && h->port_ifindex ? h->port_ifindex : ifindex, &s->packet.source,
                 &s->packet.destination);
    if (r == BPF_FIB_LKUP_RET_FWD_DISABLED) return ifindex;
    return r == BPF_FIB_LKUP_RET_SUCCESS || r == BPF_FIB_LKUP_RET_NO_NEIGH ? fib.ifindex : 0;
}

/* Scratch's packet has its new source. DP_PASS: it goes the way that it was going. */
DP_INLINE int dp_binding_leave(struct __sk_buff *skb, const struct dp_redirect *d, __u32 ifindex)
{
    __u32 by = dp_binding_route(skb, d, ifindex);

    DP_FORGET(by);
    if (by == ifindex) return DP_PASS;
    if (!by || !bpf_map_lookup_elem(&nics, &by)) {
        dp_count(by ? DP_REASON_NO_NIC : DP_REASON_REDIRECT_ROUTE, skb->len);
        return TC_ACT_SHOT;
    }
    if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return TC_ACT_SHOT;
    return dp_translate_leave(skb, by);
}

/* The packet has passed its layers. DP_PASS: it is no binding's, or goes the way that it was going.
   Else a TC action. */
__noinline int dp_binding_out(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_redirect *d;
    struct dp_flow_key to;
    int r;

    if (!s) return TC_ACT_SHOT;
    d = dp_binding_active(dp_binding_sender(skb, s));
    if (!d) return DP_PASS;
    to = s->flow_key;
    if (!dp_addr_is_any(&d->wire.local)) to.local = d->wire.local;
    to.local_port = d->wire.local_port;
    if (!to.local_port || dp_addr_is_v4(&to.local) != dp_addr_is_v4(&s->flow_key.local)) {
        dp_count(DP_REASON_REDIRECT_TARGET, skb->len);
        return TC_ACT_SHOT;
    }
    d->ifindex = s->way.ifindex;
    r = dp_rewrite(skb, &to);
    DP_FORGET(r);
    if (!r) return dp_binding_leave(skb, d, s->way.ifindex);
    dp_count(DP_REASON_INTERNAL, skb->len);
    return TC_ACT_SHOT;
}

/* What a NIC brings. DP_PASS: it goes on, rewritten if it is for a binding's new end. */
__noinline int dp_binding_in(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow_key key = {}, to;
    struct dp_redirect *d;
    int r;

    if (!s) return TC_ACT_SHOT;
    key.local = s->flow_key.local;
    key.local_port = s->flow_key.local_port;
    key.protocol = s->flow_key.protocol;
    d = dp_binding_active(dp_binding_search(&key, &key.local));
    if (!d) return DP_PASS;
    to.local = s->flow_key.remote;
    to.local_port = s->flow_key.remote_port;
    to.remote = dp_addr_is_any(&d->app.local) ? s->flow_key.local : d->app.local;
    to.remote_port = d->app.local_port;
    r = dp_rewrite(skb, &to);
    DP_FORGET(r);
    if (!r)
        return d->ifindex && d->ifindex != s->way.ifindex ? dp_translate_deliver(skb, d) : DP_PASS;
    dp_count(DP_REASON_INTERNAL, skb->len);
    return TC_ACT_SHOT;
}

#endif
