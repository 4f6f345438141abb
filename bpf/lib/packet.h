/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parser finds. */
#ifndef SLUICE_BPF_LIB_PACKET_H
#define SLUICE_BPF_LIB_PACKET_H

#include "shared/policy.h"

enum dp_fragment { DP_FRAGMENT_NONE = 0, DP_FRAGMENT_FIRST = 1, DP_FRAGMENT_LATER = 2 };

struct dp_packet {
    struct dp_addr source, destination;
    __u32 bytes; /* from the Ethernet header */
    __u32 fragment_id;
    __u16 l3, l4;                        /* offsets; l4 0: no transport header here */
    __u16 source_port, destination_port; /* host order; ICMP: type, code */
    __u8 version;                        /* 4, 6; 0: not IP */
    __u8 protocol;
    __u8 tcp_flags; /* byte 13 of the TCP header */
    __u8 fragment;  /* enum dp_fragment */
    __u8 group;     /* to a multicast or broadcast link address */
    __u8 gso;       /* lengths in the headers may be those of a super-packet */
    __u8 base;      /* where the Ethernet header begins */
    __u8 pad;
    __u16 icmp_id;     /* of echo and its answer */
    __u16 vlan;        /* 0, or 0x1000 | identifier of the outermost tag in the frame */
    __u16 ether_type;  /* behind the tags */
    __u16 fragment_at; /* offset of a fragment's payload */
    __u32 payload;     /* bytes of a fragment's payload */
};

#endif
