/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef SLUICE_BPF_LIB_PARSE_SKB_H
#define SLUICE_BPF_LIB_PARSE_SKB_H

#include "lib/parse.h"

static __noinline int dp_parse_skb(struct __sk_buff *skb, struct dp_packet *p)
{
    return dp_parse(skb, 0, 0, skb->len, skb->gso_segs > 1, p);
}

#endif
