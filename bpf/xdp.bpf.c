/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NIC, native XDP: INBOUND_IPPACKET. An object of its own because libxdp loads it; its maps are
 * those of dp.bpf.c. */
#include "lib/classify.h"
#include "lib/key.h"
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
                              __u32 host_id, __u64 number)
{
    struct dp_host *h = dp_host_alive(host_id);
    struct dp_upcall *up = &s->up;

    if (!h) return dp_xdp_drop(p, DP_REASON_PORT_GONE);
    if (p->bytes + sizeof *up > DP_PORT_MTU + ETH_HLEN)
        return dp_xdp_drop(p, DP_REASON_PORT_FRAME_TOO_BIG);
    dp_upcall_begin(up, DP_UPCALL_CLASSIFY, p);
    dp_upcall_ticket(up, &s->ticket, number);
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof *up) || bpf_xdp_store_bytes(ctx, 0, up, sizeof *up))
        return dp_xdp_drop(p, DP_REASON_INTERNAL);
    dp_upcall_counted(h, up->callout, DP_UPCALL_CLASSIFY, p->bytes);
    return bpf_redirect(h->port_ifindex, 0);
}

DP_INLINE int dp_xdp_callout(struct xdp_md *ctx, const struct dp_packet *p, struct dp_scratch *s)
{
    struct dp_ticket *t = &s->ticket;
    __u64 number;
    int action;

    dp_ticket_begin(t, s, p);
    number = dp_ticket_issue(t, p->bytes);
    if (!number) return XDP_DROP;
    action = dp_xdp_redirect(ctx, p, s, t->host, number);
    if (action != XDP_REDIRECT) bpf_map_delete_elem(&tickets, &number);
    return action;
}

SEC("xdp") int dp_xdp_nic(struct xdp_md *ctx)
{
    struct dp_packet p;
    struct dp_scratch *s = dp_scratch();
    int reason, r;

    if (!s) return XDP_DROP;
    reason = dp_parse_xdp(ctx, 0, &p);
    if (reason) return dp_xdp_drop(&p, reason);
    if (!p.version) return XDP_PASS;
    dp_key_from_ippacket(&s->key, &p, ctx->ingress_ifindex);
    __builtin_memset(&s->eval, 0, sizeof s->eval);
    r = dp_classify(&s->key, &s->eval);
    dp_count_filter(r == DP_CLASSIFY_CALLOUT ? s->eval.asked_id : s->eval.filter_id);
    dp_count_layer(s->key.layer,
                   r == DP_CLASSIFY_PERMIT    ? DP_LAYER_PERMIT
                   : r == DP_CLASSIFY_CALLOUT ? DP_LAYER_CALLOUT
                                              : DP_LAYER_BLOCK,
                   p.bytes);
    switch (r) {
    case DP_CLASSIFY_PERMIT:
        return XDP_PASS;
    case DP_CLASSIFY_CALLOUT:
        return dp_xdp_callout(ctx, &p, s);
    case DP_CLASSIFY_DEFER:
        return dp_xdp_drop(&p, DP_REASON_FRAGMENT);
    case DP_CLASSIFY_NO_POLICY:
        return dp_xdp_drop(&p, DP_REASON_POLICY_MISSING);
    default:
        return dp_xdp_drop(&p, DP_REASON_FILTER_BLOCK);
    }
}

char _license[] SEC("license") = "Dual BSD/GPL";
