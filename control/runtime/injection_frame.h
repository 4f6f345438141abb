// SPDX-License-Identifier: Apache-2.0
// The frame of a packet that is injected.
#pragma once

#include <optional>

#include "runtime/net_buffer.h"
#include "xsk/frame.h"

namespace sluice::runtime {

inline constexpr std::size_t ethernet_header = 14, before_frame = sizeof(dp_downcall),
                             before_packet = before_frame + ethernet_header,
                             frame_max = ethernet_header + DP_INJECT_BYTES;
static_assert(before_packet + DP_INJECT_BYTES <= DP_FRAME_BYTES);

// The downcall alone.
void write_head(std::span<std::byte> to, const dp_injection &injection, std::uint32_t count);
// What stands before the packet, which is in `to` already; origin: whose link addresses it has.
void write_injection(std::span<std::byte> to, const dp_injection &injection, std::uint32_t count,
                     const PacketOrigin *origin);
// Whether the packet goes the way of its original, whose frame had tags: received as that was, by
// the same interface, or sent as that was, by it and to the same address.
bool goes_as_before(const dp_injection &injection, const PacketOrigin *origin,
                    std::span<const std::byte> packet, bool v6);
// The packet of the frame gets these tags in front of it. False: it is too long for them.
bool put_tags(xsk::Frame &frame, std::span<const std::byte> tags);
// A frame with a copy of the packet, which must fit it. Nothing: the port has none.
std::optional<xsk::Frame> injection_frame(xsk::PortIo &port, std::span<const std::byte> packet,
                                          const dp_injection &injection, std::uint32_t count);

} // namespace sluice::runtime
