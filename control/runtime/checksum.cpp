// SPDX-License-Identifier: Apache-2.0
#include "runtime/checksum.h"

#include <cstdint>

namespace sluice::runtime {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17;

std::uint32_t word(std::span<const std::byte> p, std::size_t at) {
    return std::to_integer<std::uint32_t>(p[at]) << 8 | std::to_integer<std::uint32_t>(p[at + 1]);
}

} // namespace

std::uint32_t sum(std::span<const std::byte> p, std::uint32_t from) {
    for (std::size_t i = 0; i + 1 < p.size(); i += 2)
        from += word(p, i);
    if (p.size() % 2 != 0) from += std::to_integer<std::uint32_t>(p.back()) << 8;
    return from;
}

std::uint16_t fold(std::uint32_t s) {
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return static_cast<std::uint16_t>(s);
}

namespace {

struct Shape {
    std::size_t end = 0; // of the IP packet
    std::uint8_t protocol = 0;
    std::uint32_t addresses = 0; // sum of both
};

bool shape_of(std::span<const std::byte> packet, std::size_t ip, std::size_t transport,
              Shape &out) {
    if (ip >= packet.size() || transport == 0) return false; // no transport header is known
    const unsigned version = std::to_integer<unsigned>(packet[ip]) >> 4;
    if (version == 4 && ip + 20 <= packet.size()) {
        if (word(packet, ip + 6) & 0x3fff)
            return false; // a fragment: the sum is over more than is here
        out = {ip + word(packet, ip + 2), std::to_integer<std::uint8_t>(packet[ip + 9]),
               sum(packet.subspan(ip + 12, 8), 0)};
    } else if (version == 6 && ip + 40 <= packet.size()) {
        if (transport != ip + 40)
            return false; // extension headers: a sender completes those itself
        out = {ip + 40 + word(packet, ip + 4), std::to_integer<std::uint8_t>(packet[ip + 6]),
               sum(packet.subspan(ip + 8, 32), 0)};
    } else {
        return false;
    }
    return out.end <= packet.size() && transport < out.end &&
           (out.protocol == tcp || out.protocol == udp);
}

} // namespace

bool complete_checksum(std::span<std::byte> packet, std::size_t ip, std::size_t transport) {
    Shape shape;
    if (!shape_of(packet, ip, transport, shape)) return false;
    const std::size_t at = transport + (shape.protocol == tcp ? 16 : 6);
    if (at + 2 > shape.end) return false;
    const auto length = static_cast<std::uint32_t>(shape.end - transport);
    const std::uint16_t pseudo = fold(shape.addresses + shape.protocol + length);
    if (word(packet, at) != pseudo) return false;
    // The field holds the pseudo header's sum, so summing the segment as it is includes it.
    auto value = static_cast<std::uint16_t>(~fold(sum(packet.subspan(transport, length), 0)));
    if (value == 0 && shape.protocol == udp) value = 0xffff; // 0 would mean "none"
    packet[at] = static_cast<std::byte>(value >> 8);
    packet[at + 1] = static_cast<std::byte>(value & 0xff);
    return true;
}

} // namespace sluice::runtime
