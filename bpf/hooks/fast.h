/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packets of flows that are established and permitted, where no layer judges each packet: one
   look-up in the flow cache, before anything else. Every other packet goes the long way, which
   makes the entry. */
#ifndef SLUICE_BPF_HOOKS_FAST_H
#define SLUICE_BPF_HOOKS_FAST_H

#include <linux/udp.h>

#include "hooks/translated.h"
#include "lib/flow_cache.h"
#include "lib/redirect_flow.h"

enum dp_fast {
    DP_FAST_NOT = 0, /* not a packet that could pass so */
    DP_FAST_MISS,    /* there is no entry: if it passes there may be one */
    DP_FAST_HIT,
};

/* A segment in the middle of a connection, or a datagram. `left`: bytes of the IP payload. */
DP_INLINE int dp_fast_l4(void *at, void *end, __u32 left, struct dp_flow_key *k, __u32 inbound)
{
    struct tcphdr *t = at;
    struct udphdr *u = at;
    __u16 source, destination;

    if (k->protocol == DP_PROTO_TCP) {
        __u8 flags;

        if ((void *)(t + 1) > end) return 0;
        flags = ((__u8 *)at)[13];
        if ((flags & (DP_TCP_FIN | DP_TCP_SYN | DP_TCP_RST | DP_TCP_ACK)) != DP_TCP_ACK) return 0;
        if (t->doff < 5 || t->doff * 4u > left) return 0;
        source = t->source;
        destination = t->dest;
    } else {
        if (k->protocol != DP_PROTO_UDP || (void *)(u + 1) > end || left < sizeof *u) return 0;
        source = u->source;
        destination = u->dest;
    }
    k->local_port = bpf_ntohs(inbound ? destination : source);
    k->remote_port = bpf_ntohs(inbound ? source : destination);
    return 1;
}

DP_INLINE int dp_fast_v4(struct iphdr *ip, void *end, __u32 bytes, __u32 gso, struct dp_flow_key *k,
                         __u32 inbound)
{
    __u32 total;

    if ((void *)(ip + 1) > end) return 0;
    if (*(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff)) return 0;
    total = bpf_ntohs(ip->tot_len);
    if (!total && gso) total = bytes;
    if (total < sizeof *ip || total > bytes) return 0;
    k->local = dp_addr_v4(inbound ? ip->daddr : ip->saddr);
    k->remote = dp_addr_v4(inbound ? ip->saddr : ip->daddr);
    k->protocol = ip->protocol;
    return dp_fast_l4(ip + 1, end, total - sizeof *ip, k, inbound);
}

DP_INLINE int dp_fast_v6(struct ipv6hdr *ip, void *end, __u32 bytes, __u32 gso,
                         struct dp_flow_key *k, __u32 inbound)
{
    __u32 payload;

    if ((void *)(ip + 1) > end || ip->version != 6 || bytes < sizeof *ip) return 0;
    payload = bpf_ntohs(ip->payload_len);
    if (!payload && gso) payload = bytes - sizeof *ip;
    if (payload > bytes - sizeof *ip) return 0;
    k->local = dp_addr_v6(inbound ? ip->daddr.in6_u.u6_addr32 : ip->saddr.in6_u.u6_addr32);
    k->remote = dp_addr_v6(inbound ? ip->saddr.in6_u.u6_addr32 : ip->daddr.in6_u.u6_addr32);
    k->protocol = ip->nexthdr;
    return dp_fast_l4(ip + 1, end, payload, k, inbound);
}

/* IP version of a plain packet, whose key is k; 0: the parser is to look at it. */
DP_INLINE int dp_fast_parse(struct __sk_buff *skb, struct dp_flow_key *k, __u32 inbound)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    __u32 bytes = skb->len - sizeof *eth, gso = skb->gso_segs > 1;

    if ((void *)(eth + 1) > end || eth->h_dest[0] & 1 || skb->vlan_present) return 0;
    if (eth->h_proto == bpf_htons(DP_ETH_IPV4))
        return dp_fast_v4((void *)(eth + 1), end, bytes, gso, k, inbound) ? 4 : 0;
    if (eth->h_proto == bpf_htons(DP_ETH_IPV6))
        return dp_fast_v6((void *)(eth + 1), end, bytes, gso, k, inbound) ? 6 : 0;
    return 0;
}

/* Layers that judge every packet of a direction, but for those that XDP is at. */
#define DP_FAST_IN_V4 (DP_BIT(DP_LAYER_INBOUND_TRANSPORT_V4) | DP_BIT(DP_LAYER_DATAGRAM_DATA_V4))
#define DP_FAST_IN_V6 (DP_BIT(DP_LAYER_INBOUND_TRANSPORT_V6) | DP_BIT(DP_LAYER_DATAGRAM_DATA_V6))
#define DP_FAST_OUT_V4                                                                             \
    (DP_BIT(DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET) | DP_BIT(DP_LAYER_OUTBOUND_IPPACKET_V4) |        \
     DP_BIT(DP_LAYER_OUTBOUND_TRANSPORT_V4) | DP_BIT(DP_LAYER_DATAGRAM_DATA_V4))
#define DP_FAST_OUT_V6                                                                             \
    (DP_BIT(DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET) | DP_BIT(DP_LAYER_OUTBOUND_IPPACKET_V6) |        \
     DP_BIT(DP_LAYER_OUTBOUND_TRANSPORT_V6) | DP_BIT(DP_LAYER_DATAGRAM_DATA_V6))

