/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Far end of a port: everything to the host's socket. Loaded once a port; it shares no map with the
 * data plane. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} xsks SEC(".maps");

SEC("xdp") int dp_port_up(struct xdp_md *ctx)
{
    return bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
