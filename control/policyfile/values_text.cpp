// SPDX-License-Identifier: Apache-2.0
#include "policyfile/values_text.h"

#include <arpa/inet.h>
#include <charconv>
#include <codecvt>
#include <cstring>
#include <grp.h>
#include <limits>
#include <locale>
#include <pwd.h>

namespace sluice::policyfile {

namespace {

struct Unit {
    const char *name;
    std::uint64_t factor;
};

template <std::size_t N>
std::optional<std::uint64_t> with_unit(const std::string &word, const Unit (&units)[N]) {
    const auto digits = word.find_first_not_of("0123456789");
    const auto number = number_of(word.substr(0, digits));
    if (!number) return std::nullopt;
    const std::string unit = digits == std::string::npos ? "" : word.substr(digits);
    for (const auto &known : units) {
        if (unit != known.name) continue;
        if (*number > std::numeric_limits<std::uint64_t>::max() / known.factor) return std::nullopt;
        return *number * known.factor;
    }
    return std::nullopt;
}

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void put_u16(std::string &out, char16_t unit) {
    out += static_cast<char>(unit & 0xff);
    out += static_cast<char>(unit >> 8);
}

} // namespace

std::optional<std::uint64_t> number_of(const std::string &word) {
    const bool hex = word.size() > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    const char *begin = word.data() + (hex ? 2 : 0), *end = word.data() + word.size();
    std::uint64_t value = 0;
    const auto [stopped, error] = std::from_chars(begin, end, value, hex ? 16 : 10);
    if (error != std::errc() || stopped != end) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> size_in_bytes(const std::string &word) {
    if (word.starts_with("0x")) return number_of(word);
    static constexpr Unit units[] = {
        {"", 1},       {"B", 1},         {"kB", 1000},        {"KB", 1000},      {"MB", 1000000},
        {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1ull << 30}, {"GB", 1000000000}};
    return with_unit(word, units);
}

std::optional<std::uint64_t> milliseconds_of(const std::string &word) {
    static constexpr Unit units[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                     {"m", 60000}, {"min", 60000}, {"h", 3600000}};
    return with_unit(word, units);
}

std::string hex_text(const std::string &bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

std::optional<std::string> bytes_of_hex(const std::string &hex) {
    const std::size_t from = hex.starts_with("0x") ? 2 : 0;
    if ((hex.size() - from) % 2 != 0) return std::nullopt;
    std::string bytes;
    for (std::size_t i = from; i < hex.size(); i += 2) {
        const int high = digit_of(hex[i]), low = digit_of(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes += static_cast<char>(high << 4 | low);
    }
    return bytes;
}

std::string mac_text(const std::string &bytes) {
    std::string text;
    for (const char c : bytes)
        text += (text.empty() ? "" : ":") + hex_text(std::string(1, c));
    return text;
}

std::optional<std::string> bytes_of_mac(const std::string &word) {
    if (word.size() != 17) return std::nullopt;
    std::string hex;
    for (std::size_t i = 0; i < word.size(); ++i) {
        if (i % 3 != 2)
            hex += word[i];
        else if (word[i] != ':' && word[i] != '-')
            return std::nullopt;
    }
    return bytes_of_hex(hex);
}

std::string ipv4_text(std::uint32_t address) {
    char text[INET_ADDRSTRLEN];
    const in_addr raw{htonl(address)};
    return ::inet_ntop(AF_INET, &raw, text, sizeof text);
}

std::optional<std::uint32_t> ipv4_of(const std::string &word) {
    in_addr raw{};
    if (::inet_pton(AF_INET, word.c_str(), &raw) != 1) return std::nullopt;
    return ntohl(raw.s_addr);
}

std::string ipv6_text(const std::string &bytes) {
    char text[INET6_ADDRSTRLEN];
    in6_addr raw{};
    std::memcpy(&raw, bytes.data(), std::min(bytes.size(), sizeof raw));
    return ::inet_ntop(AF_INET6, &raw, text, sizeof text);
}

std::optional<std::string> ipv6_of(const std::string &word) {
    in6_addr raw{};
    if (::inet_pton(AF_INET6, word.c_str(), &raw) != 1) return std::nullopt;
    return std::string(reinterpret_cast<const char *>(&raw), sizeof raw);
}

std::optional<std::string> app_id_of(const std::string &path) {
    std::wstring_convert<std::codecvt_utf8_utf16<char16_t>, char16_t> convert("", u"");
    const std::u16string units = convert.from_bytes(path);
    if (units.empty() || convert.converted() != path.size()) return std::nullopt;
    std::string blob;
    for (const char16_t unit : units)
        put_u16(blob, unit);
    put_u16(blob, 0);
    return blob;
}

std::optional<std::string> path_of_app_id(const std::string &blob) {
    std::u16string units;
    for (std::size_t i = 0; i + 1 < blob.size(); i += 2)
        units += static_cast<char16_t>(static_cast<unsigned char>(blob[i]) |
                                       static_cast<unsigned char>(blob[i + 1]) << 8);
    if (units.empty() || units.back() != 0) return std::nullopt;
    units.pop_back();
    std::wstring_convert<std::codecvt_utf8_utf16<char16_t>, char16_t> convert("", u"");
    std::string path = convert.to_bytes(units);
    const auto again = app_id_of(path);
    if (!again || *again != blob) return std::nullopt;
    return path;
}

std::string sid_text(const std::string &bytes) {
    if (bytes.size() < 8 || bytes[0] != 1) return {};
    const auto count = static_cast<unsigned char>(bytes[1]);
    if (bytes.size() != 8u + 4u * count || count > 15) return {};
    std::uint64_t authority = 0;
    for (std::size_t i = 2; i < 8; ++i)
        authority = authority << 8 | static_cast<unsigned char>(bytes[i]);
    std::string text = "S-1-" + std::to_string(authority);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t part = 0;
        for (std::size_t k = 4; k-- > 0;)
            part = part << 8 | static_cast<unsigned char>(bytes[8 + 4 * i + k]);
        text += "-" + std::to_string(part);
    }
    return text;
}

std::optional<std::string> bytes_of_sid(const std::string &text) {
    if (!text.starts_with("S-1-")) return std::nullopt;
    std::vector<std::uint64_t> parts;
    for (std::size_t at = 4;;) {
        const auto dash = text.find('-', at);
        const auto number = number_of(text.substr(at, dash - at));
        if (!number || parts.size() > 15) return std::nullopt;
        if (*number >= (parts.empty() ? 1ull << 48 : 1ull << 32)) return std::nullopt;
        parts.push_back(*number);
        if (dash == std::string::npos) break;
        at = dash + 1;
    }
    std::string bytes{1, static_cast<char>(parts.size() - 1)};
    for (int shift = 40; shift >= 0; shift -= 8)
        bytes += static_cast<char>(parts[0] >> shift);
    for (std::size_t i = 1; i < parts.size(); ++i)
        for (int shift = 0; shift < 32; shift += 8)
            bytes += static_cast<char>(parts[i] >> shift);
    return bytes;
}

std::optional<std::uint32_t> user_id(const std::string &name) {
    if (const ::passwd *user = ::getpwnam(name.c_str())) return user->pw_uid;
    const auto number = number_of(name);
    if (!number || *number > 0xffffffffu) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

std::optional<std::uint32_t> group_id(const std::string &name) {
    if (const ::group *group = ::getgrnam(name.c_str())) return group->gr_gid;
    const auto number = number_of(name);
    if (!number || *number > 0xffffffffu) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

std::string user_text(std::uint32_t uid) {
    const ::passwd *user = ::getpwuid(uid);
    return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string group_text(std::uint32_t gid) {
    const ::group *group = ::getgrgid(gid);
    return group != nullptr ? group->gr_name : std::to_string(gid);
}

} // namespace sluice::policyfile
