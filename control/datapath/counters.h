// SPDX-License-Identifier: Apache-2.0
// Words for the numbers that the programs count.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::datapath {

std::string_view reason_name(std::uint32_t reason); // "filter_block"; empty: no such reason
std::string_view layer_name(std::uint32_t layer);   // "ale_auth_connect_v4"; empty: not classified

} // namespace sluice::datapath
