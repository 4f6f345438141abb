/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A flow: one 5-tuple in one compartment, with its verdict, the generation that gave it and its
   owner.

     (none) ──▶ ASKED ──▶ HELD ──▶ DRAINING ──▶ PERMITTED
                  │ │       │          ▲             │ (old generation: judged again on the next
   packet) │ └───────┼──────────┘             ▼ └─────────┴───────────────────▶ BLOCKED

   ASKED: an upcall is out, the watchdog runs. HELD: the callout pended, its deadline (if any) runs.
   DRAINING: permitted, but packets that went up are still on their way down. */
#ifndef SLUICE_BPF_SHARED_FLOW_H
#define SLUICE_BPF_SHARED_FLOW_H

#include <linux/bpf.h> /* struct bpf_spin_lock */

#include "policy.h"

struct dp_flow_key {
    struct dp_addr local, remote;  /* host-order halves, IPv4 mapped */
    __u16 local_port, remote_port; /* host order; ICMP echo: identifier, 0 */
    __u8 protocol;
    __u8 pad[3];
};
DP_ASSERT(sizeof(struct dp_flow_key) == 40, "layout");

enum dp_flow_state {
    DP_FLOW_NONE = 0,
    DP_FLOW_ASKED,
    DP_FLOW_HELD,
    DP_FLOW_DRAINING,
    DP_FLOW_PERMITTED,
    DP_FLOW_BLOCKED,
    DP_FLOW_COMPLETED, /* RECV_ACCEPT: the hold is closed, its host injects the packet that it kept
                        */
};

enum dp_direction { DP_DIRECTION_OUTBOUND = 0, DP_DIRECTION_INBOUND = 1 };

enum dp_flow_flag {
    DP_FLOW_MID_STREAM = 1 << 0, /* first packet seen was not the first of the connection */
    DP_FLOW_FIN_LOCAL = 1 << 1,
    DP_FLOW_FIN_REMOTE = 1 << 2,
    DP_FLOW_RST = 1 << 3,
    DP_FLOW_REPLIED = 1 << 4,        /* a packet of the other direction was seen */
    DP_FLOW_KEEP_DATA = 1 << 5,      /* callout with DP_CALLOUT_KEEP_PENDED_DATA pended it */
    DP_FLOW_REAUTHORIZE = 1 << 6,    /* the open upcall asks again: it may not pend */
    DP_FLOW_EXPIRED = 1 << 7,        /* ended by deadline or watchdog */
    DP_FLOW_PERMIT_ON_LOSS = 1 << 8, /* outcome of the filter whose callout was asked */
    DP_FLOW_LOOPBACK = 1 << 9,
    DP_FLOW_ASKED_BEFORE = 1 << 11, /* the open question goes to a callout that knows the flow */
    DP_FLOW_REVOKED = 1 << 12,      /* TCP: was permitted, a newer policy blocks it */
    DP_FLOW_TO_CUT = 1 << 13,       /* that, found on a packet: sluiced has to cut it yet */
    DP_FLOW_GROUP = 1 << 10, /* its first packet went to a multicast or broadcast link address */
    DP_FLOW_ESTABLISHED = 1 << 14,  /* has passed ALE_FLOW_ESTABLISHED */
    DP_FLOW_ESTABLISHING = 1 << 15, /* the open question is that layer's: its evaluation is `hop` */
    DP_FLOW_COUNTED = 1 << 16,      /* stands in `uses`, for its host and its process */
    DP_FLOW_WAS_HELD = 1 << 17,     /* HOLD_OPENED was counted, its end was not yet */
    DP_FLOW_INJECTED = 1 << 18,  /* the packet that is out was injected: by whom says the record in
                                    `tickets` under the flow's ticket */
    DP_FLOW_SHORT = 1 << 19,     /* of the segment that is out only the headers went up */
    DP_FLOW_PROXY = 1 << 20,     /* its socket carries a record: a proxy's onward connection */
    DP_FLOW_TRANSLATE = 1 << 21, /* its packets are rewritten as `redirect` says */
    DP_FLOW_PASSES = 1 << 22,    /* it passes this machine: `local` began it, CONNECT_REDIRECT alone
                                    judges it */
};

