/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fills the classify key from what a hook sees. */
#ifndef SLUICE_BPF_LIB_KEY_H
#define SLUICE_BPF_LIB_KEY_H

#include "lib/flow_table.h"

#define DP_NUMBER(k, slot) ((k)->number[DP_SLOT_##slot])
#define DP_WIDE(k, slot) ((k)->wide[DP_SLOT_##slot - DP_SLOT_NUMBERS])
#define DP_OWNER_BITS                                                                              \
    (DP_SLOT_BIT(USER) | DP_SLOT_BIT(GROUP) | DP_SLOT_BIT(APP) | DP_SLOT_BIT(CGROUP))

/* FWP_DATA of IP_*_ADDRESS_TYPE */
#define DP_ADDRESS_UNICAST 1
#define DP_ADDRESS_MULTICAST 3
#define DP_ADDRESS_BROADCAST 4

/* The layer for the family of an address. */
DP_INLINE __u32 dp_layer_for(__u32 v4, const struct dp_addr *a)
{
    return dp_addr_is_v4(a) ? v4 : DP_LAYER_V6_OF(v4);
}

/* group: the frame goes to a multicast or broadcast link address. */
DP_INLINE __u32 dp_address_type(const struct dp_addr *a, int group)
{
    if (!dp_addr_is_v4(a)) return a->hi >> 56 == 0xff ? DP_ADDRESS_MULTICAST : DP_ADDRESS_UNICAST;
    if ((a->lo & 0xf0000000) == 0xe0000000) return DP_ADDRESS_MULTICAST;
    return group || (__u32)a->lo == 0xffffffff ? DP_ADDRESS_BROADCAST : DP_ADDRESS_UNICAST;
}

DP_INLINE void dp_key_begin(struct dp_key *key, __u32 layer)
{
    __builtin_memset(key, 0, sizeof *key);
    key->layer = layer;
    DP_NUMBER(key, COMPARTMENT) = cfg.compartment;
}

/* Global functions (not static) where code branches: verified once, not once a path. */

/* A process that was never seen is unknown, which is not the same as none. */
__noinline int dp_key_owner(struct dp_key *key, const struct dp_process *p,
                            const struct dp_cgroups *c)
{
    if (!key || !p || !c) return 0;
    if (!p->start_ns) {
        key->unknown |= DP_OWNER_BITS;
        return 0;
    }
    DP_NUMBER(key, USER) = p->uid;
    DP_NUMBER(key, GROUP) = p->gid;
    DP_WIDE(key, APP).hi = p->exe_dev;
    DP_WIDE(key, APP).lo = p->exe_inode;
    if (!p->exe_inode) key->empty |= DP_SLOT_BIT(APP);
    key->cgroup[0] = p->cgroup;
    for (int i = 0; i < DP_CGROUP_LEVELS - 1; i++)
        key->cgroup[i + 1] = c->above[i];
    return 0;
}

__noinline int dp_key_addresses(struct dp_key *key, const struct dp_addr *local,
                                const struct dp_addr *remote, int group, int inbound)
{
    if (!key || !local || !remote) return 0;
    DP_WIDE(key, LOCAL_ADDRESS) = *local;
    DP_WIDE(key, REMOTE_ADDRESS) = *remote;
    DP_NUMBER(key, LOCAL_ADDRESS_TYPE) = dp_address_type(local, group && inbound);
    DP_NUMBER(key, REMOTE_ADDRESS_TYPE) = dp_address_type(remote, group && !inbound);
    if (dp_addr_is_loopback(remote)) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_LOOPBACK;
    return 0;
}

DP_INLINE void dp_key_interfaces(struct dp_key *key, __u32 ifindex, int inbound)
{
    DP_NUMBER(key, INTERFACE) = ifindex;
    DP_NUMBER(key, DIRECTION) = inbound ? DP_DIRECTION_INBOUND : DP_DIRECTION_OUTBOUND;
    if (inbound) {
        DP_NUMBER(key, ARRIVAL_INTERFACE) = ifindex;
        key->empty |= DP_SLOT_BIT(NEXTHOP_INTERFACE);
    } else {
        DP_NUMBER(key, NEXTHOP_INTERFACE) = ifindex;
        key->empty |= DP_SLOT_BIT(ARRIVAL_INTERFACE);
    }
}

DP_INLINE int dp_is_icmp(__u8 protocol)
{
    return protocol == DP_PROTO_ICMP || protocol == DP_PROTO_ICMPV6;
}

/* At ALE_CONNECT_REDIRECT itself nothing is redirected yet. */
DP_INLINE void dp_key_redirection(struct dp_key *key, const struct dp_flow *f)
{
    if (f->flags & DP_FLOW_PROXY) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_PROXY_CONNECTION;
    if (f->redirect && f->layer < DP_LAYER_ALE_CONNECT_REDIRECT_V4)
        DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_CONNECTION_REDIRECTED;
}

