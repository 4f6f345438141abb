// SPDX-License-Identifier: Apache-2.0
// Numbers in network byte order, read where they stand. The caller has looked that they are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::runtime {

inline std::uint8_t octet(std::span<const std::byte> bytes, std::size_t i) {
    return std::to_integer<std::uint8_t>(bytes[i]);
}
inline std::uint16_t be16(std::span<const std::byte> bytes, std::size_t i) {
    return static_cast<std::uint16_t>(octet(bytes, i) << 8 | octet(bytes, i + 1));
}
inline std::uint64_t be(std::span<const std::byte> bytes, std::size_t i, int count) {
    std::uint64_t v = 0;
    for (int k = 0; k < count; ++k)
        v = v << 8 | octet(bytes, i + static_cast<std::size_t>(k));
    return v;
}

} // namespace sluice::runtime
