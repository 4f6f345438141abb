/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The entries of the map `probes`: questions to judge in one run. */
#ifndef SLUICE_TESTS_BPF_CLASSIFY_PROBE_H
#define SLUICE_TESTS_BPF_CLASSIFY_PROBE_H

#include "shared/policy.h"

#define DP_PROBES_MAX 4096

struct dp_probe {
    struct dp_key key;
    struct dp_eval eval;
    __u32 result; /* enum dp_classify_result */
    __u32 open;   /* in: judge this one */
};

#endif
