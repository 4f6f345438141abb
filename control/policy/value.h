// SPDX-License-Identifier: Apache-2.0
// The values that filters compare with. Host byte order; IPv6 addresses are 16 bytes in network
// order.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

namespace sluice::policy {

struct V4Mask {
    std::uint32_t address = 0, mask = 0;
    bool operator==(const V4Mask &) const = default;
};
using Bytes16 = std::array<std::uint8_t, 16>;
struct V6Prefix {
    Bytes16 address{};
    std::uint8_t prefix = 0;
    bool operator==(const V6Prefix &) const = default;
};
using Bytes6 = std::array<std::uint8_t, 6>;
struct Blob {
    std::string bytes;
    bool operator==(const Blob &) const = default;
};
struct Text { // FWP_UNICODE_STRING_TYPE, as UTF-8
    std::string utf8;
    bool operator==(const Text &) const = default;
};
struct Sid { // FWP_SID, as in memory
    std::string bytes;
    bool operator==(const Sid &) const = default;
};
struct SecurityDescriptor { // FWP_SECURITY_DESCRIPTOR_TYPE, self-relative
    std::string bytes;
    bool operator==(const SecurityDescriptor &) const = default;
};
struct Range; // of two plain values of one type

// Which alternative is held says the FWP_DATA_TYPE: monostate = FWP_EMPTY.
using Scalar =
    std::variant<std::monostate, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, Bytes16,
                 Bytes6, Blob, V4Mask, V6Prefix, Text, Sid, SecurityDescriptor>;
struct Range {
    Scalar low, high;
    bool operator==(const Range &) const = default;
};
using Value = std::variant<Scalar, Range>;

} // namespace sluice::policy
