/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Up the port: header in front of the packet, redirect to the host's device. */
#ifndef SLUICE_BPF_LIB_UPCALL_H
#define SLUICE_BPF_LIB_UPCALL_H

#include <linux/pkt_cls.h>

#include "lib/established.h"
#include "lib/use.h"

#define DP_TCP_BYTES_MAX 60 /* of a header */

DP_INLINE struct dp_host *dp_host_alive(__u32 id)
{
    struct dp_host *h = id ? bpf_map_lookup_elem(&hosts, &id) : 0;
    return h && h->alive && h->port_ifindex ? h : 0;
}

DP_INLINE void dp_upcall_begin(struct dp_upcall *up, __u8 kind, const struct dp_packet *p)
{
    __builtin_memset(up, 0, sizeof *up);
    up->magic = DP_UPCALL_MAGIC;
    up->version = DP_LAYOUT_VERSION;
    up->kind = kind;
    up->header_bytes = sizeof *up;
    up->compartment = cfg.compartment;
    up->ip_offset = p->l3;
    up->l4_offset = p->l4;
}

DP_INLINE void dp_upcall_eval(struct dp_upcall *up, const struct dp_eval *e)
{
    up->generation = e->generation;
    up->filter_id = e->asked_id;
    up->callout = e->callout;
    up->action = e->action;
    up->rights = e->rights;
}

DP_INLINE int dp_layer_is_mac(__u32 layer)
{
    return layer == DP_LAYER_INBOUND_MAC_FRAME_ETHERNET ||
           layer == DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET;
}

/* What its interfaces are. */
DP_INLINE void dp_upcall_interface(struct dp_upcall *up)
{
    struct dp_nic *nic = bpf_map_lookup_elem(&nics, &up->ifindex);

    if (nic && dp_layer_is_mac(up->layer)) up->endpoint = nic->mac;
    if (nic) {
        up->interface_type = nic->type;
        up->tunnel_type = nic->tunnel;
    }
    nic = up->arrival ? bpf_map_lookup_elem(&nics, &up->arrival) : 0;
    if (!nic) return;
    up->arrival_type = nic->type;
    up->arrival_tunnel = nic->tunnel;
}

DP_INLINE void dp_upcall_counted(struct dp_host *h, __u32 callout, __u8 kind, __u64 bytes)
{
    struct dp_callout *c;

    __sync_fetch_and_add(&h->upcalls_total, 1);
    if (kind == DP_UPCALL_CLASSIFY) {
        c = bpf_map_lookup_elem(&callouts, &callout);
        if (c) __sync_fetch_and_add(&c->classify_total, 1);
    }
    dp_count(DP_REASON_UPCALL, bytes);
}

/* Of the frame behind the header: of a super-packet its largest segment. */
DP_INLINE __u32 dp_upcall_packet_bytes(struct __sk_buff *skb, const struct dp_upcall *up)
{
    return skb->gso_size ? up->l4_offset + DP_TCP_BYTES_MAX + skb->gso_size : skb->len;
}

/* Tags that stand beside the frame go into it, as they were on the wire: with the outermost one
   taken off the kernel takes the next one out of the frame. By so many bytes the frame has grown:
   the outermost tag's; -1: there are more than the parser follows, or a helper failed. */
__noinline int dp_tags_inside(struct __sk_buff *skb)
{
    __u8 link[2 * ETH_ALEN + 4 * DP_VLAN_TAGS_MAX];
    __be16 tag[2];
    __u32 bytes = 0;

    if (!skb->vlan_present) return 0;
    for (int i = 0; i < DP_VLAN_TAGS_MAX; i++) {
        if (!skb->vlan_present) break;
        tag[0] = skb->vlan_proto;
        tag[1] = bpf_htons(skb->vlan_tci);
        __builtin_memcpy(link + 2 * ETH_ALEN + 4 * i, tag, sizeof tag);
        bytes += sizeof tag;
        if (bpf_skb_vlan_pop(skb)) return -1;
    }
    if (skb->vlan_present || bpf_skb_load_bytes(skb, 0, link, 2 * ETH_ALEN) ||
        bpf_skb_change_head(skb, bytes, 0))
        return -1;
    if (bytes == sizeof tag) return bpf_skb_store_bytes(skb, 0, link, 2 * ETH_ALEN + 4, 0) ? -1 : 4;
    return bpf_skb_store_bytes(skb, 0, link, sizeof link, 0) ? -1 : 4;
}

