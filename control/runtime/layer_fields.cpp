// SPDX-License-Identifier: Apache-2.0
#include "runtime/layer_fields.h"

#include <array>
#include <cstring>
#include <string_view>

#include "sluice/detail/fwp_tables.hpp"

namespace sluice::runtime {

namespace {

// To fill another field of any layer: a Fact, a row here, a case in indication.cpp.
constexpr struct {
    const char *condition;
    Fact fact;
} known[] = {
    {"FWPM_CONDITION_ALE_APP_ID", Fact::AppId},
    {"FWPM_CONDITION_ALE_ORIGINAL_APP_ID", Fact::OriginalAppId},
    {"FWPM_CONDITION_ALE_USER_ID", Fact::UserId},
    {"FWPM_CONDITION_IP_LOCAL_ADDRESS", Fact::LocalAddress},
    {"FWPM_CONDITION_IP_LOCAL_ADDRESS_TYPE", Fact::LocalAddressType},
    {"FWPM_CONDITION_IP_LOCAL_PORT", Fact::LocalPort},
    {"FWPM_CONDITION_IP_PROTOCOL", Fact::Protocol},
    {"FWPM_CONDITION_IP_REMOTE_ADDRESS", Fact::RemoteAddress},
    {"FWPM_CONDITION_IP_SOURCE_ADDRESS", Fact::SourceAddress},
    {"FWPM_CONDITION_IP_DESTINATION_ADDRESS", Fact::DestinationAddress},
    {"FWPM_CONDITION_SOURCE_INTERFACE_INDEX", Fact::ArrivalInterfaceIndex},
    {"FWPM_CONDITION_IP_PHYSICAL_ARRIVAL_INTERFACE", Fact::ArrivalInterfaceLuid},
    {"FWPM_CONDITION_DESTINATION_INTERFACE_INDEX", Fact::NexthopInterfaceIndex},
    {"FWPM_CONDITION_IP_FORWARD_INTERFACE", Fact::NexthopInterfaceLuid},
    {"FWPM_CONDITION_IP_PHYSICAL_NEXTHOP_INTERFACE", Fact::NexthopInterfaceLuid},
    {"FWPM_CONDITION_IP_REMOTE_PORT", Fact::RemotePort},
    {"FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE", Fact::DestinationAddressType},
    {"FWPM_CONDITION_FLAGS", Fact::Flags},
    {"FWPM_CONDITION_INTERFACE_INDEX", Fact::InterfaceIndex},
    {"FWPM_CONDITION_IP_LOCAL_INTERFACE", Fact::InterfaceLuid},
    {"FWPM_CONDITION_INTERFACE_TYPE", Fact::InterfaceType},
    {"FWPM_CONDITION_TUNNEL_TYPE", Fact::TunnelType},
    {"FWPM_CONDITION_REAUTHORIZE_REASON", Fact::ReauthorizeReason},
    {"FWPM_CONDITION_COMPARTMENT_ID", Fact::CompartmentId},
    {"FWPM_CONDITION_DIRECTION", Fact::Direction},
    {"FWPM_CONDITION_ARRIVAL_INTERFACE_INDEX", Fact::ArrivalInterfaceIndex},
    {"FWPM_CONDITION_IP_ARRIVAL_INTERFACE", Fact::ArrivalInterfaceLuid},
    {"FWPM_CONDITION_ARRIVAL_INTERFACE_TYPE", Fact::ArrivalInterfaceType},
    {"FWPM_CONDITION_ARRIVAL_TUNNEL_TYPE", Fact::ArrivalTunnelType},
    {"FWPM_CONDITION_NEXTHOP_INTERFACE_INDEX", Fact::NexthopInterfaceIndex},
    {"FWPM_CONDITION_IP_NEXTHOP_INTERFACE", Fact::NexthopInterfaceLuid},
    {"FWPM_CONDITION_NEXTHOP_INTERFACE_TYPE", Fact::NexthopInterfaceType},
    {"FWPM_CONDITION_NEXTHOP_TUNNEL_TYPE", Fact::NexthopTunnelType},
    {"FWPM_CONDITION_ORIGINAL_ICMP_TYPE", Fact::OriginalIcmpType},
    {"FWPM_CONDITION_EMBEDDED_PROTOCOL", Fact::EmbeddedProtocol},
    {"FWPM_CONDITION_EMBEDDED_REMOTE_ADDRESS", Fact::EmbeddedRemoteAddress},
    {"FWPM_CONDITION_EMBEDDED_LOCAL_ADDRESS_TYPE", Fact::EmbeddedLocalAddressType},
    {"FWPM_CONDITION_EMBEDDED_LOCAL_PORT", Fact::EmbeddedLocalPort},
    {"FWPM_CONDITION_EMBEDDED_REMOTE_PORT", Fact::EmbeddedRemotePort},
    {"FWPM_CONDITION_INTERFACE_MAC_ADDRESS", Fact::InterfaceMac},
    {"FWPM_CONDITION_MAC_LOCAL_ADDRESS", Fact::LocalMac},
    {"FWPM_CONDITION_MAC_REMOTE_ADDRESS", Fact::RemoteMac},
    {"FWPM_CONDITION_MAC_LOCAL_ADDRESS_TYPE", Fact::LocalMacType},
    {"FWPM_CONDITION_MAC_REMOTE_ADDRESS_TYPE", Fact::RemoteMacType},
    {"FWPM_CONDITION_ETHER_TYPE", Fact::EtherType},
    {"FWPM_CONDITION_VLAN_ID", Fact::VlanId},
    {"FWPM_CONDITION_INTERFACE", Fact::InterfaceLuid},
    {"FWPM_CONDITION_L2_FLAGS", Fact::Flags},
};

Fact fact_of(const tables::Field &field) {
    if (field.condition < 0) return Fact::Nothing;
    const std::string_view name =
        tables::conditions[static_cast<std::size_t>(field.condition)].name;
    for (const auto &k : known)
        if (name == k.condition) return k.fact;
    return Fact::Nothing;
}

const std::array<Fact, tables::fields.size()> &facts() {
    static const auto all = [] {
        std::array<Fact, tables::fields.size()> out{};
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = fact_of(tables::fields[i]);
        return out;
    }();
    return all;
}

const tables::Layer *find_layer(std::uint16_t id) {
    for (const auto &layer : tables::layers)
        if (layer.id == id) return &layer;
    return nullptr;
}

} // namespace

std::uint32_t layer_metadata(std::uint16_t layer) {
    constexpr std::uint32_t endpoint = FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE,
                            parent = FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE,
                            scope = FWPS_METADATA_FIELD_REMOTE_SCOPE_ID,
                            echo = FWPS_METADATA_FIELD_ICMP_ID_AND_SEQUENCE,
                            control = FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA;
    switch (layer) {
    case FWPS_LAYER_INBOUND_TRANSPORT_V4:
    case FWPS_LAYER_INBOUND_TRANSPORT_V6:
        return endpoint | echo;
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V4:
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V6:
    case FWPS_LAYER_DATAGRAM_DATA_V4:
    case FWPS_LAYER_DATAGRAM_DATA_V6:
        return endpoint | scope | echo | control;
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
        return endpoint | parent | scope | echo;
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V4:
    case FWPS_LAYER_ALE_CONNECT_REDIRECT_V6:
        return endpoint | parent | echo;
    case FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4:
    case FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V6:
        return endpoint | parent;
    case FWPS_LAYER_OUTBOUND_ICMP_ERROR_V4:
    case FWPS_LAYER_OUTBOUND_ICMP_ERROR_V6:
        return endpoint | scope | control;
    case FWPS_LAYER_INBOUND_ICMP_ERROR_V4:
    case FWPS_LAYER_INBOUND_ICMP_ERROR_V6:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
    case FWPS_LAYER_ALE_RESOURCE_RELEASE_V4:
    case FWPS_LAYER_ALE_RESOURCE_RELEASE_V6:
    case FWPS_LAYER_ALE_BIND_REDIRECT_V4:
    case FWPS_LAYER_ALE_BIND_REDIRECT_V6:
        return endpoint;
    default:
        return 0;
    }
}

LayerFields layer_fields(std::uint16_t id) {
    const tables::Layer *layer = find_layer(id);
    if (!layer) return {};
    return {std::span(facts()).subspan(layer->first_field, layer->field_count),
            std::string_view(layer->name).find("_V6") != std::string_view::npos};
}

std::uint16_t field_index(std::uint16_t id, const Guid &condition) {
    const tables::Layer *layer = find_layer(id);
    if (!layer) return 0xFFFF;
    for (std::uint16_t i = 0; i < layer->field_count; ++i) {
        const auto place = tables::fields[layer->first_field + i].condition;
        if (place < 0) continue;
        if (std::memcmp(&tables::conditions[static_cast<std::size_t>(place)].key, &condition,
                        sizeof condition) == 0)
            return i;
    }
    return 0xFFFF;
}

} // namespace sluice::runtime
