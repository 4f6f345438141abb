/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What can be decided about a packet or a connection, and why. The enumerations are BTF types on
   purpose: bpftool prints their words. Numbers of actions, rights, layers and condition flags are
   WFP's own. */
#ifndef SLUICE_BPF_SHARED_VERDICT_H
#define SLUICE_BPF_SHARED_VERDICT_H

#include "types.h"

/* FWP_ACTION_* */
enum dp_action {
    DP_ACTION_NONE = 0x0007,
    DP_ACTION_BLOCK = 0x1001,
    DP_ACTION_PERMIT = 0x1002,
    DP_ACTION_CONTINUE = 0x2006,
    DP_ACTION_NEXT =
        0x20ff, /* ours: outcome of a callout that did not answer, the next filter decides */
    DP_ACTION_CALLOUT_UNKNOWN = 0x4005,
    DP_ACTION_CALLOUT_TERMINATING = 0x5003,
    DP_ACTION_CALLOUT_INSPECTION = 0x6004,
};
#define DP_ACTION_FLAG_CALLOUT 0x4000

/* FWPS_RIGHT_ACTION_WRITE: set = soft, a later sublayer may replace the decision; clear = hard. */
#define DP_RIGHT_ACTION_WRITE 0x1

/* FWPS_LAYER_*: the layers that a program classifies. V6 is V4 + 2. */
enum dp_layer {
    DP_LAYER_INBOUND_IPPACKET_V4 = 0,
    DP_LAYER_INBOUND_IPPACKET_V6 = 2,
    DP_LAYER_OUTBOUND_IPPACKET_V4 = 4,
    DP_LAYER_OUTBOUND_IPPACKET_V6 = 6,
    DP_LAYER_IPFORWARD_V4 = 8,
    DP_LAYER_IPFORWARD_V6 = 10,
    DP_LAYER_INBOUND_TRANSPORT_V4 = 12,
    DP_LAYER_INBOUND_TRANSPORT_V6 = 14,
    DP_LAYER_OUTBOUND_TRANSPORT_V4 = 16,
    DP_LAYER_OUTBOUND_TRANSPORT_V6 = 18,
    DP_LAYER_INBOUND_ICMP_ERROR_V4 = 28,
    DP_LAYER_INBOUND_ICMP_ERROR_V6 = 30,
    DP_LAYER_OUTBOUND_ICMP_ERROR_V4 = 32,
    DP_LAYER_OUTBOUND_ICMP_ERROR_V6 = 34,
    DP_LAYER_DATAGRAM_DATA_V4 = 24,
    DP_LAYER_DATAGRAM_DATA_V6 = 26,
    DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4 = 36,
    DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6 = 38,
    DP_LAYER_ALE_AUTH_LISTEN_V4 = 40,
    DP_LAYER_ALE_AUTH_LISTEN_V6 = 42,
    DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4 = 44,
    DP_LAYER_ALE_AUTH_RECV_ACCEPT_V6 = 46,
    DP_LAYER_ALE_AUTH_CONNECT_V4 = 48,
    DP_LAYER_ALE_AUTH_CONNECT_V6 = 50,
    DP_LAYER_ALE_FLOW_ESTABLISHED_V4 = 52,
    DP_LAYER_ALE_FLOW_ESTABLISHED_V6 = 54,
    DP_LAYER_INBOUND_MAC_FRAME_ETHERNET = 56, /* no V6 */
    DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET = 57,
    DP_LAYER_ALE_RESOURCE_RELEASE_V4 = 62,
    DP_LAYER_ALE_RESOURCE_RELEASE_V6 = 63,
    DP_LAYER_ALE_ENDPOINT_CLOSURE_V4 = 64,
    DP_LAYER_ALE_ENDPOINT_CLOSURE_V6 = 65,
    DP_LAYER_ALE_CONNECT_REDIRECT_V4 = 66,
    DP_LAYER_ALE_CONNECT_REDIRECT_V6 = 67,
    DP_LAYER_ALE_BIND_REDIRECT_V4 = 68,
    DP_LAYER_ALE_BIND_REDIRECT_V6 = 69,
};
#define DP_LAYER_V6 2 /* V6 of a layer: the V4 number and this, but for the last four pairs */
#define DP_LAYER_V6_OF(v4) ((v4) + ((v4) < DP_LAYER_ALE_RESOURCE_RELEASE_V4 ? DP_LAYER_V6 : 1))
#define DP_LAYERS_MAX 128 /* index rows at the head of an image */

