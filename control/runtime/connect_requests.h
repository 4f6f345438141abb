// SPDX-License-Identifier: Apache-2.0
// A connect request and its history, as callouts are shown it: built from what stands in an upcall,
// kept as long as a callout has a handle of the classify.
#pragma once

#include <deque>
#include <optional>

#include "runtime/indication.h"

namespace sluice::runtime {

// Addresses as the engine's structures have them: Windows' families, network order.
struct SocketEnd {
    dp_addr address{};
    std::uint16_t port = 0; // host order
    bool operator==(const SocketEnd &o) const {
        return address.hi == o.address.hi && address.lo == o.address.lo && port == o.port;
    }
};
sluice_sockaddr_storage to_sockaddr(const SocketEnd &endpoint, bool v6);
// Nothing: another family, or an IPv4 address in an IPv6 one.
std::optional<SocketEnd> from_sockaddr(const sluice_sockaddr_storage &from, bool v6);

class ConnectRequests {
public:
    ConnectRequests(const Upcall &upcall, std::uint32_t host);
    ConnectRequests(const ConnectRequests &) = delete;
    ConnectRequests &operator=(const ConnectRequests &) = delete;

    [[nodiscard]] FWPS_CONNECT_REQUEST0 *shown() { return &versions_[shown_]; }
    [[nodiscard]] bool v6() const { return v6_; }
    // A copy of the newest version. The others stay where they are.
    FWPS_CONNECT_REQUEST0 *add_copy();

private:
    void add(const dp_redirect_version &version, std::uint32_t host);

    const bool v6_;
    const SocketEnd local_;
    std::deque<FWPS_CONNECT_REQUEST0> versions_; // the oldest first
    std::size_t shown_ = 0;
};

} // namespace sluice::runtime
