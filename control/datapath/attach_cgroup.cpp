// SPDX-License-Identifier: Apache-2.0
#include "datapath/attach_cgroup.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <sstream>

#include "core/fd.h"
#include "datapath/bpf_map.h"

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
    for (const Hook &hook : hooks)
        pins.drop_link(hook.link);
}

} // namespace sluice::datapath
