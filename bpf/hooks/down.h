/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the handlers of downcalls share. */
#ifndef SLUICE_BPF_HOOKS_DOWN_H
#define SLUICE_BPF_HOOKS_DOWN_H

#include "lib/flow_end.h"
#include "lib/flow_judge.h"
#include "lib/parse_xdp.h"
#include "lib/upcall.h"

enum { DP_FITS_OUTBOUND = 1, DP_FITS_INBOUND = 2 };

struct dp_down {
    struct dp_scratch *scratch;
    __u32 host;
    __u32 bytes;       /* of the packet; 0: none */
    __u32 fits;        /* DP_FITS_*: of which direction of the named flow the packet can be */
    __u32 inbound;     /* which it is */
    __u32 established; /* the flow's open question is ALE_FLOW_ESTABLISHED's */
};

/* Keeps the answer. Where sluiced answers in place of a host that did not, the kernel works out
   what the filter wants then; "next filter" is nobody's to answer. 0: too many hops. */
DP_INLINE int dp_down_keep(const struct dp_down *d, struct dp_eval *e)
{
    __u32 id = d->host, action = d->scratch->head.action;

    if (d->scratch->head.flags & (DP_DOWNCALL_EXPIRED | DP_DOWNCALL_ABANDONED))
        return dp_outcome_keep(e, bpf_map_lookup_elem(&hosts, &id),
                               d->scratch->head.flags & DP_DOWNCALL_ABANDONED);
    if (action == DP_ACTION_NEXT) action = DP_ACTION_NONE;
    return dp_eval_keep(e, action, d->scratch->head.rights);
}

DP_INLINE int dp_down_drop(const struct dp_down *d, __u32 reason)
{
    dp_count(reason, d->bytes);
    return XDP_DROP;
}

/* Who injected the packet that a flow's question was about: from `tickets`. Its own number where
   nobody knows: that names no identity. A function of its own for its stack. */
static __noinline __u64 dp_identity_of_flow(__u64 number)
{
    struct dp_ticket *t = bpf_map_lookup_elem(&tickets, &number);
    __u64 identity = t ? dp_identity_keep(&t->injected, &t->ahead) : 0;

    bpf_map_delete_elem(&tickets, &number);
    return identity ? identity : number;
}

#endif
