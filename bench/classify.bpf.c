/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* dp_next_match by itself, one header of the trace after the other at each run; and the same
   without it, with which to compare. */
#include "lib/search.h"

#include "classify.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, BENCH_HEADERS);
    __type(key, __u32);
    __type(value, struct bench_header);
} trace SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_key);
} room SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct dp_flow_key);
    __type(value, __u64);
} hash SEC(".maps");

__u32 position = 0, layer = 0;

DP_INLINE struct bench_header *bench_next(struct dp_key **key) {
    __u32 zero = 0, i = position++ & (BENCH_HEADERS - 1);
    struct bench_header *h = bpf_map_lookup_elem(&trace, &i);
    struct dp_key *k = bpf_map_lookup_elem(&room, &zero);

    if (!h || !k) return 0;
    k->layer = layer;
    k->number[DP_SLOT_LOCAL_PORT] = h->local_port;
    k->number[DP_SLOT_REMOTE_PORT] = h->remote_port;
    k->number[DP_SLOT_PROTOCOL] = h->protocol;
    k->wide[DP_SLOT_LOCAL_ADDRESS - DP_SLOT_NUMBERS] = h->local;
    k->wide[DP_SLOT_REMOTE_ADDRESS - DP_SLOT_NUMBERS] = h->remote;
    *key = k;
    return h;
}

SEC("xdp") int bench_empty(struct xdp_md *context) {
    struct dp_key *key;
    struct bench_header *h = bench_next(&key);

    if (!h) return XDP_ABORTED;
    h->found[0] = key->layer;
    return XDP_DROP;
}

SEC("xdp") int bench_hash(struct xdp_md *context) {
    struct dp_key *key;
    struct bench_header *h = bench_next(&key);
    struct dp_flow_key one = {.protocol = 1};
    __u64 *value = bpf_map_lookup_elem(&hash, &one);

    if (!h || !value) return XDP_ABORTED;
    h->found[0] = *value;
    return XDP_DROP;
}

SEC("xdp") int bench_first(struct xdp_md *context) {
    struct dp_match match = {};
    struct dp_key *key;
    struct bench_header *h = bench_next(&key);

    if (!h) return XDP_ABORTED;
    h->found[0] = dp_next_match(key, &match) == 1 ? match.filter_id : 0;
    return XDP_DROP;
}

/* The first of every sublayer. */
SEC("xdp") int bench_each(struct xdp_md *context) {
    struct dp_match match = {};
    struct dp_key *key;
    struct bench_header *h = bench_next(&key);

    if (!h) return XDP_ABORTED;
    for (int i = 0; i < BENCH_SUBLAYERS; i++) {
        if (dp_next_match(key, &match) != 1) break;
        h->found[match.sublayer & (BENCH_SUBLAYERS - 1)] = match.filter_id;
        match.after = match.rank;
        match.from = match.sublayer + 1;
    }
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
