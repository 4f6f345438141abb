/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, XDP: a host's answer. Nothing in it is believed. The flow (or ticket) that it
   names must be out, be this host's, carry this number and fit the packet behind the header; then
   the evaluation is resumed here. What is to happen with the packet travels in data_meta to
   dp_port_apply. */
#ifndef SLUICE_BPF_HOOKS_PORT_DOWN_H
#define SLUICE_BPF_HOOKS_PORT_DOWN_H

#include "hooks/down_flow.h"
#include "hooks/down_ticket.h"

DP_INLINE int dp_down_wrap(struct xdp_md *ctx, const struct dp_port_meta *meta)
{
    struct dp_port_meta *m;

    if (bpf_xdp_adjust_head(ctx, sizeof(struct dp_downcall))) return 0;
    if (bpf_xdp_adjust_meta(ctx, -(int)sizeof *m)) return 0;
    m = (void *)(long)ctx->data_meta;
    if ((void *)(m + 1) > (void *)(long)ctx->data) return 0;
    *m = *meta;
    return 1;
}

static __noinline int dp_down_apply(struct xdp_md *ctx, struct dp_scratch *s, __u32 host)
{
    struct dp_downcall *head = &s->head;
    struct dp_down d = {.head = head, .meta = &s->meta, .host = host, .scratch = s};
    struct dp_packet *p = &s->packet;

    d.bytes = ctx->data_end - ctx->data - sizeof *head;
    if (d.bytes) {
        if (dp_parse_xdp(ctx, sizeof *head, p))
            return dp_down_drop(&d, DP_REASON_DOWNCALL_MISMATCH);
        if (head->key.protocol) d.fits = dp_down_fits(s, &head->key);
        if (head->key.protocol && !d.fits) return dp_down_drop(&d, DP_REASON_DOWNCALL_MISMATCH);
    }
    return head->key.protocol ? dp_down_flow(ctx, &d) : dp_down_ticket(&d);
}

/* A function of its own: a packet pointer cut to 32 bits may not be spilled. */
static __noinline __u32 dp_down_bytes(struct xdp_md *ctx)
{
    return ctx->data_end - ctx->data;
}

DP_INLINE int dp_down(struct xdp_md *ctx, struct dp_scratch *s, __u32 host)
{
    struct dp_downcall *head = &s->head;
    __u32 bytes = dp_down_bytes(ctx);
    int action;

    if (bpf_xdp_load_bytes(ctx, 0, head, sizeof *head) || head->magic != DP_DOWNCALL_MAGIC ||
        head->version != DP_LAYOUT_VERSION || head->kind < DP_DOWNCALL_ANSWER ||
        (head->kind > DP_DOWNCALL_DISCARD && head->kind != DP_DOWNCALL_CONTEXT)) {
        dp_count(DP_REASON_DOWNCALL_MALFORMED, bytes);
        return XDP_DROP;
    }
    dp_count(DP_REASON_DOWNCALL, bytes);
    if (head->kind == DP_DOWNCALL_CONTEXT) return dp_down_context(ctx, s, host);
    __builtin_memset(&s->meta, 0, sizeof s->meta);
    s->meta.magic = DP_DOWNCALL_MAGIC;
    action = dp_down_apply(ctx, s, host);
    if (action != XDP_PASS) return action;
    if (dp_down_wrap(ctx, &s->meta)) return XDP_PASS;
    dp_count(DP_REASON_INTERNAL, 0);
    return XDP_DROP;
}

SEC("xdp") int dp_port_down(struct xdp_md *ctx)
{
    __u32 ifindex = ctx->ingress_ifindex;
    struct dp_port *port = bpf_map_lookup_elem(&ports, &ifindex);
    struct dp_scratch *s = dp_scratch();

    if (port && s) return dp_down(ctx, s, port->host);
    dp_count(DP_REASON_PORT_FOREIGN_FRAME, 0);
    return XDP_DROP;
}

#endif
