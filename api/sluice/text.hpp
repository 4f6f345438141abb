// SPDX-License-Identifier: Apache-2.0
// UTF-8 on the C++ side, UTF-16 in the engine's structures. A vector and not a wide string: the
// C++ library's wide strings were not compiled with -fshort-wchar, which a plugin may be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fwp.h"

namespace sluice {

class Text {
public:
    // What is not UTF-8 becomes U+FFFD.
    explicit Text(std::string_view utf8) {
        for (std::size_t at = 0; at < utf8.size();)
            append(next(utf8, at));
        units_.push_back(0);
    }
    WCHAR *data() { return units_.data(); }

    UNICODE_STRING unicode_string() {
        UNICODE_STRING string{};
        RtlInitUnicodeString(&string, units_.data());
        return string;
    }

private:
    static char32_t next(std::string_view s, std::size_t &at) {
        const auto lead = static_cast<unsigned char>(s[at++]);
        if (lead < 0x80) return lead;
        const int more = lead >= 0xF0 && lead < 0xF5 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC2 ? 1 : 0;
        if (more == 0 || lead >= 0xF5) return 0xFFFD;
        char32_t point = lead & (0x3F >> more);
        for (int i = 0; i < more; ++i, ++at) {
            if (at >= s.size() || (s[at] & 0xC0) != 0x80) return 0xFFFD;
            point = point << 6 | (s[at] & 0x3F);
        }
        return point;
    }
    void append(char32_t point) {
        if (point < 0x10000) return units_.push_back(static_cast<WCHAR>(point));
        units_.push_back(static_cast<WCHAR>(0xD7C0 + (point >> 10)));
        units_.push_back(static_cast<WCHAR>(0xDC00 + (point & 0x3FF)));
    }

    std::vector<WCHAR> units_;
};

inline std::string to_utf8(const WCHAR *text, std::size_t units) {
    std::string out;
    for (std::size_t i = 0; i < units && text[i]; ++i) {
        char32_t c = static_cast<char16_t>(text[i]);
        if (c >= 0xD800 && c < 0xDC00 && i + 1 < units) {
            c = 0x10000 + ((c - 0xD800) << 10) + (static_cast<char16_t>(text[++i]) - 0xDC00);
        }
        if (c < 0x80) {
            out += static_cast<char>(c);
            continue;
        }
        if (c < 0x800) {
            out += static_cast<char>(0xC0 | c >> 6);
        } else {
            if (c < 0x10000) {
                out += static_cast<char>(0xE0 | c >> 12);
            } else {
                out += static_cast<char>(0xF0 | c >> 18);
                out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
            }
            out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
        }
        out += static_cast<char>(0x80 | (c & 0x3F));
    }
    return out;
}

// A key made from a name: the same name gives the same key in every process and build.
constexpr GUID key_from_name(std::string_view name) {
    UINT64 half[2] = {0xCBF29CE484222325ull, 0x84222325CBF29CE4ull};
    for (UINT64 &h : half) {
        for (char c : name)
            h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
    }
    GUID key{static_cast<UINT32>(half[0]),
             static_cast<UINT16>(half[0] >> 32),
             static_cast<UINT16>((half[0] >> 48 & 0x0FFF) | 0x8000),
             {}};
    for (int i = 0; i < 8; ++i)
        key.Data4[i] = static_cast<UINT8>(half[1] >> 8 * i);
    key.Data4[0] = static_cast<UINT8>((key.Data4[0] & 0x3F) | 0x80);
    return key;
}

} // namespace sluice
