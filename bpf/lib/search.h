/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The search of a policy's image (shared/image.h): a global function without a context. An image is
   reached without helper calls: every access is at an offset under `mask`, which is a constant of
   the image's size. What changes on the way stands in dp_key.search: the verifier knows nothing of
   it, so that each step looks to it like the one before, and it takes no stack. */
#ifndef SLUICE_BPF_LIB_SEARCH_H
#define SLUICE_BPF_LIB_SEARCH_H

#include "lib/leaf.h"
#include "lib/tests.h"

/* In: the place; out: the match. */
struct dp_match {
    __u32 after;   /* in: rank above this */
    __u32 from;    /* in: sublayer not below this */
    __u32 unknown; /* out: matches unless a field that is not known here says no */
    __u32 flags;   /* out */
    __u64 generation;
    __u64 filter_id;
    __u32 rank, sublayer, action, callout;
    __u32 hold_ms, pad;
};

struct dp_search {
    struct dp_match *match;
    struct dp_key *key;
    char *image;
};

#define DP_SMALL_MASK (DP_IMAGE_SMALL - 1)
#define DP_LARGE_MASK (DP_IMAGE_LARGE - 1)
#define DP_IN(image, type, at, mask)                                                               \
    ((type *)((image) + ((__u32)(at) & ((mask) & ~((__u32) _Alignof(type) - 1)))))
#define DP_STEPS_AT_ONCE 8 /* more cost the verifier more than they bring */

#define DP_SEARCH_LONG 2

enum dp_step { DP_STEP_MORE = 0, DP_STEP_OVER, DP_STEP_CELLS };

static const __u8 dp_bit_of_product[64] = {
    0,  1,  48, 2,  57, 49, 28, 3,  61, 58, 50, 42, 38, 29, 17, 4,  62, 55, 59, 36, 53, 51,
    43, 22, 45, 39, 33, 30, 24, 18, 12, 5,  63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
    44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,  13, 8,  7,  6};

/* Number of the lowest bit of a word that has one: by de Bruijn's sequence. */
DP_INLINE __u32 dp_first_table(__u64 word)
{
    return dp_bit_of_product[((word & -word) * 0x03f79d71b4cb0a89ULL) >> 58];
}

DP_INLINE __u32 dp_tree_find(char *image, __u32 mask, __u32 root, __u64 value, __u32 bits,
                             int levels)
{
    __u32 entry = *DP_IN(image, __u32, root * 8 + (__u32)(value >> (64 - bits)) * 4, mask);

    value <<= bits;
    for (int i = 0; i < levels; i++) {
        if (!(entry & DP_TREE_NODE)) break;
        entry = *DP_IN(image, __u32, entry * 8 + (__u32)(value >> 56) * 4, mask);
        value <<= 8;
    }
    return entry;
}

/* The vector of tables that can match what the key has in a field. */
DP_INLINE __u32 dp_vector(char *image, __u32 mask, const struct dp_key *key,
                          const struct dp_layer_search *l, enum dp_field field, __u32 bit,
                          __u64 value, __u32 bits, int levels)
{
    const struct dp_tree *tree = &l->tree[field];

    if (!tree->root || key->unknown & bit) return l->all;
    if (key->empty & bit) return tree->empty;
    return dp_tree_find(image, mask, tree->root, value, bits, levels);
}

DP_INLINE __u64 dp_tree_address(const struct dp_key *key, __u32 slot, __u32 wide)
{
    const struct dp_addr *a = &key->wide[slot - DP_SLOT_NUMBERS];

    return wide ? a->hi : a->lo << 32;
}

