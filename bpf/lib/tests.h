/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One test of a row against the key. */
#ifndef SLUICE_BPF_LIB_TESTS_H
#define SLUICE_BPF_LIB_TESTS_H

#include "lib/base.h"
#include "lib/text.h"

/* 1 or 0: whether a number is not 0, without the branch that the compiler would make of it. */
DP_INLINE __u64 dp_is_some(__u64 x)
{
    __u64 minus = -x;

    DP_FORGET(minus);
    return (x | minus) >> 63;
}

DP_INLINE int dp_addr_below(const struct dp_addr *a, const struct dp_addr *b)
{
    return a->hi < b->hi || (a->hi == b->hi && a->lo < b->lo);
}

DP_INLINE int dp_test_number(const struct dp_cell *c, __u64 v)
{
    __u64 mask = c->test.low.lo;

    switch (c->op) {
    case DP_OP_RANGE:
        return v >= c->test.low.lo && v <= c->test.high.lo;
    case DP_OP_NOT_RANGE:
        return v < c->test.low.lo || v > c->test.high.lo;
    case DP_OP_FLAGS_ALL:
        return (v & mask) == mask;
    case DP_OP_FLAGS_ANY:
        return !!(v & mask);
    case DP_OP_FLAGS_NONE:
        return !(v & mask);
    default:
        return c->op == DP_OP_ALWAYS;
    }
}

DP_INLINE int dp_test_wide(const struct dp_cell *c, const struct dp_addr *v)
{
    int inside = !dp_addr_below(v, &c->test.low) && !dp_addr_below(&c->test.high, v);

    if (c->op == DP_OP_RANGE) return inside;
    if (c->op == DP_OP_NOT_RANGE) return !inside;
    return dp_test_number(c, v->lo); /* flags of an IPv4 address */
}

/* Global, and without branches in its loop: the verifier follows it once. */
__noinline int dp_test_cgroup(const struct dp_cell *c, const struct dp_key *key)
{
    __u64 differs = 1;

    if (!c || !key) return 0;
    for (int i = 0; i < DP_CGROUP_LEVELS; i++) {
        differs &= dp_is_some(key->cgroup[i] ^ c->test.low.lo);
        DP_FORGET(differs); /* one after the other, on little stack */
    }
    if (c->op == DP_OP_CGROUP) return !differs;
    if (c->op == DP_OP_NOT_CGROUP) return !!differs;
    return c->op == DP_OP_ALWAYS;
}

/* 1 or 0; unknown values are set aside: the row matches only if the rest does. */
DP_INLINE int dp_cell_holds(struct dp_key *key, const struct dp_cell *c)
{
    __u32 slot = c->slot, bit = 1u << (slot & 31);
    int r;

    if (key->unknown & bit) {
        key->search.unknown = 1;
        return 1;
    }
    if (key->empty & bit) return c->op == DP_OP_EMPTY;
    if (c->op == DP_OP_TEXT) {
        r = dp_text_holds(c, &key->wide[DP_SLOT_APP - DP_SLOT_NUMBERS]);
        if (r < 0) key->search.unknown = 1;
        return !!r;
    }
    if (slot < DP_SLOT_NUMBERS) return dp_test_number(c, key->number[slot]);
    slot -= DP_SLOT_NUMBERS;
    if (slot < DP_SLOT_WIDE_END - DP_SLOT_NUMBERS) return dp_test_wide(c, &key->wide[slot]);
    return dp_test_cgroup(c, key);
}

#endif
