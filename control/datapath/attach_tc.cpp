// SPDX-License-Identifier: Apache-2.0
#include "datapath/attach_tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/bpf.h>
#include <linux/pkt_sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fd.h"
#include "datapath/netlink.h"

namespace sluice::datapath {
namespace {

// Debian 12's headers and libbpf end before TCX (Linux 6.6): numbers and layouts are the kernel's
// own.
constexpr std::uint32_t attach_type_tcx[] = {46, 47};
constexpr std::uint32_t flag_before = 1 << 3; // BPF_F_BEFORE: no other program named, so before all

struct LinkCreate {
    std::uint32_t prog_fd, target_ifindex, attach_type, flags;
    std::uint32_t relative, pad;
    std::uint64_t expected_revision;
    std::uint8_t rest[32];
};
struct ProgAttach {
    std::uint32_t target_ifindex, prog_fd, attach_type, flags, replace_fd, relative;
    std::uint64_t expected_revision;
};
struct ProgQuery {
    std::uint32_t target_ifindex, attach_type, query_flags, attach_flags;
    std::uint64_t prog_ids;
    std::uint32_t count, pad;
    std::uint64_t rest[4];
};

struct LinkInfo { // of a TCX link
    std::uint32_t type, id, prog_id, pad, ifindex, attach_type;
    std::uint8_t rest[64];
};

constexpr std::uint32_t ours_first = 1;    // pref
constexpr std::uint32_t our_handle = 0x51; // distinguishes our filter from others at the same pref

template <typename Attr>
int bpf_call(bpf_cmd command, Attr &attr) {
    return int(syscall(__NR_bpf, command, &attr, sizeof attr));
}

bpf_tc_attach_point point(TcSide side) {
    return side == TcSide::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

const char *word(TcSide side) {
    return side == TcSide::ingress ? "TC ingress" : "TC egress";
}

} // namespace

bool tcx_works() {
    ProgQuery query{};
    query.target_ifindex = 1; // lo: every namespace has it
    query.attach_type = attach_type_tcx[0];
    return bpf_call(BPF_PROG_QUERY, query) == 0;
}

Result<void> tcx_link(int program, std::uint32_t ifindex, TcSide side, const std::string &pin) {
    LinkCreate create{};
    create.prog_fd = std::uint32_t(program);
    create.target_ifindex = ifindex;
    create.attach_type = attach_type_tcx[unsigned(side)];
    create.flags = flag_before;
    const Fd link(bpf_call(BPF_LINK_CREATE, create));
    if (!link) return Error{errno, "attach to", word(side)};
    if (bpf_obj_pin(link.get(), pin.c_str()) != 0) return Error{errno, "pin link", pin};
    return {};
}

bool tcx_link_alive(int link) {
    LinkInfo info{};
    std::uint32_t length = sizeof info;
    return bpf_obj_get_info_by_fd(link, &info, &length) == 0 && info.ifindex != 0;
}

Result<void> tcx_attach(int program, std::uint32_t ifindex, TcSide side) {
    ProgAttach attach{};
    attach.prog_fd = std::uint32_t(program);
    attach.target_ifindex = ifindex;
    attach.attach_type = attach_type_tcx[unsigned(side)];
    attach.flags = flag_before;
    if (bpf_call(BPF_PROG_ATTACH, attach) != 0) return Error{errno, "attach to", word(side)};
    return {};
}

Result<bool> clsact_make(std::uint32_t ifindex) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int(ifindex),
                .attach_point = bpf_tc_attach_point(BPF_TC_INGRESS | BPF_TC_EGRESS));
    const int error = -bpf_tc_hook_create(&hook);
    if (error == 0) return true;
    if (error == EEXIST) return false;
    return Error{error, "create clsact qdisc"};
}

Result<void> clsact_attach(int program, std::uint32_t ifindex, TcSide side, std::uint32_t place) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int(ifindex), .attach_point = point(side));
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .flags = BPF_TC_F_REPLACE,
                .handle = our_handle, .priority = ours_first + place);
    const int error = -bpf_tc_attach(&hook, &opts);
    if (error == EINVAL)
        return Error{error, "attach to TC: another kind of filter or an ingress qdisc is there",
                     word(side)};
    if (error != 0) return Error{error, "attach to", word(side)};
    return {};
}

void clsact_detach(std::uint32_t ifindex, TcSide side) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int(ifindex), .attach_point = point(side));
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = our_handle, .priority = ours_first);
    bpf_tc_detach(&hook, &opts);
}

void clsact_delete_if_empty(std::uint32_t ifindex) {
    for (const std::uint32_t side : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
        const auto count = netlink::count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, side));
        if (!count || *count != 0) return;
    }
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = int(ifindex),
                .attach_point = bpf_tc_attach_point(BPF_TC_INGRESS | BPF_TC_EGRESS));
    bpf_tc_hook_destroy(&hook);
}

} // namespace sluice::datapath
