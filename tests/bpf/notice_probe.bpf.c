// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sends what the test puts into `probe` to the ring of host 1.
#pragma clang diagnostic ignored "-Wunused-function" /* it needs a part of what it includes */
#include "lib/notice.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_upcall);
} probe SEC(".maps");

SEC("tc") int dp_notice_probe(struct __sk_buff *skb) {
    __u32 zero = 0;
    struct dp_upcall *up = bpf_map_lookup_elem(&probe, &zero);

    return up ? dp_notice_send(1, up) : -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
