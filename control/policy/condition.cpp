// SPDX-License-Identifier: Apache-2.0
// One condition: does its value's type fit the field, the comparison the type, and what does it
// ask.
#include "policy/condition.h"

#include <sluice/fwp.h>

#include <algorithm>
#include <optional>

#include "policy/identity.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

// A condition being looked at, for all that is said about it.
struct Looked {
    const Condition &condition;
    Field field;
    bool v6;

    [[nodiscard]] std::uint32_t match() const { return condition.match; }
    [[nodiscard]] Error refused(NTSTATUS status, std::string why) const {
        return refuse(status, std::move(why), field_name(condition.field));
    }
};

Number highest(unsigned bits) {
    return bits == 128 ? ~Number{0} : (Number{1} << bits) - 1;
}

Number number_of(const Bytes16 &bytes) {
    Number n = 0;
    for (std::uint8_t byte : bytes)
        n = n << 8 | byte;
    return n;
}

// The value as a number if its type is the one that the field has.
std::optional<Number> number_in(const Scalar &value, const Field &field) {
    const bool mac = field.aspect == Aspect::mac;
    if (const auto *bytes = std::get_if<Bytes6>(&value)) {
        Number n = 0;
        for (const std::uint8_t byte : *bytes)
            n = n << 8 | byte;
        return mac ? std::optional(n) : std::nullopt;
    }
    if (mac) return std::nullopt;
    const unsigned bits = field.bits;
    if (const auto *u8 = std::get_if<std::uint8_t>(&value); u8 != nullptr && bits == 8) return *u8;
    if (const auto *u16 = std::get_if<std::uint16_t>(&value); u16 != nullptr && bits == 16)
        return *u16;
    if (const auto *u32 = std::get_if<std::uint32_t>(&value); u32 != nullptr && bits == 32)
        return *u32;
    if (const auto *b16 = std::get_if<Bytes16>(&value); b16 != nullptr && bits == 128)
        return number_of(*b16);
    return std::nullopt;
}

Result<Intervals> by_mask(const V4Mask &value, const Looked &at) {
    const std::uint32_t host = ~value.mask;
    if ((host & (host + 1)) != 0)
        return at.refused(STATUS_FWP_INVALID_NET_MASK,
                          "a mask with holes, only prefixes can be matched:");
    const std::uint32_t low = value.address & value.mask;
    return Intervals{{low, low | host}};
}

Result<Intervals> by_prefix(const V6Prefix &value, const Looked &at) {
    if (value.prefix > 128)
        return at.refused(STATUS_FWP_INVALID_NET_MASK, "a prefix length above 128:");
    // A shift by the full width would be undefined.
    const Number host = value.prefix == 128 ? 0 : highest(128) >> value.prefix;
    const Number low = number_of(value.address) & ~host;
    return Intervals{{low, low | host}};
}

// What a comparison of numbers admits.
Intervals by_order(std::uint32_t match, Number value, unsigned bits) {
    const Number top = highest(bits);
    Intervals out;
    const auto below = [&] {
        if (value > 0) out.push_back({0, value - 1});
    };
    const auto above = [&] {
        if (value < top) out.push_back({value + 1, top});
    };
    switch (match) {
    case FWP_MATCH_GREATER_OR_EQUAL:
        return {{value, top}};
    case FWP_MATCH_LESS_OR_EQUAL:
        return {{0, value}};
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
    default: // EQUAL
        return {{value, value}};
    }
}

Question by_flags(const Looked &at, Number value) {
    const auto mask = static_cast<std::uint64_t>(value);
    if (mask != 0) return HasFlags{at.match(), mask};
    // No flag: all of them are set and none of them is, in every value; any of them never is.
    if (at.match() == FWP_MATCH_FLAGS_ANY_SET) return IsIn{};
    return IsIn{{{0, highest(at.field.bits)}}};
}

bool is_flags_match(std::uint32_t match) {
    return match >= FWP_MATCH_FLAGS_ALL_SET && match <= FWP_MATCH_FLAGS_NONE_SET;
}

Result<Question> of_network(const Looked &at, const Scalar &value) {
    const auto *mask = std::get_if<V4Mask>(&value);
    if (at.field.aspect != Aspect::address || (mask == nullptr) != at.v6)
        return at.refused(STATUS_FWP_TYPE_MISMATCH, "the value's type is not that of the field");
    if (at.match() != FWP_MATCH_EQUAL)
        return at.refused(STATUS_FWP_MATCH_TYPE_MISMATCH,
                          "a network can only be tested for equality:");
    Result<Intervals> in =
        mask != nullptr ? by_mask(*mask, at) : by_prefix(std::get<V6Prefix>(value), at);
    if (!in) return in.error();
    return Question{IsIn{std::move(in).value()}};
}

