/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Turns an outbound packet that may not leave into what its sender should hear at once: TCP a RST,
   others an ICMP unreachable, "administratively prohibited" (v4: 3/13, EHOSTUNREACH to a connected
   socket; v6: 1/1, EACCES: the codes that would be EHOSTUNREACH there are kept from sockets that
   did not ask for IPV6_RECVERR). Delivered by the interface the packet would have left by, so that
   reverse-path filters see the peer where its route leads. */
#ifndef SLUICE_BPF_LIB_REJECT_H
#define SLUICE_BPF_LIB_REJECT_H

#include <linux/pkt_cls.h>

#include "lib/parse.h"

struct dp_tcp {
    __be16 source, destination;
    __be32 seq, ack;
    __u8 offset, flags;
    __be16 window;
    __u16 check;
    __be16 urgent;
} __attribute__((packed));

struct dp_pseudo4 {
    __be32 source, destination;
    __u8 zero, protocol;
    __be16 length;
};

struct dp_pseudo6 {
    __be32 source[4], destination[4];
    __be32 length;
    __u8 zero[3], next;
};

DP_INLINE __u16 dp_csum_fold(__s64 sum)
{
    __u32 s = (__u32)sum;
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return ~s;
}

/* Answers the segment at p: RFC 9293, 3.10.7.1. */
DP_INLINE int dp_rst_fill(struct __sk_buff *skb, const struct dp_packet *p, struct dp_tcp *out)
{
    struct dp_tcp in;

    if (bpf_skb_load_bytes(skb, p->l4, &in, sizeof in)) return 0;
    __builtin_memset(out, 0, sizeof *out);
    out->source = in.destination;
    out->destination = in.source;
    out->offset = 5 << 4;
    if (in.flags & DP_TCP_ACK) {
        out->flags = DP_TCP_RST;
        out->seq = in.ack;
    } else {
        out->flags = DP_TCP_RST | DP_TCP_ACK;
        out->ack = bpf_htonl(bpf_ntohl(in.seq) + 1);
    }
    return 1;
}

DP_INLINE int dp_reject_eth(struct __sk_buff *skb)
{
    struct ethhdr eth;
    __u8 mac[ETH_ALEN];

    if (bpf_skb_load_bytes(skb, 0, &eth, sizeof eth)) return 0;
    __builtin_memcpy(mac, eth.h_dest, sizeof mac);
    __builtin_memcpy(eth.h_dest, eth.h_source, sizeof mac);
    __builtin_memcpy(eth.h_source, mac, sizeof mac);
    return !bpf_skb_store_bytes(skb, 0, &eth, sizeof eth, 0);
}

DP_INLINE void dp_ip4_fill(struct iphdr *ip, const struct iphdr *in, __u8 protocol, __u16 bytes)
{
    __builtin_memset(ip, 0, sizeof *ip);
    ip->version = 4;
    ip->ihl = 5;
    ip->tot_len = bpf_htons(bytes);
    ip->ttl = 64;
    ip->protocol = protocol;
    ip->saddr = in->daddr;
    ip->daddr = in->saddr;
    ip->check = dp_csum_fold(bpf_csum_diff(0, 0, (__be32 *)ip, sizeof *ip, 0));
}

static __noinline int dp_reject_tcp4(struct __sk_buff *skb, const struct dp_packet *p)
{
    struct {
        struct iphdr ip;
        struct dp_tcp tcp;
    } out;
    struct dp_pseudo4 pseudo = {};
    struct iphdr in;
    __s64 sum;

    if (bpf_skb_load_bytes(skb, p->l3, &in, sizeof in) || !dp_rst_fill(skb, p, &out.tcp)) return 0;
    dp_ip4_fill(&out.ip, &in, DP_PROTO_TCP, sizeof out);
    pseudo.source = out.ip.saddr;
    pseudo.destination = out.ip.daddr;
    pseudo.protocol = DP_PROTO_TCP;
    pseudo.length = bpf_htons(sizeof out.tcp);
    sum = bpf_csum_diff(0, 0, (__be32 *)&pseudo, sizeof pseudo, 0);
    out.tcp.check = dp_csum_fold(bpf_csum_diff(0, 0, (__be32 *)&out.tcp, sizeof out.tcp, sum));
    return !bpf_skb_change_tail(skb, ETH_HLEN + sizeof out, 0) && dp_reject_eth(skb) &&
           !bpf_skb_store_bytes(skb, ETH_HLEN, &out, sizeof out, BPF_F_INVALIDATE_HASH);
}

DP_INLINE void dp_ip6_fill(struct ipv6hdr *ip, const struct ipv6hdr *in, __u8 next, __u16 payload,
                           struct dp_pseudo6 *pseudo)
{
    __builtin_memset(ip, 0, sizeof *ip);
    ip->version = 6;
    ip->payload_len = bpf_htons(payload);
    ip->nexthdr = next;
    ip->hop_limit = 64;
    ip->saddr = in->daddr;
    ip->daddr = in->saddr;
    __builtin_memset(pseudo, 0, sizeof *pseudo);
    __builtin_memcpy(pseudo->source, &ip->saddr, sizeof pseudo->source);
    __builtin_memcpy(pseudo->destination, &ip->daddr, sizeof pseudo->destination);
    pseudo->length = bpf_htonl(payload);
    pseudo->next = next;
}

