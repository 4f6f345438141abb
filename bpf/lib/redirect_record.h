/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records: who may have one, and that nobody made it but us. */
#ifndef SLUICE_BPF_LIB_REDIRECT_RECORD_H
#define SLUICE_BPF_LIB_REDIRECT_RECORD_H

#include "lib/process.h"
#include "lib/redirect.h"
#include "lib/siphash.h"

#define DP_RECORD_WORDS (__builtin_offsetof(struct dp_redirect_record, mac) / 8)

/* 0: there is no secret yet, so no record either. */
DP_INLINE __u64 dp_record_mac(const struct dp_redirect_record *record)
{
    __u32 zero = 0;
    struct dp_secret *s = bpf_map_lookup_elem(&secret, &zero);

    if (!s || !(s->key[0] | s->key[1])) return 0;
    return dp_siphash((const __u64 *)record, DP_RECORD_WORDS, s->key);
}

/* The record of an entry that is not a draft is closed when somebody asks for it. */
__noinline int dp_record_seal(struct dp_redirect_record *record)
{
    if (!record) return 0;
    if (!record->mac) record->mac = dp_record_mac(record);
    return !!record->mac;
}

/* Whether the process may read it, or carry it on: the target's user or cgroup, or root. */
DP_INLINE int dp_record_is_for(const struct dp_redirect_record *record, const struct dp_process *p)
{
    return !p->uid || p->uid == record->target_uid ||
           (record->target_cgroup && p->cgroup == record->target_cgroup);
}

/* enum dp_reason of what is against the connection of which the record tells. */
DP_INLINE __u32 dp_record_is_current(const struct dp_redirect_record *record)
{
    const struct dp_redirect *d = dp_redirect_find(record->id);

    if (!d || d->state == DP_REDIRECT_DRAFT) return DP_REASON_RECORDS_OLD;
    if (d->state == DP_REDIRECT_ENDED && bpf_ktime_get_ns() >= d->ended_ns + DP_RECORD_GRACE_NS)
        return DP_REASON_RECORDS_OLD;
    return DP_REASON_NONE;
}

#endif
