/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Map `flow_cache`: flows whose packets pass without more ado, so that an established one costs one
   look-up in a flat table. Every entry stands for one of `flows`, which alone says what a flow is;
   a packet that finds none here goes the long way. So nothing is lost where a set is full, and what
   is missing here never lets anything pass. */
#ifndef SLUICE_BPF_SHARED_CACHE_H
#define SLUICE_BPF_SHARED_CACHE_H

#include "flow.h"

/* dp_cached.word: what the entry is, how often it was written, and what has passed since it was
   last asked. In one word, so that whoever counts a packet knows in the same step that the entry
   was still the one that it had read. */
#define DP_CACHED_VALID (1ULL << 63)
#define DP_CACHED_BUSY (1ULL << 62) /* somebody writes it */
#define DP_CACHED_VERSION (1ULL << 50)
#define DP_CACHED_VERSIONS (0xfffULL << 50)
#define DP_CACHED_PACKET (1ULL << 32)
#define DP_CACHED_PACKETS (0x3ffffULL << 32)
#define DP_CACHED_BYTES 0xffffffffULL
#define DP_CACHED_COUNTS (DP_CACHED_PACKETS | DP_CACHED_BYTES)

struct dp_cached {
    __u64 word;
    struct dp_addr local, remote; /* as in dp_flow_key */
    __u16 local_port, remote_port;
    __u8 protocol;
    __u8 pad;
    __u16 seen;             /* dp_seen without its direction: low bits of the flow's id */
    __u32 generation;       /* of the policy that permits it, low half */
    __u32 used;             /* when it was, in jiffies, low half */
    __u32 cookie;           /* of its socket, low half: who sends datagrams must be that one */
    __u16 arrival, nexthop; /* interfaces by which its packets come in and leave; 0: none yet */
};
DP_ASSERT(sizeof(struct dp_cached) == 64, "layout");

#ifndef DP_CACHED_IN_SET
#define DP_CACHED_IN_SET 7
#endif
/* The entries that a flow can have. One writer at a time, who takes `lock` or leaves it be: nobody
   waits for it. A tag leads to the entry, whose key counts. */
struct dp_cached_set {
    __u32 lock;
    __u32 dropped; /* ends and blocks of its flows, as a barrier */
    __u32 tag[DP_CACHED_IN_SET];
    __u8 pad[64 - 8 - 4 * DP_CACHED_IN_SET];
    struct dp_cached entry[DP_CACHED_IN_SET];
};
DP_ASSERT(sizeof(struct dp_cached_set) == 64 + 64 * DP_CACHED_IN_SET, "layout");

#define DP_CACHE_SETS 32768 /* by default: 16 MiB, 229,376 flows */
#define DP_CACHE_SETS_MAX (1 << 20)

#endif
