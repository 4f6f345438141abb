/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A door to dp_redirect_judge and SipHash for tests. */
#pragma clang diagnostic ignored "-Wunused-function" /* it needs a part of what it includes */
#include "redirect_probe.h"

#include "lib/redirect_judge.h"
#include "lib/siphash.h"

DP_ASSERT(sizeof(struct dp_redirect_question) == sizeof(struct dp_redirecting), "the same");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_redirect_probe);
} probe SEC(".maps");

SEC("tc") int dp_redirect_probe(struct __sk_buff *skb) {
    __u32 zero = 0;
    struct dp_redirect_probe *p = bpf_map_lookup_elem(&probe, &zero);

    if (!p) return -1;
    if (!p->words) {
        p->result =
            dp_redirect_judge(&p->key, &p->eval, (struct dp_redirecting *)&p->question, &p->record);
    } else {
        struct dp_sip s;

        dp_sip_begin(&s, p->hash_key);
        for (__u32 i = 0; i < 8 && i < p->words; i++)
            dp_sip_word(&s, p->word[i]);
        p->hash = dp_sip_end(&s, 8 * p->words);
    }
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
