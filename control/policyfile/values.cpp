// SPDX-License-Identifier: Apache-2.0
#include "policyfile/values.h"

#include <bit>

#include "policyfile/values_text.h"

namespace sluice::policyfile {

namespace {

using protocol::Value;

template <typename... Parts>
Error wrong(const Parts &...parts) {
    return Error(0, (std::string() + ... + parts));
}

Value number_value(std::uint32_t type, std::uint64_t number) {
    Value value;
    value.set_type(type);
    value.set_number(number);
    return value;
}

Value data_value(std::uint32_t type, std::string data) {
    Value value;
    value.set_type(type);
    value.set_data(std::move(data));
    return value;
}

std::uint64_t largest(std::uint32_t type) {
    switch (type) {
    case FWP_UINT8:
        return 0xff;
    case FWP_UINT16:
        return 0xffff;
    case FWP_UINT32:
        return 0xffffffff;
    default:
        return ~0ull;
    }
}

bool above(const Value &low, const Value &high) {
    return low.data().empty() ? low.number() > high.number() : low.data() > high.data();
}

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
        if (*low > *high) return wrong("range '", word, "' begins above its end");
        return std::optional(
            range_value(number_value(field.type, *low), number_value(field.type, *high)));
    }
    return wrong("'", word, "' is ", expected(field));
}

// ---- addresses ----

std::optional<Value> one_address(const std::string &word) {
    if (const auto v4 = ipv4_of(word)) return number_value(FWP_UINT32, *v4);
    if (auto v6 = ipv6_of(word)) return data_value(FWP_BYTE_ARRAY16_TYPE, std::move(*v6));
    return std::nullopt;
}

bool is_v6(const Value &value) {
    return value.type() == FWP_BYTE_ARRAY16_TYPE || value.type() == FWP_V6_ADDR_MASK ||
           (value.type() == FWP_RANGE_TYPE && value.low().type() == FWP_BYTE_ARRAY16_TYPE);
}

Result<Value> parse_prefix(const std::string &word, std::size_t slash) {
    auto value = one_address(word.substr(0, slash));
    if (!value) return wrong("'", word, "' does not begin with an address");
    const std::string length_word = word.substr(slash + 1);
    const bool v6 = is_v6(*value);
    if (const auto mask = v6 ? std::nullopt : ipv4_of(length_word)) {
        value->set_type(FWP_V4_ADDR_MASK);
        value->set_mask(*mask);
        return *value;
    }
    const auto length = number_of(length_word);
    if (!length || *length > (v6 ? 128 : 32))
        return wrong("prefix length '", length_word, "' of '", word, "' is not within 0-",
                     v6 ? "128" : "32");
    const auto bits = static_cast<std::uint32_t>(*length);
    value->set_type(v6 ? FWP_V6_ADDR_MASK : FWP_V4_ADDR_MASK);
    value->set_mask(v6 ? bits : bits == 0 ? 0 : ~0u << (32 - bits));
    return *value;
}

Result<Value> any_address(const std::string &word) {
    if (const auto slash = word.find('/'); slash != std::string::npos)
        return parse_prefix(word, slash);
    const auto dash = word.find('-');
    if (dash == std::string::npos) {
        if (auto value = one_address(word)) return *value;
        return wrong("'", word, "' is no address, ADDRESS/LENGTH or ADDRESS-ADDRESS");
    }
    const auto low = one_address(word.substr(0, dash));
    const auto high = one_address(word.substr(dash + 1));
    if (!low || !high || is_v6(*low) != is_v6(*high))
        return wrong("'", word, "' is no range of addresses of one family");
    if (above(*low, *high)) return wrong("range '", word, "' begins above its end");
    return range_value(*low, *high);
}

ParsedValue parse_address(Family family, const std::string &word) {
    auto value = any_address(word);
    if (!value) return value.error();
    if (family != Family::none && is_v6(*value) != (family == Family::v6))
        return std::optional<Value>();
    return std::optional(std::move(*value));
}

ParsedValue some(std::optional<Value> value, const std::string &word, const char *what) {
    if (!value) return wrong("'", word, "' is ", what);
    return value;
}

