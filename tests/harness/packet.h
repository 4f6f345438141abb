// SPDX-License-Identifier: Apache-2.0
// Builds packets that read like sentences:
//   Bytes frame = (Eth() / Vlan{.id = 7} / IPv4{.source = "192.0.2.1", .destination = "192.0.2.2"}
//   /
//                  TCP{.source_port = 1000, .destination_port = 80} / Payload("hello")).bytes();
// Lengths, next-header numbers and checksums are filled in from the neighbours unless a field
// overrides them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sluice::harness {

using Bytes = std::vector<std::uint8_t>;

struct Eth {
    std::array<std::uint8_t, 6> destination{2, 0, 0, 0, 0, 2};
    std::array<std::uint8_t, 6> source{2, 0, 0, 0, 0, 1};
    std::optional<std::uint16_t> ethertype{}; // else by what follows
};

struct Vlan {
    std::uint16_t id = 0;
    std::uint16_t ethertype = 0x8100; // of this tag; 0x88a8 for the outer one of QinQ
};

struct IPv4 {
    std::string source = "192.0.2.1", destination = "192.0.2.2";
    Bytes options{}; // padded to a multiple of four
    std::uint16_t id = 1;
    std::uint16_t fragment_offset = 0; // in units of eight bytes
    bool more_fragments = false;
    std::uint8_t ttl = 64;
    std::uint8_t version = 4;
    std::optional<std::uint8_t> header_words{};  // else true
    std::optional<std::uint16_t> total_length{}; // else true
    std::optional<std::uint8_t> protocol{};      // else by what follows
};

struct IPv6 {
    std::string source = "2001:db8::1", destination = "2001:db8::2";
    std::uint8_t hop_limit = 64;
    std::uint8_t version = 6;
    std::optional<std::uint16_t> payload_length{}; // else true
    std::optional<std::uint8_t> next_header{};     // else by what follows
};

// An IPv6 extension header of (units + 1) * 8 bytes, or an authentication header of (units + 2)
// * 4.
struct Extension {
    std::uint8_t number = 0;
    std::uint8_t units = 0;
    std::optional<std::uint8_t> claimed_units{}; // written in the header instead of the true ones
};
inline Extension HopByHop(std::uint8_t units = 0) {
    return {.number = 0, .units = units};
}
inline Extension Routing(std::uint8_t units = 0) {
    return {.number = 43, .units = units};
}
inline Extension DestinationOptions(std::uint8_t units = 0) {
    return {.number = 60, .units = units};
}
inline Extension Authentication(std::uint8_t units = 4) {
    return {.number = 51, .units = units};
}

struct Fragment6 {
    std::uint16_t offset = 0; // in units of eight bytes
    bool more = false;
    std::uint32_t id = 1;
    std::optional<std::uint8_t> next_header{};
};

struct TCP {
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint8_t flags = 0x02; // SYN
    std::uint32_t sequence = 0, acknowledgement = 0;
    Bytes options{};
    std::optional<std::uint8_t> header_words{};
};

struct UDP {
    std::uint16_t source_port = 0, destination_port = 0;
};

struct ICMP { // ICMPv6 under IPv6
    std::uint8_t type = 8, code = 0;
    std::uint16_t id = 1, sequence = 1;
};

// What follows has this protocol number and no header that we build.
struct Protocol {
    std::uint8_t number = 0;
};

struct Payload {
    Payload() = default;
    explicit Payload(std::string_view text) : bytes(text.begin(), text.end()) {}
    explicit Payload(std::size_t size) : bytes(size, 0x5a) {}
    Bytes bytes;
};

using Header =
    std::variant<Eth, Vlan, IPv4, IPv6, Extension, Fragment6, TCP, UDP, ICMP, Protocol, Payload>;

class Packet {
public:
    explicit Packet(Header first) { headers_.push_back(std::move(first)); }
    Packet then(Header next) && {
        headers_.push_back(std::move(next));
        return std::move(*this);
    }
    [[nodiscard]] Bytes bytes() const;

private:
    std::vector<Header> headers_;
};

template <typename T>
concept IsHeader = std::is_constructible_v<Header, T> && !std::is_same_v<std::decay_t<T>, Packet>;

template <IsHeader A, IsHeader B>
Packet operator/(A first, B next) {
    return Packet(Header(std::move(first))).then(Header(std::move(next)));
}
template <IsHeader B>
Packet operator/(Packet packet, B next) {
    return std::move(packet).then(Header(std::move(next)));
}

// The Internet checksum of whole 16-bit words, an odd last byte padded with zero; host order.
std::uint16_t internet_checksum(const std::uint8_t *data, std::size_t size, std::uint32_t sum = 0);

} // namespace sluice::harness
