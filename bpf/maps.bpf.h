/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map of a data plane. Writer and reader of each: ARCHITECTURE.md, "Maps". */
#ifndef SLUICE_BPF_MAPS_H
#define SLUICE_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lib/cache.h"
#include "lib/packet.h"
#include "shared/config.h"
#include "shared/event.h"
#include "shared/flow.h"
#include "shared/image.h"
#include "shared/port.h"
#include "shared/redirect.h"

const volatile struct dp_config cfg = {};

/* An image is one value, so that a program looks it up once and without a call. */
struct dp_image {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, DP_IMAGE_SMALL + DP_IMAGE_SLACK);
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct dp_image);
} policy SEC(".maps");

struct dp_large_image {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, DP_IMAGE_LARGE + DP_IMAGE_SLACK);
};

/* Has an image only where the policy needs it; it then counts in place of the small one. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct dp_large_image);
} policy_large SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_FLOWS_MAX);
    __type(key, struct dp_flow_key);
    __type(value, struct dp_flow);
} flows SEC(".maps");

/* max_entries is set before it is loaded. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_cached_set);
} flow_cache SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, DP_TICKETS_MAX);
    __type(key, __u64);
    __type(value, struct dp_ticket);
} tickets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_IDENTITIES_MAX);
    __type(key, __u32);
    __type(value, struct dp_identity);
} identities SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_OPERATIONS_MAX);
    __type(key, __u64);
    __type(value, struct dp_operation);
} operations SEC(".maps");

/* What a new entry of `operations` starts as; never written. As bytes: a lock may stand in
   `operations` only. */
struct dp_operation_bytes {
    __u8 bytes[sizeof(struct dp_operation)];
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_operation_bytes);
} empty_operation SEC(".maps");

/* TCP SYNs that wait for an operation: the flow, and whose it is. The same once more is a
   retransmission, which shows how the sender's clock goes. */
struct dp_waiting {
    __u64 operation;
    __u64 first_ns, last_ns;       /* when the SYN came, and when it came last */
    __u32 first_clock, last_clock; /* its RFC 7323 time stamps; 0: it has none */
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct dp_flow_key);
    __type(value, struct dp_waiting);
} waiting SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_ENDED_MAX);
    __type(key, __u64);
    __type(value, struct dp_ended);
} ended SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_CONTEXT_SLOTS);
    __type(key, __u32);
    __type(value, struct dp_context_slot);
} context_slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_ENDPOINTS_MAX);
    __type(key, __u64);
    __type(value, struct dp_endpoint_flows);
} endpoints SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_USES_MAX);
    __type(key, struct dp_use_key);
    __type(value, struct dp_use);
} uses SEC(".maps");

/* By host id; a host maps its own ring and reads it without any help. */
struct dp_notice_ring {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, DP_NOTICES_BYTES);
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __array(values, struct dp_notice_ring);
} notices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_CALLOUTS_MAX);
    __type(key, __u32);
    __type(value, struct dp_callout);
} callouts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct dp_host);
} hosts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct dp_port);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct dp_nic);
} nics SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE); /* accepted sockets have their listener's */
    __type(key, int);
    __type(value, struct dp_socket);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct dp_exe_key);
    __type(value, struct dp_exe);
} exes SEC(".maps");

/* What a new entry of `exes` starts as; never written. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_exe);
} empty_exe SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct dp_refusal_key);
    __type(value, struct dp_refusal);
} refusals SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct dp_fragment_key);
    __type(value, struct dp_fragments);
} fragments SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} sequence SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DP_REASONS);
    __type(key, __u32);
    __type(value, struct dp_reason_count);
} reasons SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DP_LAYERS_MAX *DP_LAYER_SLOTS);
    __type(key, __u32);
    __type(value, struct dp_layer_count);
} layers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 262144); /* more than any policy has filters */
    __type(key, __u64);
    __type(value, struct dp_hits);
} filter_hits SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, DP_EVENTS_BYTES);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_options);
} options SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_REDIRECTS_MAX);
    __type(key, __u64);
    __type(value, struct dp_redirect);
} redirects SEC(".maps");

/* What a new entry of `redirects` starts as; never written. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_redirect);
} empty_redirect SEC(".maps");

/* 1 since the first flow of this data plane whose packets are to be rewritten: until then none is
   looked for. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} translating SEC(".maps");

/* Key of `redirects` by dp_redirect.wire. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_REDIRECTS_MAX);
    __type(key, struct dp_flow_key);
    __type(value, __u64);
} redirect_peers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, DP_REDIRECTS_MAX);
    __type(key, __u64);
    __type(value, struct dp_redirect_context);
} contexts_of SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_TARGETS_MAX);
    __type(key, __u32);
    __type(value, struct dp_redirect_goal);
} targets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 16384);
    __type(key, struct dp_handle_key);
    __type(value, struct dp_handle);
} handles SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 16384);
    __type(key, struct dp_learned_key);
    __type(value, struct dp_learned);
} learned SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct dp_proxy_key);
    __type(value, struct dp_proxy);
} proxies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_secret);
} secret SEC(".maps");

/* Local addresses of the namespace, as sluiced hears of them: programs have no way to ask. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 16384);
    __type(key, struct dp_addr);
    __type(value, __u32);
} own_addresses SEC(".maps");

/* The record that a proxy set on a socket with which it will connect. */
struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct dp_redirect_record);
} carried SEC(".maps");

