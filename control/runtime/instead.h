// SPDX-License-Identifier: Apache-2.0
// A callout that absorbs a packet and injects another in its place, most often its clone: one frame
// tells the kernel both. And where the kernel would ask the same callout about the injected packet,
// it is shown that at once, as INJECTED_BY_SELF, and its answer goes along: the packet comes up
// once instead of twice. The kernel takes that answer only for the question that it has itself.
#pragma once

#include <optional>

#include "runtime/downcall.h"

namespace sluice::runtime {

// Whether one frame may say both: no other callout waits for the packet.
bool stands_alone(const Upcall &question);

// How the kernel would ask about the packet that `frame`, an injection that was taken back, brings.
// Nothing: what it looks at differs, so that it may ask another callout or none. asked: the packet
// of the question, from its Ethernet header on.
std::optional<Upcall> asked_again(const Upcall &question, std::span<const std::byte> asked,
                                  const xsk::Frame &frame, std::uint32_t host);
// Puts the answer to that into the frame.
void answer_ahead(const Upcall &again, const Answer &answer, xsk::Frame &frame);

bool send_instead(xsk::PortIo &port, const Upcall &question, const Answer &answer,
                  xsk::Frame frame);

} // namespace sluice::runtime
