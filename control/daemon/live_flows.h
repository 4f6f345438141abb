// SPDX-License-Identifier: Apache-2.0
// The data planes as the re-authorisation of flows sees them.
#pragma once

#include <vector>

#include "daemon/reauthorize.h"

namespace sluice::daemon {

class Planes;

std::vector<LiveFlows> live_flows(const Planes &planes);

} // namespace sluice::daemon
