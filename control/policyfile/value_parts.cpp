// SPDX-License-Identifier: Apache-2.0
#include "policyfile/value_parts.h"

#include <bit>

#include "policyfile/values.h"
#include "policyfile/values_text.h"

namespace sluice::policyfile {

using protocol::Value;

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

std::optional<Value> data_if(std::uint32_t type, std::optional<std::string> data) {
    if (!data) return std::nullopt;
    return data_value(type, std::move(*data));
}

namespace {

bool above(const Value &low, const Value &high) {
    return low.data().empty() ? low.number() > high.number() : low.data() > high.data();
}

std::optional<Value> one_address(const std::string &word) {
    if (const auto v4 = ipv4_of(word)) return number_value(FWP_UINT32, *v4);
    if (auto v6 = ipv6_of(word)) return data_value(FWP_BYTE_ARRAY16_TYPE, std::move(*v6));
    return std::nullopt;
}

} // namespace

bool is_v6(const Value &value) {
    return value.type() == FWP_BYTE_ARRAY16_TYPE || value.type() == FWP_V6_ADDR_MASK ||
           (value.type() == FWP_RANGE_TYPE && value.low().type() == FWP_BYTE_ARRAY16_TYPE);
}

Result<Value> parse_prefix(const std::string &word, std::size_t slash) {
    auto value = one_address(word.substr(0, slash));
    if (!value) return wrong_value("'", word, "' does not begin with an address");
    const std::string length_word = word.substr(slash + 1);
    const bool v6 = is_v6(*value);
    if (const auto mask = v6 ? std::nullopt : ipv4_of(length_word)) {
        value->set_type(FWP_V4_ADDR_MASK);
        value->set_mask(*mask);
        return *value;
    }
    const auto length = number_of(length_word);
    if (!length || *length > (v6 ? 128 : 32))
        return wrong_value("prefix length '", length_word, "' of '", word, "' is not within 0-",
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
        return wrong_value("'", word, "' is no address, ADDRESS/LENGTH or ADDRESS-ADDRESS");
    }
    const auto low = one_address(word.substr(0, dash));
    const auto high = one_address(word.substr(dash + 1));
    if (!low || !high || is_v6(*low) != is_v6(*high))
        return wrong_value("'", word, "' is no range of addresses of one family");
    if (above(*low, *high)) return wrong_value("range '", word, "' begins above its end");
    return range_value(*low, *high);
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

} // namespace sluice::policyfile
