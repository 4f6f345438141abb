// SPDX-License-Identifier: Apache-2.0
// Properties of interfaces, compared when the policy is compiled.
#include <sluice/fwp.h>

#include <compare>
#include <cstring>
#include <optional>

#include "compiler/rows.h"

namespace sluice::compiler {

namespace {

using policy::Aspect;
using policy::Scalar;
using policy::Text;

// monostate: it has none.
Scalar property(const Interface &interface, Aspect aspect) {
    switch (aspect) {
    case Aspect::interface_luid:
        return interface.luid();
    case Aspect::interface_type:
        return interface.type;
    case Aspect::interface_tunnel:
        return interface.tunnel;
    case Aspect::interface_mac:
        return interface.has_mac ? Scalar{interface.mac} : Scalar{};
    case Aspect::interface_alias:
        return interface.alias.empty() ? Scalar{} : Scalar{Text{interface.alias}};
    default:
        return Text{interface.name};
    }
}

std::optional<std::uint64_t> number(const Scalar &value) {
    if (const auto *u64 = std::get_if<std::uint64_t>(&value)) return *u64;
    if (const auto *u32 = std::get_if<std::uint32_t>(&value)) return *u32;
    return std::nullopt;
}

// Of two values of one type.
int order(const Scalar &a, const Scalar &b) {
    if (const auto *text = std::get_if<Text>(&a)) return text->utf8.compare(std::get<Text>(b).utf8);
    if (const auto *mac = std::get_if<policy::Bytes6>(&a))
        return std::memcmp(mac->data(), std::get<policy::Bytes6>(b).data(), mac->size());
    const auto x = number(a), y = number(b);
    return *x < *y ? -1 : *y < *x ? 1 : 0;
}

std::string lower(std::string text) {
    for (char &c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

std::string text_of(const Scalar &value) {
    const auto *text = std::get_if<Text>(&value);
    return text != nullptr ? text->utf8 : std::string{};
}

bool compares(const Scalar &has, std::uint32_t match, const Scalar &wanted) {
    const std::uint64_t flags = number(has).value_or(0), mask = number(wanted).value_or(0);
    switch (match) {
    case FWP_MATCH_EQUAL:
        return order(has, wanted) == 0;
    case FWP_MATCH_NOT_EQUAL:
        return order(has, wanted) != 0;
    case FWP_MATCH_GREATER:
        return order(has, wanted) > 0;
    case FWP_MATCH_LESS:
        return order(has, wanted) < 0;
    case FWP_MATCH_GREATER_OR_EQUAL:
        return order(has, wanted) >= 0;
    case FWP_MATCH_LESS_OR_EQUAL:
        return order(has, wanted) <= 0;
    case FWP_MATCH_FLAGS_ALL_SET:
        return (flags & mask) == mask;
    case FWP_MATCH_FLAGS_ANY_SET:
        return (flags & mask) != 0;
    case FWP_MATCH_FLAGS_NONE_SET:
        return (flags & mask) == 0;
    case FWP_MATCH_EQUAL_CASE_INSENSITIVE:
        return lower(text_of(has)) == lower(text_of(wanted));
    case FWP_MATCH_PREFIX:
        return text_of(has).ends_with(text_of(wanted));
    case FWP_MATCH_NOT_PREFIX:
        return !text_of(has).ends_with(text_of(wanted));
    default:
        return false;
    }
}

} // namespace

bool has_property(const Interface &interface, const policy::IsInterface &wanted) {
    const Scalar has = property(interface, wanted.aspect);
    if (has.index() == 0) return false;
    if (const auto *range = std::get_if<policy::Range>(&wanted.value))
        return order(has, range->low) >= 0 && order(has, range->high) <= 0;
    return compares(has, wanted.match, std::get<Scalar>(wanted.value));
}

bool lacks_property(const Interface &interface, Aspect aspect) {
    return property(interface, aspect).index() == 0;
}

} // namespace sluice::compiler
