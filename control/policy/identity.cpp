// SPDX-License-Identifier: Apache-2.0
#include "policy/identity.h"

namespace sluice::policy {

namespace {

void append_utf8(std::string &out, std::uint32_t c) {
    const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xc0 | c >> 6);
        tail(0);
    } else if (c < 0x10000) {
        out += static_cast<char>(0xe0 | c >> 12);
        tail(6);
        tail(0);
    } else {
        out += static_cast<char>(0xf0 | c >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

std::uint32_t little_endian(const std::string &bytes, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = size; i-- > 0;)
        value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}

} // namespace

std::optional<std::string> path_of(const Blob &app_id) {
    const std::string &bytes = app_id.bytes;
    if (bytes.size() % 2 != 0) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        std::uint32_t c = little_endian(bytes, i, 2);
        if (c == 0) return i + 2 == bytes.size() ? std::optional(out) : std::nullopt;
        if (c >= 0xdc00 && c < 0xe000) return std::nullopt; // half a pair
        if (c >= 0xd800 && c < 0xdc00) {
            if (i + 4 > bytes.size()) return std::nullopt;
            const std::uint32_t low = little_endian(bytes, i + 2, 2);
            if (low < 0xdc00 || low >= 0xe000) return std::nullopt;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        append_utf8(out, c);
    }
    return out;
}

std::optional<UnixId> unix_id(const Sid &sid) {
    // Revision 1, two subauthorities, authority 22 in six bytes, most significant first.
    static const std::string head("\x01\x02\x00\x00\x00\x00\x00\x16", 8);
    if (sid.bytes.size() != head.size() + 8 || sid.bytes.compare(0, head.size(), head) != 0)
        return std::nullopt;
    const std::uint32_t kind = little_endian(sid.bytes, 8, 4);
    if (kind != 1 && kind != 2) return std::nullopt;
    return UnixId{kind == 2, little_endian(sid.bytes, 12, 4)};
}

} // namespace sluice::policy
