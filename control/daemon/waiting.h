// SPDX-License-Identifier: Apache-2.0
// What waits for a callout, of whatever kind: a flow, or a bind or listen.
#pragma once

#include "datapath/datapath.h"

namespace sluice::daemon {

struct Waiting {
    std::uint32_t compartment = 0;
    std::uint64_t ticket = 0;
    dp_flow_key key{};      // of a bind or listen the local end alone
    bool operation = false; // a bind or listen, which has no flow
    std::uint32_t state = DP_FLOW_NONE;
    std::uint16_t layer = 0;
    std::uint32_t host = 0;
    std::uint64_t asked_ns = 0, deadline_ns = 0;
    std::uint64_t filter = 0; // that asked
    dp_process process{};
    std::uint64_t packets = 0, bytes = 0;

    [[nodiscard]] std::uint64_t id() const; // among all compartments
};

bool is_operation_layer(std::uint16_t layer); // binds and listens

Waiting waiting_of(std::uint32_t compartment, const dp_flow_key &key, const dp_flow &flow);
Waiting waiting_of(std::uint32_t compartment, std::uint64_t ticket, const dp_operation &operation);

// Everything that is asked, held or draining. Stops when visit returns false.
void each_waiting(const datapath::Datapath &plane,
                  const std::function<bool(const Waiting &)> &visit);

} // namespace sluice::daemon
