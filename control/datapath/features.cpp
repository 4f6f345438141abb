// SPDX-License-Identifier: Apache-2.0
#include "datapath/features.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <memory>
#include <sys/vfs.h>

#include "core/fd.h"
#include "datapath/attach_cgroup.h"
#include "datapath/attach_tc.h"

namespace sluice::datapath {
namespace {

bool kernel_btf_works() {
    struct statfs st {};
    return statfs("/sys/kernel/btf/vmlinux", &st) == 0;
}

bool freplace_works() {
    return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, nullptr) == 1;
}

bool lsm_works() {
    return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_LSM, nullptr) == 1;
}

bool sock_destroy_works() {
    struct FreeBtf {
        void operator()(btf *b) const { btf__free(b); }
    };
    const std::unique_ptr<btf, FreeBtf> kernel(btf__load_vmlinux_btf());
    return kernel && btf__find_by_name_kind(kernel.get(), "bpf_sock_destroy", BTF_KIND_FUNC) > 0;
}

bool xdp_frags_work() {
    const bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K,
         .dst_reg = 0,
         .src_reg = 0,
         .off = 0,
         .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    return Fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "GPL", pass, 2, &opts)).valid();
}

bool cgroup2_works() {
    return find_cgroup_root().has_value();
}

struct Probe {
    const char *name, *description;
    bool (*works)();
};
constexpr Probe probes[] = {
    {"btf", "types of the running kernel; needed", kernel_btf_works},
    {"cgroup2", "a mounted cgroup2 hierarchy; needed", cgroup2_works},
    {"tcx", "TC programs as pinned links, first in the chain; else clsact", tcx_works},
    {"freplace", "XDP beside other programs through libxdp; else alone on the NIC", freplace_works},
    {"xdp_frags", "XDP on NICs whose MTU exceeds a page; else generic mode there", xdp_frags_work},
    {"sock_destroy", "ending sockets from BPF; else through sock_diag", sock_destroy_works},
    {"lsm", "LSM programs; not used yet", lsm_works},
};

} // namespace

std::vector<Feature> features() {
    std::vector<Feature> all;
    for (const Probe &probe : probes)
        all.push_back({probe.name, probe.description, probe.works()});
    return all;
}

} // namespace sluice::datapath
