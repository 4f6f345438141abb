// SPDX-License-Identifier: Apache-2.0
// The library's own lines: stderr, warnings and worse unless SLUICE_LOG names another level.
// Nothing per packet.
#pragma once

#include <spdlog/logger.h>

namespace sluice::runtime {

spdlog::logger &log();

} // namespace sluice::runtime
