// SPDX-License-Identifier: Apache-2.0
#include "policy/condition.h"

#include <algorithm>

#include "policy/wfp.h"
#include "shared/policy.h"

namespace sluice::policy {

namespace {

struct FieldRow {
    Field field;
    const char *name;
    unsigned bits_v4, bits_v6;
};
constexpr std::array<FieldRow, field_count> field_rows{{
    {Field::local_address, "FWPM_CONDITION_IP_LOCAL_ADDRESS", 32, 128},
    {Field::remote_address, "FWPM_CONDITION_IP_REMOTE_ADDRESS", 32, 128},
    {Field::local_port, "FWPM_CONDITION_IP_LOCAL_PORT", 16, 16},
    {Field::remote_port, "FWPM_CONDITION_IP_REMOTE_PORT", 16, 16},
    {Field::protocol, "FWPM_CONDITION_IP_PROTOCOL", 8, 8},
}};

Number highest(unsigned bits) {
    return bits == 128 ? ~Number{0} : (Number{1} << bits) - 1;
}

Number number_of(const Bytes16 &bytes) {
    Number n = 0;
    for (std::uint8_t byte : bytes)
        n = n << 8 | byte;
    return n;
}

// The value if its type is the one that a field of so many bits has.
std::optional<Number> plain(const Scalar &value, unsigned bits) {
    if (const auto *u8 = std::get_if<std::uint8_t>(&value); u8 != nullptr && bits == 8) return *u8;
    if (const auto *u16 = std::get_if<std::uint16_t>(&value); u16 != nullptr && bits == 16)
        return *u16;
    if (const auto *u32 = std::get_if<std::uint32_t>(&value); u32 != nullptr && bits == 32)
        return *u32;
    if (const auto *b16 = std::get_if<Bytes16>(&value); b16 != nullptr && bits == 128)
        return number_of(*b16);
    return std::nullopt;
}

// Merges what overlaps or touches.
Intervals normalized(Intervals in) {
    std::sort(in.begin(), in.end(),
              [](const Interval &a, const Interval &b) { return a.low < b.low; });
    Intervals out;
    for (const Interval &next : in) {
        const bool joins =
            !out.empty() && (next.low <= out.back().high || next.low - out.back().high == 1);
        if (joins)
            out.back().high = std::max(out.back().high, next.high);
        else
            out.push_back(next);
    }
    return out;
}

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

Result<Intervals> by_mask(const V4Mask &value, const Guid &field) {
    const std::uint32_t host = ~value.mask;
    if ((host & (host + 1)) != 0)
        return refuse(STATUS_FWP_INVALID_NET_MASK,
                      "a mask with holes, only prefixes can be matched:", field_name(field));
    const std::uint32_t low = value.address & value.mask;
    return Intervals{{low, low | host}};
}

Result<Intervals> by_prefix(const V6Prefix &value, const Guid &field) {
    if (value.prefix > 128)
        return refuse(STATUS_FWP_INVALID_NET_MASK, "a prefix length above 128:", field_name(field));
    // A shift by the full width would be undefined.
    const Number host = value.prefix == 128 ? 0 : highest(128) >> value.prefix;
    const Number low = number_of(value.address) & ~host;
    return Intervals{{low, low | host}};
}

Result<Intervals> by_range(const Range &range, unsigned bits, const Guid &field) {
    if (range.low.index() != range.high.index())
        return refuse(STATUS_FWP_INVALID_RANGE,
                      "the ends of a range differ in type:", field_name(field));
    const std::optional<Number> low = plain(range.low, bits);
    const std::optional<Number> high = plain(range.high, bits);
    if (!low || !high)
        return refuse(STATUS_FWP_TYPE_MISMATCH, "the range's type is not that of the field",
                      field_name(field));
    if (*low > *high)
        return refuse(STATUS_FWP_INVALID_RANGE,
                      "a range that ends below its beginning:", field_name(field));
    return Intervals{{*low, *high}};
}

// A comparison with one plain value.
Result<Intervals> by_order(std::uint32_t match, Number value, unsigned bits, const Guid &field) {
    const Number top = highest(bits);
    Intervals out;
    const auto below = [&] {
        if (value > 0) out.push_back({0, value - 1});
    };
    const auto above = [&] {
        if (value < top) out.push_back({value + 1, top});
    };
    switch (match) {
    case FWP_MATCH_EQUAL:
        return Intervals{{value, value}};
    case FWP_MATCH_GREATER_OR_EQUAL:
        return Intervals{{value, top}};
    case FWP_MATCH_LESS_OR_EQUAL:
        return Intervals{{0, value}};
    case FWP_MATCH_GREATER:
        above();
        return out;
    case FWP_MATCH_LESS:
        below();
        return out;
    case FWP_MATCH_NOT_EQUAL:
        below();
        above();
        return out;
    case FWP_MATCH_FLAGS_ALL_SET:
    case FWP_MATCH_FLAGS_ANY_SET:
    case FWP_MATCH_FLAGS_NONE_SET:
        // Windows takes these on byte arrays no more than we do; on integers they are not there
        // yet.
        if (bits == 128) break;
        return refuse(STATUS_NOT_SUPPORTED,
                      "flag comparisons are not in this release:", field_name(field));
    default:
        break;
    }
    return refuse(STATUS_FWP_MATCH_TYPE_MISMATCH,
                  "the comparison does not fit the field's type:", field_name(field));
}

Result<Intervals> by_scalar(const Condition &condition, const Scalar &value, unsigned bits) {
    const Guid &field = condition.field;
    const auto *mask = std::get_if<V4Mask>(&value);
    const auto *net = std::get_if<V6Prefix>(&value);
    if ((mask != nullptr && bits == 32) || (net != nullptr && bits == 128)) {
        if (condition.match != FWP_MATCH_EQUAL)
            return refuse(STATUS_FWP_MATCH_TYPE_MISMATCH,
                          "a network can only be tested for equality:", field_name(field));
        return mask != nullptr ? by_mask(*mask, field) : by_prefix(*net, field);
    }
    if (std::holds_alternative<std::monostate>(value) && condition.match == FWP_MATCH_EQUAL)
        return refuse(STATUS_NOT_SUPPORTED,
                      "tests for an unknown value are not in this release:", field_name(field));
    const std::optional<Number> number = plain(value, bits);
    if (!number)
        return refuse(STATUS_FWP_TYPE_MISMATCH, "the value's type is not that of the field",
                      field_name(field));
    return by_order(condition.match, *number, bits, field);
}

bool is_ip_packet(std::uint16_t layer) {
    return layer == DP_LAYER_INBOUND_IPPACKET_V4 || layer == DP_LAYER_INBOUND_IPPACKET_V6;
}

// Windows' IP packet layers know no ports and no protocol; ours read them all the same.
Result<Field> field_at(const Guid &key, std::uint16_t layer) {
    const std::optional<Field> field = field_of(key);
    if (field && (is_ip_packet(layer) || layer_has_field(layer, key))) return *field;
    if (!layer_has_field(layer, key))
        return refuse(STATUS_FWP_CONDITION_NOT_FOUND, layer_name(layer) + " has no field",
                      field_name(key));
    return refuse(STATUS_NOT_SUPPORTED, "conditions are not in this release on the field",
                  field_name(key));
}

// Consecutive conditions on one field, beginning at `at`, which is moved behind them.
Result<Intervals> alternatives(const Filter &filter, std::size_t &at) {
    const Guid &field = filter.conditions[at].field;
    Intervals out;
    bool negative = false;
    const std::size_t first = at;
    for (; at < filter.conditions.size() && filter.conditions[at].field == field; ++at) {
        Result<Intervals> one = admitted_by(filter.conditions[at], filter.layer);
        if (!one) return one.error();
        negative |= filter.conditions[at].match == FWP_MATCH_NOT_EQUAL;
        out.insert(out.end(), one->begin(), one->end());
    }
    // "Not A or not B" admits everything, which is not what anyone means who writes it.
    if (negative && at - first > 1)
        return refuse(STATUS_FWP_DUPLICATE_CONDITION,
                      "not-equal cannot be one of several alternatives:", field_name(field));
    return normalized(std::move(out));
}

unsigned bits_needed(Number n) {
    unsigned bits = 0;
    for (; n != 0; n >>= 1)
        ++bits;
    return bits;
}

} // namespace

std::optional<Field> field_of(const Guid &key) {
    static const std::array<Guid, field_count> keys = [] {
        std::array<Guid, field_count> out;
        for (std::size_t i = 0; i < field_count; ++i)
            out[i] = table_key(field_rows[i].name);
        return out;
    }();
    for (std::size_t i = 0; i < field_count; ++i) {
        if (keys[i] == key) return field_rows[i].field;
    }
    return std::nullopt;
}

unsigned field_bits(Field field, std::uint16_t layer) {
    const FieldRow &row = field_rows[static_cast<std::size_t>(field)];
    return layer_is_v6(layer) ? row.bits_v6 : row.bits_v4;
}

Result<Intervals> admitted_by(const Condition &condition, std::uint16_t layer) {
    const Result<Field> field = field_at(condition.field, layer);
    if (!field) return field.error();
    if (condition.match >= FWP_MATCH_TYPE_MAX)
        return refuse(STATUS_FWP_INVALID_ENUMERATOR,
                      "no such match type: " + std::to_string(condition.match) + " on",
                      field_name(condition.field));
    const unsigned bits = field_bits(*field, layer);
    const auto *range = std::get_if<Range>(&condition.value);
    if ((range != nullptr) != (condition.match == FWP_MATCH_RANGE))
        return refuse(
            STATUS_FWP_MATCH_TYPE_MISMATCH,
            "a range value and the range comparison need each other:", field_name(condition.field));
    if (range != nullptr) return by_range(*range, bits, condition.field);
    return by_scalar(condition, std::get<Scalar>(condition.value), bits);
}

Result<Admitted> admitted_by(const Filter &filter) {
    Admitted out;
    for (std::size_t at = 0; at < filter.conditions.size();) {
        const Guid key = filter.conditions[at].field;
        Result<Intervals> group = alternatives(filter, at);
        if (!group) return group.error();
        std::optional<Intervals> &slot = out[static_cast<std::size_t>(*field_of(key))];
        slot = slot ? common(*slot, *group) : std::move(*group);
        if (slot->empty())
            return refuse(STATUS_FWP_NEVER_MATCH, "no value can meet the conditions on",
                          field_name(key));
    }
    return out;
}

std::uint64_t specificity(const Admitted &admitted, std::uint16_t layer) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < field_count; ++i) {
        if (!admitted[i]) continue;
        Number spread = 0; // values admitted beyond the first; cannot overflow
        for (const Interval &interval : *admitted[i])
            spread += interval.high - interval.low;
        spread += admitted[i]->size() - 1;
        // The condition itself counts too, so that "any port but 22" weighs more than nothing.
        sum += 1 + field_bits(static_cast<Field>(i), layer) - bits_needed(spread);
    }
    return sum;
}

} // namespace sluice::policy
