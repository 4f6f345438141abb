// SPDX-License-Identifier: Apache-2.0
#include "daemon/socket_look.h"

#include <cerrno>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <vector>

#include "core/fd.h"

namespace sluice::daemon {

namespace {

constexpr const char *listing = "list sockets";

struct Request {
    nlmsghdr header;
    inet_diag_req_v2 body;
};

Result<void> ask(const Fd &sock, std::uint8_t family, std::uint8_t protocol) {
    Request request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = family;
    request.body.sdiag_protocol = protocol;
    request.body.idiag_states = ~(1u << TCP_TIME_WAIT);
    if (::send(sock.get(), &request, sizeof request, 0) < 0) return Error(errno, listing);
    return {};
}

// One datagram of the answer. True: it was the last.
Result<bool> take(const std::vector<char> &bytes, std::size_t size, std::uint8_t protocol,
                  OpenSockets &open) {
    auto left = static_cast<int>(size);
    for (const auto *at = reinterpret_cast<const nlmsghdr *>(bytes.data()); NLMSG_OK(at, left);
         at = NLMSG_NEXT(at, left)) {
        if (at->nlmsg_type == NLMSG_DONE) return true;
        if (at->nlmsg_type == NLMSG_ERROR)
            return Error(-static_cast<const nlmsgerr *>(NLMSG_DATA(at))->error, listing);
        const auto *message = static_cast<const inet_diag_msg *>(NLMSG_DATA(at));
        open.cookies.insert(message->id.idiag_cookie[0] | std::uint64_t{message->id.idiag_cookie[1]}
                                                              << 32);
        open.ports.emplace(protocol, ntohs(message->id.idiag_sport));
    }
    return false;
}

Result<void> list(std::uint8_t family, std::uint8_t protocol, OpenSockets &open) {
    const Fd sock(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!sock) return Error(errno, listing);
    if (auto asked = ask(sock, family, protocol); !asked) return asked;
    std::vector<char> bytes(65536);
    for (;;) {
        const ssize_t n = ::recv(sock.get(), bytes.data(), bytes.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error(errno, listing);
        const auto last = take(bytes, static_cast<std::size_t>(n), protocol, open);
        if (!last) return last.error();
        if (*last) return {};
    }
}

} // namespace

Result<OpenSockets> open_sockets(const datapath::Datapath &plane,
                                 const std::set<std::uint8_t> &protocols) {
    OpenSockets open;
    const auto done = plane.ns().enter([&]() -> Result<void> {
        for (const std::uint8_t protocol : protocols)
            for (const std::uint8_t family : {AF_INET, AF_INET6})
                if (auto listed = list(family, protocol, open); !listed) return listed;
        return {};
    });
    if (!done) return done.error();
    return open;
}

} // namespace sluice::daemon
