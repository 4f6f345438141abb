/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The protocol of the flow cache, on one set: several processors read, count, write and drop at
   once. Nothing here calls the kernel: a test runs it with every interleaving (DP_CACHE_STEP stands
   before each access to what is shared).

   Who reads takes the word, compares the entry, and counts its packet by compare-and-swap on the
   word that it took: where that fails the entry has changed meanwhile, and the packet goes the long
   way. Who writes an entry makes it BUSY in the same way first, and gives it a new version. A set
   has one writer, so that no key is there twice.

   An old verdict must not survive a block. Who ends or blocks a flow says so in the flow first and
   drops its entry then (dp_cache_drop); who writes one looks at the flow once more afterwards, and
   drops it again where it may no longer stand: one of the two sees the other. */
#ifndef SLUICE_BPF_LIB_CACHE_H
#define SLUICE_BPF_LIB_CACHE_H

#include "shared/cache.h"

#ifndef DP_CACHE_STEP
#define DP_CACHE_STEP() ((void)0)
#endif
#ifndef DP_CACHE_INLINE
#define DP_CACHE_INLINE static __attribute__((always_inline)) inline
#endif

#ifdef __clang__
#define DP_CACHE_UNROLL _Pragma("unroll")
#else
#define DP_CACHE_UNROLL
#endif
#define DP_CACHE_TRIES 2 /* against packets that are counted at the same time */

/* A volatile read; what is read behind it comes later: on x86 it does by itself. */
DP_CACHE_INLINE __u64 dp_cached_word(struct dp_cached *e)
{
    DP_CACHE_STEP();
#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
    return *(volatile __u64 *)&e->word;
#else
    return __sync_fetch_and_or(&e->word, 0);
#endif
}

/* Full barriers both. */
DP_CACHE_INLINE int dp_cached_swap(struct dp_cached *e, __u64 from, __u64 to)
{
    DP_CACHE_STEP();
    return __sync_val_compare_and_swap(&e->word, from, to) == from;
}

DP_CACHE_INLINE int dp_cached_is(const struct dp_cached *e, const struct dp_flow_key *k)
{
    DP_CACHE_STEP();
    if (e->local.lo != k->local.lo || e->local.hi != k->local.hi) return 0;
    DP_CACHE_STEP();
    return e->remote.lo == k->remote.lo && e->remote.hi == k->remote.hi &&
           e->local_port == k->local_port && e->remote_port == k->remote_port &&
           e->protocol == k->protocol;
}

/* Mixes the key with a secret: flows that meet in a set on purpose only miss the cache. The
   products do not wait for each other. The upper half chooses the set, the lower one is the tag. */
DP_CACHE_INLINE __u64 dp_cache_hash(const struct dp_flow_key *k, __u64 seed)
{
    __u64 ports = (__u64)k->local_port << 32 | (__u64)k->remote_port << 16 | k->protocol;
    __u64 a = (k->local.lo ^ seed) * 0x9e3779b97f4a7c15ULL;
    __u64 b = (k->remote.lo ^ seed >> 7) * 0xc2b2ae3d27d4eb4fULL;
    __u64 c = (k->local.hi ^ seed << 9) * 0x165667b19e3779f9ULL;
    __u64 d = (k->remote.hi ^ ports ^ seed >> 17) * 0xd6e8feb86659fd93ULL;
    __u64 h =
        ((a ^ a >> 32) + (b ^ b >> 29) + (c >> 31 ^ c) + (d >> 30 ^ d)) * 0xff51afd7ed558ccdULL;

    return h ^ h >> 32;
}

DP_CACHE_INLINE __u32 dp_cache_tag(__u64 hash)
{
    return (__u32)hash | 1;
}

struct dp_cache_use {
    __u32 generation, jiffies, cookie, bytes;
    __u16 ifindex;
    __u8 inbound;
    __u8 pad;
};

/* The entry lets the packet pass as it is: 1, and it is counted. `seen` is what it leaves in the
   packet. */
DP_CACHE_INLINE int dp_cached_hit(struct dp_cached *e, const struct dp_flow_key *k,
                                  const struct dp_cache_use *u, __u16 *seen)
{
    __u64 word = dp_cached_word(e), next;

    if (!(word & DP_CACHED_VALID) || !dp_cached_is(e, k)) return 0;
    DP_CACHE_STEP();
    if (e->generation != u->generation) return 0;
    if ((u->inbound ? e->arrival : e->nexthop) != u->ifindex) return 0;
    if (u->cookie && e->cookie != u->cookie) return 0;
    *seen = e->seen;
    next = word + DP_CACHED_PACKET + u->bytes;
    if ((next ^ word) & ~DP_CACHED_COUNTS || (next & DP_CACHED_BYTES) < u->bytes) return 0;
    if (!dp_cached_swap(e, word, next)) return 0;
    if (e->used != u->jiffies) e->used = u->jiffies;
    return 1;
}

