// SPDX-License-Identifier: Apache-2.0
// Which sockets there are in a namespace, by their cookies (inet_diag).
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "core/result.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

struct OpenSockets {
    std::set<std::uint64_t> cookies;
    std::set<std::pair<std::uint8_t, std::uint16_t>> ports; // protocol, local port
};

// The sockets that have a local port; of TCP without those that only linger. protocols:
// IPPROTO_TCP, IPPROTO_UDP; others have no list and are an error.
Result<OpenSockets> open_sockets(const datapath::Datapath &plane,
                                 const std::set<std::uint8_t> &protocols);

} // namespace sluice::daemon
