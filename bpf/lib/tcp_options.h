/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where one of TCP's options stands. */
#ifndef SLUICE_BPF_LIB_TCP_OPTIONS_H
#define SLUICE_BPF_LIB_TCP_OPTIONS_H

#include "lib/parse.h"

#define DP_TCP_OPTIONS_MAX 40

struct dp_tcp_options {
    __u8 bytes[64]; /* more than TCP has, so that a mask bounds an offset */
    __u16 length;
    __u16 at;
    __u16 found;     /* offset of its value from the start of the options, 0: there is none */
    __u8 kind, size; /* of the one that is looked for; another size is malformed */
};

/* One option; 1 ends the search. */
static long dp_tcp_option_step(__u32 i, struct dp_tcp_options *o)
{
    __u32 at = o->at;
    __u8 kind, length;

    if (at + o->size > o->length) return 1;
    kind = o->bytes[at & 63];
    if (kind == 0) return 1;
    if (kind == 1) {
        o->at = at + 1;
        return 0;
    }
    length = o->bytes[(at + 1) & 63];
    if (length < 2) return 1;
    if (kind == o->kind && length == o->size) {
        o->found = at + 2;
        return 1;
    }
    o->at = at + length;
    return 0;
}

/* A loop of the kernel's: its body is verified once, not once for every place that an option can
   stand at. */
DP_INLINE __u32 dp_tcp_option_find(struct dp_tcp_options *o)
{
    bpf_loop(DP_TCP_OPTIONS_MAX, dp_tcp_option_step, o, 0);
    return o->found;
}

#endif
