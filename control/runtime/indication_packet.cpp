// SPDX-License-Identifier: Apache-2.0
// What a callout is told of an IP packet: whose it is, where the layer's data begins, and all that
// must be known where a clone of it is injected.
#include "runtime/indication.h"

#include <algorithm>

#include "runtime/layer_fields.h"
#include "runtime/wire_bytes.h"

namespace sluice::runtime {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17, icmp = 1, icmp6 = 58;

bool same(const dp_addr &a, const dp_addr &b) {
    return a.hi == b.hi && a.lo == b.lo;
}

dp_addr mapped(std::uint64_t v4) {
    return {0, 0xFFFF00000000ull | v4};
}

// Layers at which the transport header is parsed already; at the others the data is the IP
// packet's.
bool transport_known(std::uint16_t layer) {
    switch (layer) {
    case DP_LAYER_OUTBOUND_IPPACKET_V4:
    case DP_LAYER_OUTBOUND_IPPACKET_V6:
    case DP_LAYER_INBOUND_ICMP_ERROR_V4:
    case DP_LAYER_INBOUND_ICMP_ERROR_V6:
    case DP_LAYER_OUTBOUND_ICMP_ERROR_V4:
    case DP_LAYER_OUTBOUND_ICMP_ERROR_V6:
    case DP_LAYER_INBOUND_TRANSPORT_V4:
    case DP_LAYER_INBOUND_TRANSPORT_V6:
    case DP_LAYER_OUTBOUND_TRANSPORT_V4:
    case DP_LAYER_OUTBOUND_TRANSPORT_V6:
    case DP_LAYER_DATAGRAM_DATA_V4:
    case DP_LAYER_DATAGRAM_DATA_V6:
    case DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case DP_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case DP_LAYER_ALE_AUTH_CONNECT_V4:
    case DP_LAYER_ALE_AUTH_CONNECT_V6:
    case DP_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case DP_LAYER_ALE_FLOW_ESTABLISHED_V6:
        return true;
    default:
        return false;
    }
}

// Where an IPv6 packet's fragment header begins, from the IP header; 0: nowhere among the first
// headers.
std::size_t fragment_header(std::span<const std::byte> ip) {
    constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, options = 60;
    std::uint8_t next = octet(ip, 6);
    std::size_t at = 40;
    for (int i = 0; i < 8 && at + 8 <= ip.size(); ++i) {
        if (next == fragment) return at;
        if (next != hop_by_hop && next != routing && next != options) return 0;
        next = octet(ip, at);
        at += (std::size_t{octet(ip, at + 1)} + 1) * 8;
    }
    return 0;
}

// At an ICMP error that came in the data begins behind its header, with what it quotes.
std::size_t error_header(std::uint16_t layer, std::span<const std::byte> message) {
    const bool error =
        layer == DP_LAYER_INBOUND_ICMP_ERROR_V4 || layer == DP_LAYER_INBOUND_ICMP_ERROR_V6;
    return error && message.size() >= 8 ? 8 : 0;
}

} // namespace

