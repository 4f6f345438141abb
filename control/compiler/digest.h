// SPDX-License-Identifier: Apache-2.0
// What of a row can be found by an index and tested in its leaf (bpf/shared/image.h). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "policy/condition.h"
#include "shared/image.h"

namespace sluice::compiler {

// A slot that has one value in every key that the row matches.
struct Exact {
    dp_slot slot;
    std::uint64_t value; // of an executable the inode
};

struct Digest {
    std::uint32_t match = 0;         // place of the row's DP_OP_MATCH
    std::vector<std::uint32_t> kept; // places of the tests that the leaf does not make; with the
                                     // texts behind them
    dp_leaf leaf{};                  // tests, protocol, addresses and ports are filled in
    unsigned tested = 0;             // a bit for each field that must have a value within its hull
    std::array<policy::Interval, DP_FIELDS> hull{};
    std::vector<std::pair<dp_field, policy::Interval>> parts; // of hulls with gaps
    std::vector<Exact> exact;
};

// Of the row that begins at `first` of an image's cells. `wide`: its layer is one of IPv6.
Digest digest(const std::vector<dp_cell> &cells, std::uint32_t first, bool wide);
// How many cells the row takes in an image.
std::size_t cells_of(const Digest &row, const std::vector<dp_cell> &cells);

} // namespace sluice::compiler