Result<Question> of_number(const Looked &at, const Scalar &value) {
    if (std::holds_alternative<V4Mask>(value) || std::holds_alternative<V6Prefix>(value))
        return of_network(at, value);
    const std::optional<Number> number = number_in(value, at.field);
    if (!number)
        return at.refused(STATUS_FWP_TYPE_MISMATCH, "the value's type is not that of the field");
    if (is_flags_match(at.match())) return by_flags(at, *number);
    return Question{IsIn{by_order(at.match(), *number, at.field.bits)}};
}

Result<Question> of_number_range(const Looked &at, const Range &range) {
    const std::optional<Number> low = number_in(range.low, at.field);
    const std::optional<Number> high = number_in(range.high, at.field);
    if (!low || !high)
        return at.refused(STATUS_FWP_TYPE_MISMATCH, "the range's type is not that of the field");
    if (*low > *high)
        return at.refused(STATUS_FWP_INVALID_RANGE, "a range that ends below its beginning:");
    return Question{IsIn{{{*low, *high}}}};
}

bool has_type_of(Aspect aspect, const Scalar &value) {
    switch (aspect) {
    case Aspect::interface_luid:
        return std::holds_alternative<std::uint64_t>(value);
    case Aspect::interface_type:
    case Aspect::interface_tunnel:
        return std::holds_alternative<std::uint32_t>(value);
    case Aspect::interface_mac:
        return std::holds_alternative<Bytes6>(value);
    default:
        return std::holds_alternative<Text>(value);
    }
}

// 1: a range is the wrong way round.
bool is_reversed(const Scalar &low, const Scalar &high) {
    if (const auto *text = std::get_if<Text>(&low)) return std::get<Text>(high).utf8 < text->utf8;
    if (const auto *u64 = std::get_if<std::uint64_t>(&low))
        return std::get<std::uint64_t>(high) < *u64;
    if (const auto *u32 = std::get_if<std::uint32_t>(&low))
        return std::get<std::uint32_t>(high) < *u32;
    return false;
}

Result<Question> of_interface(const Looked &at) {
    const Value &value = at.condition.value;
    const auto *range = std::get_if<Range>(&value);
    const Scalar &first = range != nullptr ? range->low : std::get<Scalar>(value);
    if (!has_type_of(at.field.aspect, first))
        return at.refused(STATUS_FWP_TYPE_MISMATCH, "the value's type is not that of the field");
    if (range != nullptr && is_reversed(range->low, range->high))
        return at.refused(STATUS_FWP_INVALID_RANGE, "a range that ends below its beginning:");
    return Question{IsInterface{at.field.aspect, at.match(), value}};
}

// A path, as text or as an application id.
Result<std::string> path_in(const Looked &at, const Scalar &value) {
    std::string path;
    if (const auto *text = std::get_if<Text>(&value)) {
        path = text->utf8;
    } else if (const auto *blob = std::get_if<Blob>(&value)) {
        if (at.match() == FWP_MATCH_EQUAL_CASE_INSENSITIVE)
            return at.refused(STATUS_FWP_MATCH_TYPE_MISMATCH,
                              "only text is compared without regard to case:");
        const std::optional<std::string> decoded = path_of(*blob);
        if (!decoded)
            return at.refused(STATUS_FWP_INVALID_PARAMETER,
                              "an application id that is no path in UTF-16:");
        path = *decoded;
    } else {
        return at.refused(STATUS_FWP_TYPE_MISMATCH, "the value's type is not that of the field");
    }
    if (path.size() > text_max)
        return at.refused(STATUS_FWP_OUT_OF_BOUNDS, "a text of " + std::to_string(path.size()) +
                                                        " bytes is longer than any path:");
    return path;
}

Result<Question> of_executable(const Looked &at) {
    if (const auto *range = std::get_if<Range>(&at.condition.value)) {
        Result<std::string> low = path_in(at, range->low), high = path_in(at, range->high);
        if (!low) return low.error();
        if (!high) return high.error();
        if (*high < *low)
            return at.refused(STATUS_FWP_INVALID_RANGE, "a range that ends below its beginning:");
        return Question{IsPath{at.match(), *low, *high}};
    }
    Result<std::string> path = path_in(at, std::get<Scalar>(at.condition.value));
    if (!path) return path.error();
    if (at.match() == FWP_MATCH_EQUAL || at.match() == FWP_MATCH_NOT_EQUAL)
        return Question{IsFile{*path, at.match() == FWP_MATCH_NOT_EQUAL}};
    if (at.match() == FWP_MATCH_LESS && path->empty()) return Question{IsIn{}};
    return Question{IsPath{at.match(), *path, {}}};
}

