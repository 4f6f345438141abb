/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One random step on a set of the flow cache a run: packets of a dozen flows, writes, blocks. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "cache_probe.h"
#include "lib/cache.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_cached_set);
} sets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PROBE_FLOWS);
    __type(key, __u32);
    __type(value, struct probe_flow);
} probe_flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct probe_tally);
} tallies SEC(".maps");

static void probe_fold(__u32 flow, __u64 counts) {
    struct probe_flow *f = bpf_map_lookup_elem(&probe_flows, &flow);

    if (!f) return;
    __sync_fetch_and_add(&f->folded, (counts & DP_CACHED_PACKETS) / DP_CACHED_PACKET);
    __sync_fetch_and_add(&f->folded_bytes, counts & DP_CACHED_BYTES);
}

static __noinline int probe_hit(struct dp_cached_set *set, const struct dp_flow_key *k, __u32 flow,
                                __u32 wrong) {
    struct dp_cache_use use = {.generation = PROBE_GENERATION(flow) + wrong,
                               .bytes = PROBE_BYTES,
                               .jiffies = bpf_jiffies64(),
                               .ifindex = 7 + flow};
    __u16 seen = 0;

    if (!dp_cache_hit(set, PROBE_TAG(flow), k, &use, &seen)) return 0;
    return wrong || seen != flow ? -1 : 1;
}

static __noinline int probe_put(struct dp_cached_set *set, const struct dp_flow_key *k, __u32 flow,
                                const volatile struct probe_flow *f) {
    struct dp_cache_write w = {.tag = PROBE_TAG(flow), .jiffies = bpf_jiffies64()};

    if (!f->permitted) return 0;
    w.value.local = k->local;
    w.value.remote = k->remote;
    w.value.local_port = k->local_port;
    w.value.seen = flow;
    w.value.generation = PROBE_GENERATION(flow);
    w.value.nexthop = 7 + flow;
    w.value.used = w.jiffies;
    if (!dp_cache_put(set, k, &w)) return 0;
    if (w.before.word & DP_CACHED_VALID) probe_fold(w.before.seen, w.before.word);
    if (!f->permitted) probe_fold(flow, dp_cache_drop(set, k, PROBE_TAG(flow)));
    return 1;
}

static void probe_step(struct dp_cached_set *set, struct probe_tally *tally, struct probe_flow *f,
                       __u32 flow, __u32 what) {
    struct dp_flow_key k = {.local = {flow, 1}, .remote = {flow, 2}, .local_port = flow};
    int hit;

    if (what < 10) {
        hit = probe_hit(set, &k, flow, what == 9);
        if (hit < 0) __sync_fetch_and_add(&tally->torn, 1);
        if (hit) __sync_fetch_and_add(&f->passed, 1);
        if (hit > 0) __sync_fetch_and_add(&tally->hits, 1);
    } else if (what < 14) {
        if (probe_put(set, &k, flow, f)) __sync_fetch_and_add(&tally->puts, 1);
    } else if (what == 14) {
        *(volatile __u32 *)&f->permitted = 0;
        probe_fold(flow, dp_cache_drop(set, &k, PROBE_TAG(flow)));
        __sync_fetch_and_add(&tally->blocks, 1);
    } else {
        *(volatile __u32 *)&f->permitted = 1;
    }
}

SEC("xdp") int probe_race(struct xdp_md *context) {
    __u32 zero = 0, random = bpf_get_prandom_u32(), flow = random % PROBE_FLOWS;
    struct dp_cached_set *set = bpf_map_lookup_elem(&sets, &zero);
    struct probe_tally *tally = bpf_map_lookup_elem(&tallies, &zero);
    struct probe_flow *f = bpf_map_lookup_elem(&probe_flows, &flow);

    if (!set || !tally || !f) return XDP_ABORTED;
    __sync_fetch_and_add(&tally->runs, 1);
    probe_step(set, tally, f, flow, random >> 8 & 15);
    return XDP_DROP;
}

/* What is left in the counts of the entries goes to the flows. */
SEC("xdp") int probe_settle(struct xdp_md *context) {
    __u32 zero = 0;
    struct dp_cached_set *set = bpf_map_lookup_elem(&sets, &zero);
    struct dp_cached of;
    __u64 counts;

    if (!set) return XDP_ABORTED;
    for (int i = 0; i < DP_CACHED_IN_SET; i++) {
        counts = dp_cached_take(&set->entry[i], &of);
        if (counts) probe_fold(of.seen, counts);
    }
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
