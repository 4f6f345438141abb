// SPDX-License-Identifier: Apache-2.0
#include "runtime/injection_packet.h"

#include <algorithm>
#include <atomic>

#include "runtime/checksum.h"

namespace sluice::runtime {

namespace {

constexpr std::uint8_t proto_icmp = 1, proto_tcp = 6, proto_udp = 17, proto_icmp6 = 58;
constexpr std::uint8_t next_hop_by_hop = 0, next_routing = 43, next_fragment = 44,
                       next_options = 60;
constexpr int extensions_max = 8;

std::uint8_t byte_at(std::span<const std::byte> p, std::size_t at) {
    return std::to_integer<std::uint8_t>(p[at]);
}
std::uint16_t word_at(std::span<const std::byte> p, std::size_t at) {
    return static_cast<std::uint16_t>(byte_at(p, at) << 8 | byte_at(p, at + 1));
}
void put_word(std::span<std::byte> p, std::size_t at, std::size_t value) {
    p[at] = static_cast<std::byte>(value >> 8);
    p[at + 1] = static_cast<std::byte>(value);
}

std::optional<IpShape> shape_v4(std::span<const std::byte> p) {
    if (p.size() < 20) return std::nullopt;
    IpShape out;
    out.header = std::size_t(byte_at(p, 0) & 0x0F) * 4;
    out.total = word_at(p, 2);
    out.protocol = byte_at(p, 9);
    out.fragment = (word_at(p, 6) & 0x3FFF) != 0;
    if (out.header < 20 || out.header > out.total || out.total > p.size()) return std::nullopt;
    return out;
}

std::optional<IpShape> shape_v6(std::span<const std::byte> p) {
    if (p.size() < 40) return std::nullopt;
    IpShape out;
    out.v6 = true;
    out.header = 40;
    out.total = std::size_t(40) + word_at(p, 4);
    out.protocol = byte_at(p, 6);
    if (out.total > p.size()) return std::nullopt;
    for (int i = 0; i < extensions_max; ++i) {
        if (out.protocol != next_hop_by_hop && out.protocol != next_routing &&
            out.protocol != next_options && out.protocol != next_fragment)
            return out;
        if (out.header + 8 > out.total) return std::nullopt;
        const bool piece = out.protocol == next_fragment;
        if (piece && (word_at(p, out.header + 2) & 0xFFF9)) out.fragment = true;
        const std::size_t bytes = piece ? 8 : (std::size_t(byte_at(p, out.header + 1)) + 1) * 8;
        out.protocol = byte_at(p, out.header);
        out.header += bytes;
        if (out.header > out.total) return std::nullopt;
    }
    return std::nullopt;
}

std::size_t sum_place(const IpShape &shape) {
    switch (shape.protocol) {
    case proto_tcp:
        return 16;
    case proto_udp:
        return 6;
    case proto_icmp:
        return shape.v6 ? 0 : 2;
    case proto_icmp6:
        return shape.v6 ? 2 : 0;
    default:
        return 0;
    }
}

} // namespace

std::optional<IpShape> ip_shape(std::span<const std::byte> packet) {
    if (packet.empty()) return std::nullopt;
    switch (byte_at(packet, 0) >> 4) {
    case 4:
        return shape_v4(packet);
    case 6:
        return shape_v6(packet);
    default:
        return std::nullopt;
    }
}

void write_ip_header(const IpHeader &h, std::size_t payload, std::span<std::byte> to) {
    std::fill_n(to.begin(), h.bytes(), std::byte{0});
    const auto source = h.source.begin(), target = h.target.begin();
    if (h.v6) {
        to[0] = static_cast<std::byte>(0x60 | h.traffic_class >> 4);
        to[1] = static_cast<std::byte>(h.traffic_class << 4);
        put_word(to, 4, payload);
        to[6] = std::byte{h.protocol};
        to[7] = std::byte{h.hop_limit};
        std::copy_n(source, 16, to.begin() + 8);
        std::copy_n(target, 16, to.begin() + 24);
        return;
    }
    static std::atomic<std::uint16_t> identification{1};
    to[0] = std::byte{0x45};
    to[1] = std::byte{h.traffic_class};
    put_word(to, 2, payload + 20);
    put_word(to, 4, identification.fetch_add(1, std::memory_order_relaxed));
    if (h.dont_fragment) to[6] = std::byte{0x40};
    to[8] = std::byte{h.hop_limit};
    to[9] = std::byte{h.protocol};
    std::copy_n(source, 4, to.begin() + 12);
    std::copy_n(target, 4, to.begin() + 16);
}

bool adopt_ip_header(bool v6, std::span<const std::byte> target, std::size_t payload,
                     std::span<std::byte> header) {
    const std::size_t least = v6 ? 40 : 20;
    if (header.size() < least || byte_at(header, 0) >> 4 != (v6 ? 6 : 4)) return false;
    if (!v6 && std::size_t(byte_at(header, 0) & 0x0F) * 4 != header.size()) return false;
    put_word(header, v6 ? 4 : 2, v6 ? header.size() - 40 + payload : header.size() + payload);
    std::copy_n(target.begin(), v6 ? 16 : 4, header.begin() + (v6 ? 24 : 16));
    return true;
}

bool keep_ip_header(const IpHeader &now, std::size_t payload, std::span<std::byte> header) {
    if (!adopt_ip_header(now.v6, now.target, payload, header)) return false;
    header[now.v6 ? 7 : 8] = std::byte{now.hop_limit};
    if (!now.v6) {
        header[1] = std::byte{now.traffic_class};
        return true;
    }
    header[0] = static_cast<std::byte>(0x60 | now.traffic_class >> 4);
    header[1] = static_cast<std::byte>(now.traffic_class << 4 | (byte_at(header, 1) & 0x0F));
    return true;
}

bool stays_on_link(std::span<const std::byte> packet, bool v6) {
    if (!v6) return byte_at(packet, 16) >= 224;
    return byte_at(packet, 24) == 0xFF || (word_at(packet, 24) & 0xFFC0) == 0xFE80;
}

std::array<std::byte, 16> network_order(const dp_addr &address, bool v6) {
    std::array<std::byte, 16> out{};
    for (unsigned i = 0; i < 8; ++i) {
        const unsigned shift = 56 - 8 * i;
        if (v6) {
            out[i] = static_cast<std::byte>(address.hi >> shift);
            out[8 + i] = static_cast<std::byte>(address.lo >> shift);
        } else if (i >= 4) {
            out[i - 4] = static_cast<std::byte>(address.lo >> shift);
        }
    }
    return out;
}

void complete_sums(std::span<std::byte> packet, const IpShape &shape, Sums sums) {
    if (!shape.v6) {
        put_word(packet, 10, 0);
        put_word(packet, 10, static_cast<std::uint16_t>(~fold(sum(packet.first(shape.header), 0))));
    }
    const std::size_t place = sum_place(shape);
    const auto segment = packet.subspan(shape.header, shape.total - shape.header);
    if (place == 0 || shape.fragment || segment.size() < place + 2) return;
    std::uint32_t addresses = 0;
    if (shape.protocol != proto_icmp)
        addresses = sum(packet.subspan(shape.v6 ? 8 : 12, shape.v6 ? 32 : 8), 0) + shape.protocol +
                    static_cast<std::uint32_t>(segment.size());
    const std::uint16_t there = word_at(segment, place);
    const bool partial =
        sums == Sums::received && shape.protocol != proto_icmp && there == fold(addresses);
    const bool none =
        sums == Sums::received && there == 0 && shape.protocol == proto_udp && !shape.v6;
    if (none || (sums != Sums::all && there != 0 && !partial)) return;
    put_word(segment, place, 0);
    auto value = static_cast<std::uint16_t>(~fold(sum(segment, addresses)));
    if (value == 0 && shape.protocol == proto_udp) value = 0xFFFF; // 0 would mean "none"
    put_word(segment, place, value);
}

} // namespace sluice::runtime
