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

/* Flags that older headers lack: of Linux 6.3 and 6.7. */
#define DP_FIB_SKIP_NEIGH (1u << 2)
#define DP_FIB_SRC (1u << 4)

/* ctx: of TC or XDP. BPF_FIB_LKUP_RET_*, below 0: the look-up itself failed. fib says by which
 * interface to where. bytes: of a packet from its IP header on, whose way may take less:
 * BPF_FIB_LKUP_RET_FRAG_NEEDED, fib->mtu_result says how much; 0: of none. */
DP_INLINE long dp_route_of(void *ctx, struct bpf_fib_lookup *fib, __u32 ifindex,
                           const struct dp_addr *source, const struct dp_addr *destination,
                           __u16 bytes, __u32 flags)
{
    __builtin_memset(fib, 0, sizeof *fib);
    fib->ifindex = ifindex;
    fib->tot_len = bytes;
    if (dp_addr_is_v4(destination)) {
        fib->family = DP_AF_INET;
        fib->ipv4_src = bpf_htonl((__u32)source->lo);
        fib->ipv4_dst = bpf_htonl((__u32)destination->lo);
    } else {
        fib->family = DP_AF_INET6;
        dp_route_words(fib->ipv6_src, source);
        dp_route_words(fib->ipv6_dst, destination);
    }
    return bpf_fib_lookup(ctx, fib, sizeof *fib, flags);
}

DP_INLINE long dp_route_with(void *ctx, struct bpf_fib_lookup *fib, __u32 ifindex,
                             const struct dp_addr *source, const struct dp_addr *destination,
                             __u32 flags)
{
    return dp_route_of(ctx, fib, ifindex, source, destination, 0, flags);
}

DP_INLINE long dp_route(void *ctx, struct bpf_fib_lookup *fib, __u32 ifindex,
                        const struct dp_addr *source, const struct dp_addr *destination)
{
    return dp_route_with(ctx, fib, ifindex, source, destination, 0);
}

/* The interface by which this machine itself would send there, and the address that it would have.
   0: there is no way, or the kernel is too old to tell (it refuses the flag). */
static __noinline __u32 dp_route_source(void *ctx, __u32 ifindex, const struct dp_addr *destination,
                                        struct dp_addr *source)
{
    struct bpf_fib_lookup fib;
    struct dp_addr any = {};

    if (dp_route_with(ctx, &fib, ifindex, &any, destination, DP_FIB_SRC | DP_FIB_SKIP_NEIGH) !=
        BPF_FIB_LKUP_RET_SUCCESS)
        return 0;
    *source = dp_addr_is_v4(destination) ? dp_addr_v4(fib.ipv4_src) : dp_addr_v6(fib.ipv6_src);
    return fib.ifindex;
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
