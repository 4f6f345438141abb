/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The entries of the map `probes`: searches to make in one run. */
#ifndef SLUICE_TESTS_BPF_MATCH_PROBE_H
#define SLUICE_TESTS_BPF_MATCH_PROBE_H

#include "shared/policy.h"

#define DP_MATCH_PROBES_MAX 1024
#define DP_MATCH_PROBE_ROWS 64

struct dp_match_probe {
    struct dp_key key;
    __u32 skip;  /* in: whether a match ends its sublayer */
    __u32 count; /* out: matches; no more than fit */
    struct {
        __u32 filter_id, sublayer;
        __u32 unknown, rank;
    } row[DP_MATCH_PROBE_ROWS]; /* out: one after the other */
};

#endif
