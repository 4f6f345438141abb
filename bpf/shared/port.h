/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The headers that stand in front of a packet on a port. Host byte order, both ends are this
   machine.

   up:    struct dp_upcall | path[DP_EXE_PATH_MAX] if DP_UPCALL_HAS_PATH | dp_redirect_view if
          DP_UPCALL_HAS_REDIRECT | packet from its Ethernet header
   down:  struct dp_downcall | packet from its Ethernet header (may be absent)

   A host writes its answer in front of the packet where the packet lies: dp_downcall is shorter
   than dp_upcall. Nothing in a downcall is believed: ticket and flow select a record of the
   kernel's, which must agree. */
#ifndef SLUICE_BPF_SHARED_PORT_H
#define SLUICE_BPF_SHARED_PORT_H

#include "redirect.h"

#define DP_UPCALL_MAGIC 0x55434c53u   /* "SLCU" */
#define DP_DOWNCALL_MAGIC 0x44434c53u /* "SLCD" */

enum dp_upcall_kind {
    DP_UPCALL_CLASSIFY = 1, /* ask the callout */
    DP_UPCALL_QUEUED = 2, /* a further packet of a flow that is pending or draining, or of a socket
                             whose operation is: keep it in order */
    DP_UPCALL_ACK =
        3, /* of a CONTEXT downcall: filter_id is its number, action 1: the flow is there */
    DP_UPCALL_TELL = 4, /* show the callout; no answer is wanted. Notices only */
    DP_UPCALL_END = 5,  /* the flow is over: flowDeleteFn for each of its contexts. Notices only */
    DP_UPCALL_OVER = 6, /* a question was decided without its host (watchdog, deadline, an end of
                           the flow): ticket, filter, and key or DP_UPCALL_OPERATION as it was
                           asked; action 0x1002 if its traffic goes on, else 0x1001. The host gives
                           its record up, drops the first packet and releases (permit) or discards
                           what is queued. Notices only */
    DP_UPCALL_FORWARDED = 7, /* of FORWARD injections: see dp_inject_kind */
};
enum dp_upcall_flag {
    DP_UPCALL_HAS_PATH = 1 << 0,
    DP_UPCALL_MAY_PEND = 1 << 1,
    DP_UPCALL_KEEP_DATA = 1 << 2,
    DP_UPCALL_OPERATION = 1 << 3,    /* the ticket is an operation's, not a flow's or a packet's */
    DP_UPCALL_HAS_REDIRECT = 1 << 4, /* a dp_redirect_view stands behind the path */
    DP_UPCALL_ALONE = 1 << 5, /* of a packet by a ticket: if this callout blocks it, no other of the
                                 layer is to be shown it; none was before */
    DP_UPCALL_ALE_FOLLOWS = 1 << 6, /* at INBOUND_TRANSPORT: RECV_ACCEPT has not judged the packet's
                                       flow yet, and has filters */
};

/* What is known of a packet that was injected. A handle is a number that its host gave it. */
struct dp_injected {
    __u32 host; /* who injected it last; 0: nobody did */
    __u32 handle;
    __u32 previous;      /* another handle, by which it was injected before; 0: none */
    __u16 times;         /* how often it was injected, as far as those who did so say */
    __u16 previous_host; /* whose `previous` is, low half; 0: the same host's */
    __u64 context;       /* injectionContext */
};
DP_ASSERT(sizeof(struct dp_injected) == 24, "layout");