std::optional<Value> data_if(std::uint32_t type, std::optional<std::string> data) {
    if (!data) return std::nullopt;
    return data_value(type, std::move(*data));
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

std::optional<std::string> print_address(const Value &value) {
    switch (value.type()) {
    case FWP_UINT32:
        return ipv4_text(static_cast<std::uint32_t>(value.number()));
    case FWP_BYTE_ARRAY16_TYPE:
        return ipv6_text(value.data());
    case FWP_V4_ADDR_MASK: {
        const std::uint32_t mask = value.mask();
        const bool plain = mask == 0 || std::countl_zero(~mask) == std::popcount(mask);
        return ipv4_text(static_cast<std::uint32_t>(value.number())) + "/" +
               (plain ? std::to_string(std::popcount(mask)) : ipv4_text(mask));
    }
    case FWP_V6_ADDR_MASK:
        return ipv6_text(value.data()) + "/" + std::to_string(value.mask());
    default:
        return std::nullopt;
    }
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

struct TypeWord {
    const char *word;
    std::uint32_t type;
};
constexpr TypeWord type_words[] = {{"uint8", FWP_UINT8},
                                   {"uint16", FWP_UINT16},
                                   {"uint32", FWP_UINT32},
                                   {"uint64", FWP_UINT64},
                                   {"app_id", FWP_BYTE_BLOB_TYPE},
                                   {"ipv6", FWP_BYTE_ARRAY16_TYPE},
                                   {"mac", FWP_BYTE_ARRAY6_TYPE},
                                   {"blob", FWP_BYTE_BLOB_TYPE},
                                   {"text", FWP_UNICODE_STRING_TYPE},
                                   {"sid", FWP_SID},
                                   {"security_descriptor", FWP_SECURITY_DESCRIPTOR_TYPE},
                                   {"ipv4_mask", FWP_V4_ADDR_MASK},
                                   {"ipv6_prefix", FWP_V6_ADDR_MASK}};

const TypeWord *type_word(const std::string &word) {
    for (const auto &known : type_words)
        if (word == known.word) return &known;
    return nullptr;
}

std::optional<Value> typed(const TypeWord &type, const std::string &word) {
    switch (type.type) {
    case FWP_BYTE_ARRAY16_TYPE:
        return data_if(type.type, ipv6_of(word));
    case FWP_BYTE_ARRAY6_TYPE:
        return data_if(type.type, bytes_of_mac(word));
    case FWP_BYTE_BLOB_TYPE:
        return data_if(type.type,
                       std::string(type.word) == "app_id" ? app_id_of(word) : bytes_of_hex(word));
    case FWP_UNICODE_STRING_TYPE:
        return data_value(type.type, word);
    case FWP_SID:
        return data_if(type.type, bytes_of_sid(word));
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return data_if(type.type, bytes_of_hex(word));
    case FWP_V4_ADDR_MASK:
    case FWP_V6_ADDR_MASK: {
        const auto slash = word.find('/');
        if (slash == std::string::npos) return std::nullopt;
        auto value = parse_prefix(word, slash);
        if (!value || value->type() != type.type) return std::nullopt;
        return *value;
    }
    default: {
        const auto number = number_of(word);
        if (!number || *number > largest(type.type)) return std::nullopt;
        return number_value(type.type, *number);
    }
    }
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
        if (word.empty()) return wrong("'' is no path of an executable");
        return std::optional(data_value(field.type, word));
    case Kind::text:
        if (word.empty()) return wrong("'' is no ", field.word);
        return std::optional(data_value(field.type, word));
    case Kind::cgroup:
        if (const auto id = number_of(word)) return std::optional(number_value(FWP_UINT64, *id));
        if (word.empty()) return wrong("'' is no path of a cgroup and no id of one");
        return std::optional(data_value(field.type, word));
    case Kind::bytes16: {
        auto bytes = bytes_of_hex(word);
        if (!bytes || bytes->size() != 16)
            return wrong("'", word, "' is not 16 bytes in hexadecimal");
        return std::optional(data_value(field.type, std::move(*bytes)));
    }
    case Kind::blob:
    case Kind::descriptor:
        return some(data_if(field.type, bytes_of_hex(word)), word, "no whole bytes in hexadecimal");
    }
    return wrong("'", word, "' cannot be read");
}

Result<std::uint64_t> parse_flag(const Field &field, const std::string &word) {
    const auto value = one_number(field, Family::none, word);
    if (!value) return wrong("'", word, "' is ", expected(field));
    return *value;
}

bool is_type_word(const std::string &word) {
    return type_word(word) != nullptr;
}

Result<Value> parse_typed(const std::string &type, const std::string &word) {
    const TypeWord *known = type_word(type);
    if (known == nullptr) return wrong("'", type, "' is no type of a value");
    auto value = typed(*known, word);
    if (!value) return wrong("'", word, "' is no value of the type ", type);
    return *value;
}

std::pair<std::string, std::string> print_typed(const Value &value) {
    switch (value.type()) {
    case FWP_BYTE_ARRAY16_TYPE:
        return {"ipv6", ipv6_text(value.data())};
    case FWP_BYTE_ARRAY6_TYPE:
        return {"mac", mac_text(value.data())};
    case FWP_BYTE_BLOB_TYPE:
        if (const auto path = path_of_app_id(value.data())) return {"app_id", *path};
        return {"blob", hex_text(value.data())};
    case FWP_UNICODE_STRING_TYPE:
        return {"text", value.data()};
    case FWP_SID:
        return {"sid", sid_text(value.data())};
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return {"security_descriptor", hex_text(value.data())};
    case FWP_V4_ADDR_MASK:
        return {"ipv4_mask", *print_address(value)};
    case FWP_V6_ADDR_MASK:
        return {"ipv6_prefix", *print_address(value)};
    default:
        for (const auto &known : type_words)
            if (known.type == value.type()) return {known.word, std::to_string(value.number())};
        return {"uint32", std::to_string(value.number())};
    }
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
