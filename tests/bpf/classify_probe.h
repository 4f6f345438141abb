/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one entry of the map `probes`. */
#ifndef SLUICE_TESTS_BPF_CLASSIFY_PROBE_H
#define SLUICE_TESTS_BPF_CLASSIFY_PROBE_H

#include "shared/policy.h"

struct dp_probe {
    struct dp_key key;
    struct dp_eval eval;
    __u32 result; /* enum dp_classify_result */
    __u32 pad;
};

#endif
