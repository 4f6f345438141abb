/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The stages ESTABLISHED_IN and _OUT, behind ALE. */
#ifndef SLUICE_BPF_HOOKS_STAGE_ESTABLISHED_H
#define SLUICE_BPF_HOOKS_STAGE_ESTABLISHED_H

#include "hooks/ale_ask.h"

/* ALE has let the packet pass. DP_PASS: on to DATAGRAM; else what becomes of it. No layer stands
   here yet. */
DP_INLINE int dp_stage_established(const struct dp_out *o)
{
    return DP_PASS;
}

#endif
