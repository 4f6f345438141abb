/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that were given another destination, the records by which their proxies' own
   connections are known, and how hosts ask for it. ARCHITECTURE.md, "Redirection". */
#ifndef SLUICE_BPF_SHARED_REDIRECT_H
#define SLUICE_BPF_SHARED_REDIRECT_H

#include "flow.h"

/* Socket options of redirection: get/setsockopt with this level, for any language. docs/redirect.md
   get: ENOENT not redirected, ERANGE buffer too small, ENODATA no context, EACCES neither root nor
   the target's user or cgroup (but for ORIGINAL_DST), ENETDOWN no secret yet. set: EINVAL forged or
   of another length, EACCES of another compartment or for another user and cgroup, ESTALE, EISCONN,
   EAFNOSUPPORT. Both: EOPNOTSUPP neither TCP nor UDP, ENOPROTOOPT no such option. */
#define DP_SOL_SLUICE 0x534c
enum dp_sockopt {
    DP_SO_REDIRECT_RECORDS = 1, /* get: of an accepted socket. set: of one that will connect */
    DP_SO_REDIRECT_CONTEXT = 2, /* get: what the callout attached */
    DP_SO_ORIGINAL_DST = 3,     /* get: sockaddr_in or sockaddr_in6, by the family of the flow */
    DP_SO_REDIRECT_PEER = 4,    /* set: sockaddr of a client of an unconnected UDP socket, to which
                                   the others then refer */
    DP_SO_REDIRECT_CHAIN = 5,   /* get: struct dp_redirect_record, to read; not to carry on */
    DP_SO_REDIRECT_CONTEXT_SIZE = 6, /* get: u32, bytes of DP_SO_REDIRECT_CONTEXT */
};

/* A provider's GUID. */
struct dp_redirect_name {
    __u8 bytes[16];
};

/* One redirection of a chain. */
struct dp_redirect_hop {
    __u8 provider[16]; /* GUID in whose name; of its handle, or of the filter */
    struct dp_addr from, to;
    __u16 from_port, to_port; /* host order */
    __u32 target_pid;         /* that the callout named; 0: none */
    __u64 handle;             /* host << 32 | its number; 0: a filter's fixed target */
    __u64 filter_id;
    __u64 redirect;            /* key of `redirects`; 0: inferred, see `proxies` */
    struct dp_process process; /* that connected */
};
DP_ASSERT(sizeof(struct dp_redirect_hop) == 120, "layout");

#define DP_RECORD_MAGIC 0x52434c53u /* "SLCR" */
#define DP_RECORD_VERSION 1
#define DP_RECORD_HOPS_MAX 7
#define DP_RECORD_GRACE_NS (30ULL * 1000000000) /* after the end of the redirected connection */

/* What a proxy takes from the socket that it accepted to the one that it connects with. Bound to
   compartment, redirection and target by `mac`: SipHash-2-4 of all before it, keyed with `secret`.
   Hops that are not used are zero. */
struct dp_redirect_record {
    __u32 magic;
    __u16 version;
    __u16 hops;
    __u64 id; /* of the redirection that the proxy accepted: key of `redirects`; 0: inferred */
    __u32 compartment;
    __u32 target_uid; /* who may carry it: this user, or this cgroup, or root */
    __u64 target_cgroup;
    struct dp_redirect_hop hop[DP_RECORD_HOPS_MAX]; /* the oldest first */
    __u64 mac;
};
DP_ASSERT(sizeof(struct dp_redirect_record) == 880, "records are at most 1 KiB");

/* Map `secret`, array, one entry; written once when the data plane is made. */
struct dp_secret {
    __u64 key[2];
};

/* A version of one connect request: what a callout or filter has made of it. */
struct dp_redirect_version {
    struct dp_addr remote;
    __u16 remote_port; /* host order */
    __u16 flags;       /* enum dp_redirect_flag */
    __u32 target_pid;
    __u64 handle;    /* host << 32 | number; 0: none, so not to a local process */
    __u64 filter_id; /* modifierFilterId; 0: as the application asked */
};
DP_ASSERT(sizeof(struct dp_redirect_version) == 40, "layout");
#define DP_REDIRECT_VERSIONS_MAX 4

enum dp_redirect_flag {
    DP_REDIRECT_LOCAL = 1 << 0,       /* to a process of this compartment */
    DP_REDIRECT_REAUTHORIZE = 1 << 1, /* its callout asks to see what others make of it later */
    DP_REDIRECT_PROXY_V2 = 1 << 2,    /* the target reads PROXY protocol v2 */
    /* By the kernel alone, of a version in a draft: */
    DP_REDIRECT_AGAIN = 1 << 3, /* its callout is to be asked again: there are newer ones */
    DP_REDIRECT_SHOWN = 1 << 4, /* it was, which happens once */
};

/* Behind a downcall REDIRECT, then `piece` bytes of context. */
struct dp_redirect_request {
    struct dp_redirect_version version; /* filter_id, DP_REDIRECT_LOCAL are not read */
    __u32 learn_ms;       /* how long the kernel may decide so by itself; 0: not at all */
    __u32 context_bytes;  /* in all, at most DP_REDIRECT_CONTEXT_MAX */
    __u32 context_offset; /* of this piece, a multiple of DP_REDIRECT_PIECE; a later piece repeats
                             the rest */
    __u32 piece;          /* at most DP_REDIRECT_PIECE */
};
DP_ASSERT(sizeof(struct dp_redirect_request) == 56, "layout");
#define DP_REDIRECT_CONTEXT_MAX 4096
#define DP_REDIRECT_PIECE 1024

