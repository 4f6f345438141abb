// SPDX-License-Identifier: Apache-2.0
// Owners for sockets that are older than our programs: each process's descriptors are looked
// through, the socket's storage is written as the programs would have written it.
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/files.h"
#include "datapath/attach_cgroup.h"
#include "datapath/datapath_state.h"

namespace sluice::datapath {

namespace {

namespace fs = std::filesystem;

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

// The start in /proc/PID/stat is in clock ticks since boot; the field behind "(name)" is the third.
std::uint64_t start_ns(const fs::path &process) {
    const std::string text = text_of_file(process / "stat");
    const auto end = text.rfind(')');
    if (end == std::string::npos) return 0;
    std::istringstream fields(text.substr(end + 1));
    std::string skip;
    for (int i = 3; i < 22; i++)
        fields >> skip;
    std::uint64_t ticks = 0;
    fields >> ticks;
    return ticks * (1000000000ull / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

std::uint32_t id_of(const fs::path &process, const std::string &name) {
    std::ifstream file(process / "status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name)) return std::uint32_t(std::stoul(line.substr(name.size())));
    return 0;
}

// The process's cgroup in the second hierarchy and those above it: ids are inode numbers.
void fill_cgroups(const fs::path &process, const std::string &root, dp_socket &out) {
    std::ifstream file(process / "cgroup");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("0::")) continue;
        fs::path at = root + line.substr(3);
        for (int level = 0; level < DP_CGROUP_LEVELS; level++, at = at.parent_path()) {
            if (at.string().size() < root.size()) return;
            struct stat st {};
            if (stat(at.c_str(), &st) != 0) return;
            (level == 0 ? out.process.cgroup : out.cgroups.above[level - 1]) = st.st_ino;
        }
    }
}

std::optional<dp_socket> owner(const fs::path &process, std::uint32_t pid,
                               const std::string &cgroup_root) {
    dp_socket out{};
    struct stat exe {};
    out.process.start_ns = start_ns(process);
    if (out.process.start_ns == 0) return std::nullopt; // it has ended
    out.process.tgid = pid;
    out.process.uid = id_of(process, "Uid:");
    out.process.gid = id_of(process, "Gid:");
    if (stat((process / "exe").c_str(), &exe) == 0) {
        out.process.exe_inode = exe.st_ino;
        out.process.exe_dev = std::uint32_t(major(exe.st_dev) << 20 | minor(exe.st_dev));
    }
    fill_cgroups(process, cgroup_root, out);
    return out;
}

bool is_ours(int fd, std::uint64_t netns_cookie) {
    int domain = 0;
    std::uint64_t cookie = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
    if (domain != AF_INET && domain != AF_INET6) return false;
    size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 &&
           cookie == netns_cookie;
}

void remember_path(const BpfMap<dp_exe_key, dp_exe> &exes, const fs::path &process,
                   const dp_process &who) {
    std::error_code error;
    const std::string path = fs::read_symlink(process / "exe", error).string();
    dp_exe exe{};
    if (error || path.size() >= DP_EXE_PATH_MAX) return;
    exe.length = std::uint32_t(path.size());
    std::memcpy(exe.path, path.data(), path.size());
    const dp_exe_key key{who.exe_inode, who.exe_dev, 0};
    bpf_map_update_elem(exes.fd(), &key, &exe, BPF_NOEXIST);
}

std::vector<int> socket_numbers(const fs::path &process) {
    std::vector<int> out;
    std::error_code error;
    for (const std::string &number : names_in_folder(process / "fd")) {
        const std::string target = fs::read_symlink(process / "fd" / number, error).string();
        if (target.starts_with("socket:[")) out.push_back(std::stoi(number));
    }
    return out;
}

} // namespace

std::size_t Datapath::adopt_sockets() {
    const auto found = find_cgroup_root();
    const std::string root =
        state_->options.cgroup_root.empty() && found ? *found : state_->options.cgroup_root;
    std::size_t adopted = 0;
    for (const std::string &name : names_in_folder("/proc")) {
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const auto pid = std::uint32_t(std::stoul(name));
        const fs::path directory = fs::path("/proc") / name;
        const std::vector<int> numbers = socket_numbers(directory);
        if (numbers.empty()) continue;
        const Fd process(int(syscall(SYS_pidfd_open, pid, 0)));
        const auto value = owner(directory, pid, root);
        if (!process || !value) continue;
        for (const int number : numbers) {
            const Fd socket(int(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
            if (!socket || !is_ours(socket.get(), state_->ns.cookie())) continue;
            const int key = socket.get();
            if (bpf_map_update_elem(state_->sockets.get(), &key, &*value, BPF_NOEXIST) != 0)
                continue;
            remember_path(state_->exes, directory, value->process);
            adopted++;
        }
    }
    return adopted;
}

} // namespace sluice::datapath
