// SPDX-License-Identifier: Apache-2.0
// What a socket's packets said about it: what a packet needs that is sent on its behalf. The oldest
// are forgotten first; a packet that is cloned carries the same with it.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "shared/port.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

struct Endpoint {
    dp_addr local{};
    std::uint8_t protocol = 0;
};

class Endpoints {
public:
    void saw(const dp_upcall &upcall) EXCLUDES(mutex_);
    std::optional<Endpoint> find(std::uint64_t endpoint) const EXCLUDES(mutex_);

private:
    static constexpr std::size_t kept = 65536;
    mutable Mutex mutex_;
    std::map<std::uint64_t, Endpoint> known_ GUARDED_BY(mutex_);
    std::deque<std::uint64_t> order_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
