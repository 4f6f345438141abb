/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A door to dp_next_match for tests: all matches of a key, each from the place of the one before.
 */
#include "match_probe.h"

#include "lib/search.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_MATCH_PROBES_MAX);
    __type(key, __u32);
    __type(value, struct dp_match_probe);
} probes SEC(".maps");

__u32 asked = 0;

struct place {
    struct dp_match_probe *probe;
    __u32 after, from;
};

static long next_one(__u32 i, struct place *p) {
    struct dp_match m = {.after = p->after, .from = p->from};
    struct dp_match_probe *probe = p->probe;

    if (dp_next_match(&probe->key, &m) != 1) return 1;
    i &= DP_MATCH_PROBE_ROWS - 1;
    probe->row[i].filter_id = m.filter_id;
    probe->row[i].sublayer = m.sublayer;
    probe->row[i].unknown = m.unknown;
    probe->row[i].rank = m.rank;
    probe->count = i + 1;
    p->after = m.rank;
    p->from = probe->skip ? m.sublayer + 1 : m.sublayer;
    return 0;
}

static long search_one(__u32 i, void *unused) {
    struct place p = {.probe = bpf_map_lookup_elem(&probes, &i)};

    if (!p.probe || i >= asked) return 1;
    p.probe->count = 0;
    bpf_loop(DP_MATCH_PROBE_ROWS, next_one, &p, 0);
    return 0;
}

SEC("tc") int dp_match_probe_run(struct __sk_buff *skb) {
    bpf_loop(DP_MATCH_PROBES_MAX, search_one, 0, 0);
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
