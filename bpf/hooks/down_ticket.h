/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Downcalls at packet layers: a ticket is redeemed by deleting it, which succeeds once. */
#ifndef SLUICE_BPF_HOOKS_DOWN_TICKET_H
#define SLUICE_BPF_HOOKS_DOWN_TICKET_H

#include "hooks/down_flow.h"
#include "lib/packet_layers.h"

/* The packet must have the ticket's addresses and ports. */
DP_INLINE int dp_down_fits_key(const struct dp_packet *p, const struct dp_key *key, int inbound)
{
    const struct dp_addr *local = inbound ? &p->destination : &p->source;
    const struct dp_addr *remote = inbound ? &p->source : &p->destination;
    int swap = inbound && !dp_is_icmp(p->protocol);

    if (!dp_addr_equal(local, &DP_WIDE(key, LOCAL_ADDRESS)) ||
        !dp_addr_equal(remote, &DP_WIDE(key, REMOTE_ADDRESS)) ||
        p->protocol != DP_NUMBER(key, PROTOCOL))
        return 0;
    if (p->fragment == DP_FRAGMENT_LATER) return 1;
    return (swap ? p->destination_port : p->source_port) == DP_NUMBER(key, LOCAL_PORT) &&
           (swap ? p->source_port : p->destination_port) == DP_NUMBER(key, REMOTE_PORT);
}

/* A frame must have the ticket's link addresses, type and tag. */
DP_INLINE int dp_down_fits_frame(const struct dp_scratch *s, const struct dp_key *key, int inbound)
{
    __u64 to = dp_mac_number(s->link), from = dp_mac_number(s->link + ETH_ALEN);

    return (inbound ? to : from) == DP_NUMBER(key, LOCAL_MAC) &&
           (inbound ? from : to) == DP_NUMBER(key, REMOTE_MAC) &&
           s->packet.ether_type == DP_NUMBER(key, ETHER_TYPE) &&
           (s->packet.vlan & 0xfff) == DP_NUMBER(key, VLAN);
}

/* What belongs to a flow must be a packet of it. */
DP_INLINE int dp_down_fits_ticket(struct dp_scratch *s, const struct dp_ticket *t)
{
    int inbound = t->stage < DP_STAGE_ALE_OUT;

    if (t->flow.protocol) return dp_down_fits_way(s, &t->flow, !inbound);
    if (dp_layer_is_mac(t->layer)) return dp_down_fits_frame(s, &t->key, inbound);
    return dp_down_fits_key(&s->packet, &t->key, inbound);
}

/* Who injected the packet stays known. 0: it cannot. */
DP_INLINE int dp_down_identity(const struct dp_down *d, const struct dp_ticket *t)
{
    if (!t->injected.host) return 1;
    d->scratch->meta.ticket = dp_identity_keep(&t->injected, &t->ahead);
    if (d->scratch->meta.ticket) return 1;
    dp_count(DP_REASON_TICKETS_FULL, d->bytes);
    return 0;
}

/* The layer lets the packet pass: it goes on behind its stage. */
DP_INLINE int dp_down_ticket_on(const struct dp_down *d, struct dp_ticket *t)
{
    __u32 forwards = t->stage == DP_STAGE_FORWARD || t->stage == DP_STAGE_FRAME_OUT;

    d->scratch->meta.op = forwards                      ? DP_PORT_FORWARD
                          : t->stage < DP_STAGE_ALE_OUT ? DP_PORT_RECEIVE
                                                        : DP_PORT_SEND;
    return dp_down_identity(d, t) ? XDP_PASS : XDP_DROP;
}

/* Of the flow that the packet belongs to, if it is still that one: its contexts, 0 where there is
   none. */
DP_INLINE __u64 dp_down_ticket_contexts(const struct dp_down *d, const struct dp_flow_key *k,
                                        __u64 id)
{
    struct dp_flow *f = k->protocol ? dp_flow_find(k) : 0;

    if (!f || f->ticket != id) return 0;
    dp_down_contexts(d, k, f);
    return f->contexts;
}

/* Once for each segment that carries it. */
DP_INLINE int dp_down_redeem(struct dp_ticket *kept, __u64 number)
{
    if (kept->more && (__s32)__sync_fetch_and_sub(&kept->more, 1) > 0) return 1;
    return dp_ticket_ends(kept->host, number);
}

/* Absorbed, and nothing of it came down: no evaluation could let it pass. Its sender is not to
   hear, and no event tells of it. */
DP_INLINE int dp_down_absorbed(const struct dp_down *d, struct dp_ticket *kept, __u64 number)
{
    struct dp_flow_key flow = kept->flow;
    __u64 id = kept->flow_id;
    __u32 bytes = kept->packet_bytes;

    if (!dp_down_redeem(kept, number)) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    dp_down_ticket_contexts(d, &flow, id);
    dp_count(DP_REASON_CALLOUT_BLOCK, bytes);
    return XDP_DROP;
}

DP_INLINE int dp_down_answers(const struct dp_downcall *head)
{
    return head->kind == DP_DOWNCALL_ANSWER || head->kind == DP_DOWNCALL_INSTEAD;
}

DP_INLINE int dp_down_ticket(const struct dp_down *d)
{
    struct dp_ticket *t = &d->scratch->ticket, *kept;
    __u64 number = d->scratch->head.ticket;
    int r;

    kept = bpf_map_lookup_elem(&tickets, &number);
    if (!kept) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    if (kept->host != d->host) return dp_down_drop(d, DP_REASON_DOWNCALL_FOREIGN);
    if (!dp_down_answers(&d->scratch->head) || d->scratch->head.filter_id != kept->eval.asked_id)
        return dp_down_drop(d, DP_REASON_DOWNCALL_STATE);
    if (!d->bytes && d->scratch->head.flags & DP_DOWNCALL_ABSORB)
        return dp_down_absorbed(d, kept, number);
    *t = *kept;
    t->more = 0; /* what comes next is this segment's own */
    if (d->bytes && !dp_down_fits_ticket(d->scratch, t))
        return dp_down_drop(d, DP_REASON_DOWNCALL_MISMATCH);
    if (!dp_down_redeem(kept, number)) return dp_down_drop(d, DP_REASON_DOWNCALL_STALE);
    t->key.contexts = dp_down_ticket_contexts(d, &t->flow, t->flow_id);
    if (!dp_down_keep(d, &t->eval)) return dp_down_drop(d, DP_REASON_TOO_MANY_HOPS);
    r = dp_classify(&t->key, &t->eval);
    d->scratch->meta.stage = t->stage;
    d->scratch->meta.ifindex = t->ifindex;
    d->scratch->meta.mark = t->mark;
    d->scratch->meta.priority = t->priority;
    d->scratch->meta.vlan = t->vlan;
    if (r == DP_CLASSIFY_CALLOUT && d->bytes) {
        d->scratch->meta.op = DP_PORT_ASK;
        d->scratch->meta.ticket =
            dp_ticket_admit(&t->eval, d->bytes) ? dp_ticket_issue(t, d->bytes) : 0;
        return d->scratch->meta.ticket ? XDP_PASS : XDP_DROP;
    }
    if (r != DP_CLASSIFY_PERMIT || !d->bytes) {
        if (r != DP_CLASSIFY_PERMIT && !(d->scratch->head.flags & DP_DOWNCALL_ABSORB))
            dp_event_tell(&t->key, &t->eval, 0, DP_REASON_CALLOUT_BLOCK);
        return dp_down_drop(d, DP_REASON_CALLOUT_BLOCK);
    }
    return dp_down_ticket_on(d, t);
}

#endif