/* Of an operation at ALE_BIND_REDIRECT: key.local is the end that bind() asked for; key.remote what
   callouts before have made of it, and injected.context the filter of the last of them (0: none
   has). */
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
    __u16 rights;
    __u16 reauthorize; /* DP_REAUTHORIZE_*, where condition_flags has IS_REAUTHORIZE */
    __u16 layer;
    __u8 direction;
    __u8 flags;      /* DP_UPCALL_* */
    __u16 ip_offset; /* from the Ethernet header */
    __u16 l4_offset; /* 0: not found (later fragment) */
    __u64 created_ns;
    struct dp_process process;
    struct dp_flow_key key;
    __u64 endpoint; /* socket cookie: transportEndpointHandle; 0: unknown. At the MAC layers the
                       link address of ifindex, as a number */
    __u64 parent;   /* of the listener: parentEndpointHandle; 0: none */
    struct dp_injected injected;
    __u16 interface_type; /* of ifindex: IANA ifType; 0: no interface has a part */
    __u16 tunnel_type;    /* TUNNEL_TYPE, 0: none */
    /* IPFORWARD: where the packet came in, as ifindex and its types */
    __u32 arrival;
    __u16 arrival_type;
    __u16 arrival_tunnel;
    __u32 path_mtu; /* OUTBOUND_IPPACKET: what the packet's way takes, 0: unknown */
};
DP_ASSERT(sizeof(struct dp_upcall) == 216, "layout");

/* A notice: what a host is told without a packet, in its own ring buffer, which it maps itself
   (map `notices`, hash of ring buffers by host id). Then come header_bytes - sizeof(dp_upcall)
   bytes of path, as in front of a packet. */
#define DP_NOTICES_BYTES (1 << 20)
#define DP_NOTICE_BYTES (sizeof(struct dp_upcall) + DP_EXE_PATH_MAX)

enum dp_downcall_kind {
    DP_DOWNCALL_ANSWER = 1, /* to a CLASSIFY that did not pend: action and rights */
    DP_DOWNCALL_HELD = 2,   /* the callout pended; no packet follows */
    DP_DOWNCALL_COMPLETE =
        3, /* of a hold: action and rights, the first packet follows if it is kept */
    DP_DOWNCALL_RELEASE = 4, /* a queued packet of a flow that is draining */
    DP_DOWNCALL_DISCARD = 5, /* `count` queued packets are given up; no packet follows */
    DP_DOWNCALL_INJECT = 6,  /* a new packet; ticket, filter and key are not read */
    DP_DOWNCALL_CONTEXT = 7, /* sets or clears contexts of flow key, ticket; acknowledged */
    DP_DOWNCALL_REDIRECT =
        8, /* of an open question at CONNECT_REDIRECT: dp_redirect_request and a piece of its
              context follow in the packet's place. Stands until the ANSWER or COMPLETE of the same
              question, which applies it if it permits. With DP_DOWNCALL_OPERATION, at
              BIND_REDIRECT: the version's remote end is the new local one, port 0: as it is; there
              is no context */
    DP_DOWNCALL_INSTEAD = 9, /* INJECT, and before it the answer to `ticket`: block, absorbed. That
                                packet does not follow; only to what came as DP_UPCALL_ALONE */
};
enum dp_inject_kind {
    DP_INJECT_RECEIVE = 1, /* into the receive path of ifindex, from INBOUND_IPPACKET on */
    DP_INJECT_SEND = 2,    /* into the send path; the route is looked up */
    DP_INJECT_FORWARD =
        3, /* into the forward path, by ifindex, 0: by the route: neither end may be this
              machine's, no layer judges it. `endpoint` is its number. What cannot be
              done comes back: FORWARDED, filter_id the number, action an enum dp_reason, generation
              the MTU where it is INJECT_TOO_BIG. Without a packet: all before it was dealt with,
              which comes back with the number and action 0. `count`: a packet of so many bytes from
              its IP header on is asked about, of which a piece follows; the answer is always
              INJECT_TOO_BIG or another reason */
    DP_INJECT_TOO_BIG = 4, /* tell the packet's sender, by ICMP, that it was too big to be forwarded
                              from `ifindex`; it goes nowhere */
    DP_INJECT_MAC_SEND = 5, /* a frame, tags included, out of ifindex: from OUTBOUND_MAC_FRAME on */
    DP_INJECT_MAC_RECEIVE = 6, /* a frame, in by ifindex: from INBOUND_MAC_FRAME on */
};
/* `count` of the downcall of the other kinds: dp_injected.times, this time included. */
#define DP_INJECT_TIMES_MAX 16
struct dp_injection {
    __u32 handle;
    __u32 previous;
    __u64 context;
    __u32 ifindex;
    __u16 kind;          /* enum dp_inject_kind */
    __u16 previous_host; /* as dp_injected */
    __u64 endpoint;      /* SEND: socket cookie on whose behalf; 0: none. FORWARD: the number */
};
DP_ASSERT(sizeof(struct dp_injection) == 32, "layout");

