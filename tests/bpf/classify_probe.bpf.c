/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A door to dp_classify for tests: key and evaluation from a map, the result back into it. */
#include "classify_probe.h"

#include "lib/classify.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_probe);
} probes SEC(".maps");

SEC("tc") int dp_classify_probe(struct __sk_buff *skb) {
    __u32 zero = 0;
    struct dp_probe *probe = bpf_map_lookup_elem(&probes, &zero);

    if (!probe) return 1;
    probe->result = dp_classify(&probe->key, &probe->eval);
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