/* What has passed since the last call, of the flow that `of` then names; 0: nothing, or somebody is
   at it. */
DP_CACHE_INLINE __u64 dp_cached_take(struct dp_cached *e, struct dp_cached *of)
{
    DP_CACHE_UNROLL
    for (int i = 0; i < DP_CACHE_TRIES; i++) {
        __u64 word = dp_cached_word(e);

        if (!(word & DP_CACHED_VALID) || !(word & DP_CACHED_COUNTS)) return 0;
        DP_CACHE_STEP();
        *of = *e;
        if (dp_cached_swap(e, word, word & ~DP_CACHED_COUNTS)) return word & DP_CACHED_COUNTS;
    }
    return 0;
}

/* The entry is nobody's from now on, if it is still as `word` says but for its counts. Its counts.
 */
DP_CACHE_INLINE __u64 dp_cached_free(struct dp_cached *e, __u64 word)
{
    __u64 now;

    DP_CACHE_UNROLL
    for (int i = 0; i < DP_CACHE_TRIES; i++) {
        if (dp_cached_swap(e, word, word & DP_CACHED_VERSIONS)) return word & DP_CACHED_COUNTS;
        now = dp_cached_word(e);
        if ((now ^ word) & ~DP_CACHED_COUNTS) return 0; /* somebody else's by now */
        word = now;
    }
    DP_CACHE_STEP();
    now = __sync_fetch_and_and(&e->word, ~(DP_CACHED_VALID | DP_CACHED_COUNTS));
    return (now ^ word) & ~DP_CACHED_COUNTS ? 0 : now & DP_CACHED_COUNTS;
}

/* Where in the set it is best. */
DP_CACHE_INLINE __u32 dp_cache_first(__u32 tag)
{
    return (tag >> 1 & 0xffff) * DP_CACHED_IN_SET >> 16;
}

/* Where in the set an entry with this tag can be: no two have the same. DP_CACHED_IN_SET: nowhere.
 */
DP_CACHE_INLINE __u32 dp_cache_at(const struct dp_cached_set *set, __u32 tag)
{
    __u32 at = DP_CACHED_IN_SET;

    DP_CACHE_STEP();
    DP_CACHE_UNROLL
    for (int i = DP_CACHED_IN_SET - 1; i >= 0; i--)
        if (*(volatile const __u32 *)&set->tag[i] == tag) at = i;
    return at;
}

/* The set lets the packet pass: 1, and it is counted. */
DP_CACHE_INLINE int dp_cache_hit(struct dp_cached_set *set, __u32 tag, const struct dp_flow_key *k,
                                 const struct dp_cache_use *u, __u16 *seen)
{
    __u32 first = dp_cache_first(tag), at;

    if (first < DP_CACHED_IN_SET && dp_cached_hit(&set->entry[first], k, u, seen)) return 1;
    at = dp_cache_at(set, tag);
    if (at >= DP_CACHED_IN_SET || at == first) return 0;
    return dp_cached_hit(&set->entry[at], k, u, seen);
}

/* The flow, which says so itself by now, passes here no more. What has passed meanwhile. */
DP_CACHE_INLINE __u64 dp_cache_drop(struct dp_cached_set *set, const struct dp_flow_key *k,
                                    __u32 tag)
{
    struct dp_cached *e;
    __u64 word;
    __u32 at;

    DP_CACHE_STEP();
    __sync_fetch_and_add(&set->dropped, 1); /* behind what the flow says, before what is read */
    at = dp_cache_at(set, tag);
    if (at >= DP_CACHED_IN_SET) return 0;
    e = &set->entry[at];
    word = dp_cached_word(e);
    return word & DP_CACHED_VALID && dp_cached_is(e, k) ? dp_cached_free(e, word) : 0;
}

struct dp_cache_write {
    struct dp_cached value;   /* word: none */
    __u32 tag, jiffies, idle; /* an entry that was not used for so long gives way */
    /* What the entry had counted that was written over: of the flow with this key. */
    struct dp_cached before;
};

