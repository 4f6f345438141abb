/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The compiled policy. The compiler makes it in two steps, both pure.

   First cells, as below: entries 0 .. DP_LAYERS_MAX-1 are indexed by layer number (dp_cell.layer).
   After them the rows of each layer stand together, in the order of evaluation: sublayer weight
   descending, inside a sublayer filter weight descending (ties: lower filter id first). A row is a
   filter: its tests, then one cell DP_OP_MATCH that says what the filter is. A test that holds goes
   on at `pass`, one that does not at `fail`; alternatives (OR) are tests whose `fail` is the next
   alternative and whose `pass` is behind the last. Both only ever lead forward; 0 is the end of the
   layer.

   Then the image that programs search (image.h): the same rows, so arranged that a search looks at
   few of them. It is a flat value of an array map behind the one-slot array-of-maps `policy` or
   `policy_large`; publishing is swapping that slot: a packet sees one image from beginning to end.
   - Rows stand in hash tables by what they have in common: so many bits of each address and port, a
     protocol, one more value. Each sublayer has up to 64 tables, fewer where there are more than
     four sublayers; what would crowd one chain goes to finer tables.
   - Five look-ups (addresses, ports, protocol) give masks of the tables that have any row for that
     value; only tables in all five are probed, best rank first, until none can have a better row.
   - What no table tells apart is tested at the row: addresses, ports and protocol in its leaf, all
     other conditions by its cells. */
#ifndef SLUICE_BPF_SHARED_POLICY_H
#define SLUICE_BPF_SHARED_POLICY_H

#include "verdict.h"

/* An address as two host-order halves, most significant first; IPv4 as ::ffff:a.b.c.d. */
struct dp_addr {
    __u64 hi;
    __u64 lo;
};

#define DP_V4_MAPPED 0x0000ffff00000000ULL /* begins IPv4 addresses in a dp_addr's `lo` */

/* What a condition can look at. Below DP_SLOT_NUMBERS: dp_key.number[slot], above: dp_key.wide[].
 */
enum dp_slot {
    DP_SLOT_LOCAL_PORT = 0, /* ICMP: type */
    DP_SLOT_REMOTE_PORT,    /* ICMP: code */
    DP_SLOT_PROTOCOL,
    DP_SLOT_FLAGS,     /* FWP_CONDITION_FLAG_*; at MAC layers FWP_CONDITION_L2_* */
    DP_SLOT_INTERFACE, /* interface indexes; IPFORWARD: source is ARRIVAL, destination NEXTHOP */
    DP_SLOT_ARRIVAL_INTERFACE,  /* where the packet came in */
    DP_SLOT_NEXTHOP_INTERFACE,  /* where it leaves */
    DP_SLOT_LOCAL_ADDRESS_TYPE, /* NlatUnicast 1, anycast 2, multicast 3, broadcast 4 */
    DP_SLOT_REMOTE_ADDRESS_TYPE,
    DP_SLOT_USER,
    DP_SLOT_GROUP,
    DP_SLOT_COMPARTMENT,
    DP_SLOT_ETHER_TYPE,
    DP_SLOT_VLAN,
    DP_SLOT_PACKET_LENGTH, /* bytes from the IP header on; at MAC layers of the frame */
    DP_SLOT_LOCAL_MAC,     /* 48 bits, the first byte the most significant */
    DP_SLOT_REMOTE_MAC,
    DP_SLOT_EMBEDDED_PROTOCOL, /* of the packet that an ICMP error quotes */
    DP_SLOT_EMBEDDED_LOCAL_PORT,
    DP_SLOT_EMBEDDED_REMOTE_PORT,
    DP_SLOT_EMBEDDED_LOCAL_ADDRESS_TYPE,
    DP_SLOT_REAUTHORIZE_REASON,
    DP_SLOT_DIRECTION, /* FWP_DIRECTION_OUTBOUND 0, INBOUND 1 */
    DP_SLOT_ORIGINAL_ICMP_TYPE,
    DP_SLOT_NUMBERS,
    DP_SLOT_LOCAL_ADDRESS = DP_SLOT_NUMBERS,
    DP_SLOT_REMOTE_ADDRESS,
    DP_SLOT_EMBEDDED_REMOTE_ADDRESS,
    DP_SLOT_APP, /* executable: hi device, lo inode */
    DP_SLOT_WIDE_END,
    DP_SLOT_CGROUP = DP_SLOT_WIDE_END, /* dp_key.cgroup[]: of the process and all above it */
    DP_SLOTS
};
#define DP_CGROUP_LEVELS 8
#define DP_SLOT_BIT(slot) (1u << DP_SLOT_##slot)

