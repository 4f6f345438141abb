/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Near end of a port, XDP: a host's answer. Nothing in it is believed. The flow (or ticket) that it
   names must be out, be this host's, carry this number and fit the packet behind the header; then
   the evaluation is resumed here. What is to happen with the packet travels in data_meta to
   dp_port_apply. */
#ifndef SLUICE_BPF_HOOKS_PORT_DOWN_H
#define SLUICE_BPF_HOOKS_PORT_DOWN_H

#include "hooks/down_flow.h"
#include "hooks/down_forward.h"
#include "hooks/down_inject.h"
#include "hooks/down_operation.h"
#include "hooks/down_redirect.h"
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

/* The steps stand beside each other for their stack: a deep call follows in the last. Those about
   flows are global: verified once, not once a way into them. */

/* Of which direction of the named flow the packet behind the header can be: DP_FITS_*, 0 where no
   flow is named. -1: of none, or it is no packet. */
static __noinline int dp_down_look(struct xdp_md *ctx, struct dp_scratch *s)
{
    int fits;

    if (dp_parse_xdp(ctx, sizeof s->head, &s->packet)) return -1;
    if (!s->head.key.protocol)
        return bpf_xdp_load_bytes(ctx, sizeof s->head, s->link, ETH_HLEN) ? -1 : 0;
    fits = dp_down_fits(s, &s->head.key);
    return fits ? fits : -1;
}

__noinline int dp_down_by_flow(__u32 host, __u32 bytes, __u32 fits)
{
    struct dp_down d = {.host = host, .scratch = dp_scratch(), .bytes = bytes, .fits = fits};
    struct dp_flow *f;

    if (!d.scratch) return XDP_DROP;
    f = dp_down_named(&d);
    return f ? dp_down_flow(&d, f) : XDP_DROP;
}

__noinline int dp_down_by_redirect(__u32 host, __u32 bytes, __u32 fits)
{
    struct dp_down d = {.host = host, .scratch = dp_scratch(), .bytes = bytes, .fits = fits};

    if (d.scratch) dp_down_redirect_resume(&d);
    return 0;
}

__noinline int dp_down_by_answer(struct xdp_md *ctx, __u32 host, __u32 bytes, __u32 fits)
{
    struct dp_down d = {.host = host, .scratch = dp_scratch(), .bytes = bytes, .fits = fits};
    struct dp_flow *f;

    if (!d.scratch) return XDP_DROP;
    f = dp_down_named(&d);
    return f ? dp_down_answer(ctx, &d, f) : XDP_DROP;
}

__noinline int dp_down_by_ticket(__u32 host, __u32 bytes)
{
    const struct dp_down d = {.host = host, .scratch = dp_scratch(), .bytes = bytes};

    return d.scratch ? dp_down_ticket(&d) : XDP_DROP;
}

static __noinline int dp_down_by_host(struct xdp_md *ctx, struct dp_scratch *s, __u32 host,
                                      __u32 bytes)
{
    const struct dp_down d = {.host = host, .scratch = s, .bytes = bytes};

    int parsed = bytes ? dp_parse_xdp(ctx, sizeof s->head, &s->packet) : 0;

    if (dp_inject_is_frame(&s->head.inject)) return dp_down_inject_frame(ctx, &d, parsed);
    return dp_down_inject(&d, parsed);
}

DP_INLINE int dp_down_injects(struct xdp_md *ctx, struct dp_scratch *s, __u32 host, __u32 bytes)
{
    return dp_inject_forwards(&s->head.inject) ? dp_down_forward(ctx, s, bytes)
                                               : dp_down_by_host(ctx, s, host, bytes);
}

/* bytes: of the packet; 0: none. */
DP_INLINE int dp_down_apply(struct xdp_md *ctx, struct dp_scratch *s, __u32 host, __u32 bytes)
{
    int fits = 0;

    /* Also where the answer came too late: the injection stands by itself. */
    if (s->head.kind == DP_DOWNCALL_INSTEAD) {
        s->head.flags = DP_DOWNCALL_ABSORB;
        dp_down_by_ticket(host, 0);
    }
    if (s->head.kind == DP_DOWNCALL_INJECT || s->head.kind == DP_DOWNCALL_INSTEAD)
        return dp_down_injects(ctx, s, host, bytes);
    if (s->head.flags & DP_DOWNCALL_OPERATION) return dp_down_operation(s, host, bytes);
    if (bytes) fits = dp_down_look(ctx, s);
    if (fits < 0) {
        dp_count(DP_REASON_DOWNCALL_MISMATCH, bytes);
        return XDP_DROP;
    }
    if (!s->head.key.protocol) return dp_down_by_ticket(host, bytes);
    if (dp_down_is_answer(&s->head)) {
        dp_down_by_redirect(host, bytes, fits);
        return dp_down_by_answer(ctx, host, bytes, fits);
    }
    return dp_down_by_flow(host, bytes, fits);
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
        head->kind > DP_DOWNCALL_INSTEAD) {
        dp_count(DP_REASON_DOWNCALL_MALFORMED, bytes);
        return XDP_DROP;
    }
    dp_count(DP_REASON_DOWNCALL, bytes);
    if (head->kind == DP_DOWNCALL_CONTEXT) return dp_down_context(ctx, s, host);
    if (head->kind == DP_DOWNCALL_REDIRECT)
        return dp_down_redirect(ctx, s, host, bytes - sizeof *head);
    __builtin_memset(&s->meta, 0, sizeof s->meta);
    s->meta.magic = DP_DOWNCALL_MAGIC;
    action = dp_down_apply(ctx, s, host, bytes - sizeof *head);
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
