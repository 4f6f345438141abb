/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packets of flows that CONNECT_REDIRECT gave another destination: rewritten behind their last
   outbound layer and delivered by lo, or sent by their NIC; what the target answers is rewritten
   back and delivered to the ingress of that NIC. */
#ifndef SLUICE_BPF_HOOKS_TRANSLATE_H
#define SLUICE_BPF_HOOKS_TRANSLATE_H

#include "hooks/link.h"
#include "hooks/translate_bind.h"
#include "hooks/translate_error.h"
#include "lib/redirect_flow.h"
#include "lib/redirect_peer.h"
#include "lib/redirect_target.h"

#define DP_WIRE_PORT_FIRST 61000
#define DP_WIRE_PORTS 4536
#define DP_WIRE_TRIES 8

/* What stands in `redirect_peers` is over, or an older redirection of the same connection. */
DP_INLINE int dp_wire_is_free(const struct dp_flow_key *wire, const struct dp_redirect *mine)
{
    __u64 *id = bpf_map_lookup_elem(&redirect_peers, wire);
    const struct dp_redirect *d = id ? dp_redirect_find(*id) : 0;

    return !d || d->state == DP_REDIRECT_ENDED || dp_flow_key_equal(&d->app, &mine->app);
}

/* Another socket has the port, as the target sees it. Global, as others here: verified once. */
__noinline int dp_wire_is_taken(struct __sk_buff *skb, const struct dp_flow_key *wire)
{
    struct bpf_sock_tuple t = {};
    struct bpf_sock *sk;
    __u32 size;

    if (!wire) return 1;
    size = dp_sock_tuple(&t, dp_addr_is_v4(&wire->local) ? 4 : 6, &wire->remote, wire->remote_port,
                         &wire->local, wire->local_port);
    sk = wire->protocol == DP_PROTO_TCP ? bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0)
                                        : bpf_sk_lookup_udp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
    if (!sk) return 0;
    bpf_sk_release(sk);
    return 1;
}

/* A client that is another machine gets an address of this one, so that what the target answers
   leaves by lo, and rules of this machine take both for local: of 127/8 the one that ends as the
   client's does, in IPv6 the target's. */
DP_INLINE void dp_wire_guest(struct dp_flow_key *wire)
{
    __u32 end = (__u32)wire->local.lo & 0xffffff;

    if (!dp_addr_is_v4(&wire->remote)) {
        wire->local = wire->remote;
        return;
    }
    if (!end || end == 0xffffff) end = 1; /* of no host */
    wire->local.lo = DP_V4_MAPPED | 0x7f000000 | end;
}

/* The client as the target is to see it: its own end, unless another redirected flow has that one
   with the same target. enum dp_reason. */
__noinline int dp_wire_choose(struct __sk_buff *skb, __u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_flow_key wire;
    int own;

    if (!d) return DP_REASON_INTERNAL;
    wire = d->app;
    wire.remote = d->wire.remote;
    wire.remote_port = d->wire.remote_port;
    own = d->way != DP_WAY_FORWARD && dp_addr_is_any(&d->wire.local);
    if (d->way == DP_WAY_FORWARD)
        dp_wire_guest(&wire);
    else if (!own)
        wire.local = d->wire.local;
    for (int i = 0; i < DP_WIRE_TRIES; i++) {
        if (((i == 0 && own) || !dp_wire_is_taken(skb, &wire)) &&
            (!bpf_map_update_elem(&redirect_peers, &wire, &id, BPF_NOEXIST) ||
             (dp_wire_is_free(&wire, d) &&
              !bpf_map_update_elem(&redirect_peers, &wire, &id, BPF_ANY)))) {
            d->wire = wire;
            return DP_REASON_NONE;
        }
        if (dp_is_icmp(wire.protocol)) break; /* its number is the application's */
        wire.local_port = DP_WIRE_PORT_FIRST + bpf_get_prandom_u32() % DP_WIRE_PORTS;
    }
    return DP_REASON_REDIRECTS_FULL;
}

/* Another NIC leads to the new destination: the packets get its address. 0: that is not known, or
   answers that come by it would not be seen. */
DP_INLINE int dp_redirect_reroute(struct __sk_buff *skb, struct dp_redirect *d, __u32 by)
{
    struct dp_addr source;
    __u32 leaves = dp_route_source(skb, by, &d->wire.remote, &source);

    if (!leaves || dp_addr_is_any(&source) || !bpf_map_lookup_elem(&nics, &leaves)) return 0;
    d->wire.local = source;
    d->leaves = leaves;
    return 1;
}

/* By which NIC the new destination is reached: the one whose address the packets have, or else
   another, as for all that left by lo. Where no interface shows the routing tables the neighbour
   look-up decides. */
