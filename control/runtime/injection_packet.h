// SPDX-License-Identifier: Apache-2.0
// IP headers and checksums of packets on their way to the kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "shared/flow.h"

namespace sluice::runtime {

// A packet from its IP header on, as far as its own lengths say.
struct IpShape {
    bool v6 = false;
    bool fragment = false;
    std::uint8_t protocol = 0;
    std::size_t header = 0; // bytes up to the transport header, extension headers included
    std::size_t total = 0;  // bytes
};
// Nothing: no whole header, or lengths that contradict each other or the bytes that are there.
std::optional<IpShape> ip_shape(std::span<const std::byte> packet);

struct IpHeader {
    bool v6 = false;
    std::array<std::byte, 16> source{}, target{}; // network order, IPv4 in the first four
    std::uint8_t protocol = 0, hop_limit = 64, traffic_class = 0;
    bool dont_fragment = false;
    [[nodiscard]] std::size_t bytes() const { return v6 ? 40 : 20; }
    [[nodiscard]] std::size_t address_bytes() const { return v6 ? 16 : 4; }
};
// `to` has at least header.bytes(); the checksum is left 0.
void write_ip_header(const IpHeader &header, std::size_t payload, std::span<std::byte> to);
// Sets length and destination of an IP header that was given; false: it is none of that family.
bool adopt_ip_header(bool v6, std::span<const std::byte> target, std::size_t payload,
                     std::span<std::byte> header);

// The same for one that a packet had; what `now` says of hop limit and traffic class counts.
bool keep_ip_header(const IpHeader &now, std::size_t payload, std::span<std::byte> header);
// To a group, or an address that only its interface makes one: no route tells where it leaves.
bool stays_on_link(std::span<const std::byte> packet, bool v6);

std::array<std::byte, 16> network_order(const dp_addr &address, bool v6);

enum class Sums {
    all,      // the transport's as well
    open,     // the transport's where it is 0
    received, // as `open`, but 0 means none for UDP in IPv4; or it holds the pseudo header's sum
};
// The IPv4 header's in any case; none of a fragment's transport.
void complete_sums(std::span<std::byte> packet, const IpShape &shape, Sums sums);

} // namespace sluice::runtime
