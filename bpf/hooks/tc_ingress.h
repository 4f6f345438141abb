/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC and lo, TC ingress: INBOUND_MAC_FRAME and INBOUND_IPPACKET where XDP does not judge them;
   then, for what this machine itself receives, INBOUND_TRANSPORT (an ICMP error INBOUND_ICMP_ERROR)
   and ALE. */
#ifndef SLUICE_BPF_HOOKS_TC_INGRESS_H
#define SLUICE_BPF_HOOKS_TC_INGRESS_H

#include "hooks/ale_inbound.h"
#include "lib/packet_layers.h"

#define DP_AF_INET 2
#define DP_AF_INET6 10

DP_INLINE int dp_in_callout(const struct dp_out *o)
{
    struct __sk_buff *skb = o->skb;
    struct dp_scratch *s = o->scratch;
    struct dp_ticket *t = &s->ticket;
    __u64 number;
    __u32 reason;
    int action;

    dp_ticket_begin(t, s, o->packet);
    t->mark = skb->mark;
    t->priority = skb->priority;
    if (skb->vlan_present) t->vlan = 0x10000 | skb->vlan_tci;
    number = dp_ticket_issue(t, o->packet->bytes);
    if (!number) return TC_ACT_SHOT;
    dp_upcall_begin(&s->up, DP_UPCALL_CLASSIFY, o->packet);
    dp_upcall_ticket(&s->up, t, number);
    action = dp_upcall_skb(skb, &s->up, t->host, &reason);
    if (reason) bpf_map_delete_elem(&tickets, &number);
    return action;
}

/* DP_PASS: go on with the layers above. */
DP_INLINE int dp_in_ippacket(const struct dp_out *o, const struct dp_view *v)
{
    struct dp_scratch *s = o->scratch;
    int r;

    dp_key_from_packet(&s->key, DP_LAYER_INBOUND_IPPACKET_V4, o->packet, o->ifindex, 1);
    dp_key_ports(&s->key, o->packet, v->flow, 1);
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    if (dp_report(&s->key, &s->eval, r, o->packet->bytes, 0)) return TC_ACT_SHOT;
    return r == DP_CLASSIFY_CALLOUT ? dp_in_callout(o) : DP_PASS;
}

/* Whether the packet is for this machine: the routing table knows. */
static __noinline int dp_in_is_local(const struct dp_out *o)
{
    const struct dp_packet *p = o->packet;
    struct bpf_fib_lookup fib = {.ifindex = o->ifindex, .l4_protocol = p->protocol};
    long r;

    if (p->group) return 1;
    if (p->version == 4) {
        fib.family = DP_AF_INET;
        fib.ipv4_src = bpf_htonl((__u32)p->source.lo);
        fib.ipv4_dst = bpf_htonl((__u32)p->destination.lo);
    } else {
        fib.family = DP_AF_INET6;
        fib.ipv6_src[0] = bpf_htonl(p->source.hi >> 32);
        fib.ipv6_src[1] = bpf_htonl((__u32)p->source.hi);
        fib.ipv6_src[2] = bpf_htonl(p->source.lo >> 32);
        fib.ipv6_src[3] = bpf_htonl((__u32)p->source.lo);
        fib.ipv6_dst[0] = bpf_htonl(p->destination.hi >> 32);
        fib.ipv6_dst[1] = bpf_htonl((__u32)p->destination.hi);
        fib.ipv6_dst[2] = bpf_htonl(p->destination.lo >> 32);
        fib.ipv6_dst[3] = bpf_htonl((__u32)p->destination.lo);
    }
    r = bpf_fib_lookup(o->skb, &fib, sizeof fib, 0);
    return r < 0 || r == BPF_FIB_LKUP_RET_NOT_FWDED || r == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

DP_INLINE int dp_ingress_local(const struct dp_out *o, const struct dp_view *v, int own)
{
    struct dp_flow *f;
    int loopback = dp_addr_is_loopback(&o->key->remote);

    if (dp_is_icmp_error(o->packet))
        return !own && dp_layer_icmp_error(v, o->scratch) ? TC_ACT_SHOT : DP_PASS;
    f = dp_flow_find(o->key);
    if (!f && !loopback && !dp_in_is_local(o)) return DP_PASS; /* forwarded: judged as it leaves */
    if (!own && dp_layer_packet(v, DP_LAYER_INBOUND_TRANSPORT_V4, o->scratch)) return TC_ACT_SHOT;
    return f ? dp_in_known(o, f) : dp_in_unknown(o);
}

DP_INLINE int dp_ingress(struct __sk_buff *skb, struct dp_scratch *s, const struct dp_nic *nic)
{
    struct dp_out o = {.skb = skb,
                       .packet = &s->packet,
                       .key = &s->flow_key,
                       .scratch = s,
                       .ifindex = skb->ifindex,
                       .inbound = 1};
    struct dp_view v = {.ctx = skb,
                        .packet = &s->packet,
                        .flow = &s->flow_key,
                        .ifindex = skb->ifindex,
                        .inbound = 1,
                        .vlan = skb->vlan_present ? 0x1000 | (skb->vlan_tci & 0xfff) : 0};
    __u32 own = skb->mark & DP_OWN_BIT; /* our own RST or ICMP: no layer judges it */
    int reason, action, judged = skb->mark & (cfg.mark_bit | DP_OWN_BIT);

    reason = dp_parse_skb(skb, &s->packet);
    if (reason) return dp_out_drop(&o, reason);
    if (judged)
        skb->mark &= ~(cfg.mark_bit | DP_OWN_BIT);
    else if (!nic->xdp && dp_layer_mac(&v, 0, s))
        return TC_ACT_SHOT;
    if (!s->packet.version) return DP_PASS;
    reason = dp_flow_key_of(&s->flow_key, &s->packet, 0);
    /* A later fragment whose first has not passed here: the stack reassembles nothing without it.
     */
    if (reason) return dp_out_drop(&o, reason);
    if (!judged && !nic->xdp) {
        action = dp_in_ippacket(&o, &v);
        if (action != DP_PASS) return action;
    }
    return dp_ingress_local(&o, &v, own);
}

SEC("tc") int dp_tc_ingress(struct __sk_buff *skb)
{
    struct dp_scratch *s = dp_scratch();
    __u32 ifindex = skb->ifindex;
    struct dp_nic *nic = bpf_map_lookup_elem(&nics, &ifindex);

    return s && nic ? dp_ingress(skb, s, nic) : TC_ACT_SHOT;
}

#endif
