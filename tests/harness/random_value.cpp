// SPDX-License-Identifier: Apache-2.0
#include "harness/random_value.h"

#include <sluice/fwp.h>

#include <algorithm>

namespace sluice::harness {

using policy::Aspect;
using policy::Bytes16;
using policy::Field;
using policy::Range;
using policy::Scalar;
using policy::Text;
using policy::Value;

namespace {

Scalar sized(std::uint64_t value, unsigned bits) {
    if (bits == 8) return static_cast<std::uint8_t>(value);
    if (bits == 16) return static_cast<std::uint16_t>(value);
    if (bits == 32) return static_cast<std::uint32_t>(value);
    return value;
}

policy::Sid sid_of(std::uint32_t kind, std::uint64_t id) {
    std::string bytes("\x01\x02\x00\x00\x00\x00\x00\x16", 8);
    for (const std::uint64_t part : {std::uint64_t{kind}, id}) {
        for (int shift = 0; shift < 32; shift += 8)
            bytes += static_cast<char>(part >> shift & 0xff);
    }
    return {bytes};
}

// A text that some value is, ends with, or is but for its case; sometimes none.
Text random_text(const std::vector<std::string> &values, Dice &dice) {
    std::string text = dice.of(values);
    if (dice.one_in(4)) text = text.substr(dice.below(text.size() + 1));
    if (dice.one_in(4)) {
        for (char &c : text)
            c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    if (dice.one_in(10)) text += dice.one_in(2) ? "0" : "zzz";
    return {text};
}

// Without case the text is the value's but for that; equality wants the value itself more often.
Text random_text_for(std::uint32_t match, const std::vector<std::string> &values, Dice &dice) {
    if ((match == FWP_MATCH_EQUAL || match == FWP_MATCH_EQUAL_CASE_INSENSITIVE) && !dice.one_in(4))
        return {dice.of(values)};
    return random_text(values, dice);
}

std::vector<std::string> texts_of(Aspect aspect) {
    std::vector<std::string> out;
    if (aspect == Aspect::executable) {
        for (const Executable &exe : executables())
            out.push_back(exe.path);
    } else if (aspect == Aspect::cgroup) {
        for (const auto &[path, ids] : environment().cgroups)
            out.push_back(path);
    } else if (aspect == Aspect::container) {
        for (const auto &[name, ids] : environment().containers)
            out.push_back(name);
    } else {
        for (const compiler::Interface &i : environment().interfaces) {
            const std::string &text = aspect == Aspect::interface_name ? i.name : i.alias;
            if (!text.empty()) out.push_back(text);
        }
    }
    return out;
}

Scalar random_property(Aspect aspect, Dice &dice) {
    const compiler::Interface &i = dice.of(environment().interfaces);
    switch (aspect) {
    case Aspect::interface_luid:
        return i.luid() + (dice.one_in(4) ? 1 : 0);
    case Aspect::interface_type:
        return i.type + (dice.one_in(4) ? 1 : 0);
    case Aspect::interface_tunnel:
        return i.tunnel + (dice.one_in(4) ? 1 : 0);
    default:
        return i.has_mac ? i.mac : policy::Bytes6{2, 0, 0, 0, 0, 1};
    }
}

Scalar random_number(const Field &field, Dice &dice) {
    std::uint64_t value = dice.of(numbers_of(field.slot));
    if (dice.one_in(6)) value += dice.one_in(2) ? 1 : ~std::uint64_t{0};
    return sized(value, field.bits);
}

Scalar random_address6(Dice &dice) {
    Bytes16 address = dice.of(addresses6());
    if (dice.one_in(6)) address[15] ^= 1;
    return address;
}

Scalar random_mac(const Field &field, Dice &dice) {
    std::uint64_t number = dice.of(numbers_of(field.slot));
    policy::Bytes6 out{};
    for (int i = 5; i >= 0; --i, number >>= 8)
        out[i] = static_cast<std::uint8_t>(number);
    return out;
}

Scalar random_network(bool v6, const Field &field, Dice &dice) {
    if (v6)
        return policy::V6Prefix{dice.of(addresses6()), static_cast<std::uint8_t>(dice.below(129))};
    const auto bits = dice.below(33);
    const std::uint32_t mask = bits == 0 ? 0 : ~0u << (32 - bits);
    return policy::V4Mask{static_cast<std::uint32_t>(dice.of(numbers_of(field.slot))), mask};
}

// Of flags: one bit, or a few that some value has.
Scalar random_mask(const Field &field, Dice &dice) {
    std::uint64_t value = 0;
    if (field.aspect == Aspect::interface_luid)
        value = dice.of(environment().interfaces).luid();
    else if (field.aspect == Aspect::interface_type)
        value = dice.of(environment().interfaces).type;
    else if (field.aspect == Aspect::interface_tunnel)
        return std::uint32_t{1} << dice.below(4); // most interfaces are no tunnel
    else
        value = dice.of(numbers_of(field.slot));
    if (dice.one_in(2)) value &= value - 1;
    if (dice.one_in(4)) value = std::uint64_t{1} << dice.below(field.bits);
    return sized(value, field.bits);
}

Scalar random_scalar(const Cell &cell, const Field &field, Dice &dice) {
    const bool v6 = policy::layer_is_v6(cell.layer);
    const bool flags =
        cell.form.match >= FWP_MATCH_FLAGS_ALL_SET && cell.form.match <= FWP_MATCH_FLAGS_NONE_SET;
    switch (cell.form.kind) {
    case Form::Kind::empty:
        return {};
    case Form::Kind::network:
        return random_network(v6, field, dice);
    case Form::Kind::blob:
        return policy::Blob{
            utf16(random_text_for(cell.form.match, texts_of(field.aspect), dice).utf8)};
    case Form::Kind::sid_user:
        return sid_of(1, dice.of(numbers_of(DP_SLOT_USER)));
    case Form::Kind::sid_group:
        return sid_of(2, dice.of(numbers_of(DP_SLOT_GROUP)));
    case Form::Kind::id:
        return std::uint64_t{100 + dice.below(8)};
    case Form::Kind::plain:
        break;
    }
    switch (field.aspect) {
    case Aspect::address:
        if (v6) return random_address6(dice);
        return flags ? random_mask(field, dice) : random_number(field, dice);
    case Aspect::mac:
        return random_mac(field, dice);
    case Aspect::number:
    case Aspect::user:
        return flags ? random_mask(field, dice) : random_number(field, dice);
    case Aspect::interface_luid:
    case Aspect::interface_type:
    case Aspect::interface_tunnel:
    case Aspect::interface_mac:
        return flags ? random_mask(field, dice) : random_property(field.aspect, dice);
    default:
        return random_text_for(cell.form.match, texts_of(field.aspect), dice);
    }
}

} // namespace

Value random_value(const Cell &cell, Dice &dice) {
    const Field field = *policy::field_at(cell.layer, cell.field);
    Scalar one = random_scalar(cell, field, dice);
    if (cell.form.match != FWP_MATCH_RANGE) return one;
    // The wrong way round is refused; half of the ranges are right whatever the type.
    return Range{std::move(one), random_scalar(cell, field, dice)};
}

} // namespace sluice::harness
