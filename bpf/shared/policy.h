/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The compiled policy: one array map (the image) behind the one-slot array-of-maps `policy`.
   Publishing is swapping that slot: a packet sees one image from beginning to end.

   Entries 0 .. DP_LAYERS_MAX-1 of an image are index rows (struct dp_layer_index), indexed by layer
   number. After them the rows of each layer stand together, in the order of evaluation: sublayer
   weight descending, inside a sublayer filter weight descending (ties: lower filter id first). A
   filter with alternatives (several conditions on one field, OR) is several rows with one rank. */
#ifndef SLUICE_BPF_SHARED_POLICY_H
#define SLUICE_BPF_SHARED_POLICY_H

#include "verdict.h"

/* Fields of first light. A bit set in dp_row.fields: the row has a condition on it. A bit set in
   dp_key.unknown: the value is not known at this point; a row that would need it makes the
   classification DP_CLASSIFY_DEFER. */
enum dp_field {
    DP_FIELD_LOCAL_ADDRESS = 1 << 0,
    DP_FIELD_REMOTE_ADDRESS = 1 << 1,
    DP_FIELD_LOCAL_PORT = 1 << 2,
    DP_FIELD_REMOTE_PORT = 1 << 3,
    DP_FIELD_PROTOCOL = 1 << 4,
};

/* An address as two host-order halves, most significant first; IPv4 as ::ffff:a.b.c.d. */
struct dp_addr {
    __u64 hi;
    __u64 lo;
};

enum dp_row_flag {
    DP_ROW_CLEAR_ACTION_RIGHT = 1 << 0, /* FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT */
    DP_ROW_PERMIT_IF_UNREGISTERED = 1 << 1,
};

struct dp_row {
    __u64 filter_id;
    __u64 weight;
    __u32 rank;     /* 1 .. n in the layer, shared by the rows of one filter */
    __u32 sublayer; /* ordinal in the layer, 0 is evaluated first */
    __u32 action;   /* enum dp_action */
    __u32 callout;  /* index in map `callouts`; 0 = none */
    __u16 fields;   /* DP_FIELD_* */
    __u16 flags;    /* DP_ROW_* */
    __u8 protocol_lo, protocol_hi;
    __u8 pad[2];
    __u16 local_port_lo, local_port_hi; /* host order, inclusive */
    __u16 remote_port_lo, remote_port_hi;
    struct dp_addr local_lo, local_hi; /* inclusive */
    struct dp_addr remote_lo, remote_hi;
};
DP_ASSERT(sizeof(struct dp_row) == 112, "layout");

struct dp_layer_index {
    __u64 generation; /* the same in every index row of an image */
    __u32 first;      /* entry number of the layer's first row */
    __u32 count;      /* rows of the layer */
    __u8 pad[96];
};
DP_ASSERT(sizeof(struct dp_layer_index) == sizeof(struct dp_row), "an image has one entry size");

#define DP_IMAGE_ROWS_MAX                                                                          \
    65536 /* first light's search is linear; refuse more before anything changes */

/* Map `callouts`, array, index 1 .. DP_CALLOUTS_MAX-1. Who answers for a callout just now. */
#define DP_CALLOUTS_MAX 4096
enum dp_callout_flag { DP_CALLOUT_KEEP_PENDED_DATA = 1 << 0 };
struct dp_callout {
    __u32 host; /* key of map `hosts`; 0: not registered */
    __u32 flags;
    __u32 local_id; /* the run-time id that the host gave it */
    __u32 pad;
    __u64 classify_total; /* relaxed count of upcalls */
};
DP_ASSERT(sizeof(struct dp_callout) == 24, "layout");

/* Map `hosts`, hash, key host id (never reused while the daemon runs, 0 is nobody). */
struct dp_host {
    __u32 port_ifindex;     /* near end of the port in this namespace */
    __u32 alive;            /* 0: send nothing up any more */
    __u64 watchdog_ns;      /* an upcall unanswered for longer ends as its filter says */
    __u64 hold_deadline_ns; /* 0: none */
    __u32 queue_bytes_max;  /* quota of bytes queued behind one held packet */
    __u32 pad;
    __u64 upcalls_total;
};
DP_ASSERT(sizeof(struct dp_host) == 40, "layout");

/* What a classification looks at. Host order throughout. */
struct dp_key {
    __u32 layer;
    __u32 condition_flags;
    __u32 ifindex;
    __u16 unknown; /* DP_FIELD_* */
    __u8 protocol;
    __u8 pad;
    __u16 local_port, remote_port; /* ICMP: type, code */
    __u32 pad2;
    struct dp_addr local, remote;
};
DP_ASSERT(sizeof(struct dp_key) == 56, "layout");

/* A callout's answer that is kept so that it is not asked twice. */
struct dp_answer {
    __u64 filter_id;
    __u32 action;
    __u16 rights;
    __u16 running_action_low; /* low 16 bits of the running decision under which it was given */
};
DP_ASSERT(sizeof(struct dp_answer) == 16, "layout");
#define DP_ANSWERS_MAX 4 /* kept; a power of two */
#define DP_HOPS_MAX 8    /* asked for one packet or flow; past it: block */

/* The state of an evaluation; what a suspension must keep is all in here. */
struct dp_eval {
    __u64 generation;     /* in: 0 = any; out: of the image that was used */
    __u64 filter_id;      /* out: the filter that gave the running decision; 0: none has */
    __u64 asked_id;       /* out: the filter whose callout is to be asked */
    __u32 rank;           /* resume after this rank; 0 = from the top */
    __u32 sublayer;       /* resume at this sublayer or later */
    __u32 action;         /* running decision: NONE, PERMIT or BLOCK */
    __u32 rights;         /* DP_RIGHT_ACTION_WRITE */
    __u32 callout;        /* out: to be asked */
    __u32 callout_action; /* out: dp_action of the callout filter */
    __u32 row_flags;      /* out: DP_ROW_* of that filter */
    __u32 answers;        /* given so far; the last DP_ANSWERS_MAX of them are in answer[] */
    struct dp_answer answer[DP_ANSWERS_MAX];
};
DP_ASSERT(sizeof(struct dp_eval) == 120, "layout");

enum dp_classify_result {
    DP_CLASSIFY_PERMIT = 0,
    DP_CLASSIFY_BLOCK = 1,
    DP_CLASSIFY_CALLOUT = 2, /* suspended: eval says which callout */
    DP_CLASSIFY_DEFER = 3,   /* a field is unknown here */
    DP_CLASSIFY_NO_POLICY = 4,
};

#endif