DP_INLINE int dp_redirect_routed(struct __sk_buff *skb, struct dp_redirect *d, __u32 host)
{
    struct dp_host *h = bpf_map_lookup_elem(&hosts, &host);
    __u32 by = h && h->port_ifindex ? h->port_ifindex : d->ifindex;
    struct bpf_fib_lookup fib;
    long r;

    d->leaves = d->ifindex;
    if (d->ifindex == DP_IFINDEX_LO) return dp_redirect_reroute(skb, d, by);
    r = dp_route(skb, &fib, by, &d->app.local, &d->wire.remote);
    if (r == BPF_FIB_LKUP_RET_FWD_DISABLED) return 1;
    if (r != BPF_FIB_LKUP_RET_SUCCESS && r != BPF_FIB_LKUP_RET_NO_NEIGH) return 0;
    return fib.ifindex == d->ifindex || dp_redirect_reroute(skb, d, by);
}

/* The way of the draft's newest version. What passes this machine goes to a process of it; 0: that
   is none, or waits for a header that nobody here would send. */
DP_INLINE __u32 dp_redirect_way(const struct dp_redirect *d, const struct dp_redirect_version *v,
                                const struct dp_scratch *s)
{
    __u32 local = v->flags & DP_REDIRECT_LOCAL,
          header = d->app.protocol == DP_PROTO_TCP && v->flags & DP_REDIRECT_PROXY_V2;

    if (s->way.passes) return local && !header ? DP_WAY_FORWARD : 0;
    return local ? DP_WAY_LOCAL : DP_WAY_REMOTE;
}

/* The first packet goes to the new destination: how, as whom, and who owns the socket there. enum
   dp_reason. */
__noinline int dp_redirect_go(struct __sk_buff *skb, __u64 id, __u32 host)
{
    struct dp_redirect *d = dp_redirect_find(id);
    struct dp_scratch *s = dp_scratch();
    const struct dp_redirect_version *v;
    __u32 way;
    int reason;

    if (!d || !s) return DP_REASON_REDIRECT_TARGET;
    v = dp_redirect_latest(d);
    if (!v) return DP_REASON_INTERNAL;
    way = dp_redirect_way(d, v, s);
    if (!way) return DP_REASON_REDIRECT_TARGET;
    /* Another processor is at it: its packet comes first. */
    if (__sync_val_compare_and_swap(&d->way, 0, way)) return DP_REASON_HELD;
    d->ifindex = s->way.ifindex;
    reason = way == DP_WAY_REMOTE ? DP_REASON_NONE : dp_redirect_own(skb, d);
    if (reason) return reason;
    /* Its local end was redirected as well: not both at once. */
    if (way == DP_WAY_REMOTE && dp_binding_sender(skb, s)) return DP_REASON_REDIRECT_CHAIN;
    if (way == DP_WAY_REMOTE && !dp_redirect_routed(skb, d, host)) return DP_REASON_REDIRECT_ROUTE;
    reason = dp_wire_choose(skb, id);
    DP_FORGET(reason);
    if (reason) return reason;
    return dp_redirect_finish(id, way) ? DP_REASON_NONE : DP_REASON_REDIRECT_CHAIN;
}

/* By lo, as any local connection: the packet meets its inbound layers. */
DP_INLINE int dp_translate_local(struct __sk_buff *skb)
{
    if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return TC_ACT_SHOT;
    if (dp_link_none(skb)) return TC_ACT_SHOT;
    skb->mark &= ~DP_MARK_BITS;
    skb->tc_index = 0;
    return bpf_redirect(DP_IFINDEX_LO, BPF_F_INGRESS);
}

/* The packet has passed its layers and is f's, which is redirected. A TC action. */
__noinline int dp_translate_out(struct __sk_buff *skb, __u64 id)
{
    struct dp_redirect *d = dp_redirect_find(id);
    int r;

    if (!d || !(d->way == DP_WAY_REMOTE || dp_way_is_local(d->way))) {
        dp_count(DP_REASON_REDIRECT_TARGET, skb->len);
        return TC_ACT_SHOT;
    }
    r = dp_rewrite(skb, &d->wire);
    DP_FORGET(r);
    if (r) {
        dp_count(DP_REASON_INTERNAL, skb->len);
        return TC_ACT_SHOT;
    }
    return d->way == DP_WAY_REMOTE ? dp_translate_leave(skb, d->leaves) : dp_translate_local(skb);
}

/* The redirection whose target sends the packet (inbound: from a NIC); 0: none. scratch's flow key
   is the packet's, as the packet's direction says. */
DP_INLINE struct dp_redirect *dp_translate_find(const struct dp_scratch *s, __u32 inbound)
{
    struct dp_flow_key wire = s->flow_key;
    __u64 id;

    if (!inbound) {
        wire.local = s->flow_key.remote;
        wire.remote = s->flow_key.local;
        if (!dp_is_icmp(wire.protocol)) {
            wire.local_port = s->flow_key.remote_port;
            wire.remote_port = s->flow_key.local_port;
        }
    }
    id = dp_peer_answers(&wire);
    return id ? dp_redirect_find(id) : 0;
}

/* As it comes from the application's peer. */
DP_INLINE int dp_translate_from(struct __sk_buff *skb, const struct dp_redirect *d)
{
    struct dp_flow_key to = {.local = d->app.remote,
                             .remote = d->app.local,
                             .local_port = d->app.remote_port,
                             .remote_port = d->app.local_port};

    return dp_rewrite(skb, &to);
}

