// SPDX-License-Identifier: Apache-2.0
#include "protocol/channel.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include <google/protobuf/message_lite.h>

namespace sluice::protocol {

Result<Channel> Channel::connect(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return Error(ENAMETOOLONG, "connect to control socket", path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket) return Error(errno, "make control socket");
    if (::connect(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
        return Error(errno, "connect to control socket", path);
    return Channel(std::move(socket));
}

Result<void> Channel::send(const google::protobuf::MessageLite &message,
                           const std::vector<int> &fds) {
    std::string bytes;
    if (!message.SerializeToString(&bytes)) return Error(EINVAL, "serialize control message");
    if (bytes.size() > message_bytes_max)
        return Error(EMSGSIZE, "send control message", std::to_string(bytes.size()));
    if (fds.size() > fds_max) return Error(EINVAL, "send descriptors", std::to_string(fds.size()));

    iovec iov{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(fds_max * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
    }
    ssize_t n = 0;
    do
        n = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) return Error(errno, "send control message");
    return {};
}

Result<bool> Channel::receive(google::protobuf::MessageLite &message, std::vector<Fd> &fds) {
    std::string bytes(message_bytes_max, '\0');
    iovec iov{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(fds_max * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t n = 0;
    do
        n = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return Error(errno, "receive control message");

    for (cmsghdr *c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            fds.emplace_back(fd);
        }
    }
    if (n == 0) return false;
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return Error(EMSGSIZE, "receive control message");
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(n)))
        return Error(EBADMSG, "parse control message");
    return true;
}

} // namespace sluice::protocol
