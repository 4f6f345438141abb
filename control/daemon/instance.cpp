// SPDX-License-Identifier: Apache-2.0
#include "daemon/instance.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace sluice::daemon {

namespace {

Result<sockaddr_un> address_of(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return Error(ENAMETOOLONG, "listen on", path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

std::string holder_of(int lock) {
    char text[32] = {};
    const ssize_t n = ::pread(lock, text, sizeof text - 1, 0);
    return n > 0 ? " (pid " + std::string(text, std::strcspn(text, "\n")) + ")" : "";
}

} // namespace

Result<Fd> take_lock(const std::string &socket_path) {
    const auto directory = std::filesystem::path(socket_path).parent_path();
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
        return Error(errno, "make directory", directory);
    const std::string path = socket_path + ".lock";
    Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!lock) return Error(errno, "open lock", path);
    // One that was killed a moment ago may still be on its way out.
    int tries = 50;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && --tries > 0)
        ::usleep(20000);
    if (tries == 0)
        return Error(0,
                     "another sluiced" + holder_of(lock.get()) + " is running: it holds " + path);
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0)
        return Error(errno, "write lock", path);
    return lock;
}

Result<Fd> listen_at(const std::string &socket_path) {
    auto address = address_of(socket_path);
    if (!address) return address.error();
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return Error(errno, "make control socket");
    ::unlink(socket_path.c_str()); // ours by the lock; left by one that was killed
    if (::bind(socket.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address) != 0)
        return Error(errno, "listen on", socket_path);
    if (::chmod(socket_path.c_str(), 0666) != 0) return Error(errno, "set mode of", socket_path);
    if (::listen(socket.get(), 128) != 0) return Error(errno, "listen on", socket_path);
    return socket;
}

void notify_service_manager(const char *text) {
    const char *path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
    auto address = address_of(path);
    if (!address) return;
    if (path[0] == '@') address->sun_path[0] = '\0';
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    ::sendto(socket.get(), text, std::strlen(text), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr *>(&*address), length);
}

} // namespace sluice::daemon
