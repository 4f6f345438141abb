// SPDX-License-Identifier: Apache-2.0
#include "core/guid.h"

#include <sys/random.h>

namespace sluice {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The 16 bytes in the order in which the text shows them.
std::array<std::uint8_t, 16> text_order(const Guid &g) {
    std::array<std::uint8_t, 16> b{};
    for (int i = 0; i < 4; ++i)
        b[i] = static_cast<std::uint8_t>(g.data1 >> (24 - 8 * i));
    b[4] = static_cast<std::uint8_t>(g.data2 >> 8);
    b[5] = static_cast<std::uint8_t>(g.data2);
    b[6] = static_cast<std::uint8_t>(g.data3 >> 8);
    b[7] = static_cast<std::uint8_t>(g.data3);
    for (int i = 0; i < 8; ++i)
        b[8 + i] = g.data4[i];
    return b;
}

} // namespace

std::string Guid::text() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string s;
    int n = 0;
    for (std::uint8_t byte : text_order(*this)) {
        s += digits[byte >> 4];
        s += digits[byte & 15];
        if (++n == 4 || n == 6 || n == 8 || n == 10) s += '-';
    }
    return s;
}

std::optional<Guid> Guid::parse(std::string_view t) {
    if (t.size() == 38 && t.front() == '{' && t.back() == '}') t = t.substr(1, 36);
    if (t.size() != 36) return std::nullopt;
    std::array<std::uint8_t, 16> b{};
    std::size_t at = 0;
    for (std::size_t i = 0; i < t.size();) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (t[i++] != '-') return std::nullopt;
            continue;
        }
        const int high = hex_digit(t[i]);
        const int low = hex_digit(t[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        b[at++] = static_cast<std::uint8_t>(high << 4 | low);
        i += 2;
    }
    Guid g;
    for (int i = 0; i < 4; ++i)
        g.data1 = g.data1 << 8 | b[i];
    g.data2 = static_cast<std::uint16_t>(b[4] << 8 | b[5]);
    g.data3 = static_cast<std::uint16_t>(b[6] << 8 | b[7]);
    for (int i = 0; i < 8; ++i)
        g.data4[i] = b[8 + i];
    return g;
}

std::string Guid::bytes() const {
    return {reinterpret_cast<const char *>(this), sizeof *this};
}

std::optional<Guid> Guid::from_bytes(std::string_view bytes) {
    if (bytes.size() != sizeof(Guid)) return std::nullopt;
    Guid g;
    std::memcpy(&g, bytes.data(), sizeof g);
    return g;
}

Guid Guid::random() {
    Guid g;
    while (getrandom(&g, sizeof g, 0) != static_cast<ssize_t>(sizeof g)) {
    }
    g.data3 = static_cast<std::uint16_t>((g.data3 & 0x0fff) | 0x4000); // version 4
    g.data4[0] = static_cast<std::uint8_t>((g.data4[0] & 0x3f) | 0x80);
    return g;
}

} // namespace sluice