/* FWP_CONDITION_FLAG_* */
#define DP_CONDITION_IS_LOOPBACK 0x1
#define DP_CONDITION_IS_REAUTHORIZE 0x4
#define DP_CONDITION_IS_WILDCARD_BIND 0x8
#define DP_CONDITION_IS_RAW_ENDPOINT 0x10
#define DP_CONDITION_IS_FRAGMENT 0x20
#define DP_CONDITION_REQUIRES_ALE_CLASSIFY 0x100
#define DP_CONDITION_IS_IMPLICIT_BIND 0x200
#define DP_CONDITION_IS_CONNECTION_REDIRECTED 0x100000
#define DP_CONDITION_IS_PROXY_CONNECTION 0x200000
/* FWP_CONDITION_L2_* */
#define DP_CONDITION_L2_IS_NATIVE_ETHERNET 0x1
#define DP_CONDITION_L2_IS_MALFORMED_PACKET 0x20
/* FWP_CONDITION_REAUTHORIZE_REASON_* */
#define DP_REAUTHORIZE_POLICY_CHANGE 0x1
#define DP_REAUTHORIZE_NEW_ARRIVAL_INTERFACE 0x2
#define DP_REAUTHORIZE_NEW_NEXTHOP_INTERFACE 0x4
#define DP_REAUTHORIZE_PROFILE_CROSSING 0x8 /* the local address came to or left an interface */
#define DP_REAUTHORIZE_CLASSIFY_COMPLETION 0x10
#define DP_REAUTHORIZE_MID_STREAM 0x40

/* Why a packet or a call was refused, or what else was counted. Index of the map `reasons`. Append
 * only. */
