/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Room for a classification in programs that can be preempted. */
#ifndef SLUICE_BPF_LIB_WORK_H
#define SLUICE_BPF_LIB_WORK_H

#include "lib/base.h"

/* 0: more programs are at work on this CPU than there is room for; counted. */
static __noinline struct dp_work *dp_work_take(void)
{
    __u32 first = bpf_get_smp_processor_id() * DP_WORK_PER_CPU;

    for (int i = 0; i < DP_WORK_PER_CPU; i++) {
        __u32 at = (first + i) & (DP_WORK_MAX - 1);
        struct dp_work *w = bpf_map_lookup_elem(&work, &at);

        if (w && !__sync_val_compare_and_swap(&w->busy, 0, 1)) {
            __builtin_memset(&w->eval, 0, sizeof w->eval);
            return w;
        }
    }
    dp_count(DP_REASON_WORK_FULL, 0);
    return 0;
}

DP_INLINE void dp_work_give(struct dp_work *w)
{
    __sync_lock_test_and_set(&w->busy, 0);
}

#endif
