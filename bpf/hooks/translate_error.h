/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP errors about packets that were rewritten: the packet that they quote becomes the one that
   the application sent, so that its socket hears. */
#ifndef SLUICE_BPF_HOOKS_TRANSLATE_ERROR_H
#define SLUICE_BPF_HOOKS_TRANSLATE_ERROR_H

#include "hooks/rewrite.h"
#include "lib/redirect.h"

/* Delivered by lo, where the target's answers are caught. */
DP_INLINE int dp_way_is_local(__u32 way)
{
    return way == DP_WAY_LOCAL || way == DP_WAY_FORWARD;
}

/* Where the quote's headers are. */
struct dp_quote {
    __u32 l3, l4;
};

/* Scratch's flow key becomes that of the quoted packet, which this machine has sent. 0: it is none
   that has ports. */
static __noinline int dp_quote_read(struct __sk_buff *skb, struct dp_scratch *s, struct dp_quote *q)
{
    struct dp_flow_key *k = &s->flow_key;
    __be16 ports[2];

    q->l3 = s->packet.l4 + 8;
    __builtin_memset(k, 0, sizeof *k);
    if (s->packet.version == 4) {
        struct iphdr ip;

        if (bpf_skb_load_bytes(skb, q->l3, &ip, sizeof ip) || ip.version != 4 || ip.ihl < 5)
            return 0;
        k->local = dp_addr_v4(ip.saddr);
        k->remote = dp_addr_v4(ip.daddr);
        k->protocol = ip.protocol;
        q->l4 = q->l3 + ip.ihl * 4;
    } else {
        struct ipv6hdr ip;

        if (bpf_skb_load_bytes(skb, q->l3, &ip, sizeof ip) || ip.version != 6) return 0;
        k->local = dp_addr_v6(ip.saddr.in6_u.u6_addr32);
        k->remote = dp_addr_v6(ip.daddr.in6_u.u6_addr32);
        k->protocol = ip.nexthdr;
        q->l4 = q->l3 + sizeof ip;
    }
    if ((k->protocol != DP_PROTO_TCP && k->protocol != DP_PROTO_UDP) ||
        bpf_skb_load_bytes(skb, q->l4, ports, sizeof ports))
        return 0;
    k->local_port = bpf_ntohs(ports[0]);
    k->remote_port = bpf_ntohs(ports[1]);
    return 1;
}

/* The source or destination of the quoted packet. The sum of an IPv4 header takes the change, so
   that the error's own stays. */
__noinline int dp_quote_address(struct __sk_buff *skb, __u32 l3, const struct dp_addr *from,
                                const struct dp_addr *to, int source)
{
    __be32 was[4], is[4];
    __s64 by;

    if (!from || !to) return -1;
    if (dp_addr_equal(from, to)) return 0;
    dp_route_words(was, from);
    dp_route_words(is, to);
    if (dp_addr_is_v4(from))
        return bpf_l3_csum_replace(skb, l3 + 10, was[3], is[3], sizeof is[3]) ||
               bpf_skb_store_bytes(skb, l3 + (source ? 12 : 16), &is[3], sizeof is[3], 0);
    by = bpf_csum_diff(was, sizeof was, is, sizeof is, 0);
    return bpf_l4_csum_replace(skb, l3 - 8 + 2, 0, by, 0) ||
           bpf_skb_store_bytes(skb, l3 + (source ? 8 : 24), is, sizeof is, 0);
}

static __noinline int dp_quote_ports(struct __sk_buff *skb, const struct dp_quote *q, __u32 sum,
                                     const struct dp_flow_key *from, const struct dp_flow_key *to)
{
    __be32 was = bpf_htonl((__u32)from->local_port << 16 | from->remote_port);
    __be32 is = bpf_htonl((__u32)to->local_port << 16 | to->remote_port);

    return bpf_l4_csum_replace(skb, sum, was, is, sizeof is) ||
           bpf_skb_store_bytes(skb, q->l4, &is, sizeof is, 0);
}

/* The error in scratch's packet, which quotes d's. 0: it is as if about the application's. */
DP_INLINE int dp_quote_rewrite(struct __sk_buff *skb, struct dp_scratch *s,
                               const struct dp_redirect *d, const struct dp_quote *q)
{
    struct dp_flow_key to = {.local = s->packet.source, .remote = d->app.local};
    __u32 sum = s->packet.l4 + 2;

    if (dp_quote_address(skb, q->l3, &d->wire.remote, &d->app.remote, 0) ||
        dp_quote_address(skb, q->l3, &d->wire.local, &d->app.local, 1) ||
        dp_quote_ports(skb, q, sum, &d->wire, &d->app))
        return -1;
    if (dp_addr_equal(&to.local, &d->wire.remote)) to.local = d->app.remote;
    return dp_rewrite(skb, &to);
}

/* The redirection that the error is about, rewritten so; 0: none, or it cannot be. remote: its
   target is another machine. */
static __noinline struct dp_redirect *dp_translate_error(struct __sk_buff *skb,
                                                         struct dp_scratch *s, __u32 remote)
{
    struct dp_redirect *d;
    struct dp_quote q;
    __u64 *id;

    if (!dp_quote_read(skb, s, &q)) return 0;
    id = bpf_map_lookup_elem(&redirect_peers, &s->flow_key);
    d = id ? dp_redirect_find(*id) : 0;
    if (!d || d->state == DP_REDIRECT_DRAFT) return 0;
    if (remote ? d->way != DP_WAY_REMOTE : !dp_way_is_local(d->way)) return 0;
    return dp_quote_rewrite(skb, s, d, &q) ? 0 : d;
}

#endif
