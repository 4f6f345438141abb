/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the handlers of downcalls share. */
#ifndef SLUICE_BPF_HOOKS_DOWN_H
#define SLUICE_BPF_HOOKS_DOWN_H

#include "lib/flow_judge.h"
#include "lib/flow_open.h"
#include "lib/parse_xdp.h"
#include "lib/upcall.h"

enum { DP_FITS_OUTBOUND = 1, DP_FITS_INBOUND = 2 };

struct dp_down {
    struct dp_downcall *head;
    struct dp_scratch *scratch;
    struct dp_port_meta *meta;
    __u32 host;
    __u32 bytes;   /* of the packet; 0: none */
    __u32 fits;    /* DP_FITS_*: of which direction of the named flow the packet can be */
    __u32 inbound; /* which it is */
};

DP_INLINE int dp_down_drop(const struct dp_down *d, __u32 reason)
{
    dp_count(reason, d->bytes);
    return XDP_DROP;
}

#endif