/* What a callout says of a packet that is injected with this, given before the kernel asks: the
   host has shown it the packet already. It counts once, where the kernel asks that host about that
   filter, under that generation, running decision and interface; else the callout is asked as ever.
 */
struct dp_ahead {
    __u64 filter_id; /* 0: nothing is said */
    __u32 action, running_action;
    __u16 rights, running_rights;
    __u16 flags; /* DP_DOWNCALL_ABSORB */
    __u16 pad;
    __u32 ifindex;
    __u32 generation; /* low half */
};
DP_ASSERT(sizeof(struct dp_ahead) == 32, "layout");
enum dp_downcall_flag {
    DP_DOWNCALL_ABSORB = 1 << 0,    /* drop silently: no RST, no ICMP */
    DP_DOWNCALL_EXPIRED = 1 << 1,   /* by watchdog or deadline, for the counters */
    DP_DOWNCALL_OPERATION = 1 << 2, /* the ticket is an operation's */
    DP_DOWNCALL_CLOSE = 1 << 3,     /* COMPLETE at RECV_ACCEPT: no answer, the host injects */
    DP_DOWNCALL_ABANDONED = 1 << 4, /* its host ended, for the counters */
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
    __u32 generation; /* low half of the question's: the answer is to no other of the same
                         ticket and filter; 0: to any */
    union {
        struct dp_flow_key key; /* zero at packet layers */
        struct dp_ahead ahead;  /* INSTEAD */
    };
    __u64 contexts_set,
        contexts_clear; /* of dp_flow.contexts: only bits of the host's own callouts count */
    struct dp_injection inject;
};
DP_ASSERT(sizeof(struct dp_downcall) == 128, "layout");

/* RELEASE with DP_DOWNCALL_OPERATION: of the packet, as its QUEUED upcall said, inject.ifindex and
   inject.kind (RECEIVE: it came in, direction inbound; SEND: it was sent). It is judged from its
   ALE layer on, as if it came now. */

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
    __u32 more; /* further segments of a super-packet that carry the same question */
    struct dp_key key;
    struct dp_eval eval;
    struct dp_flow_key flow; /* of the flow that the packet belongs to; zero: none */
    __u64 flow_id, endpoint;
    struct dp_injected injected;
    struct dp_ahead ahead;
    __u32 stage; /* enum dp_stage that asks */
    __u32 pad;
};
DP_ASSERT(sizeof(struct dp_ticket) == 744, "layout");

/* The layers of a packet in the order in which it meets them. */
enum dp_stage {
    DP_STAGE_NONE = 0,
    DP_STAGE_MAC_IN = 1,
    DP_STAGE_IP_IN,
    DP_STAGE_TRANSPORT_IN, /* ICMP errors: ICMP_ERROR */
    DP_STAGE_ALE_IN,
    DP_STAGE_ESTABLISHED_IN,
    DP_STAGE_DATAGRAM_IN,
    DP_STAGE_RECEIVE, /* all are passed */
    DP_STAGE_ALE_OUT = 16,
    DP_STAGE_ESTABLISHED_OUT,
    DP_STAGE_DATAGRAM_OUT,
    DP_STAGE_TRANSPORT_OUT,
    DP_STAGE_IP_OUT,
    DP_STAGE_FORWARD,   /* of what is routed through, in place of all before it */
    DP_STAGE_FRAME_OUT, /* OUTBOUND_MAC_FRAME of that, and of what is no packet of a socket */
    DP_STAGE_MAC_OUT,   /* of what a socket sends */
    DP_STAGE_SEND,
};

