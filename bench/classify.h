/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bench/classify.cpp and its programs share. */
#ifndef SLUICE_BENCH_CLASSIFY_H
#define SLUICE_BENCH_CLASSIFY_H

#include "shared/policy.h"

#define BENCH_HEADERS 65536
#define BENCH_SUBLAYERS 4
struct bench_header {
    struct dp_addr local, remote;
    __u16 local_port, remote_port;
    __u32 protocol;
    __u32 found[BENCH_SUBLAYERS]; /* out: filter ids, as far as there are; BENCH_NONE: untouched */
};

#endif
