// SPDX-License-Identifier: Apache-2.0
// Interfaces that traffic can leave by unseen.
#pragma once

#include <set>
#include <string>

#include "datapath/datapath.h"

namespace sluice::daemon {

// Names in the text of /proc/net/route (v4) and /proc/net/ipv6_route.
std::set<std::string> devices_in_routes(const std::string &text, bool v6);
// Devices that routes of the plane's namespace lead over and that are not loaded; never lo or our
// own ports.
std::set<std::string> routed_without(const datapath::Datapath &plane);

} // namespace sluice::daemon
