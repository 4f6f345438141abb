// SPDX-License-Identifier: Apache-2.0
#include "runtime/indication.h"

#include <cstring>

#include "runtime/indication_value.h"
#include "runtime/layer_fields.h"
#include "runtime/text.h"

namespace sluice::runtime {

namespace {

constexpr std::uint8_t icmp = 1, icmp6 = 58;
enum : UINT8 { unspecified = 0, unicast = 1, multicast = 3, broadcast = 4 }; // NL_ADDRESS_TYPE

UINT8 type_of(const dp_addr &a, bool v6) {
    if (v6) return a.hi >> 56 == 0xFF ? multicast : (a.hi | a.lo) == 0 ? unspecified : unicast;
    const auto v4 = static_cast<std::uint32_t>(a.lo);
    return v4 == 0xFFFFFFFF  ? broadcast
           : v4 >> 28 == 0xE ? multicast
           : v4 == 0         ? unspecified
                             : unicast;
}

} // namespace

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