/* Map `contexts_of`, hash by key of `redirects` or of what was learned. A redirection that the
   kernel decides has a short context in its own entry (dp_redirect.brief) and none here. */
struct dp_redirect_context {
    __u8 bytes[DP_REDIRECT_CONTEXT_MAX];
};

#define DP_REDIRECT_BRIEF_MAX 64

enum dp_redirect_state {
    DP_REDIRECT_DRAFT = 1, /* its flow is asked about */
    DP_REDIRECT_LIVE,
    DP_REDIRECT_ENDED, /* its connection is over; sluiced takes it away DP_RECORD_GRACE_NS later */
};
enum dp_redirect_way {
    DP_WAY_SOCKET = 1,  /* the socket itself was connected elsewhere: no packet is touched */
    DP_WAY_LOCAL = 2,   /* packets are translated and delivered by lo */
    DP_WAY_REMOTE = 3,  /* packets are translated and leave by a NIC */
    DP_WAY_FORWARD = 4, /* passing traffic: translated as it comes in, delivered by lo */
    DP_WAY_BIND = 5,    /* the local end alone is another one */
};

/* Map `redirects`, hash by id, which is the ticket number of its flow's first question or one of
   its own. */
struct dp_redirect {
    __u32 state; /* enum dp_redirect_state */
    __u32 way;   /* enum dp_redirect_way */
    __u64 created_ns, ended_ns;
    struct dp_flow_key app;  /* as the application has it; local is zero until it is known */
    struct dp_flow_key wire; /* local: the client as the target sees it; remote: the target */
    __u64 cookie;            /* of the application's socket; 0: unknown */
    __u32 ifindex;           /* where replies are delivered (FORWARD: leave) */
    __u32 context_bytes;
    __u16 versions;
    __u16 refused; /* enum dp_reason: what its callout has asked for in the open question */
    __u32 learn_ms;
    __u32 leaves; /* REMOTE: NIC by which packets go to the target */
    __u32 pad;
    struct dp_redirect_version
        version[DP_REDIRECT_VERSIONS_MAX]; /* the oldest first; [0]: as asked */
    struct dp_process target;              /* owner of the socket that accepts; unknown: zero */
    struct dp_redirect_record record;  /* hops before it, then its own once LIVE; mac is then set */
    __u8 brief[DP_REDIRECT_BRIEF_MAX]; /* context, where `contexts_of` has none */
};
DP_ASSERT(sizeof(struct dp_redirect) == 1280, "layout");
#define DP_REDIRECTS_MAX 65536

/* In front of a packet that goes up for a flow with `redirect`. */
struct dp_redirect_view {
    __u64 id;
    __u32 versions;
    __u32 carries; /* record has hops: the connection is a proxy's onward one */
    struct dp_redirect_version version[DP_REDIRECT_VERSIONS_MAX];
    struct dp_redirect_record record; /* as the connection carries it; no hop: none */
};
DP_ASSERT(sizeof(struct dp_redirect_view) == 1056, "layout");

/* Map `targets`, array, index 1 .. DP_TARGETS_MAX-1: where filters redirect to by themselves.
   Slots are written before the image that names them, and not again while one does. */
#define DP_TARGETS_MAX 1024
#define DP_TARGET_CONTEXT_MAX 512
struct dp_target_family {
    struct dp_addr address; /* zero: the same as before; BIND: local */
    __u16 port;             /* host order; 0: the same as before */
    __u16 present;          /* 0: the filter does not redirect this family */
    __u32 pad;
};
struct dp_redirect_goal {
    struct dp_target_family v4, v6;
    __u8 provider[16];
    __u32 flags;      /* DP_REDIRECT_PROXY_V2 */
    __u32 target_pid; /* 0: whoever listens there */
    __u32 context_bytes;
    __u32 pad;
    __u8 context[DP_TARGET_CONTEXT_MAX];
};
DP_ASSERT(sizeof(struct dp_redirect_goal) == 592, "layout");

/* Map `handles`, hash: FwpsRedirectHandleCreate0, written by sluiced. */
struct dp_handle_key {
    __u32 host;
    __u32 number; /* its own */
};
struct dp_handle {
    __u8 provider[16];
};

/* Map `learned`, hash: what a callout has allowed the kernel to decide by itself. Executables
   are told by inode, device and the inode's generation: never by pid or path. */
struct dp_learned_key {
    struct dp_addr remote;
    __u64 exe_inode;
    __u64 filter_id;
    __u32 exe_dev;
    __u32 exe_generation;
    __u32 uid;
    __u16 remote_port;
    __u8 protocol;
    __u8 pad;
};
DP_ASSERT(sizeof(struct dp_learned_key) == 48, "layout");
struct dp_learned {
    __u64 until_ns;
    __u64 generation;
    __u64 context_id; /* key of `contexts_of`; 0: none */
    __u32 context_bytes;
    __u32 pad;
    struct dp_redirect_version version;
};
DP_ASSERT(sizeof(struct dp_learned) == 72, "layout");

/* Map `proxies`, LRU hash: processes that redirections were for. What such a process connects with,
   or one that descends from it with the same executable, carries a record even if it sets none: the
   names of those who have redirected to it, and of those before them in the chain. */
struct dp_proxy_key {
    __u64 start_ns;
    __u32 tgid;
    __u32 pad;
};
struct dp_proxy_name {
    __u8 provider[16]; /* zero: none */
    __u64 generation;  /* 0: it redirects to this process itself. Else it was before one that does,
                          as long as the policy is this one */
};
#define DP_PROXY_NAMES_MAX 4
struct dp_proxy {
    __u64 next; /* place of the next name */
    struct dp_proxy_name name[DP_PROXY_NAMES_MAX];
};

#endif
