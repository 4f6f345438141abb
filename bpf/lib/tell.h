/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ALE_RESOURCE_RELEASE and ALE_ENDPOINT_CLOSURE: what has happened to a socket is shown to the
   callouts of the layer, by notices. Nobody answers and nothing is decided: filters without a
   callout end their sublayer, as elsewhere, and a callout's as if it had said "continue". */
#ifndef SLUICE_BPF_LIB_TELL_H
#define SLUICE_BPF_LIB_TELL_H

#include "lib/listen.h"

DP_INLINE int dp_tell_has_rows(__u32 layer_v4)
{
    return dp_layer_has_rows(layer_v4) || dp_layer_has_rows(DP_LAYER_V6_OF(layer_v4));
}

DP_INLINE void dp_tell_key(struct dp_key *key, const struct dp_told *t, const struct dp_socket *s)
{
    dp_key_endpoint(key, t->layer, &t->at, &s->process, &s->cgroups);
    key->contexts = t->contexts;
    DP_NUMBER(key, PROTOCOL) = t->protocol;
    DP_NUMBER(key, FLAGS) |= t->flags;
    if (!t->at.port) key->empty |= DP_SLOT_BIT(LOCAL_PORT);
    DP_WIDE(key, REMOTE_ADDRESS) = t->remote;
    DP_NUMBER(key, REMOTE_PORT) = t->remote_port;
    if (dp_addr_is_any(&t->remote))
        key->empty |= DP_SLOT_BIT(REMOTE_ADDRESS) | DP_SLOT_BIT(REMOTE_PORT);
}

DP_INLINE void dp_tell_notice(struct dp_work *w, const struct dp_socket *s)
{
    const struct dp_told *t = &w->told;
    struct dp_upcall *up = &w->up;

    dp_notice_begin(up, DP_UPCALL_TELL);
    dp_upcall_eval(up, &w->eval);
    up->condition_flags = DP_NUMBER(&w->key, FLAGS);
    up->layer = w->key.layer;
    up->created_ns = bpf_ktime_get_ns();
    up->process = s->process;
    up->key.local = t->at.address;
    up->key.local_port = t->at.port;
    up->key.remote = t->remote;
    up->key.remote_port = t->remote_port;
    up->key.protocol = t->protocol;
    up->endpoint = t->endpoint;
    up->parent = t->parent;
    dp_notice_send(dp_callout_host(w->eval.callout), up);
}

/* One callout after the other. 0: there was none any more. */
DP_INLINE int dp_tell_next(struct dp_work *w, const struct dp_socket *s)
{
    int r = dp_classify(&w->key, &w->eval);

    DP_FORGET(r);
    if (r != DP_CLASSIFY_CALLOUT) {
        dp_count_layer(w->key.layer, r == DP_CLASSIFY_PERMIT ? DP_LAYER_PERMIT : DP_LAYER_BLOCK, 0);
        dp_count_filter(w->eval.filter_id);
        return 0;
    }
    dp_count_layer(w->key.layer, DP_LAYER_CALLOUT, 0);
    dp_count_filter(w->eval.asked_id);
    dp_tell_notice(w, s);
    return dp_eval_keep(&w->eval, DP_ACTION_NEXT, DP_RIGHT_ACTION_WRITE);
}

/* w->told; s: who the socket belongs to. A function of its own for its stack. */
static __noinline int dp_tell(struct dp_work *w, const struct dp_socket *s)
{
    __builtin_memset(&w->eval, 0, sizeof w->eval);
    dp_tell_key(&w->key, &w->told, s);
    for (int i = 0; i <= DP_HOPS_MAX; i++)
        if (!dp_tell_next(w, s)) break;
    return 0;
}

#endif
