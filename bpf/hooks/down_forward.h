/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a host injects into the forward path. All is decided here, where the frame can still turn
   round: who injected it hears what became of it. In TC (port_forward.h) it is only sent. */
#ifndef SLUICE_BPF_HOOKS_DOWN_FORWARD_H
#define SLUICE_BPF_HOOKS_DOWN_FORWARD_H

#include "hooks/down.h"
#include "hooks/link.h"
#include "lib/redirect.h"
#include "lib/route.h"

DP_INLINE int dp_inject_forwards(const struct dp_injection *i)
{
    return i->kind == DP_INJECT_FORWARD || i->kind == DP_INJECT_TOO_BIG;
}

/* The frame goes back to its host. */
DP_INLINE int dp_forward_answer(struct xdp_md *ctx, struct dp_scratch *s, __u32 bytes, __u32 reason,
                                __u32 mtu)
{
    struct dp_upcall *up = &s->up;

    if (reason) dp_count(reason, bytes);
    dp_notice_begin(up, DP_UPCALL_FORWARDED);
    up->filter_id = s->head.inject.endpoint;
    up->action = reason;
    up->generation = mtu;
    if ((bytes && bpf_xdp_adjust_tail(ctx, -(int)bytes)) ||
        bpf_xdp_adjust_head(ctx, (int)sizeof s->head - (int)sizeof *up) ||
        bpf_xdp_store_bytes(ctx, 0, up, sizeof *up)) {
        dp_count(DP_REASON_INTERNAL, bytes);
        return XDP_DROP;
    }
    return XDP_TX;
}

/* An end of what passes this machine is an address that is not its own, nor a group's. */
DP_INLINE int dp_forward_end_fits(const struct dp_addr *a)
{
    struct dp_addr any = {}, any_v4 = dp_addr_v4(0);

    return dp_address_type(a, 0) == DP_ADDRESS_UNICAST && !dp_addr_equal(a, &any) &&
           !dp_addr_equal(a, &any_v4) && !dp_addr_is_own(a);
}

/* Where it goes, into s->meta and its link header. DP_REASON_*. */
DP_INLINE int dp_forward_way(struct xdp_md *ctx, struct dp_scratch *s, __u32 bytes, __u32 *mtu)
{
    __u32 named = s->head.inject.ifindex, asked = s->head.count, ifindex;
    struct bpf_fib_lookup fib;
    __u8 mac[2 * ETH_ALEN];
    long r;

    if (bytes > ETH_HLEN) bytes -= ETH_HLEN;
    r = dp_route_of(ctx, &fib, named ? named : ctx->ingress_ifindex, &s->packet.source,
                    &s->packet.destination, asked ? asked : bytes,
                    named ? BPF_FIB_LOOKUP_OUTPUT : 0);
    *mtu = fib.mtu_result;
    if (r == BPF_FIB_LKUP_RET_FRAG_NEEDED) return DP_REASON_INJECT_TOO_BIG;
    if (r != BPF_FIB_LKUP_RET_SUCCESS && r != BPF_FIB_LKUP_RET_NO_NEIGH)
        return DP_REASON_INJECT_NO_ROUTE;
    *mtu = DP_INJECT_BYTES; /* not more at once */
    if (asked) return DP_REASON_INJECT_TOO_BIG;
    ifindex = fib.ifindex;
    if (named && ifindex != named) return DP_REASON_INJECT_NO_ROUTE;
    if (!bpf_map_lookup_elem(&nics, &ifindex)) return DP_REASON_NO_NIC;
    s->meta.ifindex = ifindex;
    dp_link_unknown(mac);
    dp_link_unknown(mac + ETH_ALEN);
    if (r == BPF_FIB_LKUP_RET_SUCCESS) {
        __builtin_memcpy(mac, fib.dmac, ETH_ALEN);
        __builtin_memcpy(mac + ETH_ALEN, fib.smac, ETH_ALEN);
    }
    return bpf_xdp_store_bytes(ctx, sizeof s->head, mac, sizeof mac) ? DP_REASON_INTERNAL
                                                                     : DP_REASON_NONE;
}

/* The packet's IP header, and that it may pass this machine. DP_REASON_*. */
DP_INLINE int dp_forward_fits(struct xdp_md *ctx, struct dp_scratch *s)
{
    const struct dp_packet *p = &s->packet;

    if (dp_parse_xdp(ctx, sizeof s->head, &s->packet) || !p->version || p->l3 != p->base + ETH_HLEN)
        return DP_REASON_INJECT_REFUSED;
    return dp_forward_end_fits(&p->source) && dp_forward_end_fits(&p->destination)
               ? DP_REASON_NONE
               : DP_REASON_INJECT_NOT_TRANSIT;
}

/* The stack says so itself, to whom it comes in again; where it would forward the packet after all,
   nothing is said. */
DP_INLINE int dp_forward_too_big(struct xdp_md *ctx, struct dp_scratch *s, __u32 bytes)
{
    __u32 ifindex = s->head.inject.ifindex;
    int reason = dp_forward_fits(ctx, s);
    struct bpf_fib_lookup fib;
    __u8 mac[2 * ETH_ALEN];

    dp_link_unknown(mac);
    dp_link_unknown(mac + ETH_ALEN);
    if (!reason && (!bpf_map_lookup_elem(&nics, &ifindex) || bytes <= ETH_HLEN ||
                    dp_route_of(ctx, &fib, ifindex, &s->packet.source, &s->packet.destination,
                                bytes - ETH_HLEN, 0) != BPF_FIB_LKUP_RET_FRAG_NEEDED ||
                    bpf_xdp_store_bytes(ctx, sizeof s->head, mac, sizeof mac)))
        reason = DP_REASON_INJECT_REFUSED;
    if (reason) {
        dp_count(reason, bytes);
        return XDP_DROP;
    }
    s->meta.op = DP_PORT_TOO_BIG;
    s->meta.ifindex = ifindex;
    return XDP_PASS;
}

static __noinline int dp_down_forward(struct xdp_md *ctx, struct dp_scratch *s, __u32 bytes)
{
    __u32 mtu = 0;
    int reason;

    if (s->head.inject.kind == DP_INJECT_TOO_BIG) return dp_forward_too_big(ctx, s, bytes);
    if (!bytes) return dp_forward_answer(ctx, s, 0, DP_REASON_NONE, 0);
    reason = dp_forward_fits(ctx, s);
    if (!reason) reason = dp_forward_way(ctx, s, bytes, &mtu);
    if (reason) return dp_forward_answer(ctx, s, bytes, reason, mtu);
    dp_count(DP_REASON_INJECTED, bytes);
    s->meta.op = DP_PORT_FORWARD;
    s->meta.stage = DP_STAGE_SEND; /* all layers are passed over */
    return XDP_PASS;
}

#endif