/* Puts the header (and the path of the program) in front of the packet, or of the view that stands
   before it, and redirects. Returns a TC action; on failure the packet is dropped and the reason is
   counted and left in *reason. */
DP_INLINE int dp_upcall_skb(struct __sk_buff *skb, struct dp_upcall *up, __u32 host, __u32 *reason)
{
    struct dp_host *h = dp_host_alive(host);
    struct dp_exe_key exe_key = {.inode = up->process.exe_inode, .dev = up->process.exe_dev};
    struct dp_exe *exe = 0;
    __u32 bytes = sizeof *up, ifindex;

    *reason = DP_REASON_PORT_GONE;
    if (!h) goto drop;
    ifindex = h->port_ifindex;
    if (up->kind == DP_UPCALL_CLASSIFY && exe_key.inode) exe = bpf_map_lookup_elem(&exes, &exe_key);
    if (exe) {
        up->flags |= DP_UPCALL_HAS_PATH;
        bytes += DP_EXE_PATH_MAX;
    }
    up->header_bytes = bytes;
    if (up->flags & DP_UPCALL_HAS_REDIRECT) up->header_bytes += sizeof(struct dp_redirect_view);
    dp_upcall_interface(up);
    *reason = DP_REASON_PORT_FRAME_TOO_BIG;
    if (dp_upcall_packet_bytes(skb, up) + bytes > DP_PORT_MTU + ETH_HLEN) goto drop;
    *reason = DP_REASON_INTERNAL;
    if (skb->vlan_present) {
        long tags = dp_tags_inside(skb);

        DP_FORGET(tags);
        if (tags < 0) goto drop;
        up->ip_offset += tags;
        if (up->l4_offset) up->l4_offset += tags;
    }
    if (bpf_skb_change_head(skb, bytes, 0)) goto drop;
    if (bpf_skb_store_bytes(skb, 0, up, sizeof *up, 0)) goto drop;
    if (exe && bpf_skb_store_bytes(skb, sizeof *up, exe->path, DP_EXE_PATH_MAX, 0)) goto drop;
    dp_upcall_counted(h, up->callout, up->kind, skb->len);
    *reason = DP_REASON_NONE;
    return bpf_redirect(ifindex, 0);
drop:
    dp_count(*reason, skb->len);
    return TC_ACT_SHOT;
}

/* What the flow was redirected to so far stands in front of the packet: 1. A packet that comes back
   has a tag behind its way, not in its frame. */
__noinline int dp_upcall_view(struct __sk_buff *skb, __u64 id, __u32 carries)
{
    const struct dp_redirect *d = bpf_map_lookup_elem(&redirects, &id);
    struct {
        __u64 id;
        __u32 versions, carries;
    } head = {.id = id, .carries = carries};
    __u32 at = offsetof(struct dp_redirect_view, version);

    if (!d) return 0;
    head.versions = d->versions;
    if (skb->vlan_present && bpf_skb_vlan_pop(skb)) return 0;
    return !bpf_skb_change_head(skb, sizeof(struct dp_redirect_view), 0) &&
           !bpf_skb_store_bytes(skb, 0, &head, sizeof head, 0) &&
           !bpf_skb_store_bytes(skb, at, d->version, sizeof d->version, 0) &&
           !bpf_skb_store_bytes(skb, at + sizeof d->version, &d->record, sizeof d->record, 0);
}

