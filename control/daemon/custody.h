// SPDX-License-Identifier: Apache-2.0
// Finding held packets in a host's UMEM without the host: its memory outlives it. Pure functions
// over bytes that another process may still write: everything is copied before it is checked, and
// nothing found here is trusted further than the kernel trusts a downcall.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "shared/port.h"

namespace sluice::daemon {

struct FoundFrame {
    std::size_t packet_offset = 0; // in the UMEM
    std::size_t packet_bytes = 0;
    std::uint64_t created_ns = 0;
    bool answered = false; // its host had written a downcall in front of the packet
    std::uint8_t kind = 0; // enum dp_upcall_kind
    std::uint8_t direction = 0;
    std::uint32_t ifindex = 0;
    dp_flow_key key{};
};

// By ticket; the frames of one ticket in order of arrival.
using FrameIndex = std::map<std::uint64_t, std::vector<FoundFrame>>;

FrameIndex index_frames(std::span<const std::byte> umem);

// Ethernet header, IP and what the IP header says it carries; 0: not an IP packet, or longer than
// `bytes`.
std::size_t packet_length(std::span<const std::byte> bytes, std::size_t ip_offset);

std::vector<std::byte> downcall_frame(const dp_downcall &head, std::span<const std::byte> packet);

} // namespace sluice::daemon
