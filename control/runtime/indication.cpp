// SPDX-License-Identifier: Apache-2.0
#include "runtime/indication.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/layer_fields.h"
#include "runtime/text.h"

namespace sluice::runtime {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17, icmp = 1, icmp6 = 58;
enum : UINT8 { unspecified = 0, unicast = 1, multicast = 3, broadcast = 4 }; // NL_ADDRESS_TYPE

std::uint8_t octet(std::span<const std::byte> bytes, std::size_t i) {
    return std::to_integer<std::uint8_t>(bytes[i]);
}
std::uint16_t be16(std::span<const std::byte> bytes, std::size_t i) {
    return static_cast<std::uint16_t>(octet(bytes, i) << 8 | octet(bytes, i + 1));
}
std::uint64_t be(std::span<const std::byte> bytes, std::size_t i, int count) {
    std::uint64_t v = 0;
    for (int k = 0; k < count; ++k)
        v = v << 8 | octet(bytes, i + static_cast<std::size_t>(k));
    return v;
}

bool same(const dp_addr &a, const dp_addr &b) {
    return a.hi == b.hi && a.lo == b.lo;
}

dp_addr mapped(std::uint64_t v4) {
    return {0, 0xFFFF00000000ull | v4};
}

UINT8 type_of(const dp_addr &a, bool v6) {
    if (v6) return a.hi >> 56 == 0xFF ? multicast : (a.hi | a.lo) == 0 ? unspecified : unicast;
    const auto v4 = static_cast<std::uint32_t>(a.lo);
    return v4 == 0xFFFFFFFF  ? broadcast
           : v4 >> 28 == 0xE ? multicast
           : v4 == 0         ? unspecified
                             : unicast;
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

FWP_VALUE0 value8(UINT8 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT8;
    out.uint8 = v;
    return out;
}
FWP_VALUE0 value16(UINT16 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT16;
    out.uint16 = v;
    return out;
}
FWP_VALUE0 value32(UINT32 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT32;
    out.uint32 = v;
    return out;
}

} // namespace

bool Upcall::parse(std::span<const std::byte> frame, Upcall &out) {
    if (frame.size() < sizeof(dp_upcall)) return false;
    std::memcpy(&out.header, frame.data(), sizeof out.header);
    const dp_upcall &h = out.header;
    std::size_t least = sizeof(dp_upcall);
    if (h.flags & DP_UPCALL_HAS_PATH) least += DP_EXE_PATH_MAX;
    const std::size_t redirect = least;
    if (h.flags & DP_UPCALL_HAS_REDIRECT) least += sizeof(dp_redirect_view);
    if (h.magic != DP_UPCALL_MAGIC || h.version != DP_LAYOUT_VERSION) return false;
    if (h.header_bytes < least || h.header_bytes > frame.size()) return false;
    const std::size_t packet = frame.size() - h.header_bytes;
    if (h.ip_offset > packet || h.l4_offset > packet) return false;
    if (h.kind < DP_UPCALL_CLASSIFY || h.kind > DP_UPCALL_FORWARDED) return false;
    if (h.flags & DP_UPCALL_HAS_PATH) {
        const auto *text = reinterpret_cast<const char *>(frame.data()) + sizeof(dp_upcall);
        out.path.assign(text, ::strnlen(text, DP_EXE_PATH_MAX));
    }
    if (h.flags & DP_UPCALL_HAS_REDIRECT) {
        auto view = std::make_shared<dp_redirect_view>();
        std::memcpy(view.get(), frame.data() + redirect, sizeof *view);
        if (view->versions > DP_REDIRECT_VERSIONS_MAX || view->record.hops > DP_RECORD_HOPS_MAX)
            return false;
        out.redirect = std::move(view);
    }
    out.packet_offset = h.header_bytes;
    return true;
}

bool Upcall::at_flow() const {
    switch (header.layer) {
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V4:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V6:
        return header.flow != 0 && !of_operation();
    default:
        return false;
    }
}

bool Upcall::can_pend() const {
    switch (header.layer) {
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
        return true;
    default:
        return false;
    }
}

Indication::Indication(const Upcall &upcall, std::span<std::byte> packet, const Asked &asked)
    : upcall_(upcall) {
    const dp_upcall &h = upcall.header;
    v6_ = layer_fields(h.layer).v6;
    local_ = h.key.local;
    remote_ = h.key.remote;
    inbound_ = h.direction == DP_DIRECTION_INBOUND;
    flags_ = h.condition_flags | (asked.reauthorize ? FWP_CONDITION_FLAG_IS_REAUTHORIZE : 0);
    if (!upcall.path.empty()) {
        path_ = to_utf16(upcall.path);
        path_blob_.size = static_cast<UINT32>((path_.size() + 1) * sizeof(char16_t));
        path_blob_.data = reinterpret_cast<UINT8 *>(path_.data());
    }
    if (upcall.of_frame())
        read_frame(packet, asked.memory);
    else
        read_packet(packet, asked.memory);
    fill_values(asked);
    fill_metadata(asked);
    fill_redirection(asked);
}

Indication::~Indication() {
    if (list_) list_->release();
}

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

FWP_VALUE0 Indication::address(const dp_addr &from, FWP_BYTE_ARRAY16 &storage) const {
    if (!v6_) return value32(static_cast<UINT32>(from.lo));
    for (int i = 0; i < 8; ++i) {
        storage.byteArray16[i] = static_cast<UINT8>(from.hi >> (56 - 8 * i));
        storage.byteArray16[8 + i] = static_cast<UINT8>(from.lo >> (56 - 8 * i));
    }
    FWP_VALUE0 v{};
    v.type = FWP_BYTE_ARRAY16_TYPE;
    v.byteArray16 = &storage;
    return v;
}

FWP_VALUE0 Indication::user_id() {
    FWP_VALUE0 v{};
    if (upcall_.header.process.tgid == 0) return v;
    const std::uint8_t sid[8] = {1, 2, 0, 0, 0, 0, 0, 22};
    const std::uint32_t parts[2] = {1, upcall_.header.process.uid};
    std::memcpy(user_sid_.data(), sid, sizeof sid);
    std::memcpy(user_sid_.data() + sizeof sid, parts, sizeof parts);
    user_blob_ = {static_cast<UINT32>(user_sid_.size()), user_sid_.data()};
    v.type = FWP_TOKEN_ACCESS_INFORMATION_TYPE;
    v.tokenAccessInformation = &user_blob_;
    return v;
}

FWP_VALUE0 Indication::app_id() {
    FWP_VALUE0 v{};
    if (path_blob_.size == 0) return v;
    v.type = FWP_BYTE_BLOB_TYPE;
    v.byteBlob = &path_blob_;
    return v;
}

// ICMP has a type and a code where others have ports. A flow's are those of its first packet.
FWP_VALUE0 Indication::port(bool local) const {
    const auto &key = upcall_.header.key;
    if (key.protocol != icmp && key.protocol != icmp6)
        return value16(local ? key.local_port : key.remote_port);
    if (icmp_) return value16(local ? icmp_->type : icmp_->code);
    return upcall_.at_flow() ? FWP_VALUE0{} : value16(local ? key.local_port : key.remote_port);
}

// An endpoint without a peer, and a wildcard that is bound to, are empty.
bool Indication::unspecified_address(const dp_addr &address) const {
    return upcall_.header.endpoint != 0 && !list_ && type_of(address, v6_) == unspecified;
}

FWP_VALUE0 Indication::value_of(Fact fact, const Asked &asked) {
    const dp_upcall &h = upcall_.header;
    switch (fact) {
    case Fact::Nothing:
        return {};
    case Fact::AppId:
        return app_id();
    case Fact::OriginalAppId:
        return original_app_id();
    case Fact::UserId:
        return user_id();
    case Fact::LocalAddress:
        return unspecified_address(local_) ? FWP_VALUE0{} : address(local_, local_bytes_);
    case Fact::SourceAddress: // where a layer has these, the packet goes through: its first end is
                              // here
        return address(local_, local_bytes_);
    case Fact::DestinationAddress:
        return address(remote_, remote_bytes_);
    case Fact::RemoteAddress:
        return unspecified_address(remote_) ? FWP_VALUE0{} : address(remote_, remote_bytes_);
    case Fact::LocalAddressType:
        return value8(type_of(local_, v6_));
    case Fact::DestinationAddressType:
        return value8(type_of(h.direction == DP_DIRECTION_INBOUND ? local_ : remote_, v6_));
    case Fact::LocalPort:
        return port(true);
    case Fact::RemotePort:
        return unspecified_address(remote_) ? FWP_VALUE0{} : port(false);
    case Fact::Protocol:
        return value8(h.key.protocol);
    case Fact::Flags:
        return value32(flags_);
    case Fact::Direction:
        return value32(h.direction);
    case Fact::OriginalIcmpType:
        return icmp_ ? value16(icmp_->type) : FWP_VALUE0{};
    case Fact::EmbeddedProtocol:
    case Fact::EmbeddedRemoteAddress:
    case Fact::EmbeddedLocalAddressType:
    case Fact::EmbeddedLocalPort:
    case Fact::EmbeddedRemotePort:
        return quoted_value(fact);
    case Fact::ReauthorizeReason:
        return value32(asked.reason);
    case Fact::CompartmentId:
        return value32(h.compartment);
    default:
        return interface_value(fact);
    }
}

void Indication::fill_values(const Asked &asked) {
    const auto facts = layer_fields(upcall_.header.layer).facts;
    fields_.resize(facts.size());
    for (std::size_t i = 0; i < facts.size(); ++i)
        fields_[i].value = value_of(facts[i], asked);
    values_.layerId = upcall_.header.layer;
    values_.valueCount = static_cast<UINT32>(fields_.size());
    values_.incomingValue = fields_.data();
}

void Indication::fill_metadata(const Asked &asked) {
    const dp_upcall &h = upcall_.header;
    auto &m = metadata_;
    const auto set = [&](UINT32 field, auto &member, auto value) {
        m.currentMetadataValues |= field;
        member = value;
    };
    set(FWPS_METADATA_FIELD_COMPARTMENT_ID, m.compartmentId, h.compartment);
    if (h.process.tgid) set(FWPS_METADATA_FIELD_PROCESS_ID, m.processId, h.process.tgid);
    if (path_blob_.size) set(FWPS_METADATA_FIELD_PROCESS_PATH, m.processPath, &path_blob_);
    if (h.flow) set(FWPS_METADATA_FIELD_FLOW_HANDLE, m.flowHandle, upcall_.flow_handle());
    if (flags_ & FWP_CONDITION_FLAG_IS_REAUTHORIZE)
        set(FWPS_METADATA_FIELD_PACKET_DIRECTION, m.packetDirection,
            inbound_ ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND);
    const std::uint32_t here = layer_metadata(h.layer);
    if (h.endpoint && (here & FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE))
        set(FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE, m.transportEndpointHandle, h.endpoint);
    if (h.parent && (here & FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE))
        set(FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE, m.parentEndpointHandle, h.parent);
    const bool link_local = v6_ && remote_.hi >> 54 == 0xFE80 >> 6;
    if (link_local && h.ifindex && (here & FWPS_METADATA_FIELD_REMOTE_SCOPE_ID)) {
        m.currentMetadataValues |= FWPS_METADATA_FIELD_REMOTE_SCOPE_ID;
        m.remoteScopeId.Zone = h.ifindex;
    }
    if (icmp_ && icmp_->echo && (here & FWPS_METADATA_FIELD_ICMP_ID_AND_SEQUENCE))
        set(FWPS_METADATA_FIELD_ICMP_ID_AND_SEQUENCE, m.icmpIdAndSequence, *icmp_->echo);
    if (h.path_mtu) set(FWPS_METADATA_FIELD_PATH_MTU, m.pathMtu, h.path_mtu);
    if (h.flags & DP_UPCALL_ALE_FOLLOWS)
        m.currentMetadataValues |= FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED;
    // The handle is there wherever the layer can pend, the bit where this classify may.
    m.completionHandle = upcall_.can_pend() ? asked.completion : nullptr;
    if (asked.may_pend) m.currentMetadataValues |= FWPS_METADATA_FIELD_COMPLETION_HANDLE;
}

} // namespace sluice::runtime
