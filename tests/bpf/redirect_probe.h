/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one entry of the map `probe`: a question to dp_redirect_judge, or words to hash. */
#ifndef SLUICE_TESTS_BPF_REDIRECT_PROBE_H
#define SLUICE_TESTS_BPF_REDIRECT_PROBE_H

#include "shared/redirect.h"

/* As dp_redirecting of maps.bpf.h, which the test cannot include. */
struct dp_redirect_question {
    struct dp_flow_key app;
    struct dp_process process;
    __u64 cookie;
    __u64 draft;
    __u32 dry, reason;
};

struct dp_redirect_probe {
    struct dp_key key;
    struct dp_eval eval;
    struct dp_redirect_question question;
    struct dp_redirect_record record; /* carried, if it has hops */
    __u32 result;                     /* enum dp_classify_result */
    __u32 words;                      /* to hash, at most 8; 0: the question is judged */
    __u64 hash_key[2], word[8], hash;
};

#endif
