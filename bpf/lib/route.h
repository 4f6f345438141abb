/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The routing tables, as a packet that came in by an interface would meet them. An interface
   without forwarding sees nothing of them; a port has it (and forwards nothing: all that comes by
   it is redirected or dropped). */
#ifndef SLUICE_BPF_LIB_ROUTE_H
#define SLUICE_BPF_LIB_ROUTE_H

#include "lib/parse.h"

#define DP_AF_INET 2
#define DP_AF_INET6 10

DP_INLINE void dp_route_words(__be32 *to, const struct dp_addr *a)
{
    to[0] = bpf_htonl(a->hi >> 32);
    to[1] = bpf_htonl((__u32)a->hi);
    to[2] = bpf_htonl(a->lo >> 32);
    to[3] = bpf_htonl((__u32)a->lo);
}

/* ctx: of TC or XDP. BPF_FIB_LKUP_RET_*, below 0: the look-up itself failed. fib says by which
 * interface to where. */
DP_INLINE long dp_route(void *ctx, struct bpf_fib_lookup *fib, __u32 ifindex,
                        const struct dp_addr *source, const struct dp_addr *destination)
{
    __builtin_memset(fib, 0, sizeof *fib);
    fib->ifindex = ifindex;
    if (dp_addr_is_v4(destination)) {
        fib->family = DP_AF_INET;
        fib->ipv4_src = bpf_htonl((__u32)source->lo);
        fib->ipv4_dst = bpf_htonl((__u32)destination->lo);
    } else {
        fib->family = DP_AF_INET6;
        dp_route_words(fib->ipv6_src, source);
        dp_route_words(fib->ipv6_dst, destination);
    }
    return bpf_fib_lookup(ctx, fib, sizeof *fib, 0);
}

/* Whether a packet from `source` to `destination` that came in by the interface is for this
 * machine. */
static __noinline int dp_route_is_local(void *ctx, const struct dp_addr *source,
                                        const struct dp_addr *destination, __u32 ifindex)
{
    struct bpf_fib_lookup fib;
    long r = dp_route(ctx, &fib, ifindex, source, destination);

    return r < 0 || r == BPF_FIB_LKUP_RET_NOT_FWDED || r == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

#endif