#define DP_FLOWS_MAX 262144 /* by default; 640 bytes each, as far as there are any */

/* Who opened the socket; taken in the cgroup hooks, kept in socket storage and copied into the
 * flow. 0 = unknown. */
struct dp_process {
    __u64 start_ns; /* boot time of the process, tells a pid from its reuse */
    __u64 exe_inode;
    __u64 cgroup;
    __u32 exe_dev;
    __u32 tgid;
    __u32 uid;
    __u32 gid;
};
DP_ASSERT(sizeof(struct dp_process) == 40, "layout");

/* The cgroups above the process's own, nearest first; 0: no more. */
struct dp_cgroups {
    __u64 above[DP_CGROUP_LEVELS - 1];
};

struct dp_flow {
    struct bpf_spin_lock lock; /* state, flags, up, down and passing; zero in user space */
    __u32 state;               /* enum dp_flow_state */
    __u32 flags;               /* DP_FLOW_* */
    __u32 vlan;   /* 0, or 0x10000 | tag control information of the packet that is out */
    __u64 ticket; /* of the first packet that is out; unique in a namespace, grows; also the flow's
                     id */
    __u64 generation;
    __u64 created_ns, asked_ns,
        seen_ns;       /* CLOCK_MONOTONIC; asked_ns: the open upcall or hold began */
    __u64 deadline_ns; /* 0: none */
    __u64 cookie;      /* socket cookie, 0: unknown */
    __u64 packets, bytes;
    __u32 host;    /* asked; key of `hosts` */
    __u32 ifindex; /* the NIC it uses: of the packet that was judged last */
    __u32 mark, priority;
    __u32 up, down;    /* packets sent up / accounted for from below while pending or draining */
    __u32 queue_bytes; /* behind the first held packet */
    __u16 layer;
    __u8 direction;  /* enum dp_direction */
    __u8 reason;     /* enum dp_reason of a block */
    __u16 icmp;      /* type << 8 | code of the first packet */
    __u16 gone;      /* its end is told: it takes no more contexts */
    __u32 use_bytes; /* of it in `uses` */
    struct dp_process process;
    struct dp_cgroups cgroups;
    __u64 contexts;    /* a bit for each callout that has a context on the flow, at any layer */
    __u64 parent;      /* cookie of the listener that a TCP connection came by; 0: none */
    __u32 host_before; /* has packets of the flow that waited for its own question; 0: nobody has */
    __u32 passing; /* packets that came down and have not left their port yet: DRAINING goes on */
    __u32 arrival, nexthop; /* NICs that its packets come in and leave by; 0: none has yet */
    __u16 again;            /* DP_REAUTHORIZE_* of the question that was put last; 0: the first */
    __u16 round;            /* how often a callout was asked again: dp_question_number */
    __u32 due;              /* DP_REAUTHORIZE_* for which its next packet is judged again */
    __u64 redirect;         /* key of `redirects`; 0: it was not redirected */
    struct dp_eval eval;    /* kept evaluation: where to resume, the filter, the answers */
    struct dp_eval hop;     /* the same of ALE_FLOW_ESTABLISHED, while it is asked */
};
DP_ASSERT(sizeof(struct dp_flow) == 560, "layout");

/* What tells the questions about one flow apart, in upcalls, downcalls and notices (their low
   halves): the generation that asks, which may ask more than once. */
#define dp_question_number(generation, round) ((generation) + ((__u64)(round) << 20))

/* Map `ended`, hash by flow id: flows with contexts that are gone, until their hosts were told. */
struct dp_ended {
    __u64 contexts;
    __u64 ended_ns;
};
#define DP_ENDED_MAX DP_FLOWS_MAX

/* Map `context_slots`, array by slot - 1: whose bit of dp_flow.contexts it is just now. */
struct dp_context_slot {
    __u32 host; /* 0: nobody's */
    __u32 callout;
    __u64 slots; /* the bits of all slots of this host */
};
DP_ASSERT(sizeof(struct dp_context_slot) == 16, "layout");

