// SPDX-License-Identifier: Apache-2.0
// The search of an image as the programs make it, in the plainest form and with a count of its
// work.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/image.h"

namespace sluice::harness {

struct Searched {
    std::uint64_t filter = 0; // 0: none
    std::uint32_t rank = 0, sublayer = 0;
    std::size_t probes = 0, leaves = 0;
};

// The next row of the key's layer after the place. Keys without unknown or empty values, and rows
// whose tests all stand in their leaves: else std::runtime_error.
Searched search(const std::vector<std::uint64_t> &image, const dp_key &key, std::uint32_t after,
                std::uint32_t from);

} // namespace sluice::harness
