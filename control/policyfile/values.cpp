// SPDX-License-Identifier: Apache-2.0
#include "policyfile/values.h"

#include "policyfile/value_parts.h"
#include "policyfile/values_text.h"

namespace sluice::policyfile {

namespace {

using protocol::Value;

// ---- numbers ----

struct Named { // a name of the other family only is good, but not here
    std::optional<std::uint64_t> value;
    bool other_family = false;
};

Named named(const Field &field, Family family, const std::string &word) {
    const bool has_v6 = !field.names_v6.empty();
    const auto in = [&](std::span<const NumberName> names) -> std::optional<std::uint64_t> {
        for (const auto &known : names)
            if (word == known.name) return known.value;
        return std::nullopt;
    };
    const bool v6 = has_v6 && family == Family::v6;
    if (const auto value = in(v6 ? field.names_v6 : field.names)) return {value, false};
    if (has_v6 && in(v6 ? field.names : field.names_v6)) return {std::nullopt, true};
    return {};
}

std::string expected(const Field &field) {
    if (field.kind == Kind::user) return "no user of this machine and no number of 32 bits";
    if (field.kind == Kind::group) return "no group of this machine and no number of 32 bits";
    std::string text = "no number within 0-" + std::to_string(largest(field.type));
    if (field.names.empty()) return text + ", nor a range N-M";
    text += " and none of";
    for (const auto &known : field.names)
        text += std::string(text.ends_with("of") ? " " : ", ") + known.name;
    return text;
}

std::optional<std::uint64_t> one_number(const Field &field, Family family,
                                        const std::string &word) {
    if (const auto known = named(field, family, word); known.value) return known.value;
    if (field.kind == Kind::user || field.kind == Kind::group) {
        const auto id = field.kind == Kind::user ? user_id(word) : group_id(word);
        return id ? std::optional<std::uint64_t>(*id) : std::nullopt;
    }
    const auto number = field.size ? size_in_bytes(word) : number_of(word);
    return number && *number <= largest(field.type) ? number : std::nullopt;
}

ParsedValue parse_number(const Field &field, Family family, const std::string &word) {
    if (const auto one = one_number(field, family, word))
        return std::optional(number_value(field.type, *one));
    if (named(field, family, word).other_family) return std::optional<Value>();
    for (auto dash = word.find('-'); dash != std::string::npos; dash = word.find('-', dash + 1)) {
        const auto low = one_number(field, family, word.substr(0, dash));
        const auto high = one_number(field, family, word.substr(dash + 1));
        if (!low || !high) continue;
        if (*low > *high) return wrong_value("range '", word, "' begins above its end");
        return std::optional(
            range_value(number_value(field.type, *low), number_value(field.type, *high)));
    }
    return wrong_value("'", word, "' is ", expected(field));
}

ParsedValue parse_address(Family family, const std::string &word) {
    auto value = any_address(word);
    if (!value) return value.error();
    if (family != Family::none && is_v6(*value) != (family == Family::v6))
        return std::optional<Value>();
    return std::optional(std::move(*value));
}

ParsedValue some(std::optional<Value> value, const std::string &word, const char *what) {
    if (!value) return wrong_value("'", word, "' is ", what);
    return value;
}

// ---- printing ----

std::optional<std::string> print_number(const Field &field, Family family, const Value &value) {
    if (value.type() != field.type) return std::nullopt;
    const std::uint64_t number = value.number();
    if (field.kind == Kind::user) return user_text(static_cast<std::uint32_t>(number));
    if (field.kind == Kind::group) return group_text(static_cast<std::uint32_t>(number));
    const bool v6 = family == Family::v6 && !field.names_v6.empty();
    for (const auto &known : v6 ? field.names_v6 : field.names)
        if (known.value == number) return known.name;
    return std::to_string(number);
}

std::optional<std::string> print_plain(const Field &field, Family family, const Value &value) {
    switch (field.kind) {
    case Kind::address:
        return print_address(value);
    case Kind::integer:
    case Kind::flags:
    case Kind::user:
    case Kind::group:
        return print_number(field, family, value);
    case Kind::mac:
        return mac_text(value.data());
    case Kind::cgroup:
        if (value.type() == FWP_UINT64) return std::to_string(value.number());
        [[fallthrough]];
    case Kind::app:
    case Kind::text:
        return value.data();
    case Kind::blob:
    case Kind::bytes16:
    case Kind::descriptor:
        return hex_text(value.data());
    }
    return std::nullopt;
}

} // namespace

Value range_value(const Value &low, const Value &high) {
    Value value;
    value.set_type(FWP_RANGE_TYPE);
    *value.mutable_low() = low;
    *value.mutable_high() = high;
    return value;
}

bool same_value(const Value &a, const Value &b) {
    return a.type() == b.type() && a.number() == b.number() && a.data() == b.data() &&
           a.mask() == b.mask() &&
           (a.type() != FWP_RANGE_TYPE ||
            (same_value(a.low(), b.low()) && same_value(a.high(), b.high())));
}

unsigned width_of(const Value &value) {
    switch (value.type()) {
    case FWP_UINT8:
        return 8;
    case FWP_UINT16:
        return 16;
    case FWP_UINT32:
        return 32;
    case FWP_UINT64:
        return 64;
    case FWP_BYTE_ARRAY16_TYPE:
        return 128;
    default:
        return 0;
    }
}

ParsedValue parse_value(const Field &field, Family family, const std::string &word) {
    switch (field.kind) {
    case Kind::address:
        return parse_address(family, word);
    case Kind::integer:
    case Kind::flags:
    case Kind::user:
    case Kind::group:
        return parse_number(field, family, word);
    case Kind::mac:
        return some(data_if(field.type, bytes_of_mac(word)), word,
                    "no MAC address as 02:00:5e:00:53:01");
    case Kind::app:
        if (word.empty()) return wrong_value("'' is no path of an executable");
        return std::optional(data_value(field.type, word));
    case Kind::text:
        if (word.empty()) return wrong_value("'' is no ", field.word);
        return std::optional(data_value(field.type, word));
    case Kind::cgroup:
        if (const auto id = number_of(word)) return std::optional(number_value(FWP_UINT64, *id));
        if (word.empty()) return wrong_value("'' is no path of a cgroup and no id of one");
        return std::optional(data_value(field.type, word));
    case Kind::bytes16: {
        auto bytes = bytes_of_hex(word);
        if (!bytes || bytes->size() != 16)
            return wrong_value("'", word, "' is not 16 bytes in hexadecimal");
        return std::optional(data_value(field.type, std::move(*bytes)));
    }
    case Kind::blob:
    case Kind::descriptor:
        return some(data_if(field.type, bytes_of_hex(word)), word, "no whole bytes in hexadecimal");
    }
    return wrong_value("'", word, "' cannot be read");
}

Result<std::uint64_t> parse_flag(const Field &field, const std::string &word) {
    const auto value = one_number(field, Family::none, word);
    if (!value) return wrong_value("'", word, "' is ", expected(field));
    return *value;
}

std::optional<std::string> print_value(const Field &field, Family family, const Value &value) {
    std::optional<std::string> text;
    if (value.type() == FWP_RANGE_TYPE) {
        const auto low = print_plain(field, family, value.low());
        const auto high = print_plain(field, family, value.high());
        if (low && high) text = *low + "-" + *high;
    } else {
        text = print_plain(field, family, value);
    }
    if (!text) return std::nullopt;
    const auto again = parse_value(field, family, *text);
    if (!again || !*again || !same_value(**again, value)) return std::nullopt;
    return text;
}

} // namespace sluice::policyfile
