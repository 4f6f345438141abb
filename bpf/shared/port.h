/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The headers that stand in front of a packet on a port. Host byte order, both ends are this
   machine.

   up:    struct dp_upcall | path[DP_EXE_PATH_MAX] if DP_UPCALL_HAS_PATH | packet from its Ethernet
   header down:  struct dp_downcall | packet from its Ethernet header (may be absent)

   A host writes its answer in front of the packet where the packet lies: dp_downcall is shorter
   than dp_upcall. Nothing in a downcall is believed: ticket and flow select a record of the
   kernel's, which must agree. */
#ifndef SLUICE_BPF_SHARED_PORT_H
#define SLUICE_BPF_SHARED_PORT_H

#include "flow.h"

#define DP_UPCALL_MAGIC 0x55434c53u   /* "SLCU" */
#define DP_DOWNCALL_MAGIC 0x44434c53u /* "SLCD" */

enum dp_upcall_kind {
    DP_UPCALL_CLASSIFY = 1, /* ask the callout */
    DP_UPCALL_QUEUED =
        2, /* a further packet of a flow that is pending or draining: keep it in order */
};
enum dp_upcall_flag {
    DP_UPCALL_HAS_PATH = 1 << 0,
    DP_UPCALL_MAY_PEND = 1 << 1,
    DP_UPCALL_KEEP_DATA = 1 << 2,
};

struct dp_upcall {
    __u32 magic;
    __u8 version; /* DP_LAYOUT_VERSION */
    __u8 kind;
    __u16 header_bytes; /* where the packet begins */
    __u64 ticket;
    __u64 flow; /* flow handle; 0 at packet layers */
    __u64 generation;
    __u64 filter_id;
    __u32 callout; /* index of `callouts` */
    __u32 compartment;
    __u32 ifindex;
    __u32 condition_flags;
    __u32 action; /* running decision */
    __u32 rights;
    __u16 layer;
    __u8 direction;
    __u8 flags;      /* DP_UPCALL_* */
    __u16 ip_offset; /* from the Ethernet header */
    __u16 l4_offset; /* 0: not found (later fragment) */
    __u64 created_ns;
    struct dp_process process;
    struct dp_flow_key key;
};
DP_ASSERT(sizeof(struct dp_upcall) == 160, "layout");

enum dp_downcall_kind {
    DP_DOWNCALL_ANSWER = 1, /* to a CLASSIFY that did not pend: action and rights */
    DP_DOWNCALL_HELD = 2,   /* the callout pended; no packet follows */
    DP_DOWNCALL_COMPLETE =
        3, /* of a hold: action and rights, the first packet follows if it is kept */
    DP_DOWNCALL_RELEASE = 4, /* a queued packet of a flow that is draining */
    DP_DOWNCALL_DISCARD = 5, /* `count` queued packets are given up; no packet follows */
};
enum dp_downcall_flag {
    DP_DOWNCALL_ABSORB = 1 << 0,  /* drop silently: no RST, no ICMP */
    DP_DOWNCALL_EXPIRED = 1 << 1, /* by watchdog or deadline, for the counters */
};

struct dp_downcall {
    __u32 magic;
    __u8 version;
    __u8 kind;
    __u16 flags;
    __u64 ticket;
    __u64 filter_id; /* that was asked */
    __u32 action;
    __u32 rights;
    __u32 count;
    __u32 pad;
    struct dp_flow_key key; /* zero at packet layers */
};
DP_ASSERT(sizeof(struct dp_downcall) == 80, "layout");

/* Map `tickets`, hash by ticket number: what is out at packet layers. (At ALE layers the flow is
 * the ticket.) */
struct dp_ticket {
    __u64 asked_ns;
    __u32 host;
    __u32 ifindex;
    __u32 mark, priority;
    __u16 layer;
    __u16 packet_bytes;
    __u32 permit_on_loss;
    __u32 vlan;
    __u32 pad;
    struct dp_key key;
    struct dp_eval eval;
};
DP_ASSERT(sizeof(struct dp_ticket) == 512, "layout");
#define DP_TICKETS_MAX 16384

/* From the XDP to the TC program of a port's near end, in data_meta. */
struct dp_port_meta {
    __u32 magic;
    __u32 op; /* enum dp_port_op */
    __u32 ifindex;
    __u32 mark;
    __u32 priority;
    __u32 vlan;   /* as in dp_flow */
    __u64 ticket; /* DP_PORT_ASK at a packet layer: the new ticket */
};
DP_ASSERT(sizeof(struct dp_port_meta) == 32, "data_meta holds 32 bytes on every kernel");
enum dp_port_op {
    DP_PORT_SEND = 1,    /* out of the NIC */
    DP_PORT_RECEIVE = 2, /* into the stack by the NIC */
    DP_PORT_REJECT = 3,  /* RST or ICMP to the local socket, by the NIC */
    DP_PORT_ASK = 4,     /* another callout is to be asked */
};

/* One frame of a port: 4096 bytes of UMEM. */
#define DP_FRAME_BYTES 4096
#define DP_FRAME_HEADROOM 0
#define DP_PORT_MTU 3400

#endif
