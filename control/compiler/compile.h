// SPDX-License-Identifier: Apache-2.0
// Policy -> the image that the BPF programs search (bpf/shared/policy.h). Pure.
#pragma once

#include <vector>

#include "core/result.h"
#include "policy/policy.h"
#include "shared/policy.h"

namespace sluice::compiler {

struct Plan {
    std::uint64_t generation = 0;
    std::vector<dp_row> image; // DP_LAYERS_MAX index rows (as dp_layer_index), then the rows
    std::vector<std::uint64_t> filter_ids; // in the image, ascending
};

// A policy that needs more than DP_IMAGE_ROWS_MAX rows is refused, with the filter named.
Result<Plan> compile(const policy::Policy &policy, std::uint64_t generation);

} // namespace sluice::compiler
