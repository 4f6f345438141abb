// SPDX-License-Identifier: Apache-2.0
// Slots of the map `targets`, where rows redirect to by themselves. A slot is written before the
// image that names it is published, and not again while a published image may name it. Pure.
#pragma once

#include <map>
#include <vector>

#include "compiler/compile.h"
#include "core/result.h"

namespace sluice::datapath {

using TargetSlots = std::map<std::uint32_t, dp_redirect_goal>; // what is held, by slot

// The slot of each goal: one that holds it already, else a free one. ENOSPC.
Result<std::vector<std::uint32_t>> place_goals(const TargetSlots &held,
                                               const std::vector<dp_redirect_goal> &goals);
// The plan's image with slots in place of the goals' numbers.
std::vector<dp_cell> with_slots(const compiler::Plan &plan,
                                const std::vector<std::uint32_t> &slots);

} // namespace sluice::datapath