/* Where its packets go instead. */
__noinline int dp_key_destination(struct dp_key *key, __u64 redirect)
{
    const struct dp_redirect *d = bpf_map_lookup_elem(&redirects, &redirect);

    if (!key || !d) return 0;
    DP_WIDE(key, REMOTE_ADDRESS) = d->wire.remote;
    DP_NUMBER(key, REMOTE_ADDRESS_TYPE) = dp_address_type(&d->wire.remote, 0);
    if (!dp_is_icmp(d->wire.protocol)) DP_NUMBER(key, REMOTE_PORT) = d->wire.remote_port;
    if (dp_addr_is_loopback(&d->wire.remote)) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_LOOPBACK;
    return 1;
}

/* Somebody else connects: by which NIC it will leave is not known yet. */
DP_INLINE void dp_key_passing(struct dp_key *key, __u32 ifindex)
{
    dp_key_interfaces(key, ifindex, 1);
    DP_NUMBER(key, DIRECTION) = DP_DIRECTION_OUTBOUND;
}

/* An ALE layer's key for a flow. inbound: the packet at hand; the layer is the flow's. */
DP_INLINE void dp_key_from_flow(struct dp_key *key, const struct dp_flow_key *k,
                                const struct dp_flow *f, __u32 ifindex, int inbound)
{
    dp_key_begin(key, f->layer);
    key->contexts = f->contexts;
    dp_key_addresses(key, &k->local, &k->remote, !!(f->flags & DP_FLOW_GROUP),
                     f->direction == DP_DIRECTION_INBOUND);
    if (f->flags & DP_FLOW_PASSES)
        dp_key_passing(key, ifindex);
    else
        dp_key_interfaces(key, ifindex, inbound);
    dp_key_redirection(key, f);
    DP_NUMBER(key, PROTOCOL) = k->protocol;
    if (dp_is_icmp(k->protocol)) {
        DP_NUMBER(key, LOCAL_PORT) = f->icmp >> 8;
        DP_NUMBER(key, REMOTE_PORT) = f->icmp & 0xff;
        DP_NUMBER(key, ORIGINAL_ICMP_TYPE) = f->icmp >> 8;
    } else {
        DP_NUMBER(key, LOCAL_PORT) = k->local_port;
        DP_NUMBER(key, REMOTE_PORT) = k->remote_port;
        key->empty |= DP_SLOT_BIT(ORIGINAL_ICMP_TYPE);
    }
    if (f->flags & DP_FLOW_TRANSLATE) dp_key_destination(key, f->redirect);
    if (f->flags & DP_FLOW_PASSES ||
        (dp_is_icmp(k->protocol) && !f->process.start_ns && f->direction == DP_DIRECTION_INBOUND))
        key->empty |= DP_OWNER_BITS; /* no process of this machine; the kernel answers */
    else
        dp_key_owner(key, &f->process, &f->cgroups);
}

/* A packet layer's key. local and remote are as the layer sees them. */
DP_INLINE void dp_key_from_packet(struct dp_key *key, __u32 layer, const struct dp_packet *p,
                                  __u32 ifindex, int inbound)
{
    dp_key_begin(key, p->version == 4 ? layer : layer + DP_LAYER_V6);
    if (inbound)
        dp_key_addresses(key, &p->destination, &p->source, p->group, 1);
    else
        dp_key_addresses(key, &p->source, &p->destination, p->group, 0);
    dp_key_interfaces(key, ifindex, inbound);
    DP_NUMBER(key, PROTOCOL) = p->protocol;
    DP_NUMBER(key, PACKET_LENGTH) = p->bytes - p->l3 + p->base;
    if (p->fragment) DP_NUMBER(key, FLAGS) |= DP_CONDITION_IS_FRAGMENT;
}

/* Ports of a packet layer: of the packet's first fragment; ICMP: type and code. */
DP_INLINE void dp_key_ports(struct dp_key *key, const struct dp_packet *p,
                            const struct dp_flow_key *k, int inbound)
{
    if (p->fragment != DP_FRAGMENT_LATER) {
        int swap = inbound && !dp_is_icmp(p->protocol);

        DP_NUMBER(key, LOCAL_PORT) = swap ? p->destination_port : p->source_port;
        DP_NUMBER(key, REMOTE_PORT) = swap ? p->source_port : p->destination_port;
    } else if (k && !dp_is_icmp(p->protocol)) {
        DP_NUMBER(key, LOCAL_PORT) = k->local_port;
        DP_NUMBER(key, REMOTE_PORT) = k->remote_port;
    } else {
        key->unknown |= DP_SLOT_BIT(LOCAL_PORT) | DP_SLOT_BIT(REMOTE_PORT);
    }
}

#endif
