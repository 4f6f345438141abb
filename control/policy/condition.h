// SPDX-License-Identifier: Apache-2.0
// What conditions ask, checked and in the one form in which they are weighed and compiled: groups
// of alternatives, each a test of one slot of the classified key. Names stay names: what they stand
// for is the compiler's business.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/result.h"
#include "policy/field.h"
#include "policy/policy.h"

namespace sluice::policy {

// Wide enough for an IPv6 address, whose first byte is the most significant. IPv4 addresses are
// 32-bit numbers, MAC addresses 48-bit ones.
using Number = unsigned __int128;

struct Interval {
    Number low = 0, high = 0; // inclusive
    bool operator==(const Interval &) const = default;
};
// Ascending, disjoint and not adjacent; empty: nothing is admitted.
using Intervals = std::vector<Interval>;
Intervals normalized(Intervals in);                       // merges what overlaps or touches
Intervals common(const Intervals &a, const Intervals &b); // of two normalized ones

// B9: only this one finds that there is no value; none of the others does. aspect: an interface may
// lack a property.
struct IsEmpty {
    Aspect aspect;
};
struct IsIn {
    Intervals admitted;
};
struct HasFlags {
    std::uint32_t match; // FWP_MATCH_FLAGS_*
    std::uint64_t mask;
};
// The interface whose index is in the slot has a property that compares so.
struct IsInterface {
    Aspect aspect;
    std::uint32_t match;
    Value value;
};
struct IsFile { // one of the files that the path stands for
    std::string path;
    bool negated;
};
struct IsPath { // the path as text; high: of a range
    std::uint32_t match;
    std::string text, high;
};
struct IsInCgroup { // an id, or a path or container's name
    std::variant<std::uint64_t, std::string> which;
    bool container, negated;
};
using Question = std::variant<IsEmpty, IsIn, HasFlags, IsInterface, IsFile, IsPath, IsInCgroup>;

struct Test {
    dp_slot slot;
    Question question;
};

// Conditions that follow each other on one field: one must hold. All groups must.
struct Group {
    Guid field;
    unsigned bits = 0; // of the field's values
    std::vector<Test> alternatives;
};

// What a group of nothing but numbers of one slot admits; nullopt: there is something else in it.
std::optional<Intervals> admitted_by(const Group &group);

// Checks one condition of a filter at `layer`. Statuses: of field_at;
// STATUS_FWP_INVALID_ENUMERATOR, MATCH_TYPE_MISMATCH, TYPE_MISMATCH, INVALID_RANGE,
// INVALID_NET_MASK, OUT_OF_BOUNDS (a text of more than text_max bytes), INVALID_PARAMETER (an
// application id that is no path), STATUS_NOT_SUPPORTED (a security descriptor, a SID that is no
// Unix user's or group's).
Result<Test> understand(const Condition &condition, std::uint16_t layer);
// Checks all conditions of a filter. Also STATUS_FWP_DUPLICATE_CONDITION: a negative comparison
// (NOT_EQUAL, FLAGS_NONE_SET, NOT_PREFIX) among alternatives; B2 leaves open what that means, and
// "not A or not B" is not what anyone means who writes it. STATUS_FWP_NEVER_MATCH: as far as it can
// be said without looking up names.
Result<std::vector<Group>> understand(const Filter &filter);

inline constexpr std::size_t text_max = 4095; // as paths

// How much the conditions narrow down, for automatic weights; below 2^12.
std::uint64_t specificity(const std::vector<Group> &groups);

} // namespace sluice::policy
