// SPDX-License-Identifier: Apache-2.0
// The tests of one filter as cells of the image.
#pragma once

#include <vector>

#include "compiler/environment.h"
#include "policy/condition.h"
#include "shared/policy.h"

namespace sluice::compiler {

// In the order in which they are looked at; texts stand behind their tests. pass and fail are
// counted from the first cell; pass of the last group is the entry behind the cells, a fail of
// no_other is the next row. `v6`: of the filter's layer.
inline constexpr std::uint32_t no_other = ~0u;
std::vector<dp_cell> tests_of(const std::vector<policy::Group> &groups, bool v6,
                              const Environment &environment);

// Whether an interface has the property that is asked for. One without the property has it not,
// whatever the comparison.
bool has_property(const Interface &interface, const policy::IsInterface &wanted);
bool lacks_property(const Interface &interface, policy::Aspect aspect);

} // namespace sluice::compiler
