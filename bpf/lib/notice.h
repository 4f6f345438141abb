/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a host is told without a packet: its own ring buffer in `notices`, which it maps and reads
   itself. Any program may write there, also one that has no packet. */
#ifndef SLUICE_BPF_LIB_NOTICE_H
#define SLUICE_BPF_LIB_NOTICE_H

#include "lib/upcall.h"

/* The head of a notice; the rest is zero. */
DP_INLINE void dp_notice_begin(struct dp_upcall *up, __u8 kind)
{
    __builtin_memset(up, 0, sizeof *up);
    up->magic = DP_UPCALL_MAGIC;
    up->version = DP_LAYOUT_VERSION;
    up->kind = kind;
    up->header_bytes = sizeof *up;
    up->compartment = cfg.compartment;
}

/* What a ring takes must have a size that is known to the verifier: with the path, or without. */
DP_INLINE int dp_notice_with_path(void *ring, struct dp_upcall *up, const struct dp_exe *exe)
{
    void *at = bpf_ringbuf_reserve(ring, DP_NOTICE_BYTES, 0);

    if (!at) return 0;
    up->flags |= DP_UPCALL_HAS_PATH;
    up->header_bytes = DP_NOTICE_BYTES;
    __builtin_memcpy(at, up, sizeof *up);
    bpf_probe_read_kernel(at + sizeof *up, DP_EXE_PATH_MAX, exe->path);
    bpf_ringbuf_submit(at, 0);
    return 1;
}

DP_INLINE int dp_notice_plain(void *ring, const struct dp_upcall *up)
{
    struct dp_upcall *at = bpf_ringbuf_reserve(ring, sizeof *up, 0);

    if (!at) return 0;
    __builtin_memcpy(at, up, sizeof *up);
    bpf_ringbuf_submit(at, 0);
    return 1;
}

/* Puts the notice, with the path of its process if that is known, into the host's ring and wakes
   its reader. 1: the ring has it. 0: the host is not alive or does not read; a full ring is counted
   unless an END is what is lost, which sluiced finds in `ended`. */
__noinline int dp_notice_send(__u32 host, struct dp_upcall *up)
{
    struct dp_exe_key key = {};
    struct dp_exe *exe = 0;
    struct dp_host *h = dp_host_alive(host);
    void *ring;
    int sent;

    if (!up || !h) return 0;
    ring = bpf_map_lookup_elem(&notices, &host);
    if (!ring) return 0;
    key.inode = up->process.exe_inode;
    key.dev = up->process.exe_dev;
    if (key.inode) exe = bpf_map_lookup_elem(&exes, &key);
    sent = exe && exe->length ? dp_notice_with_path(ring, up, exe) : dp_notice_plain(ring, up);
    if (sent)
        dp_upcall_counted(h, up->callout, up->kind, 0);
    else if (up->kind != DP_UPCALL_END)
        dp_count(DP_REASON_NOTICES_FULL, 0);
    return sent;
}

#endif