DP_INLINE void dp_upcall_question(struct dp_upcall *up, struct dp_flow *f)
{
    dp_upcall_eval(up, dp_flow_eval(f));
    if (!(f->flags & DP_FLOW_ESTABLISHING))
        up->generation = dp_question_number(f->eval.generation, f->round);
}

/* At CONNECT_REDIRECT itself nothing is redirected yet. */
DP_INLINE void dp_upcall_redirected(struct dp_upcall *up, const struct dp_flow *f)
{
    if (f->flags & DP_FLOW_PROXY) up->condition_flags |= DP_CONDITION_IS_PROXY_CONNECTION;
    if (!f->redirect) return;
    if (f->layer < DP_LAYER_ALE_CONNECT_REDIRECT_V4)
        up->condition_flags |= DP_CONDITION_IS_CONNECTION_REDIRECTED;
    if (up->kind == DP_UPCALL_CLASSIFY && !(f->flags & DP_FLOW_ESTABLISHING))
        up->flags |= DP_UPCALL_HAS_REDIRECT;
}

DP_INLINE void dp_upcall_flow(struct dp_upcall *up, const struct dp_flow *f,
                              const struct dp_flow_key *k)
{
    up->ticket = f->ticket;
    up->flow = f->ticket;
    up->ifindex = f->ifindex;
    up->layer = f->flags & DP_FLOW_ESTABLISHING ? dp_established_layer(k) : f->layer;
    up->direction = f->direction;
    up->created_ns = f->created_ns;
    up->process = f->process;
    up->key = *k;
    up->endpoint = f->cookie;
    up->parent = f->parent;
    if (f->flags & DP_FLOW_LOOPBACK) up->condition_flags |= DP_CONDITION_IS_LOOPBACK;
    if (f->flags & (DP_FLOW_ASKED_BEFORE | DP_FLOW_MID_STREAM) && !(f->flags & DP_FLOW_INJECTED))
        up->condition_flags |= DP_CONDITION_IS_REAUTHORIZE;
    if (up->condition_flags & DP_CONDITION_IS_REAUTHORIZE) up->reauthorize = f->again;
    if (!(f->flags & (DP_FLOW_REAUTHORIZE | DP_FLOW_INJECTED | DP_FLOW_ESTABLISHING)))
        up->flags |= DP_UPCALL_MAY_PEND;
    if (f->flags & DP_FLOW_KEEP_DATA) up->flags |= DP_UPCALL_KEEP_DATA;
    dp_upcall_redirected(up, f);
}

/* A packet layer's key as the port's headers carry it. */
DP_INLINE void dp_ticket_flow(struct dp_flow_key *k, const struct dp_key *key)
{
    __builtin_memset(k, 0, sizeof *k);
    k->local = DP_WIDE(key, LOCAL_ADDRESS);
    k->remote = DP_WIDE(key, REMOTE_ADDRESS);
    k->local_port = DP_NUMBER(key, LOCAL_PORT);
    k->remote_port = DP_NUMBER(key, REMOTE_PORT);
    k->protocol = DP_NUMBER(key, PROTOCOL);
}

/* What scratch holds of a packet whose evaluation was suspended. */
DP_INLINE void dp_ticket_begin(struct dp_ticket *t, const struct dp_scratch *s,
                               const struct dp_packet *p, __u32 stage)
{
    __builtin_memset(t, 0, sizeof *t);
    t->stage = stage;
    t->key = s->key;
    t->eval = s->eval;
    t->layer = s->key.layer;
    t->ifindex = DP_NUMBER(&s->key, INTERFACE);
    t->packet_bytes = p->bytes;
}

/* One more packet for the host that answers for eval's callout; 0: it has its share, counted. Where
   much comes most is refused here, so nothing is made ready before. */
DP_INLINE int dp_ticket_admit(const struct dp_eval *e, __u64 bytes)
{
    if (dp_packet_enter(dp_callout_host(e->callout))) return 1;
    dp_count(DP_REASON_HOST_QUOTA, bytes);
    return 0;
}

