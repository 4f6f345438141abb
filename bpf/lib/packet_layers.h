/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Layers at which every packet is judged by itself. Each fills s->key and classifies;
   DP_REASON_NONE, or why the packet is refused, counted. */
#ifndef SLUICE_BPF_LIB_PACKET_LAYERS_H
#define SLUICE_BPF_LIB_PACKET_LAYERS_H

#include "lib/report.h"

/* What a packet layer looks at. */
struct dp_view {
    void *ctx;
    const struct dp_packet *packet;
    const struct dp_flow_key *flow; /* 0: not known */
    __u32 ifindex;
    __u32 inbound;
    __u32 vlan; /* of a tag that is not in the frame, as in dp_packet */
};

DP_INLINE __u64 dp_mac_number(const __u8 *mac)
{
    return (__u64)mac[0] << 40 | (__u64)mac[1] << 32 | (__u64)mac[2] << 24 | mac[3] << 16 |
           mac[4] << 8 | mac[5];
}

DP_INLINE __u32 dp_mac_type(const __u8 *mac)
{
    if (dp_mac_number(mac) == 0xffffffffffffULL) return DP_ADDRESS_BROADCAST;
    return mac[0] & 1 ? DP_ADDRESS_MULTICAST : DP_ADDRESS_UNICAST;
}

#define DP_LAYER_ASKS (-1) /* not refused: the callout that s->eval names is to be asked */

/* MAC_FRAME of either direction. */
DP_INLINE int dp_layer_mac(const struct dp_view *v, int xdp, struct dp_scratch *s)
{
    const struct dp_packet *p = v->packet;
    __u32 layer =
        v->inbound ? DP_LAYER_INBOUND_MAC_FRAME_ETHERNET : DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET;
    __u32 vlan = v->vlan ? v->vlan : p->vlan; /* the outermost */
    struct ethhdr eth = {};
    int r, reason;

    if (!dp_layer_has_rows(layer)) return DP_REASON_NONE;
    if (dp_load(v->ctx, xdp, p->base, &eth, sizeof eth)) return DP_REASON_TRUNCATED;
    dp_key_begin(&s->key, layer);
    dp_key_interfaces(&s->key, v->ifindex, v->inbound);
    DP_NUMBER(&s->key, FLAGS) = DP_CONDITION_L2_IS_NATIVE_ETHERNET;
    DP_NUMBER(&s->key, LOCAL_MAC) = dp_mac_number(v->inbound ? eth.h_dest : eth.h_source);
    DP_NUMBER(&s->key, REMOTE_MAC) = dp_mac_number(v->inbound ? eth.h_source : eth.h_dest);
    DP_NUMBER(&s->key, LOCAL_ADDRESS_TYPE) = dp_mac_type(v->inbound ? eth.h_dest : eth.h_source);
    DP_NUMBER(&s->key, REMOTE_ADDRESS_TYPE) = dp_mac_type(v->inbound ? eth.h_source : eth.h_dest);
    DP_NUMBER(&s->key, ETHER_TYPE) = p->ether_type;
    DP_NUMBER(&s->key, VLAN) = vlan & 0xfff;
    if (!vlan) s->key.empty |= DP_SLOT_BIT(VLAN);
    DP_NUMBER(&s->key, PACKET_LENGTH) = p->bytes - p->base;
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    reason = dp_report(&s->key, &s->eval, r, p->bytes, 0);
    return !reason && r == DP_CLASSIFY_CALLOUT ? DP_LAYER_ASKS : reason;
}

/* 0: the layer has no rows. Else its key is s->key. */
DP_INLINE int dp_key_forward(const struct dp_view *v, __u32 arrival, struct dp_scratch *s)
{
    const struct dp_packet *p = v->packet;
    __u32 layer = DP_LAYER_IPFORWARD_V4;

    if (!dp_layer_has_rows(p->version == 4 ? layer : layer + DP_LAYER_V6)) return 0;
    dp_key_from_packet(&s->key, layer, p, v->ifindex, 0);
    dp_key_ports(&s->key, p, 0, 0);
    s->key.empty &= ~DP_SLOT_BIT(ARRIVAL_INTERFACE);
    DP_NUMBER(&s->key, ARRIVAL_INTERFACE) = arrival;
    return 1;
}

/* The packet that an ICMP error quotes, as the layer shows it: local is this machine's side. What
   is not there is empty. */
DP_INLINE void dp_key_embedded(struct dp_key *key, const struct dp_view *v, int xdp)
{
    const struct dp_packet *p = v->packet;
    __u32 at = p->l4 + 8, l4;
    struct dp_addr local = {}, remote = {};
    __u8 protocol;
    __be16 ports[2];

    key->empty |= DP_SLOT_BIT(EMBEDDED_PROTOCOL) | DP_SLOT_BIT(EMBEDDED_REMOTE_ADDRESS) |
                  DP_SLOT_BIT(EMBEDDED_LOCAL_ADDRESS_TYPE) | DP_SLOT_BIT(EMBEDDED_LOCAL_PORT) |
                  DP_SLOT_BIT(EMBEDDED_REMOTE_PORT);
    if (p->version == 4) {
        struct iphdr ip;

        if (dp_load(v->ctx, xdp, at, &ip, sizeof ip) || ip.version != 4 || ip.ihl < 5) return;
        local = dp_addr_v4(ip.saddr);
        remote = dp_addr_v4(ip.daddr);
        protocol = ip.protocol;
        l4 = at + ip.ihl * 4;
    } else {
        struct ipv6hdr ip;

        if (dp_load(v->ctx, xdp, at, &ip, sizeof ip) || ip.version != 6) return;
        local = dp_addr_v6(ip.saddr.in6_u.u6_addr32);
        remote = dp_addr_v6(ip.daddr.in6_u.u6_addr32);
        protocol = ip.nexthdr;
        l4 = at + sizeof ip;
    }
    key->empty &= ~(DP_SLOT_BIT(EMBEDDED_PROTOCOL) | DP_SLOT_BIT(EMBEDDED_REMOTE_ADDRESS) |
                    DP_SLOT_BIT(EMBEDDED_LOCAL_ADDRESS_TYPE));
    DP_NUMBER(key, EMBEDDED_PROTOCOL) = protocol;
    DP_WIDE(key, EMBEDDED_REMOTE_ADDRESS) = remote;
    DP_NUMBER(key, EMBEDDED_LOCAL_ADDRESS_TYPE) = dp_address_type(&local, 0);
    if ((protocol != DP_PROTO_TCP && protocol != DP_PROTO_UDP) ||
        dp_load(v->ctx, xdp, l4, ports, sizeof ports))
        return;
    key->empty &= ~(DP_SLOT_BIT(EMBEDDED_LOCAL_PORT) | DP_SLOT_BIT(EMBEDDED_REMOTE_PORT));
    DP_NUMBER(key, EMBEDDED_LOCAL_PORT) = bpf_ntohs(ports[0]);
    DP_NUMBER(key, EMBEDDED_REMOTE_PORT) = bpf_ntohs(ports[1]);
}

#endif
