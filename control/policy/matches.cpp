// SPDX-License-Identifier: Apache-2.0
// Whether a filter's conditions hold for a packet, by the rules B1 to B14 and nothing else: no
// table of fields, no set of numbers, no name that is looked up.
#include <algorithm>
#include <cstring>

#include "policy/arbitrate.h"
#include "policy/identity.h"
#include "policy/matches.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

const Guid &cgroup_key() {
    static const Guid key = table_key("SLUICE_CONDITION_CGROUP");
    return key;
}
const Guid &container_key() {
    static const Guid key = table_key("SLUICE_CONDITION_CONTAINER");
    return key;
}
const Guid &group_key() {
    static const Guid key = table_key("SLUICE_CONDITION_ALE_GROUP_ID");
    return key;
}

template <typename T>
int three_way(const T &a, const T &b) {
    return a < b ? -1 : b < a ? 1 : 0;
}

// A path may come as text or as an application id; all else is compared as it is.
Scalar plain(const Scalar &value) {
    if (const auto *blob = std::get_if<Blob>(&value)) {
        if (const auto path = path_of(*blob)) return Text{*path};
    }
    if (const auto *sid = std::get_if<Sid>(&value)) {
        if (const auto id = unix_id(*sid)) return id->id;
    }
    return value;
}

std::optional<int> order_of_plain(const Scalar &a, const Scalar &b) {
    if (a.index() != b.index()) return std::nullopt;
    return std::visit(
        [&](const auto &left) -> std::optional<int> {
            using T = std::decay_t<decltype(left)>;
            const T &right = std::get<T>(b);
            if constexpr (std::is_integral_v<T> || std::is_same_v<T, Bytes16> ||
                          std::is_same_v<T, Bytes6>)
                return three_way(left, right);
            else if constexpr (std::is_same_v<T, Text>)
                return three_way(left.utf8, right.utf8);
            else if constexpr (std::is_same_v<T, Blob>)
                return three_way(left.bytes, right.bytes);
            else
                return std::nullopt;
        },
        a);
}

bool has_other_form(const Scalar &value) {
    return std::holds_alternative<Blob>(value) || std::holds_alternative<Sid>(value);
}

// nullopt: of different types, never comparable.
std::optional<int> order(const Scalar &packet, const Scalar &wanted) {
    if (has_other_form(packet) || has_other_form(wanted))
        return order_of_plain(plain(packet), plain(wanted));
    return order_of_plain(packet, wanted);
}

bool in_v6_network(const Bytes16 &address, const V6Prefix &net) {
    for (unsigned bit = 0; bit < net.prefix && bit < 128; ++bit) {
        const unsigned shift = 7 - bit % 8;
        if ((address[bit / 8] >> shift & 1) != (net.address[bit / 8] >> shift & 1)) return false;
    }
    return true;
}

bool equal(const Scalar &packet, const Scalar &wanted) {
    const auto *v4 = std::get_if<V4Mask>(&wanted);
    const auto *v6 = std::get_if<V6Prefix>(&wanted);
    if (const auto *a = std::get_if<std::uint32_t>(&packet); a != nullptr && v4 != nullptr)
        return (*a & v4->mask) == (v4->address & v4->mask);
    if (const auto *a = std::get_if<Bytes16>(&packet); a != nullptr && v6 != nullptr)
        return in_v6_network(*a, *v6);
    return order(packet, wanted) == 0;
}

std::optional<std::uint64_t> unsigned_value(const Scalar &value) {
    return std::visit(
        [](const auto &v) -> std::optional<std::uint64_t> {
            if constexpr (std::is_integral_v<std::decay_t<decltype(v)>>)
                return v;
            else
                return std::nullopt;
        },
        value);
}

bool flags_hold(std::uint32_t match, const Scalar &packet, const Scalar &wanted) {
    if (packet.index() != wanted.index()) return false;
    const auto value = unsigned_value(packet), mask = unsigned_value(wanted);
    if (!value || !mask) return false;
    if (match == FWP_MATCH_FLAGS_ALL_SET) return (*value & *mask) == *mask;
    return ((*value & *mask) != 0) == (match == FWP_MATCH_FLAGS_ANY_SET);
}

