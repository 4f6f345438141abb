/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tests that stand in a leaf of the policy's image (shared/image.h). */
#ifndef SLUICE_BPF_LIB_LEAF_H
#define SLUICE_BPF_LIB_LEAF_H

#include "lib/base.h"

DP_INLINE int dp_range_holds(const struct dp_addr *a, __u32 low, __u32 span)
{
    return !a->hi && a->lo - (DP_V4_MAPPED | low) <= span;
}

DP_INLINE int dp_prefix_holds(const struct dp_addr *a, const struct dp_addr *prefix, __u32 bits)
{
    if (bits <= 64) return !((a->hi ^ prefix->hi) >> ((64 - bits) & 63));
    return a->hi == prefix->hi && !((a->lo ^ prefix->lo) >> ((128 - bits) & 63));
}

/* The tests that stand in the leaf itself. */
DP_INLINE int dp_leaf_holds(struct dp_key *key, const struct dp_leaf *l)
{
    __u32 tests = l->tests;
    const struct dp_addr *a;

    key->search.unknown = tests & key->unknown;
    tests &= ~key->unknown;
    if (tests & key->empty) return 0;
    a = &key->wide[DP_SLOT_REMOTE_ADDRESS - DP_SLOT_NUMBERS];
    if (tests & DP_SLOT_BIT(REMOTE_ADDRESS) &&
        !(l->remote_bits ? dp_prefix_holds(a, &l->address.remote, l->remote_bits)
                         : dp_range_holds(a, l->address.v4.remote, l->address.v4.remote_span)))
        return 0;
    a = &key->wide[DP_SLOT_LOCAL_ADDRESS - DP_SLOT_NUMBERS];
    if (tests & DP_SLOT_BIT(LOCAL_ADDRESS) &&
        !(l->local_bits ? dp_prefix_holds(a, &l->local, l->local_bits)
                        : dp_range_holds(a, l->address.v4.local, l->address.v4.local_span)))
        return 0;
    if (tests & DP_SLOT_BIT(REMOTE_PORT) &&
        key->number[DP_SLOT_REMOTE_PORT] - l->remote_port > l->remote_span)
        return 0;
    if (tests & DP_SLOT_BIT(LOCAL_PORT) &&
        key->number[DP_SLOT_LOCAL_PORT] - l->local_port > l->local_span)
        return 0;
    return !(tests & DP_SLOT_BIT(PROTOCOL)) || key->number[DP_SLOT_PROTOCOL] == l->protocol;
}

#endif
