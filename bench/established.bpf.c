/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a packet of an established flow costs over being parsed: its look-up in the flow cache, and
   for comparison one in a hash map of the kernel. One flow after the other at each run. */
#include <linux/bpf.h>

#pragma clang diagnostic ignored "-Wunused-function" /* it needs a part of what it includes */
#include "hooks/fast.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1 << 17);
    __type(key, struct dp_flow_key);
    __type(value, __u64);
} hash SEC(".maps");

__u32 position = 0, among = 0; /* a power of two less one */

/* The packet is one of many flows: its own address says which. */
DP_INLINE int bench_key(struct __sk_buff *skb, struct dp_flow_key *k) {
    __builtin_memset(k, 0, sizeof *k);
    if (!dp_fast_is_plain(skb, 0) || dp_fast_parse(skb, k, 0) != 4) return 0;
    k->local.hi = position++ * 40503 & among; /* not in the order of memory */
    return 1;
}

SEC("tc") int bench_parse(struct __sk_buff *skb) {
    struct dp_flow_key k;

    if (!bench_key(skb, &k)) return 0;
    asm volatile("" : : "r"(&k) : "memory"); /* all of it is used */
    return 1;
}

SEC("tc") int bench_established(struct __sk_buff *skb) {
    struct dp_flow_key k;

    if (!bench_key(skb, &k)) return 0;
    return dp_fast_pass(skb, &k, 4, 0) == DP_FAST_HIT;
}

SEC("tc") int bench_hash(struct __sk_buff *skb) {
    struct dp_flow_key k;
    __u64 *value;

    if (!bench_key(skb, &k)) return 0;
    value = bpf_map_lookup_elem(&hash, &k);
    if (!value) return 0;
    __sync_fetch_and_add(value, 1);
    return 1;
}

/* Enters the flow of this run. */
SEC("tc") int bench_enter(struct __sk_buff *skb) {
    struct dp_image_head *head = dp_policy_head();
    struct dp_scratch *s = dp_scratch();
    struct dp_cached_set *set;
    struct dp_flow_key k;
    __u64 zero = 0, h;

    if (!head || !s || !bench_key(skb, &k)) return 0;
    h = dp_cache_hash(&k, cfg.cache_seed);
    set = dp_cache_set(h);
    if (!set) return 0;
    __builtin_memset(&s->cached, 0, sizeof s->cached);
    s->cached.tag = dp_cache_tag(h);
    s->cached.idle = ~0u;
    s->cached.value.local = k.local;
    s->cached.value.remote = k.remote;
    s->cached.value.local_port = k.local_port;
    s->cached.value.remote_port = k.remote_port;
    s->cached.value.protocol = k.protocol;
    s->cached.value.generation = head->generation;
    s->cached.value.nexthop = skb->ifindex;
    bpf_map_update_elem(&hash, &k, &zero, BPF_ANY);
    return dp_cache_put(set, &k, &s->cached);
}

char _license[] SEC("license") = "Dual BSD/GPL";
