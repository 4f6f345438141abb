// SPDX-License-Identifier: Apache-2.0
// A net event as a line and as JSON.
#pragma once

#include "cli/json.h"

namespace sluice::cli {

Json to_json(const protocol::NetEvent &event);
std::string event_line(const protocol::NetEvent &event);
std::string endpoint_text(const std::string &address, std::uint32_t port); // [::1]:443; "-": none
std::string event_type_name(std::uint32_t type);                           // drop, allow, ...

} // namespace sluice::cli
