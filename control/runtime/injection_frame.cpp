// SPDX-License-Identifier: Apache-2.0
#include "runtime/injection_frame.h"

#include <algorithm>
#include <cstring>

#include "runtime/downcall.h"

namespace sluice::runtime {

void write_head(std::span<std::byte> to, const dp_injection &injection, std::uint32_t count) {
    dp_downcall d = downcall_of(DP_DOWNCALL_INJECT);
    d.count = count;
    d.inject = injection;
    std::memcpy(to.data(), &d, sizeof d);
}

void write_injection(std::span<std::byte> to, const dp_injection &injection, std::uint32_t count,
                     const PacketOrigin *origin) {
    write_head(to, injection, count);
    const auto ethernet = to.subspan(before_frame, ethernet_header);
    std::fill(ethernet.begin(), ethernet.end(), std::byte{0});
    if (origin) std::copy_n(origin->ethernet_addresses.begin(), 12, ethernet.begin());
    const bool v6 = std::to_integer<unsigned>(to[before_packet]) >> 4 == 6;
    ethernet[12] = v6 ? std::byte{0x86} : std::byte{0x08};
    ethernet[13] = v6 ? std::byte{0xDD} : std::byte{0x00};
}

std::optional<xsk::Frame> injection_frame(xsk::PortIo &port, std::span<const std::byte> packet,
                                          const dp_injection &injection, std::uint32_t count) {
    auto frame = port.allocate();
    const auto bytes = static_cast<std::uint32_t>(before_packet + packet.size());
    if (!frame || !frame->set_bounds(0, bytes)) return std::nullopt;
    std::copy(packet.begin(), packet.end(), frame->bytes().begin() + before_packet);
    write_injection(frame->bytes(), injection, count, nullptr);
    return frame;
}

} // namespace sluice::runtime