bool equal_without_case(const Scalar &packet, const Scalar &wanted) {
    const auto *a = std::get_if<Text>(&packet);
    const auto *b = std::get_if<Text>(&wanted);
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return a != nullptr && b != nullptr &&
           std::equal(a->utf8.begin(), a->utf8.end(), b->utf8.begin(), b->utf8.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

// B7: the match types named after a prefix test the end.
std::optional<bool> ends_with(const Scalar &packet, const Scalar &wanted) {
    const Scalar a = plain(packet), b = plain(wanted);
    if (const auto *text = std::get_if<Text>(&a); text != nullptr && b.index() == a.index())
        return text->utf8.ends_with(std::get<Text>(b).utf8);
    return std::nullopt;
}

bool holds_in_order(std::uint32_t match, std::optional<int> o) {
    switch (match) {
    case FWP_MATCH_NOT_EQUAL:
        return o && *o != 0;
    case FWP_MATCH_GREATER:
        return o && *o > 0;
    case FWP_MATCH_LESS:
        return o && *o < 0;
    case FWP_MATCH_GREATER_OR_EQUAL:
        return o && *o >= 0;
    case FWP_MATCH_LESS_OR_EQUAL:
        return o && *o <= 0;
    default:
        return false;
    }
}

// There is a value (B9 is done with), and the condition is no range.
bool holds_for(std::uint32_t match, const Scalar &packet, const Scalar &wanted) {
    switch (match) {
    case FWP_MATCH_EQUAL:
        return equal(packet, wanted);
    case FWP_MATCH_FLAGS_ALL_SET:
    case FWP_MATCH_FLAGS_ANY_SET:
    case FWP_MATCH_FLAGS_NONE_SET:
        return flags_hold(match, packet, wanted);
    case FWP_MATCH_EQUAL_CASE_INSENSITIVE:
        return equal_without_case(plain(packet), plain(wanted));
    case FWP_MATCH_PREFIX:
        return ends_with(packet, wanted) == true;
    case FWP_MATCH_NOT_PREFIX:
        return ends_with(packet, wanted) == false;
    default:
        return holds_in_order(match, order(packet, wanted));
    }
}

// A process is in many cgroups at once: equal is "one of them".
bool is_member(const Condition &condition, const Packet &packet) {
    const auto *wanted = std::get_if<Scalar>(&condition.value);
    if (wanted == nullptr) return false;
    const bool has_any = !packet.cgroup_ids.empty();
    if (std::holds_alternative<std::monostate>(*wanted)) return !has_any;
    bool in = false;
    if (const auto *id = std::get_if<std::uint64_t>(wanted)) in = packet.cgroup_ids.contains(*id);
    if (const auto *name = std::get_if<Text>(wanted))
        in = condition.field == container_key() ? packet.containers.contains(name->utf8)
                                                : packet.cgroup_paths.contains(name->utf8);
    return has_any && in == (condition.match == FWP_MATCH_EQUAL);
}

// Where the value is that the condition looks at: a SID of a group is about the group.
Guid seen_under(const Condition &condition) {
    if (const auto *wanted = std::get_if<Scalar>(&condition.value)) {
        const auto *sid = std::get_if<Sid>(wanted);
        const auto id = sid != nullptr ? unix_id(*sid) : std::nullopt;
        if (id && id->group) return group_key();
    }
    return condition.field;
}

Match as_match(bool holds) {
    return holds ? Match::yes : Match::no;
}

Match holds(const Condition &condition, const Packet &packet) {
    const Guid field = seen_under(condition);
    if (packet.unknown.contains(field)) return Match::unknown;
    if (field == cgroup_key() || field == container_key())
        return as_match(is_member(condition, packet));
    const auto *wanted = std::get_if<Scalar>(&condition.value);
    const bool tests_for_none = wanted != nullptr && wanted->index() == 0;
    const auto seen = packet.values.find(field);
    if (seen == packet.values.end() || seen->second.index() == 0) return as_match(tests_for_none);
    if (tests_for_none) return Match::no;
    if (wanted != nullptr) return as_match(holds_for(condition.match, seen->second, *wanted));
    const auto &range = std::get<Range>(condition.value);
    const std::optional<int> low = order(seen->second, range.low);
    const std::optional<int> high = order(seen->second, range.high);
    return as_match(low && high && *low >= 0 && *high <= 0);
}

} // namespace

Compared compare(const Filter &filter, const Packet &packet) {
    if (filter.layer != packet.layer) return {Match::no, 0};
    const std::vector<Condition> &all = filter.conditions;
    Compared out{Match::yes, 0};
    for (std::size_t i = 0; i < all.size();) {
        Match group = Match::no; // B1: alternatives
        const std::size_t first = i;
        for (; i < all.size() && all[i].field == all[first].field; ++i) {
            const Match one = holds(all[i], packet);
            if (one == Match::yes || group == Match::no) group = one;
        }
        if (group == Match::no) return {Match::no, first};
        if (group == Match::unknown && out.match == Match::yes) out = {Match::unknown, first};
    }
    return out;
}

Match matches(const Filter &filter, const Packet &packet) {
    return compare(filter, packet).match;
}

} // namespace sluice::policy
