// SPDX-License-Identifier: Apache-2.0
// Names of actions, users and keys.
#pragma once

#include <cstdint>
#include <string>

#include "core/guid.h"

namespace sluice::cli {

std::string action_name(std::uint32_t action);
std::string user_name(std::uint32_t uid);
std::string guid_text(const std::string &bytes); // as messages carry it; empty: not 16 bytes

} // namespace sluice::cli
