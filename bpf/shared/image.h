/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A compiled policy as the programs search it: the one value of an array map. Offsets are bytes
   from its begin, 0 is nowhere. Little endian as the machine; filled before it is published and not
   changed while a program may see it.

   A search for the first row behind a place: each of five fields of the key leads through a tree to
   a vector of masks, a mask of 64 tables for each group of tables. What the five have in common are
   the tables that can match at all; they are probed in the order of their best rows until the best
   row found is better than what is left. A table is a hash of some words of the key under masks; a
   slot is a chain of leaves in order of rank. A leaf holds the tests that most rows consist of,
   what else a row asks stands in cells (dp_cell) elsewhere. Leaves stand in order of
   rank as well: a layer of few rows has no tables, and one that hashes what a key does not know is
   walked from row to row. */
#ifndef SLUICE_BPF_SHARED_IMAGE_H
#define SLUICE_BPF_SHARED_IMAGE_H

#include "policy.h"

/* Two sizes of value, for two arrays of maps: `policy` and `policy_large`. Where the large one has
   an image that one counts. A structure at the last offset that the masks admit is still inside. */
#define DP_IMAGE_SMALL (1 << 20)
#define DP_IMAGE_LARGE (1 << 25)
#define DP_IMAGE_SLACK 8192

enum dp_field {
    DP_FIELD_LOCAL_ADDRESS = 0,
    DP_FIELD_REMOTE_ADDRESS,
    DP_FIELD_LOCAL_PORT,
    DP_FIELD_REMOTE_PORT,
    DP_FIELD_PROTOCOL,
    DP_FIELDS
};

/* A tree over a field's value, whose most significant bit is that of a 64-bit word (of an IPv6
   address the first half). A node is an array of entries by the next bits, 8 but at the root: a
   node with DP_TREE_NODE, else a vector. Both are offsets in units of 8 bytes. */
#define DP_TREE_NODE 0x80000000u
#define DP_TREE_LEVELS 6 /* below the root */
struct dp_tree {
    __u32 root;  /* 0: no row of the layer tests the field in its leaf */
    __u32 empty; /* vector where the field has no value */
};

struct dp_layer_search {
    __u32 rows;  /* ranks are 1 .. rows */
    __u32 first; /* leaf of rank 1 */
    __u32 sublayers;
    __u32 sublayer;    /* dp_start of each */
    __u32 groups;      /* of tables; 0: walk */
    __u32 group;       /* mask of the tables that each has */
    __u32 tables;      /* 64 for a group */
    __u32 hashed;      /* a bit for each slot that a table hashes */
    __u32 steps;       /* that no search exceeds */
    __u32 all;         /* vector of all tables */
    __u8 address_bits; /* at the root of the two trees of addresses: 8 or 16 */
    __u8 wide;         /* IPv6 */
    __u8 pad[2];
    struct dp_tree tree[DP_FIELDS];
    __u32 stride; /* from leaf to leaf: DP_LEAF_NARROW or DP_LEAF_WIDE */
    __u32 reserved[10];
};
DP_ASSERT(sizeof(struct dp_layer_search) == 128, "layout");

struct dp_image_head {
    __u64 generation;
    __u64 present[2]; /* a bit for each layer that has rows */
    __u64 size;       /* of all that is used */
    __u64 stamp;      /* no two images have the same */
    __u64 asks[2];    /* a bit for each layer that may have a row with a callout */
    __u64 reserved[9];
    struct dp_layer_search layer[DP_LAYERS_MAX];
};

/* Where a sublayer begins. */
struct dp_start {
    __u32 after;  /* the rank before it */
    __u32 group;  /* where its first table is */
    __u64 tables; /* of that group: its own and those behind */
};

#define DP_TABLE_WORDS 4
struct dp_table {
    __u32 best, last; /* ranks */
    __u32 slots;      /* leaves, 0: none */
    __u8 shift;       /* 64 - bits of the number of slots */
    __u8 pad[3];
    __u64 ports; /* mask of dp_search_state.ports */
    __u64 mask[DP_TABLE_WORDS];
    __u8 word[DP_TABLE_WORDS]; /* dp_key.number and what follows, in words */
    __u8 reserved[4];
};
DP_ASSERT(sizeof(struct dp_table) == 64, "layout");
#define DP_KEY_WORDS 32

/* A row, in one line of the cache: the tests that most rows consist of, and what a search tells of
   it. IPv6 needs a second line for one of its addresses. */
#define DP_LEAF_NARROW 64
#define DP_LEAF_WIDE 128
struct dp_leaf {
    __u32 rank;
    __u32 next;  /* of the chain */
    __u32 cells; /* more tests: the first dp_cell; 0: none */
    __u32 tests; /* a bit for each slot that is tested here */
    __u8 row_flags;
    __u8 protocol;
    __u8 local_bits, remote_bits; /* of the prefixes; 0: a range is tested */
    __u16 local_port, local_span; /* lowest and how many more */
    __u16 remote_port, remote_span;
    __u32 sublayer;
    __u64 filter_id;
    __u16 action, callout; /* these as in dp_cell.row */
    __u32 hold_ms;
    union {
        struct {
            __u32 local, local_span, remote, remote_span; /* behind DP_V4_MAPPED */
        } v4;
        struct dp_addr remote; /* the bits behind a prefix are 0 */
    } address;
    struct dp_addr local; /* from here on: of a wide leaf */
    __u64 reserved[6];
};
DP_ASSERT(__builtin_offsetof(struct dp_leaf, local) == DP_LEAF_NARROW, "layout");
DP_ASSERT(sizeof(struct dp_leaf) == DP_LEAF_WIDE, "layout");

/* Where a cell of an image leads: an offset of another one, or */
#define DP_CELL_NO 0
#define DP_CELL_YES 1

#define DP_HASH_A 0x9e3779b97f4a7c15ULL
#define DP_HASH_B 0xc2b2ae3d27d4eb4fULL
#define DP_HASH_C 0x165667b19e3779f9ULL
#define DP_HASH_D 0xd6e8feb86659fd93ULL
#define DP_HASH_E 0xff51afd7ed558ccdULL

#endif
