// SPDX-License-Identifier: Apache-2.0
// A bind request and its history, as callouts at BIND_REDIRECT are shown it.
#pragma once

#include <deque>

#include "runtime/connect_requests.h"

namespace sluice::runtime {

class BindRequests {
public:
    explicit BindRequests(const Upcall &upcall);
    BindRequests(const BindRequests &) = delete;
    BindRequests &operator=(const BindRequests &) = delete;

    [[nodiscard]] FWPS_BIND_REQUEST0 *shown() { return &versions_[shown_]; }
    [[nodiscard]] bool v6() const { return v6_; }
    // A copy of the newest version. The others stay where they are.
    FWPS_BIND_REQUEST0 *add_copy();

private:
    void add(const SocketEnd &end, std::uint64_t filter);

    const bool v6_;
    std::deque<FWPS_BIND_REQUEST0> versions_; // the oldest first
    std::size_t shown_ = 0;
};

} // namespace sluice::runtime
