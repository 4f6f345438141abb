/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What cache_probe.bpf.c and its test share. */
#ifndef SLUICE_TESTS_BPF_CACHE_PROBE_H
#define SLUICE_TESTS_BPF_CACHE_PROBE_H

#include "shared/cache.h"

#define PROBE_FLOWS 12 /* of one set, which holds seven; the last two have the tags of the first   \
                        */

struct probe_flow {
    __u64 passed, folded, folded_bytes;
    __u32 permitted;
    __u32 pad;
};

struct probe_tally {
    __u64 hits, puts, blocks, torn, runs;
};

#define PROBE_BYTES 60 /* of each packet */
#define PROBE_GENERATION(flow) (10 + (flow))
#define PROBE_TAG(flow) (2 * ((flow) % 10) + 1)

#endif
