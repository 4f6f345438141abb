// SPDX-License-Identifier: Apache-2.0
// IPv4 packets in pieces.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sluice::runtime {

// The packet as fragments of at most `mtu` bytes, header checksums included; of a fragment, smaller
// ones. Empty: it is no whole IPv4 packet, has DF set, or `mtu` holds no header and eight bytes.
std::vector<std::vector<std::byte>> fragments(std::span<const std::byte> packet, std::size_t mtu);

} // namespace sluice::runtime
