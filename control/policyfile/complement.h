// SPDX-License-Identifier: Apache-2.0
// What is left of a field's values without some of them, as ranges: `not` of prefixes, ranges and
// lists, which no single condition says.
#pragma once

#include <vector>

#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::policyfile {

// `values`: numbers, addresses, prefixes and ranges of one type. Refused: types without an order in
// numbers, a mask with holes, several types, and values that leave nothing.
Result<std::vector<protocol::Value>> complement(const std::vector<protocol::Value> &values);

} // namespace sluice::policyfile