DP_INLINE void dp_vectors(char *image, __u32 mask, struct dp_key *key,
                          const struct dp_layer_search *l)
{
    struct dp_search_state *s = &key->search;
    __u32 bits = l->address_bits & 31, wide = l->wide;

    s->vector[DP_FIELD_LOCAL_ADDRESS] =
        dp_vector(image, mask, key, l, DP_FIELD_LOCAL_ADDRESS, DP_SLOT_BIT(LOCAL_ADDRESS),
                  dp_tree_address(key, DP_SLOT_LOCAL_ADDRESS, wide), bits, DP_TREE_LEVELS);
    s->vector[DP_FIELD_REMOTE_ADDRESS] =
        dp_vector(image, mask, key, l, DP_FIELD_REMOTE_ADDRESS, DP_SLOT_BIT(REMOTE_ADDRESS),
                  dp_tree_address(key, DP_SLOT_REMOTE_ADDRESS, wide), bits, DP_TREE_LEVELS);
    s->vector[DP_FIELD_LOCAL_PORT] =
        dp_vector(image, mask, key, l, DP_FIELD_LOCAL_PORT, DP_SLOT_BIT(LOCAL_PORT),
                  key->number[DP_SLOT_LOCAL_PORT] << 48, 8, 1);
    s->vector[DP_FIELD_REMOTE_PORT] =
        dp_vector(image, mask, key, l, DP_FIELD_REMOTE_PORT, DP_SLOT_BIT(REMOTE_PORT),
                  key->number[DP_SLOT_REMOTE_PORT] << 48, 8, 1);
    s->vector[DP_FIELD_PROTOCOL] =
        dp_vector(image, mask, key, l, DP_FIELD_PROTOCOL, DP_SLOT_BIT(PROTOCOL),
                  key->number[DP_SLOT_PROTOCOL] << 56, 8, 0);
    s->ports = (key->number[DP_SLOT_LOCAL_PORT] & 0xffff) << 32 |
               (key->number[DP_SLOT_REMOTE_PORT] & 0xffff) << 16 |
               (key->number[DP_SLOT_PROTOCOL] & 0xffff);
}

/* Of the group at hand, which has `tables`. */
DP_INLINE __u64 dp_tables(char *image, __u32 mask, const struct dp_search_state *s, __u64 tables)
{
    __u32 group = s->group;

    for (int i = 0; i < DP_FIELDS; i++)
        tables &= *DP_IN(image, __u64, (s->vector[i] + group) * 8, mask);
    return tables;
}

/* The next group of tables; all its rows come behind what was found. 0: there is nothing to look
 * for. */
DP_INLINE int dp_group_next(char *image, __u32 mask, struct dp_search_state *s)
{
    const struct dp_layer_search *l = DP_IN(image, struct dp_layer_search, s->layer, mask);
    __u32 group = s->group + 1;

    if (s->found || group >= l->groups) return 0;
    s->group = group;
    s->tables = dp_tables(image, mask, s, *DP_IN(image, __u64, l->group + group * 8, mask));
    return 1;
}

DP_INLINE __u64 dp_key_word(const struct dp_key *key, const struct dp_table *t, int i)
{
    __u32 word = t->word[i] & (DP_KEY_WORDS - 1);

    return *(const __u64 *)((const char *)key->number + word * 8) & t->mask[i];
}

/* The first leaf of the next table's chain for this key; 0: the search is over. */
DP_INLINE int dp_probe(char *image, __u32 mask, struct dp_key *key)
{
    struct dp_search_state *s = &key->search;
    __u64 left = s->tables, hash;
    const struct dp_table *t;

    if (!left) return dp_group_next(image, mask, s);
    s->tables = left & (left - 1);
    t = DP_IN(image, struct dp_table,
              DP_IN(image, struct dp_layer_search, s->layer, mask)->tables +
                  (s->group * 64 + dp_first_table(left)) * sizeof *t,
              mask);
    if (t->best >= s->best) return 0;
    if (t->last <= s->after) return 1;
    hash = (s->ports & t->ports) * DP_HASH_A + dp_key_word(key, t, 0) * DP_HASH_B +
           dp_key_word(key, t, 1) * DP_HASH_C + dp_key_word(key, t, 2) * DP_HASH_D +
           dp_key_word(key, t, 3) * DP_HASH_E;
    hash = (hash ^ hash >> 32) * DP_HASH_A;
    s->leaf = *DP_IN(image, __u32, t->slots + (__u32)(hash >> (t->shift & 63)) * 4, mask);
    return 1;
}

DP_INLINE void dp_leaf_pass_over(struct dp_search *q, __u32 mask, const struct dp_leaf *l)
{
    struct dp_search_state *s = &q->key->search;

    if (!s->walk)
        s->leaf = l->next;
    else if (l->rank >= s->walk)
        s->leaf = 0;
    else
        s->leaf += DP_IN(q->image, struct dp_layer_search, s->layer, mask)->stride;
}

