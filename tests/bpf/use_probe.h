/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the test of the quotas and its program share. */
#ifndef SLUICE_TESTS_BPF_USE_PROBE_H
#define SLUICE_TESTS_BPF_USE_PROBE_H

#include "shared/flow.h"

enum dp_use_probe_what {
    DP_USE_PROBE_TAKE = 1,
    DP_USE_PROBE_GIVE,
    DP_USE_PROBE_ADMIT, /* classify, then dp_use_admit */
    DP_USE_PROBE_PACKET_ENTER,
    DP_USE_PROBE_PACKET_LEAVE,
};

struct dp_use_probe {
    __u32 what; /* enum dp_use_probe_what */
    __u32 host, holds, result;
    __u64 bytes;
    struct dp_process who;
    struct dp_key key;
    struct dp_eval eval;
};

#endif
