// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "policy/arbitrate.h"

namespace sluice::policy {

struct Compared {
    Match match = Match::no;
    // no: the first condition of the group that does not hold; unknown: of the first group that
    // nobody can know.
    std::size_t condition = 0;
};
Compared compare(const Filter &filter, const Packet &packet);

} // namespace sluice::policy