void Indication::read_packet(std::span<std::byte> packet,
                             const std::shared_ptr<PacketMemory> &memory) {
    const dp_upcall &h = upcall_.header;
    const std::span<const std::byte> ip =
        packet.subspan(std::min<std::size_t>(h.ip_offset, packet.size()));
    const std::size_t least = v6_ ? 40 : 20;
    if (ip.size() < least) return;
    const dp_addr source = v6_ ? dp_addr{be(ip, 8, 8), be(ip, 16, 8)} : mapped(be(ip, 12, 4));
    const dp_addr target = v6_ ? dp_addr{be(ip, 24, 8), be(ip, 32, 8)} : mapped(be(ip, 16, 4));
    if (!upcall_.at_flow()) {
        local_ = inbound_ ? target : source;
        remote_ = inbound_ ? source : target;
    } else if (!same(local_, remote_)) {
        // The header says the flow's direction; its packet may run against it: the answer that
        // establishes a connection, or one that has a flow authorised again.
        if (same(source, local_) && same(target, remote_)) inbound_ = false;
        if (same(source, remote_) && same(target, local_)) inbound_ = true;
    }
    const std::size_t header = h.l4_offset > h.ip_offset ? std::size_t(h.l4_offset - h.ip_offset)
                               : v6_                     ? least
                                                         : std::size_t(octet(ip, 0) & 0x0F) * 4;
    if (header < least || header > ip.size()) return;
    if (flags_ & FWP_CONDITION_FLAG_IS_FRAGMENT) read_fragment(ip);
    if (h.l4_offset && (transport_known(h.layer) || upcall_.redirects()))
        read_icmp(ip.subspan(header));
    if (upcall_.redirects()) return; // the request stands in the packet's place
    const bool connect =
        h.layer == DP_LAYER_ALE_AUTH_CONNECT_V4 || h.layer == DP_LAYER_ALE_AUTH_CONNECT_V6;
    if (connect && upcall_.is_tcp() && !(h.condition_flags & DP_CONDITION_IS_REAUTHORIZE))
        return; // a TCP connect has no packet for the callout
    const std::size_t total = v6_ ? least + be16(ip, 4) : be16(ip, 2);
    const std::size_t size =
        std::clamp(total, header, ip.size()); // without what pads the Ethernet frame

    const std::size_t transport = h.l4_offset ? transport_bytes(ip.first(size).subspan(header)) : 0;
    // It counts as part of the IP header: a retreat by that alone reaches the packet's beginning.
    const std::size_t error = error_header(h.layer, ip.first(size).subspan(header));
    if (error) read_quoted(ip.first(size).subspan(header + error));
    // Outbound, a size would say that the data begins with the IP header.
    if (inbound_ || data_start(header, transport) == 0) {
        metadata_.currentMetadataValues |= FWPS_METADATA_FIELD_IP_HEADER_SIZE;
        metadata_.ipHeaderSize = static_cast<UINT32>(header + error);
    }
    if (transport_known(h.layer) && h.l4_offset) {
        metadata_.currentMetadataValues |= FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE;
        metadata_.transportHeaderSize = static_cast<UINT32>(transport);
    }
    const std::size_t start = h.ip_offset + data_start(header, transport) + error;
    auto from = origin(packet, header, memory.get());
    if (!inbound_ && layer_metadata(h.layer) & FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA)
        show_control(*from);
    list_ = BufferList::indicated(
        packet.first(h.ip_offset + size), static_cast<std::uint32_t>(start),
        static_cast<std::uint32_t>(h.ip_offset + size - start), memory, std::move(from));
}

// What a socket said of a packet by control data is not kept with it; what came of that is in its
// header.
void Indication::show_control(const PacketOrigin &packet) {
    IpHeader header;
    header.v6 = v6_;
    header.hop_limit = packet.hop_limit;
    header.traffic_class = packet.traffic_class;
    control_ = control_of(header);
    metadata_.currentMetadataValues |= FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA;
    metadata_.controlData = &control_[0].head;
    metadata_.controlDataLength = sizeof control_;
}

// Of the header that a callout steps over; 0 at an inbound ICMP message, whose data begins with it.
std::size_t Indication::transport_bytes(std::span<const std::byte> transport) const {
    std::size_t bytes = 0;
    switch (upcall_.header.key.protocol) {
    case tcp:
        bytes = transport.size() < 20 ? 0 : std::size_t(octet(transport, 12) >> 4) * 4;
        break;
    case udp:
        bytes = 8;
        break;
    case icmp:
    case icmp6:
        bytes = inbound_ ? 0 : 8;
        break;
    default:
        break;
    }
    return bytes <= transport.size() ? bytes : 0;
}

