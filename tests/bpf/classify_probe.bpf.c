/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A door to dp_classify for tests: keys and evaluations from a map, the results back into it. */
#include "classify_probe.h"

#include "lib/classify.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_PROBES_MAX);
    __type(key, __u32);
    __type(value, struct dp_probe);
} probes SEC(".maps");

static long judge_one(__u32 i, void *unused)
{
    struct dp_probe *probe = bpf_map_lookup_elem(&probes, &i);

    if (!probe) return 1;
    if (probe->open) probe->result = dp_classify(&probe->key, &probe->eval);
    return 0;
}

SEC("tc") int dp_classify_probe(struct __sk_buff *skb)
{
    bpf_loop(DP_PROBES_MAX, judge_one, 0, 0);
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