/* What a test does with the slot's value v. */
enum dp_op {
    DP_OP_MATCH = 1, /* no test: the row's end, dp_cell.row */
    DP_OP_RANGE,     /* low <= v <= high */
    DP_OP_NOT_RANGE,
    DP_OP_FLAGS_ALL, /* v & low.lo; of an address its low half */
    DP_OP_FLAGS_ANY,
    DP_OP_FLAGS_NONE,
    DP_OP_EMPTY,  /* there is no value */
    DP_OP_CGROUP, /* low.lo is among dp_key.cgroup[] */
    DP_OP_NOT_CGROUP,
    DP_OP_TEXT,   /* the executable's path against a text, dp_cell.compare */
    DP_OP_NEVER,  /* never holds; an unknown value stays unknown */
    DP_OP_ALWAYS, /* holds for every value, not for an empty one */
};

/* How DP_OP_TEXT compares the path with the text of `length` bytes that begins in the cell behind
   the test (DP_CELL_TEXT bytes a cell). Bytes are compared as unsigned numbers. */
enum dp_compare {
    DP_COMPARE_EQUAL = 1,
    DP_COMPARE_NOT_EQUAL,
    DP_COMPARE_LESS,
    DP_COMPARE_LESS_OR_EQUAL,
    DP_COMPARE_GREATER,
    DP_COMPARE_GREATER_OR_EQUAL,
    DP_COMPARE_ENDS_WITH, /* FWP_MATCH_PREFIX, which tests the end */
    DP_COMPARE_NOT_ENDS_WITH,
    DP_COMPARE_EQUAL_NO_CASE, /* A-Z are a-z */
};
#define DP_CELL_TEXT 32
#define DP_TEXT_MAX 4096 /* a power of two above every length */

enum dp_row_flag {
    DP_ROW_CLEAR_ACTION_RIGHT = 1 << 0, /* FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT */
    DP_ROW_PERMIT_IF_UNREGISTERED = 1 << 1,
    /* What becomes of what waits for the callout when its time is over or a quota is full; none of
       the three: as the host says. */
    DP_ROW_OUTCOME_BLOCK = 1 << 2,
    DP_ROW_OUTCOME_PERMIT = 1 << 3,
    DP_ROW_OUTCOME_NEXT = 1 << 4, /* on to the next filter, as if this one did not match */
    /* Redirect layers: action is CALLOUT_UNKNOWN, and `callout` is an index of map `targets`: the
       kernel itself answers in the callout's place. */
    DP_ROW_REDIRECT = 1 << 5,
};

/* The same as a number: dp_host.outcome. */
enum dp_outcome {
    DP_OUTCOME_UNREGISTERED = 0, /* as if nobody had registered the callout */
    DP_OUTCOME_BLOCK,
    DP_OUTCOME_PERMIT,
    DP_OUTCOME_NEXT,
};
#define DP_HOLD_FOREVER 0xffffffffu /* in place of a deadline in milliseconds */

enum dp_cell_flag { DP_CELL_FIRST = 1 << 0 }; /* the first cell of a row */

struct dp_cell {
    __u8 op;    /* enum dp_op */
    __u8 slot;  /* enum dp_slot */
    __u8 flags; /* enum dp_cell_flag */
    __u8 compare;
    __u32 pass;   /* entry to go on at */
    __u32 fail;   /* MATCH: the next row */
    __u32 length; /* of the text */
    union {
        struct {
            struct dp_addr low, high; /* inclusive */
        } test;
        struct {
            __u64 filter_id;
            __u32 rank;     /* 1 .. n in the layer */
            __u32 sublayer; /* ordinal in the layer, 0 is evaluated first */
            __u32 action;   /* enum dp_action */
            __u32 callout;  /* index in map `callouts`; 0 = none */
            __u32 flags;    /* enum dp_row_flag */
            __u32 hold_ms;  /* how long a hold may last; 0: as the host says */
        } row;
        struct {
            __u64 generation; /* the same in every index entry of an image */
            __u32 first;      /* entry of the layer's first row; 0: it has none */
            __u32 count;      /* entries of the layer, which bounds every walk */
            __u64 present[2]; /* a bit for each layer of the image that has rows; in all alike */
        } layer;
        __u8 text[DP_CELL_TEXT];
    };
};
DP_ASSERT(sizeof(struct dp_cell) == 48, "layout");

/* Of a plan, index cells and what leaves test left out. A cell takes 48 bytes of an image, a row 96
   more at most: so many fit DP_IMAGE_LARGE, with 4 MiB for what finds them. More are refused before
   anything changes. */
#define DP_IMAGE_CELLS_MAX 204800