static __noinline int dp_reject_tcp6(struct __sk_buff *skb, const struct dp_packet *p)
{
    struct {
        struct ipv6hdr ip;
        struct dp_tcp tcp;
    } out;
    struct dp_pseudo6 pseudo;
    struct ipv6hdr in;
    __s64 sum;

    if (bpf_skb_load_bytes(skb, p->l3, &in, sizeof in) || !dp_rst_fill(skb, p, &out.tcp)) return 0;
    dp_ip6_fill(&out.ip, &in, DP_PROTO_TCP, sizeof out.tcp, &pseudo);
    sum = bpf_csum_diff(0, 0, (__be32 *)&pseudo, sizeof pseudo, 0);
    out.tcp.check = dp_csum_fold(bpf_csum_diff(0, 0, (__be32 *)&out.tcp, sizeof out.tcp, sum));
    return !bpf_skb_change_tail(skb, ETH_HLEN + sizeof out, 0) && dp_reject_eth(skb) &&
           !bpf_skb_store_bytes(skb, ETH_HLEN, &out, sizeof out, BPF_F_INVALIDATE_HASH);
}

static __noinline int dp_reject_other4(struct __sk_buff *skb, const struct dp_packet *p)
{
    struct {
        struct iphdr ip;
        __u8 type, code;
        __u16 check;
        __u32 unused;
        __u8 original[sizeof(struct iphdr) + 8];
    } out;
    struct iphdr in;

    if (p->l4 != p->l3 + sizeof in) return 0; /* options would not fit the fixed shape */
    if (bpf_skb_load_bytes(skb, p->l3, &out.original, sizeof out.original)) return 0;
    __builtin_memcpy(&in, out.original, sizeof in);
    dp_ip4_fill(&out.ip, &in, DP_PROTO_ICMP, sizeof out);
    out.type = 3;
    out.code = 13;
    out.check = 0;
    out.unused = 0;
    out.check =
        dp_csum_fold(bpf_csum_diff(0, 0, (__be32 *)&out.type, sizeof out - sizeof out.ip, 0));
    return !bpf_skb_change_tail(skb, ETH_HLEN + sizeof out, 0) && dp_reject_eth(skb) &&
           !bpf_skb_store_bytes(skb, ETH_HLEN, &out, sizeof out, BPF_F_INVALIDATE_HASH);
}

static __noinline int dp_reject_other6(struct __sk_buff *skb, const struct dp_packet *p)
{
    struct {
        struct ipv6hdr ip;
        __u8 type, code;
        __u16 check;
        __u32 unused;
        __u8 original[sizeof(struct ipv6hdr) + 8];
    } out;
    struct dp_pseudo6 pseudo;
    struct ipv6hdr in;
    __s64 sum;

    if (p->l4 != p->l3 + sizeof in) return 0;
    if (bpf_skb_load_bytes(skb, p->l3, &out.original, sizeof out.original)) return 0;
    __builtin_memcpy(&in, out.original, sizeof in);
    dp_ip6_fill(&out.ip, &in, DP_PROTO_ICMPV6, sizeof out - sizeof out.ip, &pseudo);
    out.type = 1;
    out.code = 1;
    out.check = 0;
    out.unused = 0;
    sum = bpf_csum_diff(0, 0, (__be32 *)&pseudo, sizeof pseudo, 0);
    out.check =
        dp_csum_fold(bpf_csum_diff(0, 0, (__be32 *)&out.type, sizeof out - sizeof out.ip, sum));
    return !bpf_skb_change_tail(skb, ETH_HLEN + sizeof out, 0) && dp_reject_eth(skb) &&
           !bpf_skb_store_bytes(skb, ETH_HLEN, &out, sizeof out, BPF_F_INVALIDATE_HASH);
}

/* A TC action: the answer to scratch's packet on its way into the stack, or a drop where none can
   be made. */
__noinline int dp_reject(struct __sk_buff *skb, __u32 ifindex)
{
    struct dp_scratch *s = dp_scratch();
    const struct dp_packet *p;
    int made = 0;

    if (!s) return TC_ACT_SHOT;
    p = &s->packet;
    /* Never a RST for a RST; nothing for groups, fragments without a header, tagged frames. */
    if (p->group || p->l3 != ETH_HLEN || p->fragment == DP_FRAGMENT_LATER ||
        (p->tcp_flags & DP_TCP_RST))
        return TC_ACT_SHOT;
    if (p->protocol == DP_PROTO_TCP)
        made = p->version == 4 ? dp_reject_tcp4(skb, p) : dp_reject_tcp6(skb, p);
    else if (!dp_is_icmp_error(p))
        made = p->version == 4 ? dp_reject_other4(skb, p) : dp_reject_other6(skb, p);
    if (!made) return TC_ACT_SHOT;
    skb->mark |= DP_OWN_BIT; /* no inbound layer judges it */
    dp_count(DP_REASON_REJECT_SENT, skb->len);
    return bpf_redirect(ifindex, BPF_F_INGRESS);
}

#endif
