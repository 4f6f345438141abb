// SPDX-License-Identifier: Apache-2.0
// Policy -> the image that the BPF programs search (bpf/shared/policy.h). Pure.
#pragma once

#include <memory>
#include <vector>

#include "compiler/environment.h"
#include "core/result.h"
#include "policy/policy.h"
#include "shared/policy.h"
#include "shared/redirect.h"

namespace sluice::compiler {

class Layout;

struct Plan {
    std::uint64_t generation = 0;
    std::vector<dp_cell> image;            // DP_LAYERS_MAX index cells, then the rows of each layer
    std::vector<std::uint64_t> filter_ids; // in the image, ascending
    std::vector<std::uint64_t> weights;    // effective ones, in the order of the rows
    __u64 present[2] = {};                 // a bit for each layer that has rows
    std::size_t cells = 0;                 // that count for DP_IMAGE_CELLS_MAX
    // What is to be searched, if a Compiler made the plan; there are no cells in `image` then.
    std::shared_ptr<const Layout> layout;
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
// Of these filters of the policy only, whose sublayers' ordinals are in `sublayers`, if given.
using Chosen = std::vector<const policy::Filter *>;
Result<Plan> compile(const policy::Policy &policy, const Chosen &filters, std::uint64_t generation,
                     const Environment &environment, const std::vector<Guid> *sublayers = nullptr);

} // namespace sluice::compiler
