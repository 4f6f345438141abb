/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC, native XDP: INBOUND_MAC_FRAME and INBOUND_IPPACKET. An object of its own because libxdp
 * loads it; its maps are those of dp.bpf.c. */
#include "lib/packet_layers.h"
#include "lib/parse_xdp.h"
#include "lib/upcall.h"

#include <xdp/xdp_helpers.h>

/* Early in a dispatcher's chain; others run after us unless we drop. */
struct {
    __uint(priority, 5);
    __uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(dp_xdp_nic);

DP_INLINE int dp_xdp_drop(const struct dp_packet *p, __u32 reason)
{
    dp_count(reason, p->bytes);
    return XDP_DROP;
}

DP_INLINE int dp_xdp_redirect(struct xdp_md *ctx, const struct dp_packet *p, struct dp_scratch *s,
                              __u64 number, __u8 flags)
{
    struct dp_host *h = dp_host_alive(s->ticket.host);
    struct dp_upcall *up = &s->up;

    if (!h) return dp_xdp_drop(p, DP_REASON_PORT_GONE);
    if (p->bytes + sizeof *up > DP_PORT_MTU + ETH_HLEN)
        return dp_xdp_drop(p, DP_REASON_PORT_FRAME_TOO_BIG);
    dp_upcall_begin(up, DP_UPCALL_CLASSIFY, p);
    dp_upcall_ticket(up, &s->ticket, number);
    up->flags |= flags;
    dp_upcall_interface(up);
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof *up) || bpf_xdp_store_bytes(ctx, 0, up, sizeof *up))
        return dp_xdp_drop(p, DP_REASON_INTERNAL);
    dp_upcall_counted(h, up->callout, DP_UPCALL_CLASSIFY, p->bytes);
    return bpf_redirect(h->port_ifindex, 0);
}

static __noinline int dp_xdp_callout(struct xdp_md *ctx, const struct dp_packet *p,
                                     struct dp_scratch *s, __u32 stage, __u8 flags)
{
    struct dp_ticket *t = &s->ticket;
    __u64 number;
    int action;

    dp_ticket_begin(t, s, p, stage);
    number = dp_ticket_issue(t, p->bytes);
    if (!number) return XDP_DROP;
    action = dp_xdp_redirect(ctx, p, s, number, flags);
    if (action != XDP_REDIRECT) dp_ticket_ends(t->host, number);
    return action;
}

/* A fragment is judged with the ports of its first one; without it, only where no filter asks for
   them. */
DP_INLINE int dp_xdp_ippacket(struct xdp_md *ctx, struct dp_view *v, struct dp_scratch *s)
{
    const struct dp_packet *p = v->packet;
    struct dp_flow_key *flow = &s->flow_key;
    int r, reason = dp_flow_key_of(flow, p, 0);

    if (reason == DP_REASON_FRAGMENT_OVERLAP) return dp_xdp_drop(p, reason);
    dp_key_from_packet(&s->key, DP_LAYER_INBOUND_IPPACKET_V4, p, v->ifindex, 1);
    dp_key_ports(&s->key, p, reason ? 0 : flow, 1);
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    if (dp_report(&s->key, &s->eval, r, p->bytes, 0)) return XDP_DROP;
    if (r != DP_CLASSIFY_CALLOUT) return XDP_PASS;
    if (!dp_ticket_admit(&s->eval, p->bytes)) return XDP_DROP;
    return dp_xdp_callout(ctx, p, s, DP_STAGE_IP_IN, dp_ticket_alone(s));
}

DP_INLINE int dp_xdp(struct xdp_md *ctx, struct dp_scratch *s)
{
    struct dp_packet *p = &s->packet;
    struct dp_view v = {.ctx = ctx, .packet = p, .ifindex = ctx->ingress_ifindex, .inbound = 1};
    int reason = dp_parse_xdp(ctx, 0, p);

    if (reason) return dp_xdp_drop(p, reason);
    reason = dp_layer_mac(&v, 1, s);
    if (reason == DP_LAYER_ASKS && dp_ticket_admit(&s->eval, p->bytes))
        return dp_xdp_callout(ctx, p, s, DP_STAGE_MAC_IN, 0);
    if (reason) return XDP_DROP;
    if (!p->version) return XDP_PASS;
    return dp_xdp_ippacket(ctx, &v, s);
}

/* No layer of ours is here: TC, which reads the headers all the same, is the first that judges. */
DP_INLINE int dp_xdp_is_idle(void)
{
    struct dp_image_head *head = dp_policy_head();

    return head && !(head->present[0] & (DP_LAYERS_XDP_V4 | DP_LAYERS_XDP_V6));
}

SEC("xdp") int dp_xdp_nic(struct xdp_md *ctx)
{
    struct dp_scratch *s;

    if (dp_xdp_is_idle()) return XDP_PASS;
    s = dp_scratch();
    return s ? dp_xdp(ctx, s) : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
