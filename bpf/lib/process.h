/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is calling: identity of the current process and the path of its executable, found while it
   lives. Never a thread name, never a pid alone. */
#ifndef SLUICE_BPF_LIB_PROCESS_H
#define SLUICE_BPF_LIB_PROCESS_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>

#include "lib/base.h"

#define DP_PATH_STEPS 32

/* On the way from an executable towards the root. */
struct dp_path_walk {
    struct dentry *dentry;
    struct mount *mount;
    struct dp_exe *exe; /* what is written; none: the length is asked for */
    __u32 bytes;        /* still to be written, or counted so far */
    __u32 at_root;
};

/* Crosses from a mount's root to where it is mounted. 0: at the root of everything. */
DP_INLINE int dp_path_settle(struct dp_path_walk *w)
{
    for (int i = 0; i < 4; i++) {
        struct mount *mount =
            w->mount; /* a local: BPF_CORE_READ relocates the whole expression it is given */
        struct mount *parent;

        if (w->dentry != BPF_CORE_READ(mount, mnt.mnt_root)) return 1;
        parent = BPF_CORE_READ(mount, mnt_parent);
        if (parent == mount) return 0;
        w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
        w->mount = parent;
    }
    return 0;
}

DP_INLINE void dp_path_start(struct dp_path_walk *w, struct file *file)
{
    struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);

    w->dentry = BPF_CORE_READ(file, f_path.dentry);
    w->mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

static long dp_path_count(__u32 i, struct dp_path_walk *w)
{
    struct dentry *dentry;

    if (!dp_path_settle(w)) {
        w->at_root = 1;
        return 1;
    }
    dentry = w->dentry;
    w->bytes += BPF_CORE_READ(dentry, d_name.len) + 1;
    w->dentry = BPF_CORE_READ(dentry, d_parent);
    return w->bytes >= DP_EXE_PATH_MAX;
}

/* Length of the path, 0 if it is longer than is kept. */
DP_INLINE __u32 dp_path_length(struct file *file)
{
    struct dp_path_walk w = {};

    dp_path_start(&w, file);
    bpf_loop(DP_PATH_STEPS, dp_path_count, &w, 0);
    return w.at_root ? w.bytes : 0;
}

/* Writes the components from the last to the first, so that the first ends up at offset 0. */
static long dp_path_write(__u32 i, struct dp_path_walk *w)
{
    struct dentry *dentry;
    __u32 length, at = w->bytes;

    if (!dp_path_settle(w)) return 1;
    dentry = w->dentry;
    length = BPF_CORE_READ(dentry, d_name.len) & (DP_EXE_PATH_MAX - 1);
    if (at < length + 1) return 1; /* it was renamed since */
    at -= length + 1;
    at &= DP_EXE_PATH_MAX - 1;
    w->exe->path[at] = '/';
    bpf_probe_read_kernel(&w->exe->path[at + 1], length, BPF_CORE_READ(dentry, d_name.name));
    w->bytes = at;
    w->dentry = BPF_CORE_READ(dentry, d_parent);
    return 0;
}

/* 1: the whole path stands in exe. */
static __noinline int dp_path_fill(struct dp_exe *exe, struct file *file, __u32 total)
{
    struct dp_path_walk w = {.exe = exe, .bytes = total};

    if (!exe) return 0;
    dp_path_start(&w, file);
    bpf_loop(DP_PATH_STEPS, dp_path_write, &w, 0);
    return w.bytes == 0;
}

DP_INLINE void dp_exe_remember(const struct dp_process *p, struct file *file)
{
    struct dp_exe_key key = {.inode = p->exe_inode, .dev = p->exe_dev};
    struct dp_exe *exe = bpf_map_lookup_elem(&exes, &key);
    __u32 generation = BPF_CORE_READ(file, f_inode, i_generation);
    __u32 total;

    if (exe && exe->generation == generation) return;
    if (exe) bpf_map_delete_elem(&exes, &key); /* another file has its number now */
    /* An empty value first, filled in place: it is too large for the stack, and per-CPU room would
       be shared with whoever preempts us. Readers take length 0 for "not known yet". */
    {
        __u32 zero = 0;
        struct dp_exe *empty = bpf_map_lookup_elem(&empty_exe, &zero);

        if (!empty) return;
        bpf_map_update_elem(&exes, &key, empty, BPF_NOEXIST);
    }
    exe = bpf_map_lookup_elem(&exes, &key);
    if (!exe) return;
    exe->generation = generation;
    total = dp_path_length(file);
    if (total && dp_path_fill(exe, file, total)) exe->length = total;
}

/* The cgroups of a task by id, its own first. */
DP_INLINE void dp_cgroups_of(struct task_struct *task, struct dp_process *p, struct dp_cgroups *out)
{
    struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
    struct cgroup_subsys_state *up;

    p->cgroup = BPF_CORE_READ(cgroup, kn, id);
    up = BPF_CORE_READ(cgroup, self.parent);
    for (int i = 0; i < DP_CGROUP_LEVELS - 1; i++) {
        struct cgroup *at;

        out->above[i] = 0;
        if (!up) continue;
        at = BPF_CORE_READ(up, cgroup);
        out->above[i] = BPF_CORE_READ(at, kn, id);
        up = BPF_CORE_READ(up, parent);
    }
}

/* Read from the task, not asked of helpers: those differ between program types. */
DP_INLINE void dp_process_current(struct dp_process *p, struct dp_cgroups *cgroups)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct file *file = BPF_CORE_READ(task, mm, exe_file);

    p->tgid = BPF_CORE_READ(task, tgid);
    p->uid = BPF_CORE_READ(task, cred, uid.val);
    p->gid = BPF_CORE_READ(task, cred, gid.val);
    p->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
    dp_cgroups_of(task, p, cgroups);
    if (!file) return; /* a kernel thread */
    p->exe_inode = BPF_CORE_READ(file, f_inode, i_ino);
    p->exe_dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
    dp_exe_remember(p, file);
}

#endif
