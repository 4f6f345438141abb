// SPDX-License-Identifier: Apache-2.0
// The cells of a plan -> the bytes that the programs search (bpf/shared/image.h). Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/policy.h"

namespace sluice::compiler {

// `cells`: DP_LAYERS_MAX index cells and the rows of the layers behind them, as in Plan::image, at
// most DP_IMAGE_CELLS_MAX. Never more than DP_IMAGE_LARGE bytes: what finds rows takes the room
// that the rows leave, and finds them less precisely where that is little.
std::vector<std::uint64_t> lay_out(const std::vector<dp_cell> &cells);
// Whether it fits a value of DP_IMAGE_SMALL bytes.
bool is_small(const std::vector<std::uint64_t> &image);

} // namespace sluice::compiler
