/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet's headers, bounds-checked once. Every field is chosen by an attacker: lengths must agree
   with each other and with what arrived, or the packet is refused with a reason. Reads by helper,
   so that a packet may be non-linear. */
#ifndef SLUICE_BPF_LIB_PARSE_H
#define SLUICE_BPF_LIB_PARSE_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "lib/base.h"

#define DP_TCP_FIN 0x01
#define DP_TCP_SYN 0x02
#define DP_TCP_RST 0x04
#define DP_TCP_ACK 0x10

/* An error that quotes a packet: never of a flow of its own. */
DP_INLINE int dp_is_icmp_error(const struct dp_packet *p)
{
    if (p->fragment == DP_FRAGMENT_LATER) return 0;
    if (p->protocol == DP_PROTO_ICMPV6) return p->version == 6 && p->source_port < 128;
    if (p->protocol != DP_PROTO_ICMP || p->version != 4) return 0;
    return p->source_port == 3 || p->source_port == 4 || p->source_port == 5 ||
           p->source_port == 11 || p->source_port == 12;
}

/* Messages whose identifier joins question and answer. */
DP_INLINE int dp_is_icmp_query(const struct dp_packet *p)
{
    if (p->protocol == DP_PROTO_ICMPV6) return p->source_port == 128 || p->source_port == 129;
    return p->protocol == DP_PROTO_ICMP && (p->source_port == 0 || p->source_port == 8 ||
                                            p->source_port == 13 || p->source_port == 14);
}

#define DP_EXT_HEADERS_MAX 8
#define DP_VLAN_TAGS_MAX 2

/* Which helper reads depends on the context; `xdp` is a constant at each call. */
DP_INLINE int dp_load(void *ctx, int xdp, __u32 offset, void *to, __u32 bytes)
{
    return xdp ? bpf_xdp_load_bytes(ctx, offset, to, bytes)
               : bpf_skb_load_bytes(ctx, offset, to, bytes);
}

DP_INLINE int dp_parse_l4(void *ctx, int xdp, struct dp_packet *p, __u32 left)
{
    struct {
        __be16 source, destination;
        __be32 a, b;
        __u8 offset, flags;
        __u16 window;
    } t = {};
    __u32 need = p->protocol == DP_PROTO_TCP ? 20 : 8;

    if (p->protocol != DP_PROTO_TCP && p->protocol != DP_PROTO_UDP &&
        p->protocol != DP_PROTO_ICMP && p->protocol != DP_PROTO_ICMPV6)
        return DP_REASON_NONE;
    if (left < need) return p->fragment ? DP_REASON_FRAGMENT : DP_REASON_TRUNCATED;
    if (p->protocol == DP_PROTO_TCP ? dp_load(ctx, xdp, p->l4, &t, 16)
                                    : dp_load(ctx, xdp, p->l4, &t, 8))
        return DP_REASON_TRUNCATED;
    if (p->protocol == DP_PROTO_ICMP || p->protocol == DP_PROTO_ICMPV6) {
        p->source_port = bpf_ntohs(t.source) >> 8;        /* type */
        p->destination_port = bpf_ntohs(t.source) & 0xff; /* code */
        p->icmp_id = bpf_ntohs((__be16)t.a);
        return DP_REASON_NONE;
    }
    p->source_port = bpf_ntohs(t.source);
    p->destination_port = bpf_ntohs(t.destination);
    if (p->protocol == DP_PROTO_TCP) {
        __u32 header = (t.offset >> 4) * 4;

        p->tcp_flags = t.flags;
        if (header < 20 || (header > left && !p->fragment)) return DP_REASON_MALFORMED;
    }
    return DP_REASON_NONE;
}

DP_INLINE int dp_parse_ipv4(void *ctx, int xdp, struct dp_packet *p)
{
    struct iphdr ip;
    __u32 header, total, left, offset;

    if (dp_load(ctx, xdp, p->l3, &ip, sizeof ip)) return DP_REASON_TRUNCATED;
    header = ip.ihl * 4;
    total = bpf_ntohs(ip.tot_len);
    if (!total && p->gso) total = p->bytes - p->l3;
    if (ip.version != 4 || header < sizeof ip || total < header) return DP_REASON_MALFORMED;
    if (total > p->bytes - p->l3) return DP_REASON_TRUNCATED;
    p->source = dp_addr_v4(ip.saddr);
    p->destination = dp_addr_v4(ip.daddr);
    p->version = 4;
    p->protocol = ip.protocol;
    p->fragment_id = bpf_ntohs(ip.id);
    left = total - header;
    offset = bpf_ntohs(ip.frag_off);
    p->fragment_at = (offset & 0x1fff) * 8;
    p->payload = left;
    if (offset & 0x1fff) {
        p->fragment = DP_FRAGMENT_LATER;
        /* A fragment that reaches into the first eight-byte unit's transport header is only ever an
         * attack. */
        return (offset & 0x1fff) < 3 && ip.protocol == DP_PROTO_TCP ? DP_REASON_FRAGMENT
                                                                    : DP_REASON_NONE;
    }
    if (offset & 0x2000) p->fragment = DP_FRAGMENT_FIRST;
    p->l4 = p->l3 + header;
    return dp_parse_l4(ctx, xdp, p, left);
}

