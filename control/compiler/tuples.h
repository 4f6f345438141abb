// SPDX-License-Identifier: Apache-2.0
// Which rows go to which hash table. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "compiler/digest.h"

namespace sluice::compiler {

// What a table hashes: so many first bits of each field (addresses: of 128, ports 16, protocol 8)
// and one more slot.
struct Tuple {
    static constexpr std::uint8_t no_slot = 0xff;
    std::array<std::uint8_t, DP_FIELDS> bits{};
    std::uint8_t slot = no_slot;
    auto operator<=>(const Tuple &) const = default;
};

struct Bucket {
    Tuple tuple;
    std::vector<std::uint32_t> rows; // ascending
};

// What can be hashed at a layer: a bit for each slot that has a value wherever it is classified.
std::uint32_t hashable(std::uint16_t layer);

// At most `tables` buckets for these rows (ascending places in `all`), in the order of their first
// rows. Rows that one chain would crowd are parted by finer tuples as far as tables are left.
std::vector<Bucket> part(const std::vector<Digest> &all, const std::vector<std::uint32_t> &rows,
                         std::uint32_t hashable, bool wide, std::size_t tables);

// For rows to come that no other table can have: tuples that test little.
std::vector<Bucket> spare_buckets(std::uint32_t hashable, bool wide);

// Whether a table of the tuple can have the row.
bool fits(const Digest &row, const Tuple &tuple);
// How much of what a tuple tells apart is worth; a protocol tells little.
unsigned worth(const Tuple &tuple, bool wide);

// The table's words and masks, without slots and ranks.
dp_table table_of(const Tuple &tuple, bool wide);
// Of a row in a table of the tuple; the index of its slot is the upper bits.
std::uint64_t hash_of(const Digest &row, const dp_table &table);

} // namespace sluice::compiler
