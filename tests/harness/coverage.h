// SPDX-License-Identifier: Apache-2.0
// How often each cell of the table matched a packet.
#pragma once

#include <map>
#include <ostream>

#include "harness/random_policy.h"

namespace sluice::harness {

class Coverage {
public:
    Coverage(); // every cell of every layer, with zero
    // A condition counts when it holds and its filter matches.
    void count(const policy::Policy &policy, const policy::Packet &packet);
    void print(std::ostream &out) const;
    [[nodiscard]] const std::map<Cell, std::uint64_t> &counts() const { return counts_; }

private:
    std::map<Cell, std::uint64_t> counts_;
};

std::string text_of(const policy::Policy &policy); // its filters, a line each

} // namespace sluice::harness
