// SPDX-License-Identifier: Apache-2.0
// The data planes as the re-authorisation of flows sees them.
#pragma once

#include <vector>

#include "daemon/reauthorize.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

class Planes;

std::vector<LiveFlows> live_flows(const Planes &planes);

// Both ends of a connection hear that the kernel has blocked it, once. Nothing happens where nobody
// waits for that. due: DP_REAUTHORIZE_*, for which it is judged again first.
void cut_if_blocked(datapath::Datapath &plane, const dp_flow_key &key, std::uint32_t due = 0);

} // namespace sluice::daemon
