// SPDX-License-Identifier: Apache-2.0
#include "datapath/attach_cgroup.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "core/fd.h"
#include "datapath/bpf_map.h"
#include "datapath/rollback.h"

namespace sluice::datapath {
namespace {

struct Hook {
    const char *program;
    bpf_attach_type type;
    const char *link;
};
constexpr Hook hooks[] = {
    {"dp_connect4", BPF_CGROUP_INET4_CONNECT, "l_connect4_cgroup"},
    {"dp_connect6", BPF_CGROUP_INET6_CONNECT, "l_connect6_cgroup"},
    {"dp_sendmsg4", BPF_CGROUP_UDP4_SENDMSG, "l_sendmsg4_cgroup"},
    {"dp_sendmsg6", BPF_CGROUP_UDP6_SENDMSG, "l_sendmsg6_cgroup"},
    {"dp_post_bind4", BPF_CGROUP_INET4_POST_BIND, "l_bind4_cgroup"},
    {"dp_post_bind6", BPF_CGROUP_INET6_POST_BIND, "l_bind6_cgroup"},
    {"dp_sock_create", BPF_CGROUP_INET_SOCK_CREATE, "l_create_cgroup"},
    {"dp_sock_release", BPF_CGROUP_INET_SOCK_RELEASE, "l_release_cgroup"},
    {"dp_sockops", BPF_CGROUP_SOCK_OPS, "l_sockops_cgroup"},
    {"dp_skb_egress", BPF_CGROUP_INET_EGRESS, "l_skb_egress_cgroup"},
};

constexpr const char *first_link = hooks[0].link;

constexpr Hook redirect_hooks[] = {
    {"dp_getsockopt", BPF_CGROUP_GETSOCKOPT, "l_getsockopt_cgroup"},
    {"dp_setsockopt", BPF_CGROUP_SETSOCKOPT, "l_setsockopt_cgroup"},
    {"dp_recvmsg4", BPF_CGROUP_UDP4_RECVMSG, "l_recvmsg4_cgroup"},
    {"dp_recvmsg6", BPF_CGROUP_UDP6_RECVMSG, "l_recvmsg6_cgroup"},
    {"dp_getpeername4", BPF_CGROUP_INET4_GETPEERNAME, "l_getpeername4_cgroup"},
    {"dp_getpeername6", BPF_CGROUP_INET6_GETPEERNAME, "l_getpeername6_cgroup"},
    {"dp_getsockname4", BPF_CGROUP_INET4_GETSOCKNAME, "l_getsockname4_cgroup"},
    {"dp_getsockname6", BPF_CGROUP_INET6_GETSOCKNAME, "l_getsockname6_cgroup"},
    {"dp_bind4", BPF_CGROUP_INET4_BIND, "l_bind_redirect4_cgroup"},
    {"dp_bind6", BPF_CGROUP_INET6_BIND, "l_bind_redirect6_cgroup"},
};

bool is_pinned(const PinDir &pins, const std::string &name) {
    return access(pins.at(name).c_str(), F_OK) == 0;
}

// The directory of a cgroup by its number: a file handle of the hierarchy is just that.
Result<Fd> open_cgroup(std::uint64_t id) {
    auto root = find_cgroup_root();
    if (!root) return root.error();
    const Fd mount(open(root->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!mount) return Error{errno, "open cgroup", *root};
    constexpr int kernfs_handle = 0xfe; // FILEID_KERNFS
    alignas(file_handle) char room[sizeof(file_handle) + sizeof id];
    auto *handle = reinterpret_cast<file_handle *>(room);
    handle->handle_bytes = sizeof id;
    handle->handle_type = kernfs_handle;
    std::memcpy(handle->f_handle, &id, sizeof id);
    Fd cgroup(open_by_handle_at(mount.get(), handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup) return Error{errno, "open cgroup", std::to_string(id)};
    return cgroup;
}

// Where the data plane's hooks are: the caller may have forgotten.
Result<Fd> attached_cgroup(const PinDir &pins) {
    auto link = open_pinned(pins.at(first_link));
    if (!link) return link.error();
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(link->get(), &info, &size) != 0)
        return Error{errno, "look at link", first_link};
    return open_cgroup(info.cgroup.cgroup_id);
}

Result<void> attach_one(const PinDir &pins, int root, const Hook &hook) {
    auto program = open_pinned(pins.at(std::string("p_") + hook.program));
    if (!program) return program.error();
    const Fd link(bpf_link_create(program->get(), root, hook.type, nullptr));
    if (!link) return Error{errno, "attach to the cgroup root", hook.program};
    if (bpf_obj_pin(link.get(), pins.at(hook.link).c_str()) != 0)
        return Error{errno, "pin link", pins.at(hook.link)};
    return {};
}

} // namespace

std::string cgroup_root_in(const std::string &mountinfo) {
    std::istringstream lines(mountinfo);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string skip, root, point, word;
        fields >> skip >> skip >> skip >> root >> point;
        while (fields >> word && word != "-") {
        } // optional fields, of any number
        if (fields >> word && word == "cgroup2" && root == "/") return point;
    }
    return {};
}

Result<std::string> find_cgroup_root() {
    std::ifstream file("/proc/self/mountinfo");
    std::ostringstream text;
    text << file.rdbuf();
    std::string root = cgroup_root_in(text.str());
    if (root.empty()) return Error{ENOENT, "find a mounted cgroup2 hierarchy"};
    return root;
}

Result<void> attach_cgroup(const PinDir &pins, const std::string &root) {
    const Fd directory(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return Error{errno, "open cgroup", root};
    for (const Hook &hook : hooks) {
        auto attached = attach_one(pins, directory.get(), hook);
        if (attached) continue;
        detach_cgroup(pins);
        return attached;
    }
    return {};
}

void detach_cgroup(const PinDir &pins) {
    for (const Hook &hook : redirect_hooks)
        pins.drop_link(hook.link);
    for (const Hook &hook : hooks)
        pins.drop_link(hook.link);
}

Result<void> attach_redirect_cgroup(const PinDir &pins) {
    auto cgroup = attached_cgroup(pins);
    if (!cgroup) return cgroup.error();
    Rollback undo;
    for (const Hook &hook : redirect_hooks) {
        if (is_pinned(pins, hook.link)) continue;
        if (!is_pinned(pins, std::string("p_") + hook.program)) continue;
        if (auto attached = attach_one(pins, cgroup->get(), hook); !attached) return attached;
        undo.add([&pins, &hook] { pins.drop_link(hook.link); });
    }
    undo.keep();
    return {};
}

} // namespace sluice::datapath
