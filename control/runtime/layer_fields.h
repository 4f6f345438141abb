// SPDX-License-Identifier: Apache-2.0
// What the data fields of a layer are, by the generated tables, reduced to what the run time can
// fill.
#pragma once

#include <cstdint>
#include <span>

#include "core/guid.h"

namespace sluice::runtime {

// What a field is about; a field that we know nothing for is Nothing and stays FWP_EMPTY.
enum class Fact : std::uint8_t {
    Nothing,
    AppId,
    OriginalAppId,
    UserId,
    LocalAddress,
    LocalAddressType,
    LocalPort,
    Protocol,
    RemoteAddress,
    SourceAddress,
    DestinationAddress,
    RemotePort,
    DestinationAddressType,
    Flags,
    InterfaceIndex,
    InterfaceLuid,
    InterfaceType,
    TunnelType,
    ReauthorizeReason,
    CompartmentId,
    Direction,
    ArrivalInterfaceIndex,
    ArrivalInterfaceLuid,
    ArrivalInterfaceType,
    ArrivalTunnelType,
    NexthopInterfaceIndex,
    NexthopInterfaceLuid,
    NexthopInterfaceType,
    NexthopTunnelType,
    OriginalIcmpType,
    EmbeddedProtocol,
    EmbeddedRemoteAddress,
    EmbeddedLocalAddressType,
    EmbeddedLocalPort,
    EmbeddedRemotePort,
    InterfaceMac,
    LocalMac,
    RemoteMac,
    LocalMacType,
    RemoteMacType,
    EtherType,
    VlanId,
};

struct LayerFields {
    std::span<const Fact> facts; // by field index
    bool v6 = false;
};

// Of the metadata that depends on the layer (FWPS_METADATA_FIELD_*), what the layer has: endpoint,
// parent, remote scope, ICMP id and sequence. layers.tsv, metadata fields.
std::uint32_t layer_metadata(std::uint16_t layer);
// Empty for a layer that does not exist.
LayerFields layer_fields(std::uint16_t layer);
// The place of the field with this condition key in the layer; 0xFFFF if it has none.
std::uint16_t field_index(std::uint16_t layer, const Guid &condition);

} // namespace sluice::runtime