// Also decides the slot: a SID may be a group's.
Result<Test> of_user(const Looked &at, const Scalar &value) {
    if (std::holds_alternative<SecurityDescriptor>(value))
        return at.refused(STATUS_NOT_SUPPORTED,
                          "Linux checks no security descriptor against a process; use a SID "
                          "S-1-22-1-uid or S-1-22-2-gid, or the uid, for");
    const auto *sid = std::get_if<Sid>(&value);
    if (sid == nullptr) {
        Result<Question> question = of_number(at, value);
        if (!question) return question.error();
        return Test{at.field.slot, std::move(question).value()};
    }
    if (at.match() != FWP_MATCH_EQUAL && at.match() != FWP_MATCH_NOT_EQUAL)
        return at.refused(STATUS_FWP_MATCH_TYPE_MISMATCH, "a SID can only be tested for equality:");
    const std::optional<UnixId> id = unix_id(*sid);
    if (!id)
        return at.refused(STATUS_NOT_SUPPORTED,
                          "a SID that is neither S-1-22-1-uid nor S-1-22-2-gid, for");
    return Test{id->group ? DP_SLOT_GROUP : DP_SLOT_USER,
                IsIn{by_order(at.match(), id->id, at.field.bits)}};
}

Result<Question> of_cgroup(const Looked &at, const Scalar &value) {
    const bool container = at.field.aspect == Aspect::container;
    const bool negated = at.match() == FWP_MATCH_NOT_EQUAL;
    if (const auto *id = std::get_if<std::uint64_t>(&value); id != nullptr && !container)
        return Question{IsInCgroup{*id, false, negated}};
    if (const auto *name = std::get_if<Text>(&value))
        return Question{IsInCgroup{name->utf8, container, negated}};
    return at.refused(STATUS_FWP_TYPE_MISMATCH, "the value's type is not that of the field");
}

Result<Question> of_value(const Looked &at) {
    const Aspect aspect = at.field.aspect;
    if (is_interface_property(aspect)) return of_interface(at);
    if (aspect == Aspect::executable) return of_executable(at);
    if (const auto *range = std::get_if<Range>(&at.condition.value))
        return of_number_range(at, *range);
    const Scalar &value = std::get<Scalar>(at.condition.value);
    if (aspect == Aspect::cgroup || aspect == Aspect::container) return of_cgroup(at, value);
    return of_number(at, value);
}

bool is_empty(const Value &value) {
    const auto *scalar = std::get_if<Scalar>(&value);
    return scalar != nullptr && scalar->index() == 0;
}

// The comparison exists, and it and the value are both of a range or both not.
Result<void> check_match(const Looked &at) {
    if (at.match() >= FWP_MATCH_TYPE_MAX)
        return at.refused(STATUS_FWP_INVALID_ENUMERATOR,
                          "no such match type: " + std::to_string(at.match()) + " on");
    const auto *range = std::get_if<Range>(&at.condition.value);
    if ((range != nullptr) != (at.match() == FWP_MATCH_RANGE))
        return at.refused(STATUS_FWP_MATCH_TYPE_MISMATCH,
                          "a range value and the range comparison need each other:");
    if (range != nullptr && range->low.index() != range->high.index())
        return at.refused(STATUS_FWP_INVALID_RANGE, "the ends of a range differ in type:");
    const bool fits = is_empty(at.condition.value) ? at.match() == FWP_MATCH_EQUAL
                                                   : match_exists(at.field, at.match(), at.v6);
    if (!fits)
        return at.refused(STATUS_FWP_MATCH_TYPE_MISMATCH,
                          "the comparison does not fit the field's type:");
    return {};
}

} // namespace

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

Result<Test> understand(const Condition &condition, std::uint16_t layer) {
    const Result<Field> field = field_at(layer, condition.field);
    if (!field) return field.error();
    const Looked at{condition, *field, layer_is_v6(layer)};
    if (Result<void> r = check_match(at); !r) return r.error();
    if (is_empty(condition.value)) return Test{field->slot, IsEmpty{field->aspect}};
    const auto *scalar = std::get_if<Scalar>(&condition.value);
    if (field->aspect == Aspect::user && scalar != nullptr) return of_user(at, *scalar);
    Result<Question> question = of_value(at);
    if (!question) return question.error();
    return Test{field->slot, std::move(question).value()};
}

} // namespace sluice::policy