// Where the data begins, from the IP header: layers.tsv, data offset.
std::size_t Indication::data_start(std::size_t ip_header, std::size_t transport_header) const {
    const dp_upcall &h = upcall_.header;
    switch (h.layer) {
    case DP_LAYER_OUTBOUND_IPPACKET_V4:
    case DP_LAYER_OUTBOUND_IPPACKET_V6:
    case DP_LAYER_IPFORWARD_V4:
    case DP_LAYER_IPFORWARD_V6:
        return 0;
    default:
        break;
    }
    const bool behind = transport_known(h.layer) && inbound_;
    return behind ? ip_header + transport_header : ip_header;
}

PacketOrigin Indication::origin_of(const PacketMemory *memory) const {
    const dp_upcall &h = upcall_.header;
    PacketOrigin out;
    out.compartment = h.compartment;
    out.ifindex = h.ifindex;
    out.arrival = h.arrival;
    out.host = memory ? memory->host() : 0;
    out.injected = h.injected;
    return out;
}

std::shared_ptr<const PacketOrigin> Indication::origin(std::span<const std::byte> packet,
                                                       std::size_t header,
                                                       const PacketMemory *memory) const {
    const dp_upcall &h = upcall_.header;
    auto out = std::make_shared<PacketOrigin>(origin_of(memory));
    out->endpoint = h.endpoint;
    out->inbound = inbound_;
    out->key = h.key;
    out->key.local = local_;
    out->key.remote = remote_;
    if (h.ip_offset >= 14)
        std::copy_n(packet.begin(), out->ethernet_addresses.size(),
                    out->ethernet_addresses.begin());
    if (h.ip_offset > 14) out->tags.assign(packet.begin() + 12, packet.begin() + h.ip_offset - 2);
    const auto ip = packet.subspan(h.ip_offset);
    out->hop_limit = octet(ip, v6_ ? 7 : 8);
    out->traffic_class = v6_ ? static_cast<std::uint8_t>(be16(ip, 0) >> 4 & 0xFF) : octet(ip, 1);
    out->dont_fragment = !v6_ && (octet(ip, 6) & 0x40) != 0;
    const bool plain = v6_ ? header == 40 && octet(ip, 6) == h.key.protocol
                           : header == 20 && (be16(ip, 6) & 0x3FFF) == 0;
    if (!plain) out->header.assign(ip.begin(), ip.begin() + static_cast<std::ptrdiff_t>(header));
    return out;
}

void Indication::read_icmp(std::span<const std::byte> message) {
    const std::uint8_t protocol = upcall_.header.key.protocol;
    if ((protocol != icmp && protocol != icmp6) || message.size() < 8) return;
    Icmp seen{octet(message, 0), octet(message, 1), {}};
    const std::uint8_t request = protocol == icmp ? 8 : 128, reply = protocol == icmp ? 0 : 129;
    if (seen.type == request || seen.type == reply)
        seen.echo = static_cast<std::uint32_t>(be(message, 4, 4));
    const bool against = inbound_ != (upcall_.header.direction == DP_DIRECTION_INBOUND);
    if (against && seen.type == reply) seen.type = request;
    icmp_ = seen;
}

void Indication::read_fragment(std::span<const std::byte> ip) {
    auto &f = metadata_.fragmentMetadata;
    if (v6_) {
        const std::size_t at = fragment_header(ip);
        if (at == 0) return;
        f.fragmentIdentification = static_cast<UINT32>(be(ip, at + 4, 4));
        f.fragmentOffset = be16(ip, at + 2) & 0xFFF8;
        f.fragmentLength = 40u + be16(ip, 4);
    } else {
        f.fragmentIdentification = be16(ip, 4);
        f.fragmentOffset = static_cast<UINT16>((be16(ip, 6) & 0x1FFF) * 8);
        f.fragmentLength = be16(ip, 2);
    }
    metadata_.currentMetadataValues |= FWPS_METADATA_FIELD_FRAGMENT_DATA;
}

} // namespace sluice::runtime