DP_INLINE int dp_fast_xdp_judges(struct __sk_buff *skb)
{
    __u32 ifindex = skb->ifindex;
    struct dp_nic *nic = bpf_map_lookup_elem(&nics, &ifindex);

    return nic && nic->xdp;
}

/* No layer looks at each packet; what XDP has judged it has. */
DP_INLINE int dp_fast_unjudged(struct __sk_buff *skb, const struct dp_image_head *head, int version,
                               __u32 inbound)
{
    __u64 rows = head->present[0];
    __u64 xdp = version == 4 ? DP_LAYERS_XDP_V4 : DP_LAYERS_XDP_V6;

    if (!inbound) return !(rows & (version == 4 ? DP_FAST_OUT_V4 : DP_FAST_OUT_V6));
    if (rows & (version == 4 ? DP_FAST_IN_V4 : DP_FAST_IN_V6)) return 0;
    return !(rows & xdp) || dp_fast_xdp_judges(skb);
}

/* A packet that brings more than its headers: marked, translated, from a port, routed. */
DP_INLINE int dp_fast_is_plain(struct __sk_buff *skb, __u32 inbound)
{
    __u32 arrival = skb->ingress_ifindex, mark = skb->mark, type = skb->pkt_type;

    DP_FORGET(
        arrival); /* each is read where it stands: of two in one the verifier knows no place */
    DP_FORGET(mark);
    DP_FORGET(type);
    if (dp_translating()) return 0;
    return inbound ? !(mark & DP_MARK_BITS) && type == DP_PACKET_HOST : !arrival;
}

/* enum dp_fast of a packet whose key is k. */
DP_INLINE int dp_fast_pass(struct __sk_buff *skb, const struct dp_flow_key *k, int version,
                           __u32 inbound)
{
    struct dp_cache_use use = {.inbound = inbound, .ifindex = skb->ifindex, .bytes = skb->len};
    struct dp_image_head *head = dp_policy_head();
    struct dp_cached_set *set;
    __u16 seen = 0;
    __u64 hash;

    if (!head || !dp_fast_unjudged(skb, head, version, inbound)) return DP_FAST_NOT;
    if (skb->ifindex > 0xffff) return DP_FAST_NOT;
    /* A datagram must be of the socket that the flow is of. */
    if (!inbound && k->protocol == DP_PROTO_UDP) {
        use.cookie = bpf_get_socket_cookie(skb);
        if (!use.cookie) return DP_FAST_NOT;
    }
    hash = dp_cache_hash(k, cfg.cache_seed);
    set = dp_cache_set(hash);
    if (!set) return DP_FAST_NOT;
    use.generation = head->generation;
    use.jiffies = bpf_jiffies64();
    if (!dp_cache_hit(set, dp_cache_tag(hash), k, &use, &seen)) return DP_FAST_MISS;
    skb->tc_index = dp_seen_mark(seen, inbound);
    return DP_FAST_HIT;
}

/* Before the packet is parsed. A function of its own for its stack. */
__noinline int dp_fast(struct __sk_buff *skb, __u32 inbound)
{
    struct dp_flow_key k = {};
    int version;

    if (!dp_fast_is_plain(skb, inbound)) return DP_FAST_NOT;
    version = dp_fast_parse(skb, &k, inbound);
    return version ? dp_fast_pass(skb, &k, version, inbound) : DP_FAST_NOT;
}

/* What an entry of f says, for a packet of this direction. 0: it can have none. */
DP_INLINE int dp_fast_value(struct __sk_buff *skb, const struct dp_flow *f,
                            const struct dp_flow_key *k, __u32 inbound, struct dp_cached *v)
{
    __u32 at = inbound ? f->arrival : f->nexthop;

    if (!dp_flow_may_pass(f)) return 0;
    /* A device beneath another sees the packet after that one. */
    if (at != skb->ifindex && !(f->flags & DP_FLOW_LOOPBACK)) return 0;
    __builtin_memset(v, 0, sizeof *v);
    v->local = k->local;
    v->remote = k->remote;
    v->local_port = k->local_port;
    v->remote_port = k->remote_port;
    v->protocol = k->protocol;
    v->seen = dp_flow_mark(f);
    v->generation = f->generation;
    v->cookie = f->cookie;
    v->used = bpf_jiffies64();
    if (inbound)
        v->arrival = skb->ifindex;
    else
        v->nexthop = skb->ifindex;
    return 1;
}

/* The packet, which dp_fast has missed, has passed all layers of its flow: those that follow may
   pass by the cache. */
__noinline int dp_fast_keep(struct __sk_buff *skb, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_cache_write *w;
    struct dp_cached_set *set;
    const struct dp_flow_key *k;
    struct dp_flow *f;
    __u64 hash;

    if (!s || !s->way.indicated) return 0;
    k = &s->flow_key;
    f = dp_flow_find(k);
    if (!f) return 0;
    w = &s->cached;
    if (!dp_fast_value(skb, f, k, inbound, &w->value)) return 0;
    hash = dp_cache_hash(k, cfg.cache_seed);
    set = dp_cache_set(hash);
    if (!set) return 0;
    w->tag = dp_cache_tag(hash);
    w->jiffies = w->value.used;
    w->idle = cfg.jiffy_ns ? DP_CACHE_IDLE_NS / cfg.jiffy_ns : 0;
    w->before.word = 0;
    if (!dp_cache_put(set, k, w)) return 0;
    if (w->before.word & DP_CACHED_VALID) dp_cached_fold(&w->before, w->before.word);
    if (!dp_flow_may_pass(f)) dp_flow_fold(f, dp_cache_drop(set, k, w->tag), 0);
    return 1;
}

#endif