/* The target's answer is rewritten, to the application's end: a client that is another machine has
   it by the NIC that its packets come in by. */
DP_INLINE int dp_translate_return(struct __sk_buff *skb, const struct dp_redirect *d)
{
    return d->way == DP_WAY_FORWARD ? dp_translate_leave(skb, d->ifindex)
                                    : dp_translate_deliver(skb, d);
}

/* The flow that passes has heard from the target: its ends are seen here, and at the NIC. */
static __noinline int dp_translate_seen(const struct dp_redirect *d, const struct dp_packet *p)
{
    struct dp_flow_key at = d->app, *key = &at; /* Linux 6.1 looks up nothing but its own stack */
    struct dp_flow *f = dp_flow_find(key);

    if (f) dp_flow_touch(f, p, 0);
    return 0;
}

/* What leaves by lo, and has passed its layers. DP_PASS: it is no redirection's. */
__noinline int dp_translate_back(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_redirect *d = s ? dp_translate_find(s, 0) : 0;
    int r;

    if (!d || !dp_way_is_local(d->way) || d->state == DP_REDIRECT_DRAFT) return DP_PASS;
    if (d->way == DP_WAY_FORWARD) dp_translate_seen(d, &s->packet);
    r = dp_translate_from(skb, d);
    DP_FORGET(r);
    if (!r) return dp_translate_return(skb, d);
    dp_count(DP_REASON_INTERNAL, skb->len);
    return TC_ACT_SHOT;
}

/* What comes in by a NIC, or was asked about before that at XDP and is back. DP_PASS: it goes on,
 * rewritten if a redirection's target has sent it. */
__noinline int dp_translate_in(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_redirect *d;
    int r;

    if (!s || !s->packet.version) return DP_PASS;
    if (dp_is_icmp_error(&s->packet)) {
        d = dp_translate_error(skb, s, 1);
        return d && d->ifindex != s->way.ifindex ? dp_translate_deliver(skb, d) : DP_PASS;
    }
    if (dp_flow_key_of(&s->flow_key, &s->packet, 0)) return DP_PASS;
    d = dp_translate_find(s, 1);
    if (!d) return dp_binding_in(skb);
    if (d->way != DP_WAY_REMOTE || d->state == DP_REDIRECT_DRAFT) return DP_PASS;
    r = dp_translate_from(skb, d);
    DP_FORGET(r);
    if (!r) return d->ifindex == s->way.ifindex ? DP_PASS : dp_translate_deliver(skb, d);
    dp_count(DP_REASON_INTERNAL, skb->len);
    return TC_ACT_SHOT;
}

/* The flow's redirection cannot be carried out: it is refused, and its sender hears. */
__noinline int dp_translate_refuse(struct __sk_buff *skb, __u32 reason)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, 0);
    f = dp_flow_find(o.key);
    if (reason == DP_REASON_HELD || !f) return dp_out_drop(&o, reason);
    if (s->way.passes) o.inbound = 1;
    f->reason = reason;
    f->seen_ns = bpf_ktime_get_ns();
    bpf_spin_lock(&f->lock);
    f->state = DP_FLOW_BLOCKED;
    bpf_spin_unlock(&f->lock);
    return o.inbound ? dp_out_drop(&o, reason) : dp_out_refuse(&o, reason);
}

/* An error that leaves by lo. DP_PASS: it is not about a redirection's packet. */
__noinline int dp_translate_error_back(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_redirect *d = s ? dp_translate_error(skb, s, 0) : 0;

    return d ? dp_translate_return(skb, d) : DP_PASS;
}

/* Of the flow that the packet belongs to; 0: its packets go as they are. */
DP_INLINE __u64 dp_translate_of(const struct dp_scratch *s, __u32 *host)
{
    const struct dp_flow *f = s->way.of_flow ? dp_flow_find(&s->flow_key) : 0;

    if (!f || !(f->flags & DP_FLOW_TRANSLATE) || f->direction != DP_DIRECTION_OUTBOUND) return 0;
    *host = f->host;
    return f->redirect;
}

/* Its packet goes where redirection `id` leads. A TC action. */
DP_INLINE int dp_translate_flow(struct __sk_buff *skb, __u64 id, __u32 host)
{
    const struct dp_redirect *d = dp_redirect_find(id);
    int reason;

    if (!d || d->state == DP_REDIRECT_DRAFT) {
        reason = dp_redirect_go(skb, id, host);
        DP_FORGET(reason);
        if (reason) return dp_translate_refuse(skb, reason);
    }
    return dp_translate_out(skb, id);
}

/* The packet has passed its outbound layers. DP_PASS: it goes as it is. */
DP_INLINE int dp_translate(struct __sk_buff *skb, struct dp_scratch *s)
{
    __u32 host = 0;
    __u64 id;

    if (!dp_translating()) return DP_PASS;
    id = dp_translate_of(s, &host);
    if (!id && s->way.ifindex != DP_IFINDEX_LO) return dp_binding_out(skb);
    if (!id)
        return dp_is_icmp_error(&s->packet) ? dp_translate_error_back(skb) : dp_translate_back(skb);
    return dp_translate_flow(skb, id, host);
}

#endif