/* Map `endpoints`, hash by socket cookie: flows with contexts of a socket that is no TCP
   connection, so that their ends are known when it closes. */
struct dp_endpoint_flows {
    struct dp_flow_key last;
    __u64 id; /* of that one */
    __u32 flows;
    __u32 pad;
};
DP_ASSERT(sizeof(struct dp_endpoint_flows) == 56, "layout");
#define DP_ENDPOINTS_MAX 65536

/* Map `exes`, LRU hash: path of an executable by identity, found while its process lived. */
struct dp_exe_key {
    __u64 inode;
    __u32 dev;
    __u32 pad;
};
#define DP_EXE_PATH_MAX 256
struct dp_exe {
    __u32 length;                   /* without the terminating NUL; 0: could not be read */
    char path[2 * DP_EXE_PATH_MAX]; /* the second half is room to write into */
    __u32 generation;               /* of the inode, whose number may be used again */
};
DP_ASSERT(sizeof(struct dp_exe) == 520, "layout");

/* Map `fragments`, LRU hash: the flow of a fragmented packet, learned from its first fragment. A
   later one that reaches into the first is refused, and all after it. */
struct dp_fragment_key {
    struct dp_addr source, destination;
    __u32 id;
    __u32 protocol;
};
DP_ASSERT(sizeof(struct dp_fragment_key) == 40, "layout");
struct dp_fragments {
    struct dp_flow_key flow;
    __u32 first_end; /* bytes of the packet's payload that the first fragment brought */
    __u32 refused;
};
DP_ASSERT(sizeof(struct dp_fragments) == 48, "layout");

/* Socket storage `sockets`. */
struct dp_socket {
    struct dp_process process;
    struct dp_cgroups cgroups;
    __u32 needs_user;        /* a filter that needs user space matched in a cgroup hook */
    __s32 syncnt;            /* TCP_SYNCNT to restore once established; 0: leave */
    __u64 listen_generation; /* of the policy under which listening was judged; 0: not yet */
    __u32 listen_blocked;
    __u16 bind_judged; /* assignments that were granted or are asked about: each is released */
    __u16 answers;     /* datagrams came in to it: what it sends may belong to their flows */
    __u64 cookie; /* of the socket: transportEndpointHandle; an accepted socket has its listener's
                     until it is seen itself */
    __u64 bind_operation, listen_operation; /* keys of `operations`; 0: none is open or refused */
    struct dp_addr bound; /* local address, as far as it is seen; what is released says so */
    __u16 bound_port;     /* host order; 0: none yet */
    __u16 bound_v6;       /* family of the socket */
    __u32 pad;
    __u64 redirect; /* key of `redirects`, of a socket that was connected elsewhere; 0: it was not.
                       An accepted socket has its listener's: none */
    /* The peer that connect() has judged at ALE_CONNECT_REDIRECT, or chosen there: flows to it are
       not judged there again. */
    struct dp_addr peer;
    __u16 peer_port;    /* host order */
    __u16 peer_settled; /* 0: it has not, TC does */
    /* ALE_BIND_REDIRECT has seen the first datagram of a socket that nobody bound, and what it
       chose for each of them; zero: nothing. */
    __u16 source_judged_v4, source_judged_v6;
    struct dp_addr source_v4, source_v6;
};
DP_ASSERT(sizeof(struct dp_socket) == 232, "layout");

/* Map `refusals`, LRU hash: a UDP peer that was refused to a socket; the next sendmsg gets EPERM.
 */
struct dp_refusal_key {
    __u64 cookie;
    struct dp_addr remote;
    __u32 remote_port;
    __u32 pad;
};
struct dp_refusal {
    __u64 generation;
    __u64 until_ns;
};

#define DP_UDP_IDLE_NS (60ULL * 1000000000)
#define DP_DRAIN_NS (1000000000ULL) /* for what is on its way down after a permit */
#define DP_CLOSED_LINGER_NS (10ULL * 1000000000)
#define DP_COMPLETED_NS (10ULL * 1000000000) /* in which the clone must be injected */
#define DP_BLOCKED_LINGER_NS (10ULL * 1000000000)

#endif