/* The leaf at hand is the best match so far; a chain has no better one. */
DP_INLINE void dp_leaf_take(struct dp_search *q, const struct dp_leaf *l)
{
    struct dp_search_state *s = &q->key->search;

    q->match->unknown = !!s->unknown;
    s->best = l->rank;
    s->found = s->leaf;
    s->leaf = 0;
}

/* A table or a leaf. DP_STEP_CELLS: the leaf asks more, from the cell on. */
DP_INLINE enum dp_step dp_search_step(struct dp_search *q, __u32 mask)
{
    struct dp_search_state *s = &q->key->search;
    const struct dp_leaf *l;

    if (!s->leaf && !dp_probe(q->image, mask, q->key)) return DP_STEP_OVER;
    if (!s->leaf) return DP_STEP_MORE;
    l = DP_IN(q->image, struct dp_leaf, s->leaf, mask);
    if (l->rank >= s->best) {
        s->leaf = 0;
    } else if (l->rank <= s->after || !dp_leaf_holds(q->key, l)) {
        dp_leaf_pass_over(q, mask, l);
    } else if (l->cells) {
        s->cell = l->cells;
        return DP_STEP_CELLS;
    } else {
        dp_leaf_take(q, l);
    }
    return DP_STEP_MORE;
}

DP_INLINE void dp_cell_step(struct dp_search *q, __u32 mask)
{
    struct dp_search_state *s = &q->key->search;
    const struct dp_cell *c = DP_IN(q->image, struct dp_cell, s->cell, mask);
    const struct dp_leaf *l;
    __u32 next = dp_cell_holds(q->key, c) ? c->pass : c->fail;

    if (next > DP_CELL_YES) {
        s->cell = next;
        return;
    }
    s->cell = 0;
    l = DP_IN(q->image, struct dp_leaf, s->leaf, mask);
    if (next == DP_CELL_YES)
        dp_leaf_take(q, l);
    else
        dp_leaf_pass_over(q, mask, l);
}

DP_INLINE long dp_search_on(struct dp_search *q, __u32 mask)
{
    if (q->key->search.cell)
        dp_cell_step(q, mask);
    else if (dp_search_step(q, mask) == DP_STEP_OVER)
        q->key->search.over = 1;
    return q->key->search.over & 1;
}

/* From the place on; 0: no row can be there. */
DP_INLINE int dp_search_begin(struct dp_search *q, __u32 mask)
{
    struct dp_search_state *s = &q->key->search;
    __u32 at = __builtin_offsetof(struct dp_image_head, layer) +
               q->key->layer * sizeof(struct dp_layer_search);
    const struct dp_layer_search *l = DP_IN(q->image, struct dp_layer_search, at, mask);
    const struct dp_start *start;
    const struct dp_image_head *head = (struct dp_image_head *)q->image;
    int first = !q->match->after && !q->match->from;

    q->match->generation = head->generation;
    if (q->match->from >= l->sublayers) return 0;
    start = DP_IN(q->image, struct dp_start, l->sublayer + q->match->from * sizeof *start, mask);
    s->after = q->match->after > start->after ? q->match->after : start->after;
    if (s->after >= l->rows) return 0;
    s->steps = l->steps;
    s->best = ~0u;
    s->found = s->leaf = s->cell = s->over = s->walk = 0;
    if (!l->groups || l->hashed & q->key->unknown) {
        s->layer = at;
        s->stamp = head->stamp;
        s->known = 0;
        s->tables = 0;
        s->group = l->groups;
        s->walk = l->rows;
        s->leaf = l->first + s->after * l->stride;
        return 1;
    }
    if (first || !s->known || s->layer != at || s->stamp != head->stamp) {
        s->layer = at;
        s->stamp = head->stamp;
        s->known = 1;
        dp_vectors(q->image, mask, q->key, l);
    }
    s->group = start->group;
    s->tables = dp_tables(q->image, mask, s, start->tables);
    return 1;
}

