// SPDX-License-Identifier: Apache-2.0
// Policy -> the image that the BPF programs search (bpf/shared/policy.h). Pure.
#pragma once

#include <vector>

#include "compiler/environment.h"
#include "core/result.h"
#include "policy/policy.h"
#include "shared/policy.h"
#include "shared/redirect.h"

namespace sluice::compiler {

struct Plan {
    std::uint64_t generation = 0;
    std::vector<dp_cell> image;            // DP_LAYERS_MAX index cells, then the rows of each layer
    std::vector<std::uint64_t> filter_ids; // in the image, ascending
    // Where rows with DP_ROW_REDIRECT lead, each once: `callout` of such a row is 1 + the place in
    // here. Slots of the map `targets` are given when the plan is published.
    std::vector<dp_redirect_goal> goals;
};

// Half of the slots: while one policy replaces another both have theirs.
inline constexpr std::size_t goals_max = (DP_TARGETS_MAX - 1) / 2;

// A policy that needs more than DP_IMAGE_CELLS_MAX cells or goals_max goals is refused, with the
// filter named.
// Names in conditions stand for what `environment` says; one that it does not have matches nothing.
Result<Plan> compile(const policy::Policy &policy, std::uint64_t generation,
                     const Environment &environment = {});

} // namespace sluice::compiler
