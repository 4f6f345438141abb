/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of an executable against a text of the policy's image, byte by byte. */
#ifndef SLUICE_BPF_LIB_TEXT_H
#define SLUICE_BPF_LIB_TEXT_H

#include "lib/base.h"

struct dp_text {
    const __u8 *text; /* in the image, with DP_TEXT_MAX bytes behind it */
    const struct dp_exe *exe;
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
    __u8 have, want;

    have = t->exe->path[(t->start + i) & (DP_EXE_PATH_MAX - 1)];
    want = t->text[i & (DP_TEXT_MAX - 1)];
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

/* The text behind the test against the path of an executable. 1 or 0; -1: the path could not be
   read when its process was seen. */
DP_INLINE int dp_text_holds(const struct dp_cell *c, const struct dp_addr *app)
{
    /* One after the other in the same place: this stands deep on the stack. */
    union {
        struct dp_exe_key key;
        struct dp_text text;
    } room = {.key = {.inode = app->lo, .dev = app->hi}};
    const struct dp_exe *exe = bpf_map_lookup_elem(&exes, &room.key);
    int ends = c->compare == DP_COMPARE_ENDS_WITH || c->compare == DP_COMPARE_NOT_ENDS_WITH;
    __u32 have = exe ? exe->length : 0, length = c->length;
    struct dp_text *t = &room.text;

    if (!exe || !have) return -1;
    if (ends && have < length) return c->compare == DP_COMPARE_NOT_ENDS_WITH;
    t->text = (const __u8 *)(c + 1);
    t->exe = exe;
    t->start = ends ? have - length : 0;
    t->no_case = c->compare == DP_COMPARE_EQUAL_NO_CASE;
    t->order = 0;
    bpf_loop(ends || length < have ? length : have, dp_text_step, t, 0);
    if (ends) return (t->order == 0) == (c->compare == DP_COMPARE_ENDS_WITH);
    if (!t->order) t->order = have == length ? 0 : have < length ? -1 : 1;
    return dp_order_holds(c->compare, t->order);
}

#endif
