/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Load-time configuration, set between open and load; the verifier removes what it switches off. */
#ifndef SLUICE_BPF_SHARED_CONFIG_H
#define SLUICE_BPF_SHARED_CONFIG_H

#include "types.h"

struct dp_config {
    __u64 netns_cookie; /* cgroup programs run for every namespace; they act in this one */
    __u32 compartment;
    __u32 mark_bit;   /* set on re-injected inbound packets of per-packet layers, cleared when seen;
                         the next lower one on our own RST and ICMP */
    __u64 cache_seed; /* of the hash of the flow cache */
    __u32 cache_sets; /* entries of map `flow_cache`, a power of two */
    __u32 jiffy_ns;
};
#define DP_OWN_BIT (cfg.mark_bit >> 1)

/* Map `nics`, hash by ifindex: interfaces that carry our programs. */
struct dp_nic {
    __u32 xdp; /* 1: the inbound MAC and IP packet layers are judged in XDP; 0: in TC ingress
                  (generic mode, lo) */
    __u32 loopback;
    __u32 type;   /* IANA ifType */
    __u32 tunnel; /* TUNNEL_TYPE, 0: none */
    __u64 mac;    /* link address as a number, 0: none */
};

/* Map `ports`, hash by ifindex of the near end: whose port it is. */
struct dp_port {
    __u32 host;
    __u32 pad;
};

#endif