/* Walks extension headers from p->l4 on. */
DP_INLINE int dp_parse_ipv6_chain(void *ctx, int xdp, struct dp_packet *p, __u32 end)
{
    /* Unrolled: rotated into a loop that is entered in the middle, 6.1 takes it for a back-edge and
     * refuses. */
#pragma unroll
    for (int i = 0; i <= DP_EXT_HEADERS_MAX; i++) {
        __u8 ext[8];
        __u32 length;

        switch (p->protocol) {
        case 0:  /* hop by hop */
        case 43: /* routing */
        case 44: /* fragment */
        case 51: /* authentication */
        case 60: /* destination options */
            break;
        default:
            if (p->l4 > end) return DP_REASON_TRUNCATED;
            return dp_parse_l4(ctx, xdp, p, end - p->l4);
        }
        if (i == DP_EXT_HEADERS_MAX) return DP_REASON_EXT_HEADERS;
        if ((__u32)p->l4 + 8 > end || dp_load(ctx, xdp, p->l4, ext, 8)) return DP_REASON_TRUNCATED;
        length = (ext[1] + 1) * 8;
        if (p->protocol == 51) length = (ext[1] + 2) * 4;
        if (p->protocol == 44) {
            __u16 field = ext[2] << 8 | ext[3];

            length = 8;
            p->fragment_id = (__u32)ext[4] << 24 | ext[5] << 16 | ext[6] << 8 | ext[7];
            p->fragment_at = field & 0xfff8;
            p->payload = end > (__u32)p->l4 + 8 ? end - p->l4 - 8 : 0;
            if (field & 0xfff8) {
                p->fragment = DP_FRAGMENT_LATER;
                p->protocol = ext[0];
                p->l4 = 0;
                return DP_REASON_NONE;
            }
            if (field & 1) p->fragment = DP_FRAGMENT_FIRST;
        }
        p->protocol = ext[0];
        if ((__u32)p->l4 + length > end)
            return p->fragment ? DP_REASON_FRAGMENT : DP_REASON_TRUNCATED;
        p->l4 += length;
    }
    return DP_REASON_EXT_HEADERS;
}

DP_INLINE int dp_parse_ipv6(void *ctx, int xdp, struct dp_packet *p)
{
    struct ipv6hdr ip;
    __u32 payload;

    if (dp_load(ctx, xdp, p->l3, &ip, sizeof ip)) return DP_REASON_TRUNCATED;
    if (ip.version != 6) return DP_REASON_MALFORMED;
    payload = bpf_ntohs(ip.payload_len);
    if (!payload && p->gso) payload = p->bytes - p->l3 - sizeof ip;
    if (payload + sizeof ip > p->bytes - p->l3) return DP_REASON_TRUNCATED;
    p->source = dp_addr_v6(ip.saddr.in6_u.u6_addr32);
    p->destination = dp_addr_v6(ip.daddr.in6_u.u6_addr32);
    p->version = 6;
    p->protocol = ip.nexthdr;
    p->l4 = p->l3 + sizeof ip;
    return dp_parse_ipv6_chain(ctx, xdp, p, p->l4 + payload);
}

/* DP_REASON_NONE and p filled (version 0: not IP, nothing more known), or why the packet cannot be
   judged. base: where the Ethernet header begins; p->bytes and the offsets count from the start of
   the frame all the same. */
DP_INLINE int dp_parse(void *ctx, int xdp, __u32 base, __u32 bytes, int gso, struct dp_packet *p)
{
    struct ethhdr eth;
    __u16 type;

    __builtin_memset(p, 0, sizeof *p);
    p->bytes = bytes;
    p->gso = gso;
    if (bytes < base + sizeof eth || dp_load(ctx, xdp, base, &eth, sizeof eth))
        return DP_REASON_TRUNCATED;
    p->group = eth.h_dest[0] & 1;
    p->base = base;
    type = bpf_ntohs(eth.h_proto);
    p->l3 = base + sizeof eth;
    for (int i = 0; i <= DP_VLAN_TAGS_MAX; i++) {
        __be16 tag[2];

        if (type != 0x8100 && type != 0x88a8) break;
        if (i == DP_VLAN_TAGS_MAX) return DP_REASON_VLAN_DEPTH;
        if (dp_load(ctx, xdp, p->l3, tag, sizeof tag)) return DP_REASON_TRUNCATED;
        if (!p->vlan) p->vlan = 0x1000 | (bpf_ntohs(tag[0]) & 0xfff);
        type = bpf_ntohs(tag[1]);
        p->l3 += sizeof tag;
    }
    p->ether_type = type;
    if (type == DP_ETH_IPV4) return dp_parse_ipv4(ctx, xdp, p);
    if (type == DP_ETH_IPV6) return dp_parse_ipv6(ctx, xdp, p);
    return DP_REASON_NONE;
}

#endif
