// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/random_policy.h"

namespace sluice::harness {

// A value for a condition of the cell: mostly one that traffic has, sometimes its neighbour.
policy::Value random_value(const Cell &cell, Dice &dice);

} // namespace sluice::harness
