// SPDX-License-Identifier: Apache-2.0
// Words for the numbers that the programs count.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::datapath {

std::string_view
reason_name(std::uint32_t reason); // "DP_REASON_FILTER_BLOCK"; empty: no such reason
std::string_view
layer_name(std::uint32_t layer); // "DP_LAYER_ALE_AUTH_CONNECT_V4"; empty: not classified

} // namespace sluice::datapath
