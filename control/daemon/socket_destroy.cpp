// SPDX-License-Identifier: Apache-2.0
#include "daemon/socket_destroy.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <endian.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spdlog/spdlog.h>
#include <vector>

#include "core/fd.h"

namespace sluice::daemon {

namespace {

struct Order {
    nlmsghdr header;
    inet_diag_req_v2 body;
};

bool is_v4(const dp_addr &address) {
    return address.hi == 0 && address.lo >> 32 == 0xffff;
}

void put_address(__be32 *out, const dp_addr &address, bool v6) {
    if (!v6) {
        out[0] = htobe32(static_cast<std::uint32_t>(address.lo));
        return;
    }
    const std::uint64_t halves[2] = {htobe64(address.hi), htobe64(address.lo)};
    std::memcpy(out, halves, sizeof halves);
}

Order order_for(bool v6) {
    Order order{};
    order.header.nlmsg_len = sizeof order;
    order.header.nlmsg_type = SOCK_DESTROY;
    order.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    order.body.sdiag_family = v6 ? AF_INET6 : AF_INET;
    order.body.sdiag_protocol = IPPROTO_TCP;
    order.body.idiag_states = ~0u;
    order.body.id.idiag_cookie[0] = order.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return order;
}

constexpr const char *tried = "destroy a socket";

Fd open_diag() {
    return Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
}

// The kernel's answer: an errno, 0: it is done. ENOENT: there is none, or its cookie is another.
Result<int> exchange(const Fd &sock, const Order &order) {
    if (!sock) return Error(errno, tried);
    if (::send(sock.get(), &order, sizeof order, 0) < 0) return Error(errno, tried);
    alignas(nlmsghdr) std::array<char, 512> answer{};
    const ssize_t n = ::recv(sock.get(), answer.data(), answer.size(), 0);
    if (n < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(int))) return Error(EPROTO, tried);
    const auto *header = reinterpret_cast<const nlmsghdr *>(answer.data());
    return header->nlmsg_type == NLMSG_ERROR
               ? -static_cast<const nlmsgerr *>(NLMSG_DATA(header))->error
               : EPROTO;
}

Result<void> carry_out(const Order &order) {
    const auto error = exchange(open_diag(), order);
    if (!error) return error.error();
    if (*error != 0 && *error != ENOENT) return Error(*error, tried);
    return {};
}

} // namespace

Result<void> destroy_connection(const dp_flow_key &key, std::uint32_t ifindex) {
    const bool v6 = !is_v4(key.remote);
    Order order = order_for(v6);
    order.body.id.idiag_sport = htons(key.local_port);
    order.body.id.idiag_dport = htons(key.remote_port);
    put_address(order.body.id.idiag_src, key.local, v6);
    put_address(order.body.id.idiag_dst, key.remote, v6);
    order.body.id.idiag_if = ifindex; // a socket that is bound to its device is found only so
    return carry_out(order);
}

namespace {

// A member of an SO_REUSEPORT group is found by the peer's port, which the kernel's hash looks at.
// What is not found is tried again by the next sweep, with other ports.
Result<void> destroy_by_cookie(Order order, std::uint64_t cookie) {
    constexpr int tries = 64;
    static std::uint16_t peer_port = 0;
    order.body.id.idiag_cookie[0] = static_cast<std::uint32_t>(cookie);
    order.body.id.idiag_cookie[1] = static_cast<std::uint32_t>(cookie >> 32);
    const Fd sock = open_diag();
    for (int n = 0; n < tries; ++n) {
        order.body.id.idiag_dport = htons(peer_port++);
        const auto error = exchange(sock, order);
        if (!error) return error.error();
        if (*error == 0) return {};
        if (*error != ENOENT && *error != ESTALE) return Error(*error, tried);
    }
    return Error(ENOENT, tried);
}

Result<void> destroy_socket(const dp_operation &operation) {
    const bool v6 = operation.layer == DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6 ||
                    operation.layer == DP_LAYER_ALE_AUTH_LISTEN_V6;
    Order order = order_for(v6);
    order.body.sdiag_protocol = static_cast<std::uint8_t>(operation.key.number[DP_SLOT_PROTOCOL]);
    order.body.id.idiag_sport = htons(operation.port);
    put_address(order.body.id.idiag_src, operation.address, v6);
    return destroy_by_cookie(order, operation.cookie);
}

} // namespace

void destroy_refused(const datapath::Datapath &plane) {
    std::vector<dp_operation> refused;
    plane.each_operation([&](std::uint64_t, const dp_operation &operation) {
        if (operation.state == DP_FLOW_BLOCKED) refused.push_back(operation);
        return true;
    });
    if (refused.empty()) return;
    (void)plane.ns().enter([&]() -> Result<void> {
        for (const auto &operation : refused)
            if (auto r = destroy_socket(operation); !r)
                spdlog::debug("socket {} of port {}: {}", operation.cookie, operation.port,
                              r.error().text());
        return {};
    });
}

Result<void> destroy_listener(const dp_addr &local, std::uint16_t port, bool v6) {
    Order order = order_for(v6);
    order.body.id.idiag_sport = htons(port);
    put_address(order.body.id.idiag_src, local, v6);
    return carry_out(order);
}

} // namespace sluice::daemon
