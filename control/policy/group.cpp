// SPDX-License-Identifier: Apache-2.0
// All conditions of a filter together: alternatives, what can never hold, how much they narrow
// down.
#include <sluice/fwp.h>

#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "policy/condition.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

bool is_negative(std::uint32_t match) {
    return match == FWP_MATCH_NOT_EQUAL || match == FWP_MATCH_FLAGS_NONE_SET ||
           match == FWP_MATCH_NOT_PREFIX;
}

// Consecutive conditions on one field, beginning at `at`, which is moved behind them.
Result<Group> alternatives(const Filter &filter, std::size_t &at) {
    const std::vector<Condition> &all = filter.conditions;
    Group group;
    group.field = all[at].field;
    bool negative = false;
    for (; at < all.size() && all[at].field == group.field; ++at) {
        Result<Test> test = understand(all[at], filter.layer);
        if (!test) return test.error();
        negative |= is_negative(all[at].match);
        group.alternatives.push_back(std::move(test).value());
    }
    if (negative && group.alternatives.size() > 1)
        return refuse(STATUS_FWP_DUPLICATE_CONDITION,
                      "a negative comparison cannot be one of several alternatives:",
                      field_name(group.field));
    group.bits = field_at(filter.layer, group.field)->bits;
    return group;
}

// Whether all alternatives of a group, or none, are tests for having no value.
std::optional<bool> wants_empty(const Group &group) {
    const auto is_empty = [](const Test &t) { return std::holds_alternative<IsEmpty>(t.question); };
    const bool first = is_empty(group.alternatives.front());
    const bool all_alike = std::all_of(group.alternatives.begin(), group.alternatives.end(),
                                       [&](const Test &t) { return is_empty(t) == first; });
    return all_alike ? std::optional(first) : std::nullopt;
}

// What all groups on one field say so far.
struct Known {
    std::optional<Intervals> admitted;
    std::optional<bool> empty;
    std::uint64_t set = 0, clear = 0; // flags
};

bool can_hold(Known &known, const Group &group) {
    if (const auto empty = wants_empty(group)) {
        if (known.empty && *known.empty != *empty) return false;
        known.empty = empty;
    }
    if (auto in = admitted_by(group)) {
        known.admitted = known.admitted ? common(*known.admitted, *in) : std::move(*in);
        return !known.admitted->empty();
    }
    const auto *flags = std::get_if<HasFlags>(&group.alternatives.front().question);
    if (flags == nullptr || group.alternatives.size() > 1) return true;
    if (flags->match == FWP_MATCH_FLAGS_ALL_SET) known.set |= flags->mask;
    if (flags->match == FWP_MATCH_FLAGS_NONE_SET) known.clear |= flags->mask;
    return (known.set & known.clear) == 0;
}

unsigned bits_of(Number n) {
    unsigned bits = 0;
    for (; n != 0; n >>= 1)
        ++bits;
    return bits;
}

// In bits: how much is known of a value that meets the test.
unsigned told_by(const Test &test, unsigned bits) {
    if (const auto *flags = std::get_if<HasFlags>(&test.question))
        return flags->match == FWP_MATCH_FLAGS_ANY_SET
                   ? 1u
                   : static_cast<unsigned>(std::popcount(flags->mask));
    if (const auto *interface = std::get_if<IsInterface>(&test.question))
        return interface->match == FWP_MATCH_EQUAL ? bits : is_negative(interface->match) ? 0 : 8;
    if (const auto *file = std::get_if<IsFile>(&test.question)) return file->negated ? 0 : bits;
    if (const auto *path = std::get_if<IsPath>(&test.question))
        return is_negative(path->match) ? 0 : bits / 2;
    if (const auto *cgroup = std::get_if<IsInCgroup>(&test.question))
        return cgroup->negated ? 0 : bits;
    return bits; // IsEmpty
}

unsigned told_by(const Intervals &in, unsigned bits) {
    if (in.empty()) return bits;
    Number spread = in.size() - 1; // values admitted beyond the first; cannot overflow
    for (const Interval &interval : in)
        spread += interval.high - interval.low;
    return bits - bits_of(spread);
}

// The condition itself counts too, so that "any port but 22" weighs more than nothing.
unsigned told_by(const Group &group) {
    if (const auto in = admitted_by(group)) return 1 + told_by(*in, group.bits);
    unsigned least = group.bits;
    for (const Test &test : group.alternatives) {
        const auto *in = std::get_if<IsIn>(&test.question);
        least = std::min(least, in != nullptr ? told_by(in->admitted, group.bits)
                                              : told_by(test, group.bits));
    }
    const unsigned choice = bits_of(group.alternatives.size() - 1);
    return 1 + (least > choice ? least - choice : 0);
}

} // namespace

Intervals common(const Intervals &a, const Intervals &b) {
    Intervals out;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        const Number low = std::max(a[i].low, b[j].low);
        const Number high = std::min(a[i].high, b[j].high);
        if (low <= high) out.push_back({low, high});
        if (a[i].high < b[j].high)
            ++i;
        else
            ++j;
    }
    return normalized(std::move(out));
}

std::optional<Intervals> admitted_by(const Group &group) {
    Intervals out;
    for (const Test &test : group.alternatives) {
        const auto *in = std::get_if<IsIn>(&test.question);
        if (in == nullptr || test.slot != group.alternatives.front().slot) return std::nullopt;
        out.insert(out.end(), in->admitted.begin(), in->admitted.end());
    }
    return normalized(std::move(out));
}

Result<std::vector<Group>> understand(const Filter &filter) {
    std::vector<Group> out;
    std::map<std::pair<Guid, dp_slot>, Known> known; // a SID of a group is not about the user
    for (std::size_t at = 0; at < filter.conditions.size();) {
        Result<Group> group = alternatives(filter, at);
        if (!group) return group.error();
        if (!can_hold(known[{group->field, group->alternatives.front().slot}], *group))
            return refuse(STATUS_FWP_NEVER_MATCH, "no value can meet the conditions on",
                          field_name(group->field));
        out.push_back(std::move(group).value());
    }
    return out;
}

std::uint64_t specificity(const std::vector<Group> &groups) {
    std::map<Guid, unsigned> fields; // several groups on one field narrow it at least as the best
    for (const Group &group : groups)
        fields[group.field] = std::max(fields[group.field], told_by(group));
    std::uint64_t sum = 0;
    for (const auto &[field, bits] : fields)
        sum += bits;
    return sum;
}

} // namespace sluice::policy
