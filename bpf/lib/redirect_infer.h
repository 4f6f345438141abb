/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A proxy that sets no records on what it connects with is known by its process, or as the worker
   of one with the same executable: its connection carries a record that was inferred, so that it is
   not redirected in the same names once more. */
#ifndef SLUICE_BPF_LIB_REDIRECT_INFER_H
#define SLUICE_BPF_LIB_REDIRECT_INFER_H

#include "lib/process.h"
#include "lib/redirect.h"

#define DP_LINEAGE_MAX 3

DP_INLINE int dp_task_runs(struct task_struct *task, const struct dp_process *p)
{
    struct file *file = BPF_CORE_READ(task, mm, exe_file);

    return file && BPF_CORE_READ(file, f_inode, i_ino) == p->exe_inode &&
           BPF_CORE_READ(file, f_inode, i_sb, s_dev) == p->exe_dev;
}

/* The entry of the process, which is the current one, or of the nearest above it. */
DP_INLINE const struct dp_proxy *dp_infer_find(const struct dp_process *p)
{
    struct dp_proxy_key key = {.start_ns = p->start_ns, .tgid = p->tgid};
    const struct dp_proxy *known = bpf_map_lookup_elem(&proxies, &key);
    struct task_struct *task = (void *)bpf_get_current_task();

    for (int i = 0; i < DP_LINEAGE_MAX && !known; i++) {
        task = BPF_CORE_READ(task, real_parent);
        if (!dp_task_runs(task, p)) break;
        key.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
        key.tgid = BPF_CORE_READ(task, tgid);
        known = bpf_map_lookup_elem(&proxies, &key);
    }
    return known;
}

DP_INLINE void dp_infer_hop(struct dp_redirect_record *record, const struct dp_proxy_name *name,
                            const struct dp_process *p)
{
    __u64 at = record->hops;

    if (at >= DP_RECORD_HOPS_MAX) return;
    DP_FORGET(at);
    __builtin_memcpy(record->hop[at].provider, name->provider, sizeof name->provider);
    record->hop[at].process = *p;
    record->hops++;
}

/* What the socket carries into a connect() or sendmsg() of the current process p: a record that it
   was given stays; else what is inferred, of which a former one is no more. */
static __noinline int dp_redirect_infer(struct bpf_sock *sk, const struct dp_process *p)
{
    struct dp_redirect_record *record = bpf_sk_storage_get(&carried, sk, 0, 0);
    const struct dp_proxy *known;
    __u64 generation;

    if (record && record->id) return 0;
    known = dp_infer_find(p);
    if (!known) {
        if (record) bpf_sk_storage_delete(&carried, sk);
        return 0;
    }
    record = bpf_sk_storage_get(&carried, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!record) return 0;
    __builtin_memset(record, 0, sizeof *record);
    generation = dp_generation();
    for (int i = 0; i < DP_PROXY_NAMES_MAX; i++) {
        const struct dp_proxy_name *name = &known->name[i];

        if (dp_name_is_none((const __u64 *)name->provider)) continue;
        if (!name->generation || name->generation == generation) dp_infer_hop(record, name, p);
    }
    return 0;
}

#endif
