/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef SLUICE_BPF_LIB_PARSE_XDP_H
#define SLUICE_BPF_LIB_PARSE_XDP_H

#include "lib/parse.h"

/* base: bytes of our own header in front of the Ethernet header. */
static __noinline int dp_parse_xdp(struct xdp_md *ctx, __u32 base, struct dp_packet *p)
{
    return dp_parse(ctx, 1, base, (__u32)(ctx->data_end - ctx->data), 0, p);
}

#endif
