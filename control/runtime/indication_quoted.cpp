// SPDX-License-Identifier: Apache-2.0
// What an ICMP error quotes of the packet that it is about.
#include "runtime/indication.h"
#include "runtime/indication_value.h"
#include "runtime/wire_bytes.h"

namespace sluice::runtime {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17;
enum : UINT8 { unicast = 1, multicast = 3, broadcast = 4 }; // NL_ADDRESS_TYPE

dp_addr address_at(std::span<const std::byte> ip, std::size_t at, bool v6) {
    if (v6) return {be(ip, at, 8), be(ip, at + 8, 8)};
    return {0, 0xFFFF00000000ull | be(ip, at, 4)};
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
    if (ip.size() < least || octet(ip, 0) >> 4 != (v6_ ? 6u : 4u)) return;
    const std::size_t header = v6_ ? least : (octet(ip, 0) & 0x0F) * 4;
    if (header < least) return;
    Quoted q;
    q.protocol = octet(ip, v6_ ? 6 : 9);
    q.local = address_at(ip, v6_ ? 8 : 12, v6_);
    q.remote = address_at(ip, v6_ ? 24 : 16, v6_);
    q.has_ports = (q.protocol == tcp || q.protocol == udp) && ip.size() >= header + 4;
    if (q.has_ports) {
        q.local_port = be16(ip, header);
        q.remote_port = be16(ip, header + 2);
    }
    quoted_ = q;
}

FWP_VALUE0 Indication::quoted_value(Fact fact) {
    if (!quoted_) return {};
    switch (fact) {
    case Fact::EmbeddedProtocol:
        return value8(quoted_->protocol);
    case Fact::EmbeddedRemoteAddress:
        return address(quoted_->remote, quoted_bytes_);
    case Fact::EmbeddedLocalAddressType:
        return value8(type_of(quoted_->local, v6_));
    default:
        if (!quoted_->has_ports) return {};
        return value16(fact == Fact::EmbeddedLocalPort ? quoted_->local_port
                                                       : quoted_->remote_port);
    }
}

} // namespace sluice::runtime
