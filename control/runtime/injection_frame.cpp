// SPDX-License-Identifier: Apache-2.0
#include "runtime/injection_frame.h"

#include <algorithm>
#include <cstring>

#include "runtime/downcall.h"
#include "runtime/injection_packet.h"

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

bool goes_as_before(const dp_injection &injection, const PacketOrigin *origin,
                    std::span<const std::byte> packet, bool v6) {
    if (!origin || origin->tags.empty()) return false;
    if (injection.kind != (origin->inbound ? DP_INJECT_RECEIVE : DP_INJECT_SEND)) return false;
    if (injection.ifindex != 0 && injection.ifindex != origin->ifindex) return false;
    if (origin->inbound) return true;
    const auto to = network_order(origin->key.remote, v6);
    const std::size_t bytes = v6 ? 16 : 4;
    return std::equal(to.begin(), to.begin() + bytes, packet.begin() + (v6 ? 24 : 16));
}

bool put_tags(xsk::Frame &frame, std::span<const std::byte> tags) {
    constexpr std::ptrdiff_t place = before_frame + 12; // behind the link addresses
    const std::size_t bytes = frame.bytes().size() + tags.size();
    if (bytes > before_frame + frame_max || !frame.set_bounds(0, static_cast<std::uint32_t>(bytes)))
        return false;
    const auto all = frame.bytes();
    std::move_backward(all.begin() + place, all.end() - static_cast<std::ptrdiff_t>(tags.size()),
                       all.end());
    std::copy(tags.begin(), tags.end(), all.begin() + place);
    return true;
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
