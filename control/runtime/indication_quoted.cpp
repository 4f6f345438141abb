// SPDX-License-Identifier: Apache-2.0
// What an ICMP error quotes of the packet that it is about.
#include "runtime/indication.h"

namespace sluice::runtime {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17;
enum : UINT8 { unicast = 1, multicast = 3, broadcast = 4 }; // NL_ADDRESS_TYPE

std::uint64_t number(std::span<const std::byte> bytes, std::size_t at, int count) {
    std::uint64_t v = 0;
    for (int k = 0; k < count; ++k)
        v = v << 8 | std::to_integer<std::uint8_t>(bytes[at + static_cast<std::size_t>(k)]);
    return v;
}

dp_addr address_at(std::span<const std::byte> ip, std::size_t at, bool v6) {
    if (v6) return {number(ip, at, 8), number(ip, at + 8, 8)};
    return {0, 0xFFFF00000000ull | number(ip, at, 4)};
}

// As filters have it: what this machine sent is never unspecified.
UINT8 type_of(const dp_addr &a, bool v6) {
    if (v6) return a.hi >> 56 == 0xFF ? multicast : unicast;
    const auto v4 = static_cast<std::uint32_t>(a.lo);
    return v4 == 0xFFFFFFFF ? broadcast : v4 >> 28 == 0xE ? multicast : unicast;
}

} // namespace

// Local is the side of this machine: who sent what came back as an error.
void Indication::read_quoted(std::span<const std::byte> ip) {
    const std::size_t least = v6_ ? 40 : 20;
    if (ip.size() < least || number(ip, 0, 1) >> 4 != (v6_ ? 6u : 4u)) return;
    const std::size_t header = v6_ ? least : (number(ip, 0, 1) & 0x0F) * 4;
    if (header < least) return;
    Quoted q;
    q.protocol = static_cast<std::uint8_t>(number(ip, v6_ ? 6 : 9, 1));
    q.local = address_at(ip, v6_ ? 8 : 12, v6_);
    q.remote = address_at(ip, v6_ ? 24 : 16, v6_);
    q.has_ports = (q.protocol == tcp || q.protocol == udp) && ip.size() >= header + 4;
    if (q.has_ports) {
        q.local_port = static_cast<std::uint16_t>(number(ip, header, 2));
        q.remote_port = static_cast<std::uint16_t>(number(ip, header + 2, 2));
    }
    quoted_ = q;
}

FWP_VALUE0 Indication::quoted_value(Fact fact) {
    FWP_VALUE0 out{};
    if (!quoted_) return out;
    switch (fact) {
    case Fact::EmbeddedProtocol:
        out.type = FWP_UINT8;
        out.uint8 = quoted_->protocol;
        return out;
    case Fact::EmbeddedRemoteAddress:
        return address(quoted_->remote, quoted_bytes_);
    case Fact::EmbeddedLocalAddressType:
        out.type = FWP_UINT8;
        out.uint8 = type_of(quoted_->local, v6_);
        return out;
    default:
        if (!quoted_->has_ports) return out;
        out.type = FWP_UINT16;
        out.uint16 = fact == Fact::EmbeddedLocalPort ? quoted_->local_port : quoted_->remote_port;
        return out;
    }
}

} // namespace sluice::runtime