/* What a new entry of `contexts_of` starts as; never written. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_redirect_context);
} empty_context SEC(".maps");

/* An evaluation of ALE_CONNECT_REDIRECT: lib/redirect_judge.h. */
struct dp_redirecting {
    struct dp_flow_key app;    /* in: as the application asks; local is zero where unknown */
    struct dp_process process; /* in: whose socket it is */
    __u64 cookie;              /* in: of the socket; 0: unknown */
    __u64 draft;               /* in, out: key of `redirects`; 0: none has redirected yet */
    __u32 dry;                 /* in: nothing is decided: a redirection is DP_CLASSIFY_CALLOUT */
    __u32 reason; /* out, with DP_CLASSIFY_BLOCK: enum dp_reason of what could not be carried out;
                     0: a filter blocks */
};

/* The client of an unconnected UDP socket to which its options refer. */
struct dp_socket_peer {
    struct dp_addr address;
    __u16 port; /* host order */
    __u16 pad[3];
};
struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct dp_socket_peer);
} socket_peer SEC(".maps");

/* Connections whose target waits for a PROXY protocol header, by socket cookie. */
struct {
    __uint(type, BPF_MAP_TYPE_SOCKHASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, __u64);
} headers SEC(".maps");

struct dp_header_due {
    struct dp_flow_key ends; /* as the application has them */
    __u32 due;
    __u32 pad;
};
struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct dp_header_due);
} headers_due SEC(".maps");

/* A local end. */
struct dp_endpoint {
    struct dp_addr address;
    __u16 port;
    __u16 v6; /* family of the socket, which decides the layer */
    __u32 pad;
};

/* What has happened to a socket; lib/tell.h. */
struct dp_told {
    struct dp_endpoint at;
    struct dp_addr remote; /* zero: no peer */
    __u32 layer;           /* the V4 one */
    __u32 flags;           /* DP_CONDITION_* */
    __u64 endpoint, parent;
    __u64 contexts; /* dp_flow.contexts of a connection */
    __u16 remote_port;
    __u16 protocol;
    __u32 pad;
};

/* Where programs classify that run in a process: they can be preempted, so per-CPU room would be
   shared. An entry is taken by compare-and-swap; see lib/work.h. */
#define DP_WORK_MAX 512
#define DP_WORK_PER_CPU 8
struct dp_work {
    __u32 busy;
    __u32 pad;
    struct dp_key key;
    struct dp_eval eval;
    struct dp_upcall up;
    struct dp_told told;
    struct dp_redirecting redirecting;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, DP_WORK_MAX);
    __type(key, __u32);
    __type(value, struct dp_work);
} work SEC(".maps");

/* How the packet at hand travels. */
struct dp_way {
    __u32 ifindex; /* the NIC that it came by or leaves by */
    __u32 vlan;    /* of a tag that is not in the frame: 0, or 0x10000 | tag control information */
    __u32 back;    /* it comes back from a host: the device at hand is a port */
    __u16 of_flow; /* it passes its flow's layers: it is for, or from, this machine */
    __u16 indicated;  /* its flow has been at ALE_FLOW_ESTABLISHED before */
    __u32 seen;       /* dp_seen: what to leave in the packet for the device beneath; 0: nothing */
    __u16 redirected; /* 0, or 0x10 | what CONNECT_REDIRECT has come to: enum dp_classify_result */
    __u16 passes;     /* enum dp_passing */
    __u64 operation;  /* for which it has waited; 0: for none */
    struct dp_injected injected;
    struct dp_ahead ahead; /* of it; filter_id 0: nothing is said, or it is used up */
};

/* What does not fit the stack. The programs that use it (XDP, TC) run with bottom halves disabled
 * and do not nest. */
struct dp_scratch {
    struct dp_packet packet; /* at hand, and its flow */
    __u8 link[16];           /* its Ethernet header, of an answer about a packet */
    struct dp_flow_key flow_key;
    struct dp_endpoint endpoint;
    struct dp_downcall head;
    struct dp_port_meta meta;
    struct dp_upcall up;
    struct dp_ticket ticket;
    struct dp_way way;
    struct dp_key key;
    struct dp_eval eval;
    struct dp_eval guess; /* what would become of it */
    struct dp_redirecting redirecting;
    struct dp_redirect_request request;
    struct dp_cache_write cached;
    __u8 flow[sizeof(struct dp_flow)]; /* as bytes: a lock may stand in `flows` only */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct dp_scratch);
} scratch SEC(".maps");

#endif
