// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A door to the quotas for tests.
#include "use_probe.h"

#pragma clang diagnostic ignored "-Wunused-function" /* it needs a part of what it includes */
#include "lib/use.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_use_probe);
} probe SEC(".maps");

SEC("tc") int dp_use_probe_run(struct __sk_buff *skb)
{
    __u32 zero = 0;
    struct dp_use_probe *p = bpf_map_lookup_elem(&probe, &zero);

    if (!p) return -1;
    switch (p->what) {
    case DP_USE_PROBE_TAKE:
        return dp_use_take(p->host, &p->who, p->holds, p->bytes);
    case DP_USE_PROBE_GIVE:
        return dp_use_give(p->host, &p->who, p->holds, p->bytes);
    case DP_USE_PROBE_PACKET_ENTER:
        return dp_packet_enter(p->host);
    case DP_USE_PROBE_PACKET_LEAVE:
        return dp_packet_leave(p->host);
    default:
        p->result = dp_classify(&p->key, &p->eval);
        if (p->result != DP_CLASSIFY_CALLOUT) return p->result;
        p->result = dp_use_admit(&p->key, &p->eval, &p->who, p->bytes);
        return p->result;
    }
}

char _license[] SEC("license") = "Dual BSD/GPL";