enum dp_reason {
    DP_REASON_NONE = 0,
    DP_REASON_FILTER_BLOCK, /* a filter's or callout's verdict */
    DP_REASON_CALLOUT_BLOCK,
    DP_REASON_CALLOUT_UNREGISTERED, /* terminating callout without a live host */
    DP_REASON_FLOW_BLOCKED,         /* packet of a flow that is blocked already */
    DP_REASON_HELD,                 /* retransmission while a packet of the flow is held */
    DP_REASON_HOLD_QUOTA,           /* queue behind a held packet is full */
    DP_REASON_HOLD_EXPIRED,         /* deadline or watchdog; the filter's outcome applied */
    DP_REASON_FLOWS_FULL,           /* no room for a flow that needs an entry */
    DP_REASON_TICKETS_FULL,
    DP_REASON_PORT_GONE,          /* host's port device missing or not alive */
    DP_REASON_PORT_FRAME_TOO_BIG, /* packet with header exceeds what the port carries */
    DP_REASON_NO_NIC,             /* needs user space but leaves by an interface without Sluice */
    DP_REASON_TOO_MANY_HOPS,
    DP_REASON_TRUNCATED,          /* parser: header cut short */
    DP_REASON_MALFORMED,          /* parser: lengths or versions contradict each other */
    DP_REASON_EXT_HEADERS,        /* parser: more IPv6 extension headers than it follows */
    DP_REASON_VLAN_DEPTH,         /* parser: more than two VLAN tags */
    DP_REASON_FRAGMENT,           /* later or lone fragment that cannot be judged */
    DP_REASON_DOWNCALL_MALFORMED, /* bad magic, version, length or kind */
    DP_REASON_DOWNCALL_UNKNOWN_FLOW,
    DP_REASON_DOWNCALL_STALE,     /* ticket answered already, or of an older packet */
    DP_REASON_DOWNCALL_FOREIGN,   /* ticket of another host */
    DP_REASON_DOWNCALL_MISMATCH,  /* packet is not of the ticket's flow */
    DP_REASON_DOWNCALL_STATE,     /* not possible in the flow's state */
    DP_REASON_PORT_FOREIGN_FRAME, /* something on a port's device that we did not send there */
    DP_REASON_POLICY_MISSING,     /* no image published */
    DP_REASON_INTERNAL,           /* a helper failed that should not */
    /* not refusals: */
    DP_REASON_FLOW_CREATED,
    DP_REASON_HOLD_OPENED,
    DP_REASON_HOLD_PERMITTED,
    DP_REASON_HOLD_BLOCKED,
    DP_REASON_UPCALL,
    DP_REASON_DOWNCALL,
    DP_REASON_REJECT_SENT, /* RST or ICMP unreachable given to the local socket */
    DP_REASON_DISCARDED,   /* queued packet given up by its host */
    /* refusals again: */
    DP_REASON_VALUE_UNKNOWN,    /* a filter asks for what is not known about this packet */
    DP_REASON_FRAGMENT_OVERLAP, /* a fragment that overwrites the first one */
    DP_REASON_LISTEN_BLOCKED,   /* SYN to a socket that may not listen */
    DP_REASON_WORK_FULL,        /* more calls at once on a CPU than there is room for */
    /* not refusals: */
    DP_REASON_EVENTS_LOST, /* the daemon did not fetch events in time */
    DP_REASON_REAUTHORIZED,
    /* refusals: */
    DP_REASON_HOST_QUOTA,     /* as many holds, or bytes in them, as the host may have */
    DP_REASON_PROCESS_QUOTA,  /* as many as one process of origin may cause */
    DP_REASON_BIND_BLOCKED,   /* traffic of a socket whose bind or listen was refused */
    DP_REASON_INJECT_REFUSED, /* an injected packet that is malformed, or has no way */
    DP_REASON_ENDS_FULL,      /* no room to remember the end of a flow that has contexts */
    DP_REASON_NOTICES_FULL, /* a host does not read its notices: an operation could not be asked */
    /* not refusals: every hold that was opened ends as permitted, blocked, expired or abandoned */
    DP_REASON_HOLD_ABANDONED, /* its host, flow or socket ended */
    DP_REASON_ASK_EXPIRED,    /* the watchdog's: a classifyFn that did not return */
    DP_REASON_FLOW_ENDED,
    DP_REASON_CONTEXT_SET,
    DP_REASON_INJECTED,
    /* not refusals: */
    DP_REASON_REDIRECTED,       /* a connection was given another destination */
    DP_REASON_BIND_REDIRECTED,  /* a socket was given another local address or port */
    DP_REASON_REDIRECT_LEARNED, /* by what a callout had allowed to be learned */
    DP_REASON_REDIRECT_ENDED,
    DP_REASON_REDIRECT_LOOP, /* passed over: its proxy's own connection, which carries no record */
    DP_REASON_RECORDS_SET,
    /* refusals: */
    DP_REASON_REDIRECT_CHAIN,  /* more redirections of one connection than a record holds */
    DP_REASON_REDIRECT_HANDLE, /* no such handle, destroyed, or another host's */
    DP_REASON_REDIRECT_TARGET, /* no local address of the compartment, or not the process's */
    DP_REASON_REDIRECT_ROUTE,  /* the new destination has no way */
    DP_REASON_REDIRECT_AGAIN,  /* redirected to a local process before, in the same evaluation */
    DP_REASON_REDIRECTS_FULL,
    DP_REASON_RECORDS_FORGED,     /* setsockopt of records: not ours, or altered */
    DP_REASON_RECORDS_FOREIGN,    /* of another compartment, or set by who is not the target */
    DP_REASON_RECORDS_OLD,        /* the redirected connection ended more than 30 s ago */
    DP_REASON_BIND_TAKEN,         /* the local port that a callout chose is another socket's */
    DP_REASON_INJECT_NOT_TRANSIT, /* to be forwarded, but from or to this machine, or to a group */
    DP_REASON_INJECT_NO_ROUTE,    /* to be forwarded, but no route leads there by the interface */
    DP_REASON_INJECT_TOO_BIG,     /* to be forwarded, but more than the MTU of its way */
    DP_REASON_INJECT_LOOP, /* injected too often: by callouts that inject what others injected */
    DP_REASON_FLOW_CACHED, /* no refusal: passed by the flow cache, counted when it is asked */
    DP_REASONS
};

struct dp_reason_count {
    enum dp_reason reason; /* filled by the daemon so that a dump prints the word */
    __u32 pad;
    __u64 packets;
    __u64 bytes;
};
DP_ASSERT(sizeof(struct dp_reason_count) == 24, "layout");

/* Verdict counters of a layer: map `layers`, index layer * DP_LAYER_SLOTS + slot. */
enum dp_layer_slot {
    DP_LAYER_PERMIT = 0,
    DP_LAYER_BLOCK = 1,
    DP_LAYER_CALLOUT = 2,
    DP_LAYER_SLOTS = 4
};
struct dp_layer_count {
    enum dp_layer layer;
    enum dp_layer_slot verdict;
    __u64 packets;
    __u64 bytes;
};
DP_ASSERT(sizeof(struct dp_layer_count) == 24, "layout");

#endif