/* Map `callouts`, array, index 1 .. DP_CALLOUTS_MAX-1. Who answers for a callout just now. */
#define DP_CALLOUTS_MAX 4096
#define DP_CONTEXT_SLOTS 64
enum dp_callout_flag {
    DP_CALLOUT_KEEP_PENDED_DATA = 1 << 0,
    DP_CALLOUT_CONDITIONAL_ON_FLOW = 1 << 1, /* not asked about flows without its context */
};
struct dp_callout {
    __u32 host; /* key of map `hosts`; 0: not registered */
    __u32 flags;
    __u32 local_id; /* the run-time id that the host gave it */
    __u32 slot; /* 1 .. DP_CONTEXT_SLOTS: its bit in dp_flow.contexts is 1 << (slot - 1); 0: it has
                   no flowDeleteFn and so no contexts */
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
    __u32 outcome;          /* enum dp_outcome, where the filter names none */
    __u64 upcalls_total;
    /* Quotas of what waits for this host: in all, and of one process of origin. 0: none. */
    __u32 holds_max;
    __u32 process_holds_max;
    __u64 hold_bytes_max;
    __u64 process_bytes_max;
    __u32 packets_max; /* out at packet layers at once; 0: any number */
    __u32 pad;
};
DP_ASSERT(sizeof(struct dp_host) == 72, "layout");

/* Map `uses`, hash: what waits just now, against the quotas. Written by programs; the daemon takes
   away entries of ended processes that count nothing. */
struct dp_use_key {
    __u64 id; /* start_ns 0: a host, or DP_USE_PACKETS | host; else the tgid of a process. 0, 0:
                 processes unknown */
    __u64 start_ns;
};
#define DP_USE_PACKETS (1ull << 32) /* `holds` are packets that are out at packet layers */
struct dp_use {
    __u32 holds; /* flows and operations that are asked or held */
    __u32 pad;
    __u64 bytes; /* of their packets, those queued behind included */
    __u64 holds_total;
    __u64 refused_total; /* by a quota */
};
DP_ASSERT(sizeof(struct dp_use) == 32, "layout");
#define DP_USES_MAX 65536

/* Where a search of the image stands (shared/image.h). Programs only; not on the stack, which is
   short where rows are searched. */
struct dp_search_state {
    __u64 stamp;     /* of the image that all offsets are of */
    __u64 tables;    /* of the group at hand: still to be probed */
    __u64 ports;     /* local << 32 | remote << 16 | protocol */
    __u32 vector[5]; /* by enum dp_field */
    __u32 layer;     /* dp_layer_search; 0: none has been searched */
    __u32 known;     /* the vectors are those of this layer */
    __u32 group;     /* at hand */
    __u32 after;     /* the match has a rank above this */
    __u32 best;      /* and one below this */
    __u32 found;     /* leaf of the best match so far; 0: none */
    __u32 leaf;      /* to look at next; 0: probe a table */
    __u32 cell;      /* of that leaf, to look at next; 0: the leaf itself */
    __u32 unknown;   /* a value that the leaf asks for */
    __u32 walk;      /* the last rank: from leaf to leaf in order of rank; 0: by tables */
    __u32 over;
    __u32 steps; /* that the rest may take */
};
DP_ASSERT(sizeof(struct dp_search_state) == 96, "layout");

/* What a classification looks at. Host order throughout. A slot's bit in `unknown`: the value is
   not known at this point; a row that would need it makes the classification DP_CLASSIFY_DEFER. In
   `empty`: there is no value, which DP_OP_EMPTY alone finds. */
struct dp_key {
    __u32 layer;
    __u32 unknown;
    __u32 empty;
    __u32 pad;
    __u64 number[DP_SLOT_NUMBERS];
    struct dp_addr wide[DP_SLOT_WIDE_END - DP_SLOT_NUMBERS];
    __u64 cgroup[DP_CGROUP_LEVELS]; /* the process's own first; 0: no more */
    __u64 contexts;                 /* dp_flow.contexts; 0 where there is no flow */
    struct dp_search_state search;
};
DP_ASSERT(sizeof(struct dp_key) == 440, "layout");

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
    __u32 hold_ms;        /* out: dp_cell.row.hold_ms of that filter */
    __u32 quota; /* out: enum dp_reason of the quota that kept a callout from being asked */
    struct dp_answer answer[DP_ANSWERS_MAX];
    __u16 asked[DP_HOPS_MAX]; /* callouts that were asked about this flow, under any policy */
};
DP_ASSERT(sizeof(struct dp_eval) == 144, "layout");

/* How often filters gave a decision: one entry for so many neighbouring numbers, since making an
   entry costs the kernel an allocation for every CPU, and policies are replaced whole. */
#define DP_HITS 32
struct dp_hits {
    __u64 count[DP_HITS]; /* of filter DP_HITS * key + index */
};

enum dp_classify_result {
    DP_CLASSIFY_PERMIT = 0,
    DP_CLASSIFY_BLOCK = 1,
    DP_CLASSIFY_CALLOUT = 2, /* suspended: eval says which callout */
    DP_CLASSIFY_DEFER = 3,   /* a field is unknown here */
    DP_CLASSIFY_NO_POLICY = 4,
};

#endif