/* Map `operations`, hash by ticket number: a bind or listen that a callout decides. The call has
   returned; the socket's traffic waits. */
struct dp_operation {
    struct bpf_spin_lock lock; /* state, up, down, queue_bytes */
    __u32 state;               /* enum dp_flow_state: ASKED, HELD, DRAINING, PERMITTED or BLOCKED */
    __u32 flags;               /* DP_FLOW_COUNTED, DP_FLOW_WAS_HELD, DP_FLOW_KEEP_DATA, ... */
    __u32 host;
    __u64 cookie;
    __u64 asked_ns, deadline_ns;
    __u32 up, down, queue_bytes, use_bytes;
    __u16 layer;
    __u16 port; /* local, host order */
    __u32 reason;
    struct dp_addr address; /* local */
    struct dp_process process;
    struct dp_cgroups cgroups;
    struct dp_key key;
    struct dp_eval eval;
};
DP_ASSERT(sizeof(struct dp_operation) == 760, "layout");
#define DP_OPERATIONS_MAX 65536
#define DP_TICKETS_MAX 8192 /* preallocated: taking and freeing one costs less than memory does */

/* Map `identities`, array by the low bits of a number: who injected a packet, from dp_port_down to
   the TC program behind it, which takes it out. A packet whose entry another one has taken since is
   dropped: so many are never between the two. */
struct dp_identity {
    __u64 number; /* 0: free */
    struct dp_injected injected;
    struct dp_ahead ahead;
};
DP_ASSERT(sizeof(struct dp_identity) == 64, "layout");
#define DP_IDENTITIES_MAX 4096 /* a power of two */

/* From the XDP to the TC program of a port's near end, in data_meta. */
struct dp_port_meta {
    __u32 magic;
    __u16 op;    /* enum dp_port_op */
    __u16 stage; /* enum dp_stage that has answered, or asks again; the packet goes on behind it */
    __u32 ifindex;
    __u32 mark;
    __u32 priority;
    __u32 vlan;   /* as in dp_flow */
    __u64 ticket; /* ASK at a packet layer: of the record in `tickets`. INJECT, SEND, RECEIVE and
                     FORWARD of what was injected: in `identities` */
};
DP_ASSERT(sizeof(struct dp_port_meta) == 32, "data_meta holds 32 bytes on every kernel");
enum dp_port_op {
    DP_PORT_SEND = 1,    /* out of the NIC */
    DP_PORT_RECEIVE = 2, /* into the stack by the NIC */
    DP_PORT_REJECT = 3,  /* RST or ICMP to the local socket, by the NIC */
    DP_PORT_ASK = 4,     /* another callout is to be asked */
    DP_PORT_INJECT = 5,  /* through the layers from dp_ticket.stage on */
    DP_PORT_AGAIN = 6,   /* of a socket whose operation was permitted: judged as if it came now */
    DP_PORT_PASS = 7, /* of a flow that passes this machine: on its way from the NIC it came by */
    DP_PORT_FORWARD = 8, /* out of the NIC; of the layers only OUTBOUND_MAC_FRAME, behind `stage` */
    DP_PORT_TOO_BIG = 9, /* to the stack as if it came in by the NIC: it answers its sender */
};

/* One frame of a port: 4096 bytes of UMEM. */
#define DP_FRAME_BYTES 4096
#define DP_FRAME_HEADROOM 0
#define DP_PORT_MTU 3400
/* What is injected goes down behind its header: so much from its IP header on. */
#define DP_INJECT_BYTES (DP_PORT_MTU - 128)
DP_ASSERT(sizeof(struct dp_downcall) == 128, "DP_INJECT_BYTES");

#endif
