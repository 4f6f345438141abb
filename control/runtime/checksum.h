// SPDX-License-Identifier: Apache-2.0
// A packet from a neighbour on the same machine (a veth, a container) may come without its
// transport checksum: the sender left it to a device that never was. The socket buffer knew, but
// XDP handed on bytes alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::runtime {

// packet begins at the Ethernet header, ip and transport are offsets in it. Only a TCP or UDP
// checksum that is just the sum of the pseudo header, as a sender leaves it for its device, is
// completed; every other one stays as it came. True: it was completed.
bool complete_checksum(std::span<std::byte> packet, std::size_t ip, std::size_t transport);

// The parts of an Internet checksum: the sum of 16-bit words in network order, an odd last byte
// counting as the upper half of one, and what it folds to.
std::uint32_t sum(std::span<const std::byte> bytes, std::uint32_t from);
std::uint16_t fold(std::uint32_t sum);

} // namespace sluice::runtime
