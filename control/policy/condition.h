// SPDX-License-Identifier: Apache-2.0
// What a condition admits, as intervals of whole numbers: the one form in which conditions are
// checked, weighed and compiled. Every comparison of this release is a set of intervals; a field
// that is not one does not belong here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/result.h"
#include "policy/policy.h"

namespace sluice::policy {

// Wide enough for an IPv6 address, whose first byte is the most significant. IPv4 addresses are
// 32-bit numbers.
using Number = unsigned __int128;

struct Interval {
    Number low = 0, high = 0; // inclusive
    bool operator==(const Interval &) const = default;
};
// Ascending, disjoint and not adjacent; empty: nothing is admitted.
using Intervals = std::vector<Interval>;

// The fields that the data path reads. The order is that of the bits DP_FIELD_*.
enum class Field { local_address, remote_address, local_port, remote_port, protocol };
inline constexpr std::size_t field_count = 5;

std::optional<Field> field_of(const Guid &key);
// Of the field's values at a layer: 8, 16, 32 or 128.
unsigned field_bits(Field field, std::uint16_t layer);

// Checks one condition of a filter at `layer` and says what it admits.
Result<Intervals> admitted_by(const Condition &condition, std::uint16_t layer);

// Per field what all conditions of a filter admit together; nullopt: no condition on the field.
// Conditions that follow each other on one field are alternatives, all else must hold together.
using Admitted = std::array<std::optional<Intervals>, field_count>;
Result<Admitted> admitted_by(const Filter &filter);

// How much the conditions narrow down, for automatic weights; below 2^12.
std::uint64_t specificity(const Admitted &admitted, std::uint16_t layer);

} // namespace sluice::policy