DP_INLINE void dp_match_fill(struct dp_search *q, __u32 mask)
{
    struct dp_match *m = q->match;
    const struct dp_leaf *l = DP_IN(q->image, struct dp_leaf, q->key->search.found, mask);

    m->flags = l->row_flags;
    m->filter_id = l->filter_id;
    m->rank = l->rank;
    m->sublayer = l->sublayer;
    m->action = l->action;
    m->callout = l->callout;
    m->hold_ms = l->hold_ms;
}

/* What the search has come to; DP_SEARCH_LONG: there is more of it. */
DP_INLINE int dp_search_end(struct dp_search *q, __u32 mask)
{
    if (!q->key->search.over) return DP_SEARCH_LONG;
    if (!q->key->search.found) return 0;
    dp_match_fill(q, mask);
    return 1;
}

/* The first steps, which are enough for most searches. */
DP_INLINE int dp_search_soon(struct dp_search *q, __u32 mask)
{
    if (!dp_search_begin(q, mask)) return 0;
    for (int i = 0; i < DP_STEPS_AT_ONCE; i++) {
        enum dp_step done = dp_search_step(q, mask);

        asm volatile("" ::: "memory"); /* the verifier is to know nothing of the step before */
        if (done == DP_STEP_OVER) q->key->search.over = 1;
        if (done) break;
    }
    return dp_search_end(q, mask);
}

DP_INLINE int dp_search_later(struct dp_search *q, __u32 mask,
                              long (*step)(__u32, struct dp_search *))
{
    struct dp_search_state *s = &q->key->search;

    if (s->stamp != ((struct dp_image_head *)q->image)->stamp) return DP_SEARCH_LONG;
    bpf_loop(s->steps, step, q, 0);
    return dp_search_end(q, mask);
}

static long dp_later_small(__u32 i, struct dp_search *q)
{
    return dp_search_on(q, DP_SMALL_MASK);
}

static long dp_later_large(__u32 i, struct dp_search *q)
{
    return dp_search_on(q, DP_LARGE_MASK);
}

/* A function of its own for each part of a search: a call costs as much as a probe, so that most
   searches are to need but one, and the frame of the first part is not on the stack with what the
   second one calls. */
__noinline int dp_match_soon(struct dp_key *key, struct dp_match *match)
{
    struct dp_search q;
    __u32 zero = 0;
    void *image;

    if (!key || !match || key->layer >= DP_LAYERS_MAX) return -1;
    q.key = key;
    q.match = match;
    image = bpf_map_lookup_elem(&policy_large, &zero);
    q.image = image ? bpf_map_lookup_elem(image, &zero) : 0;
    if (q.image) return dp_search_soon(&q, DP_LARGE_MASK);
    image = bpf_map_lookup_elem(&policy, &zero);
    q.image = image ? bpf_map_lookup_elem(image, &zero) : 0;
    if (!q.image) return -1;
    return dp_search_soon(&q, DP_SMALL_MASK);
}

/* DP_SEARCH_LONG: by now it is another image. */
__noinline int dp_match_later(struct dp_key *key, struct dp_match *match)
{
    struct dp_search q;
    __u32 zero = 0;
    void *image;

    if (!key || !match) return -1;
    q.key = key;
    q.match = match;
    image = bpf_map_lookup_elem(&policy_large, &zero);
    q.image = image ? bpf_map_lookup_elem(image, &zero) : 0;
    if (q.image) return dp_search_later(&q, DP_LARGE_MASK, dp_later_large);
    image = bpf_map_lookup_elem(&policy, &zero);
    q.image = image ? bpf_map_lookup_elem(image, &zero) : 0;
    if (!q.image) return -1;
    return dp_search_later(&q, DP_SMALL_MASK, dp_later_small);
}

/* The next row of the key's layer that matches after the given place: 1, none: 0, no policy, or
   none that stays for as long as a search takes: -1. */
DP_INLINE int dp_next_match(struct dp_key *key, struct dp_match *match)
{
    for (int i = 0; i < 3; i++) {
        int r = dp_match_soon(key, match);

        DP_FORGET(r);
        if (r != DP_SEARCH_LONG) return r;
        r = dp_match_later(key, match);
        DP_FORGET(r);
        if (r != DP_SEARCH_LONG) return r;
    }
    return -1;
}

#endif
