/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The stages ESTABLISHED_IN and _OUT, behind ALE: ALE_FLOW_ESTABLISHED, once a flow. Of TCP the
   client's is the SYN-ACK, the server's the last segment of the handshake; of others the first
   packet. That packet waits for the answer, and what follows it waits behind it. */
#ifndef SLUICE_BPF_HOOKS_STAGE_ESTABLISHED_H
#define SLUICE_BPF_HOOKS_STAGE_ESTABLISHED_H

#include "hooks/ale_ask.h"

/* This packet is the one. TCP segments without ACK do not establish, nor does a RST. */
DP_INLINE int dp_establishes(const struct dp_out *o, const struct dp_flow *f)
{
    const struct dp_packet *p = o->packet;

    if (p->protocol != DP_PROTO_TCP) return 1;
    if (!(p->tcp_flags & DP_TCP_ACK) || p->tcp_flags & DP_TCP_RST) return 0;
    return !(p->tcp_flags & DP_TCP_SYN) || (o->inbound && f->direction == DP_DIRECTION_OUTBOUND);
}

/* The layer lets no flow be: sluiced cuts the connection; who sent a datagram hears at once. */
DP_INLINE int dp_established_block(const struct dp_out *o, struct dp_flow *f, __u32 reason)
{
    int tcp = o->packet->protocol == DP_PROTO_TCP;

    f->seen_ns = bpf_ktime_get_ns();
    f->reason = reason;
    bpf_spin_lock(&f->lock);
    f->state = DP_FLOW_BLOCKED;
    f->flags = (f->flags & ~DP_FLOW_ESTABLISHING) | DP_FLOW_ESTABLISHED;
    if (tcp) f->flags |= DP_FLOW_REVOKED | DP_FLOW_TO_CUT;
    bpf_spin_unlock(&f->lock);
    return tcp || o->inbound ? TC_ACT_SHOT : dp_out_answer(o);
}

/* The flow becomes ASKED. Packets that are out for it already, draining, are met here again; they
   may be another host's. 0: another packet was first. */
DP_INLINE int dp_established_opens(const struct dp_out *o, struct dp_flow *f)
{
    __u32 whole = o->packet->protocol != DP_PROTO_TCP || dp_up_fits(o->skb, o->packet);
    __u32 frames = whole && o->skb->gso_segs > 1 ? o->skb->gso_segs : 1;
    __u32 flags = DP_FLOW_ESTABLISHING | (whole ? 0 : DP_FLOW_SHORT), mine;

    bpf_spin_lock(&f->lock);
    mine = f->state == DP_FLOW_PERMITTED || f->state == DP_FLOW_DRAINING;
    if (mine) {
        f->host_before = f->state == DP_FLOW_DRAINING ? f->host : 0;
        if (f->state == DP_FLOW_PERMITTED) f->up = f->down = 0;
        f->up += frames;
        f->state = DP_FLOW_ASKED;
        f->flags = (f->flags & ~(DP_FLOW_REAUTHORIZE | DP_FLOW_SHORT)) | flags;
    }
    bpf_spin_unlock(&f->lock);
    return mine;
}

/* scratch's eval asks for a callout, admitted by dp_use_admit. A TC action. */
DP_INLINE int dp_established_ask(const struct dp_out *o, struct dp_flow *f)
{
    __u32 bytes = o->packet->bytes, host = dp_callout_host(o->scratch->eval.callout);

    if (!dp_established_opens(o, f)) {
        dp_use_give(host, &f->process, 1, bytes);
        return dp_out_queue(o, f);
    }
    if (dp_flow_opens(f, &o->scratch->eval) && dp_out_identity(o, f)) {
        dp_flow_counted(f, bytes);
        return dp_out_upcall(o, DP_UPCALL_CLASSIFY);
    }
    dp_use_give(host, &f->process, 1, bytes);
    dp_established_undo(f, 1);
    return dp_out_drop(o, DP_REASON_CALLOUT_UNREGISTERED);
}

/* The layer's verdict on the flow: enum dp_classify_result, where CALLOUT is admitted. */
DP_INLINE int dp_established_judge(const struct dp_out *o, struct dp_flow *f)
{
    struct dp_scratch *s = o->scratch;
    int r;

    __builtin_memset(&s->eval, 0, sizeof s->eval);
    dp_key_established(&s->key, o->key, f, o->ifindex, o->inbound);
    r = dp_classify(&s->key, &s->eval);
    DP_FORGET(r);
    dp_report(&s->key, &s->eval, r, o->packet->bytes, &f->process);
    if (r == DP_CLASSIFY_CALLOUT) {
        r = dp_use_admit(&s->key, &s->eval, &f->process, o->packet->bytes);
        DP_FORGET(r);
    }
    return r;
}

/* Global, as the steps of stages_in.h. A flow whose beginning was not seen is not told of. */
__noinline int dp_established_do(struct __sk_buff *skb, __u32 inbound)
{
    struct dp_scratch *s = dp_scratch();
    struct dp_flow *f;
    struct dp_out o;
    int r = DP_CLASSIFY_PERMIT;

    if (!s) return TC_ACT_SHOT;
    o = dp_out_of(skb, s, inbound);
    f = dp_flow_find(o.key);
    if (!f || f->flags & (DP_FLOW_ESTABLISHED | DP_FLOW_MID_STREAM)) return DP_PASS;
    if (!dp_establishes(&o, f)) return DP_PASS;
    /* On its way down when the question was put: it waits behind it. */
    if (f->state != DP_FLOW_PERMITTED && f->state != DP_FLOW_DRAINING) return dp_out_queue(&o, f);
    if (dp_layer_has_rows(dp_established_layer(o.key))) r = dp_established_judge(&o, f);
    if (r == DP_CLASSIFY_CALLOUT) return dp_established_ask(&o, f);
    if (r != DP_CLASSIFY_PERMIT) return dp_established_block(&o, f, dp_reason_of(r));
    __sync_fetch_and_or(&f->flags, DP_FLOW_ESTABLISHED);
    return DP_PASS;
}

/* ALE has let the packet pass. DP_PASS: on to DATAGRAM; else what becomes of it. */
DP_INLINE int dp_stage_established(struct __sk_buff *skb, const struct dp_scratch *s, __u32 inbound)
{
    return s->way.indicated ? DP_PASS : dp_established_do(skb, inbound);
}

#endif
