// SPDX-License-Identifier: Apache-2.0
// Names of layers, conditions and actions, from the interface's tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/guid.h"

namespace sluice::cli {

std::string layer_name(std::uint16_t layer); // "ale_auth_connect_v4"; empty: none
std::optional<std::uint16_t>
layer_number(const std::string &name); // any case, FWPS_LAYER_ may stand before it
std::vector<std::pair<std::uint16_t, std::string>> all_layers();
Guid condition_key(const char *name); // null: no such condition
std::string action_name(std::uint32_t action);
std::string user_name(std::uint32_t uid);
std::string guid_text(const std::string &bytes); // as messages carry it; empty: not 16 bytes

} // namespace sluice::cli