/* A ticket for a packet at a packet layer, which was admitted; 0: none can be had, counted. */
DP_INLINE __u64 dp_ticket_issue(struct dp_ticket *t, __u64 bytes)
{
    __u64 number = dp_ticket_number();

    t->host = dp_callout_host(t->eval.callout);
    t->asked_ns = bpf_ktime_get_ns();
    t->permit_on_loss = !!(t->eval.row_flags & DP_ROW_PERMIT_IF_UNREGISTERED);
    if (!number || bpf_map_update_elem(&tickets, &number, t, BPF_NOEXIST)) {
        dp_packet_leave(t->host);
        dp_count(DP_REASON_TICKETS_FULL, bytes);
        return 0;
    }
    return number;
}

/* Scratch's eval asks for the first callout of this packet. Whether it is the only one of the layer
   to be shown it, should it block: DP_UPCALL_ALONE, or 0. */
DP_INLINE __u8 dp_ticket_alone(struct dp_scratch *s)
{
    struct dp_image_head *head = dp_policy_head();
    int r;

    if (s->eval.answers) return 0;
    if (head && head->layer[s->key.layer & (DP_LAYERS_MAX - 1)].rows == 1) return DP_UPCALL_ALONE;
    s->guess = s->eval;
    dp_eval_keep(&s->guess, DP_ACTION_BLOCK, 0);
    r = dp_classify(&s->key, &s->guess);
    DP_FORGET(r);
    return r == DP_CLASSIFY_BLOCK ? DP_UPCALL_ALONE : 0;
}

/* Keeps who injected a packet until dp_identity_take; the number that names it, 0: none. */
DP_INLINE __u64 dp_identity_keep(const struct dp_injected *injected, const struct dp_ahead *ahead)
{
    __u64 number = dp_ticket_number();
    __u32 slot = number & (DP_IDENTITIES_MAX - 1);
    struct dp_identity *kept = bpf_map_lookup_elem(&identities, &slot);

    if (!number || !kept) return 0;
    kept->number = 0;
    kept->injected = *injected;
    kept->ahead = *ahead;
    kept->number = number;
    return number;
}

/* Once; 0: it is not there any more. */
DP_INLINE int dp_identity_take(struct dp_way *way, __u64 number)
{
    __u32 slot = number & (DP_IDENTITIES_MAX - 1);
    struct dp_identity *kept = bpf_map_lookup_elem(&identities, &slot);

    if (!kept || kept->number != number) return 0;
    way->injected = kept->injected;
    way->ahead = kept->ahead;
    return __sync_val_compare_and_swap(&kept->number, number, 0) == number;
}

/* Redeemed, or never sent up. 0: somebody else did so. */
DP_INLINE int dp_ticket_ends(__u32 host, __u64 number)
{
    if (bpf_map_delete_elem(&tickets, &number)) return 0;
    dp_packet_leave(host);
    return 1;
}

DP_INLINE void dp_upcall_ticket(struct dp_upcall *up, const struct dp_ticket *t, __u64 number)
{
    const struct dp_key *key = &t->key;

    up->ticket = number;
    up->ifindex = t->ifindex;
    up->layer = t->layer;
    if (t->stage == DP_STAGE_FORWARD) up->arrival = DP_NUMBER(key, ARRIVAL_INTERFACE);
    up->direction = t->stage < DP_STAGE_ALE_OUT ? DP_DIRECTION_INBOUND : DP_DIRECTION_OUTBOUND;
    up->flow = t->flow_id;
    up->endpoint = t->endpoint;
    up->injected = t->injected;
    up->created_ns = t->asked_ns;
    up->condition_flags = DP_NUMBER(key, FLAGS);
    if (t->flow.protocol)
        up->key = t->flow;
    else
        dp_ticket_flow(&up->key, key);
    dp_upcall_eval(up, &t->eval);
}

#endif
