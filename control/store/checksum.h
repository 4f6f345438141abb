// SPDX-License-Identifier: Apache-2.0
// FNV-1a: tells what was damaged by accident, not what was forged.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::store {

constexpr std::uint64_t fnv1a_start = 0xcbf29ce484222325ull;

constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = fnv1a_start) {
    for (const char c : bytes)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return hash;
}

constexpr std::uint64_t fnv1a(std::uint64_t number, std::uint64_t hash) {
    for (int shift = 0; shift < 64; shift += 8)
        hash = (hash ^ (number >> shift & 0xff)) * 0x100000001b3ull;
    return hash;
}

} // namespace sluice::store
