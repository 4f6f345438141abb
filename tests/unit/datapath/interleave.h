// SPDX-License-Identifier: Apache-2.0
// Runs a few pieces of code that say where they touch what they share (`step`), in every order in
// which processors could come to it. An order that comes to a state which was there before (what is
// shared, and where each piece is with what it knows) is not followed further.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace sluice::interleave {

// Another piece may go on here. Outside of explore(): nothing.
void step();

struct Explored {
    std::size_t ends = 0;   // orders that were followed to their end, and checked there
    std::size_t states = 0; // met on the way
};

// shared: all that the pieces and `check` read and write; `begin` puts it back.
Explored explore(std::span<const std::byte> shared,
                 const std::vector<std::function<void()>> &pieces,
                 const std::function<void()> &begin, const std::function<void()> &check);

} // namespace sluice::interleave
