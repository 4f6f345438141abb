// SPDX-License-Identifier: Apache-2.0
#include "datapath/netns.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <exception>
#include <fcntl.h>
#include <fstream>
#include <linux/nsfs.h>
#include <sched.h>
#include <sstream>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace sluice::datapath {
namespace {

// A thread left in the wrong namespace would apply everything that follows to the wrong machine.
class Visit {
public:
    explicit Visit(Fd home) : home_(std::move(home)) {}
    Visit(const Visit &) = delete;
    Visit &operator=(const Visit &) = delete;
    ~Visit() {
        if (setns(home_.get(), CLONE_NEWNET) != 0) std::terminate();
    }

private:
    Fd home_;
};

Fd open_own() {
    return Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

std::optional<Fd> open_if_inode(const std::string &path, std::uint64_t inode) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0 || st.st_ino != inode) return std::nullopt;
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return std::nullopt;
    return fd;
}

// In /proc, or in the folder of a process's threads, each of which may be somewhere else.
std::optional<Fd> find_in(const std::string &folder, std::uint64_t inode, bool threads) {
    DIR *proc = opendir(folder.c_str());
    if (proc == nullptr) return std::nullopt;
    std::optional<Fd> found;
    while (const dirent *entry = readdir(proc)) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        const std::string process = folder + "/" + entry->d_name;
        found = threads ? find_in(process + "/task", inode, false)
                        : open_if_inode(process + "/ns/net", inode);
        if (found) break;
    }
    closedir(proc);
    return found;
}

std::optional<Fd> find_in_mounts(std::uint64_t inode) {
    std::ifstream mounts("/proc/self/mountinfo");
    const std::string root = "net:[" + std::to_string(inode) + "]";
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream fields(line);
        std::string id, parent, device, mounted, point;
        if (!(fields >> id >> parent >> device >> mounted >> point) || mounted != root) continue;
        if (auto fd = open_if_inode(point, inode)) return fd;
    }
    return std::nullopt;
}

} // namespace

Result<NetNs> NetNs::from_fd(Fd fd) {
    struct stat st {};
    if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET || fstat(fd.get(), &st) != 0)
        return Error{EINVAL, "use descriptor as a network namespace"};
    NetNs ns;
    ns.fd_ = std::move(fd);
    ns.inode_ = st.st_ino;
    auto asked = ns.enter([&]() -> Result<void> {
        Fd sock(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        socklen_t len = sizeof ns.cookie_;
        if (!sock || getsockopt(sock.get(), SOL_SOCKET, SO_NETNS_COOKIE, &ns.cookie_, &len) != 0)
            return Error{errno, "ask for the network namespace's cookie"};
        return {};
    });
    if (!asked) return asked.error();
    return ns;
}

Result<NetNs> NetNs::current() {
    Fd fd = open_own();
    if (!fd) return Error{errno, "open the thread's network namespace"};
    return from_fd(std::move(fd));
}

Result<NetNs> NetNs::make() {
    Fd home = open_own();
    if (!home) return Error{errno, "open the thread's network namespace"};
    if (unshare(CLONE_NEWNET) != 0) return Error{errno, "create a network namespace"};
    Visit visit(std::move(home));
    return current();
}

Result<NetNs> NetNs::find(std::uint64_t inode) {
    std::optional<Fd> fd = find_in_mounts(inode);
    if (!fd) fd = find_in("/proc", inode, false);
    if (!fd) fd = find_in("/proc", inode, true);
    if (!fd) return Error{ENOENT, "find network namespace", std::to_string(inode)};
    return from_fd(std::move(*fd));
}

Result<Fd> NetNs::dup() const {
    Fd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return Error{errno, "duplicate the descriptor of a network namespace"};
    return copy;
}

Result<void> NetNs::enter(const std::function<Result<void>()> &work) const {
    Fd home = open_own();
    if (!home) return Error{errno, "open the thread's network namespace"};
    if (setns(fd_.get(), CLONE_NEWNET) != 0) return Error{errno, "enter network namespace"};
    Visit visit(std::move(home));
    return work();
}

} // namespace sluice::datapath
