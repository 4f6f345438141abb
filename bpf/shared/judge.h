/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon hands to dp_judge, as the packet of a BPF_PROG_TEST_RUN. */
#ifndef SLUICE_BPF_SHARED_JUDGE_H
#define SLUICE_BPF_SHARED_JUDGE_H

#include "flow.h"

enum dp_judge_order {
    DP_JUDGE_REAUTHORIZE = 0,
    DP_JUDGE_END = 1, /* the flow with this ticket (0: any) is over: entry, counts and contexts go
                         the way that they go when a program sees its end */
    DP_JUDGE_ABANDON = 2, /* the host of the open operation whose key is `ticket` is gone: the
                             outcome of an unregistered callout */
    DP_JUDGE_FORGET = 3,  /* the flow has no contexts of the slots whose bits are in `ticket`: their
                             hosts ended */
    DP_JUDGE_DUE = 4,  /* the flow is judged again for the reasons in `ticket` (DP_REAUTHORIZE_*),
                          from the top: callouts are asked again, at its next packet */
    DP_JUDGE_FOLD = 5, /* flows are told what has passed by the cache: `ticket` is the first set,
                          and in its upper half how many */
};

struct dp_judge_request {
    __u8 pad[14]; /* where a packet's Ethernet header is */
    __u16 order;  /* enum dp_judge_order */
    struct dp_flow_key key;
    __u64 ticket;
};
DP_ASSERT(sizeof(struct dp_judge_request) == 64, "layout");

/* Return value of the run. */
enum dp_judge_result {
    DP_JUDGE_CURRENT = 0, /* the newest policy has judged it */
    DP_JUDGE_PERMIT = 1,  /* judged now: goes on */
    DP_JUDGE_BLOCK = 2,   /* judged now: blocked, its ends have not heard of it */
    DP_JUDGE_ASK = 3,     /* a callout decides, at the next packet */
    DP_JUDGE_OTHER = 4,   /* not there, or not permitted in the first place */
    DP_JUDGE_ENDED = 5,   /* END, ABANDON, FORGET, FOLD: done */
};

#endif
