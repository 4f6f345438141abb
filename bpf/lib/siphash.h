/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SipHash-2-4 (Aumasson, Bernstein 2012) of whole 64-bit words. */
#ifndef SLUICE_BPF_LIB_SIPHASH_H
#define SLUICE_BPF_LIB_SIPHASH_H

#include "lib/base.h"

struct dp_sip {
    __u64 a, b, c, d;
};

DP_INLINE __u64 dp_rotate(__u64 x, __u32 by)
{
    return x << by | x >> (64 - by);
}

DP_INLINE void dp_sip_round(struct dp_sip *s)
{
    s->a += s->b;
    s->b = dp_rotate(s->b, 13) ^ s->a;
    s->a = dp_rotate(s->a, 32);
    s->c += s->d;
    s->d = dp_rotate(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = dp_rotate(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = dp_rotate(s->b, 17) ^ s->c;
    s->c = dp_rotate(s->c, 32);
}

DP_INLINE void dp_sip_word(struct dp_sip *s, __u64 word)
{
    s->d ^= word;
    dp_sip_round(s);
    dp_sip_round(s);
    s->a ^= word;
}

DP_INLINE void dp_sip_begin(struct dp_sip *s, const __u64 *key)
{
    s->a = key[0] ^ 0x736f6d6570736575ULL;
    s->b = key[1] ^ 0x646f72616e646f6dULL;
    s->c = key[0] ^ 0x6c7967656e657261ULL;
    s->d = key[1] ^ 0x7465646279746573ULL;
}

/* bytes: of all words, a multiple of 8. */
DP_INLINE __u64 dp_sip_end(struct dp_sip *s, __u64 bytes)
{
    dp_sip_word(s, bytes << 56);
    s->c ^= 0xff;
    dp_sip_round(s);
    dp_sip_round(s);
    dp_sip_round(s);
    dp_sip_round(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

/* x86 and Arm are little-endian, as the words of SipHash are. */
DP_INLINE __u64 dp_siphash(const __u64 *words, __u32 count, const __u64 *key)
{
    struct dp_sip s;

    dp_sip_begin(&s, key);
    for (__u32 i = 0; i < count; i++)
        dp_sip_word(&s, words[i]);
    return dp_sip_end(&s, 8 * count);
}

#endif
