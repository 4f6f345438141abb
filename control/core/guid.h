// SPDX-License-Identifier: Apache-2.0
// A GUID as a value: ordered, hashable, with text and wire forms. Layout equals the API's GUID
// structure.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct Guid {
    std::uint32_t data1 = 0;
    std::uint16_t data2 = 0;
    std::uint16_t data3 = 0;
    std::array<std::uint8_t, 8> data4{};

    auto operator<=>(const Guid &) const = default;
    [[nodiscard]] bool is_null() const { return *this == Guid{}; }

    [[nodiscard]] std::string text() const;                  // 8-4-4-4-12, lower case, no braces
    static std::optional<Guid> parse(std::string_view text); // with or without braces
    [[nodiscard]] std::string bytes() const;                 // 16 bytes as in memory, for messages
    static std::optional<Guid> from_bytes(std::string_view bytes);
    static Guid random();
};
static_assert(sizeof(Guid) == 16);

} // namespace sluice

template <>
struct std::hash<sluice::Guid> {
    std::size_t operator()(const sluice::Guid &g) const noexcept {
        std::uint64_t w[2];
        std::memcpy(w, &g, sizeof w);
        return std::hash<std::uint64_t>{}(w[0] ^ (w[1] * 0x9E3779B97F4A7C15ull));
    }
};
