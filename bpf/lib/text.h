/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of an executable against a text of the policy's image, byte by byte. */
#ifndef SLUICE_BPF_LIB_TEXT_H
#define SLUICE_BPF_LIB_TEXT_H

#include "lib/base.h"

struct dp_text {
    void *image;
    const struct dp_exe *exe;
    __u32 first; /* cell with the text's first byte */
    __u32 start; /* byte of the path that meets it */
    __u32 no_case;
    __s32 order; /* below, above or 0 as the path is to the text */
};

DP_INLINE __u8 dp_lower(__u8 c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static long dp_text_step(__u32 i, struct dp_text *t)
{
    __u32 at = t->first + i / DP_CELL_TEXT;
    struct dp_cell *c = bpf_map_lookup_elem(t->image, &at);
    __u8 have, want;

    if (!c) return 1;
    have = t->exe->path[(t->start + i) & (DP_EXE_PATH_MAX - 1)];
    want = c->text[i & (DP_CELL_TEXT - 1)];
    if (t->no_case) {
        have = dp_lower(have);
        want = dp_lower(want);
    }
    t->order = (__s32)have - want;
    return t->order != 0;
}

DP_INLINE int dp_order_holds(__u32 compare, __s32 order)
{
    switch (compare) {
    case DP_COMPARE_EQUAL:
    case DP_COMPARE_EQUAL_NO_CASE:
        return order == 0;
    case DP_COMPARE_NOT_EQUAL:
        return order != 0;
    case DP_COMPARE_LESS:
        return order < 0;
    case DP_COMPARE_LESS_OR_EQUAL:
        return order <= 0;
    case DP_COMPARE_GREATER:
        return order > 0;
    default:
        return compare == DP_COMPARE_GREATER_OR_EQUAL && order >= 0;
    }
}

/* 1 or 0; -1: the path could not be read when its process was seen. */
DP_INLINE int dp_text_holds(void *image, __u32 first, __u32 length, __u32 compare,
                            const struct dp_exe_key *key)
{
    struct dp_text t = {.image = image, .first = first};
    int ends = compare == DP_COMPARE_ENDS_WITH || compare == DP_COMPARE_NOT_ENDS_WITH;
    __u32 have;

    t.exe = bpf_map_lookup_elem(&exes, key);
    have = t.exe ? t.exe->length : 0;
    if (!t.exe || !have) return -1;
    if (ends && have < length) return compare == DP_COMPARE_NOT_ENDS_WITH;
    if (ends) t.start = have - length;
    t.no_case = compare == DP_COMPARE_EQUAL_NO_CASE;
    bpf_loop(ends || length < have ? length : have, dp_text_step, &t, 0);
    if (ends) return (t.order == 0) == (compare == DP_COMPARE_ENDS_WITH);
    if (!t.order) t.order = have == length ? 0 : have < length ? -1 : 1;
    return dp_order_holds(compare, t.order);
}

#endif
