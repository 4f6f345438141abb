/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The stages DATAGRAM_IN and _OUT, behind ESTABLISHED. */
#ifndef SLUICE_BPF_HOOKS_STAGE_DATAGRAM_H
#define SLUICE_BPF_HOOKS_STAGE_DATAGRAM_H

#include "hooks/packet_ask.h"

/* A packet of an authorised flow. DP_PASS: on to the next layer; else what becomes of it. No layer
   stands here yet. */
DP_INLINE int dp_stage_datagram(const struct dp_out *o)
{
    return DP_PASS;
}

#endif