/* Whether entry e can be had for a flow that has none: 2 it is nobody's, 1 it has gone stale. */
DP_CACHE_INLINE int dp_cache_suits(struct dp_cached *e, const struct dp_cache_write *w)
{
    __u64 word = dp_cached_word(e);

    if (word & DP_CACHED_BUSY) return 0;
    if (!(word & DP_CACHED_VALID)) return 2;
    return w->jiffies - e->used > w->idle;
}

/* The entry for the flow, under the lock of the set. DP_CACHED_IN_SET: there is none. */
DP_CACHE_INLINE __u32 dp_cache_choose(struct dp_cached_set *set, const struct dp_flow_key *k,
                                      const struct dp_cache_write *w)
{
    __u32 at = dp_cache_at(set, w->tag);
    int best = 0;

    if (at < DP_CACHED_IN_SET) {
        /* Its own, or one that only looks like it and may go on while it is in use. */
        if (dp_cached_is(&set->entry[at], k) || dp_cache_suits(&set->entry[at], w)) return at;
        return DP_CACHED_IN_SET;
    }
    at = dp_cache_first(w->tag); /* where it is found with the fewest lines read */
    if (at < DP_CACHED_IN_SET && dp_cache_suits(&set->entry[at], w) == 2) return at;
    at = DP_CACHED_IN_SET;
    DP_CACHE_UNROLL
    for (int i = 0; i < DP_CACHED_IN_SET; i++) {
        int suits = dp_cache_suits(&set->entry[i], w);

        if (suits <= best) continue;
        best = suits;
        at = i;
    }
    return at;
}

/* Takes the entry from whoever reads it: what it was, BUSY now; 0: it cannot be had. */
DP_CACHE_INLINE int dp_cached_claim(struct dp_cached *e, struct dp_cached *before)
{
    DP_CACHE_UNROLL
    for (int i = 0; i < DP_CACHE_TRIES; i++) {
        __u64 word = dp_cached_word(e);

        if (word & DP_CACHED_BUSY) return 0;
        if (dp_cached_swap(e, word, (word & DP_CACHED_VERSIONS) | DP_CACHED_BUSY)) {
            *before = *e;
            before->word = word;
            return 1;
        }
    }
    return 0;
}

DP_CACHE_INLINE void dp_cached_fill(struct dp_cached *e, const struct dp_cached *value)
{
    __u64 version = (e->word + DP_CACHED_VERSION) & DP_CACHED_VERSIONS;

    DP_CACHE_STEP();
    e->local = value->local;
    DP_CACHE_STEP();
    e->remote = value->remote;
    e->local_port = value->local_port;
    e->remote_port = value->remote_port;
    e->protocol = value->protocol;
    DP_CACHE_STEP();
    e->generation = value->generation;
    e->cookie = value->cookie;
    e->arrival = value->arrival;
    e->nexthop = value->nexthop;
    e->seen = value->seen;
    e->used = value->used;
    DP_CACHE_STEP();
    __sync_lock_test_and_set(&e->word, DP_CACHED_VALID | version);
}

DP_CACHE_INLINE int dp_cache_place(struct dp_cached_set *set, const struct dp_flow_key *k,
                                   struct dp_cache_write *w)
{
    __u32 at = dp_cache_choose(set, k, w);
    struct dp_cached *e;

    if (at >= DP_CACHED_IN_SET) return 0;
    e = &set->entry[at];
    if (!dp_cached_claim(e, &w->before)) return 0;
    /* The way in and the way out are learned by one packet each. */
    if (w->before.word & DP_CACHED_VALID && dp_cached_is(e, k) &&
        w->before.generation == w->value.generation && w->before.seen == w->value.seen) {
        if (!w->value.arrival) w->value.arrival = w->before.arrival;
        if (!w->value.nexthop) w->value.nexthop = w->before.nexthop;
    }
    DP_CACHE_STEP();
    *(volatile __u32 *)&set->tag[at] = w->tag;
    dp_cached_fill(e, &w->value);
    return 1;
}

/* The flow's entry is as w->value says: 1; 0: there is no room, or somebody else writes. The caller
   then looks at the flow again, and drops the entry where it may not stand. */
DP_CACHE_INLINE int dp_cache_put(struct dp_cached_set *set, const struct dp_flow_key *k,
                                 struct dp_cache_write *w)
{
    int done;

    DP_CACHE_STEP();
    if (__sync_val_compare_and_swap(&set->lock, 0, 1)) return 0;
    done = dp_cache_place(set, k, w);
    DP_CACHE_STEP();
    __sync_lock_test_and_set(&set->lock, 0);
    return done;
}

#endif
