// SPDX-License-Identifier: Apache-2.0
#include "policy/field.h"

#include <sluice/fwp.h>

#include <algorithm>
#include <map>

#include "policy/wfp.h"

namespace sluice::policy {

namespace {

struct Row {
    const char *name;
    dp_slot slot;
    Aspect aspect;
    unsigned bits; // addresses: of IPv6
};

// Of what Windows' layers have, the fields that mean something here. What is not in the table is
// refused by name: profiles, quarantine epochs, NAP, packages, security realms, remote users and
// machines, promiscuous mode, socket properties, peers' and effective names, sub-interfaces, NDIS
// ports.
constexpr Row rows[] = {
    {"FWPM_CONDITION_IP_LOCAL_ADDRESS", DP_SLOT_LOCAL_ADDRESS, Aspect::address, 128},
    {"FWPM_CONDITION_IP_REMOTE_ADDRESS", DP_SLOT_REMOTE_ADDRESS, Aspect::address, 128},
    {"FWPM_CONDITION_IP_SOURCE_ADDRESS", DP_SLOT_LOCAL_ADDRESS, Aspect::address, 128},
    {"FWPM_CONDITION_IP_DESTINATION_ADDRESS", DP_SLOT_REMOTE_ADDRESS, Aspect::address, 128},
    {"FWPM_CONDITION_EMBEDDED_REMOTE_ADDRESS", DP_SLOT_EMBEDDED_REMOTE_ADDRESS, Aspect::address,
     128},
    {"FWPM_CONDITION_IP_LOCAL_ADDRESS_TYPE", DP_SLOT_LOCAL_ADDRESS_TYPE, Aspect::number, 8},
    {"FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE", DP_SLOT_REMOTE_ADDRESS_TYPE, Aspect::number, 8},
    {"FWPM_CONDITION_EMBEDDED_LOCAL_ADDRESS_TYPE", DP_SLOT_EMBEDDED_LOCAL_ADDRESS_TYPE,
     Aspect::number, 8},
    {"FWPM_CONDITION_IP_PROTOCOL", DP_SLOT_PROTOCOL, Aspect::number, 8},
    {"FWPM_CONDITION_EMBEDDED_PROTOCOL", DP_SLOT_EMBEDDED_PROTOCOL, Aspect::number, 8},
    // B10: also the ICMP type and code, whose keys are these.
    {"FWPM_CONDITION_IP_LOCAL_PORT", DP_SLOT_LOCAL_PORT, Aspect::number, 16},
    {"FWPM_CONDITION_IP_REMOTE_PORT", DP_SLOT_REMOTE_PORT, Aspect::number, 16},
    {"FWPM_CONDITION_EMBEDDED_LOCAL_PORT", DP_SLOT_EMBEDDED_LOCAL_PORT, Aspect::number, 16},
    {"FWPM_CONDITION_EMBEDDED_REMOTE_PORT", DP_SLOT_EMBEDDED_REMOTE_PORT, Aspect::number, 16},
    {"FWPM_CONDITION_ORIGINAL_ICMP_TYPE", DP_SLOT_ORIGINAL_ICMP_TYPE, Aspect::number, 16},
    {"FWPM_CONDITION_FLAGS", DP_SLOT_FLAGS, Aspect::number, 32},
    {"FWPM_CONDITION_L2_FLAGS", DP_SLOT_FLAGS, Aspect::number, 32},
    {"FWPM_CONDITION_REAUTHORIZE_REASON", DP_SLOT_REAUTHORIZE_REASON, Aspect::number, 32},
    {"FWPM_CONDITION_DIRECTION", DP_SLOT_DIRECTION, Aspect::number, 32},
    {"FWPM_CONDITION_COMPARTMENT_ID", DP_SLOT_COMPARTMENT, Aspect::number, 32},
    {"SLUICE_CONDITION_PACKET_LENGTH", DP_SLOT_PACKET_LENGTH, Aspect::number, 32},
    {"FWPM_CONDITION_ETHER_TYPE", DP_SLOT_ETHER_TYPE, Aspect::number, 16},
    {"FWPM_CONDITION_VLAN_ID", DP_SLOT_VLAN, Aspect::number, 16},
    {"FWPM_CONDITION_MAC_LOCAL_ADDRESS", DP_SLOT_LOCAL_MAC, Aspect::mac, 48},
    {"FWPM_CONDITION_MAC_REMOTE_ADDRESS", DP_SLOT_REMOTE_MAC, Aspect::mac, 48},
    {"FWPM_CONDITION_MAC_LOCAL_ADDRESS_TYPE", DP_SLOT_LOCAL_ADDRESS_TYPE, Aspect::number, 8},
    {"FWPM_CONDITION_MAC_REMOTE_ADDRESS_TYPE", DP_SLOT_REMOTE_ADDRESS_TYPE, Aspect::number, 8},
    {"FWPM_CONDITION_INTERFACE_INDEX", DP_SLOT_INTERFACE, Aspect::number, 32},
    {"FWPM_CONDITION_INTERFACE_TYPE", DP_SLOT_INTERFACE, Aspect::interface_type, 32},
    {"FWPM_CONDITION_TUNNEL_TYPE", DP_SLOT_INTERFACE, Aspect::interface_tunnel, 32},
    {"FWPM_CONDITION_IP_LOCAL_INTERFACE", DP_SLOT_INTERFACE, Aspect::interface_luid, 64},
    {"FWPM_CONDITION_INTERFACE_MAC_ADDRESS", DP_SLOT_INTERFACE, Aspect::interface_mac, 48},
    {"SLUICE_CONDITION_INTERFACE_NAME", DP_SLOT_INTERFACE, Aspect::interface_name, 32},
    {"SLUICE_CONDITION_INTERFACE_ALIAS", DP_SLOT_INTERFACE, Aspect::interface_alias, 32},
    {"FWPM_CONDITION_ARRIVAL_INTERFACE_INDEX", DP_SLOT_ARRIVAL_INTERFACE, Aspect::number, 32},
    {"FWPM_CONDITION_ARRIVAL_INTERFACE_TYPE", DP_SLOT_ARRIVAL_INTERFACE, Aspect::interface_type,
     32},
    {"FWPM_CONDITION_ARRIVAL_TUNNEL_TYPE", DP_SLOT_ARRIVAL_INTERFACE, Aspect::interface_tunnel, 32},
    {"FWPM_CONDITION_IP_ARRIVAL_INTERFACE", DP_SLOT_ARRIVAL_INTERFACE, Aspect::interface_luid, 64},
    {"FWPM_CONDITION_IP_PHYSICAL_ARRIVAL_INTERFACE", DP_SLOT_ARRIVAL_INTERFACE,
     Aspect::interface_luid, 64},
    {"FWPM_CONDITION_SOURCE_INTERFACE_INDEX", DP_SLOT_ARRIVAL_INTERFACE, Aspect::number, 32},
    {"FWPM_CONDITION_NEXTHOP_INTERFACE_INDEX", DP_SLOT_NEXTHOP_INTERFACE, Aspect::number, 32},
    {"FWPM_CONDITION_NEXTHOP_INTERFACE_TYPE", DP_SLOT_NEXTHOP_INTERFACE, Aspect::interface_type,
     32},
    {"FWPM_CONDITION_NEXTHOP_TUNNEL_TYPE", DP_SLOT_NEXTHOP_INTERFACE, Aspect::interface_tunnel, 32},
    {"FWPM_CONDITION_IP_NEXTHOP_INTERFACE", DP_SLOT_NEXTHOP_INTERFACE, Aspect::interface_luid, 64},
    {"FWPM_CONDITION_IP_PHYSICAL_NEXTHOP_INTERFACE", DP_SLOT_NEXTHOP_INTERFACE,
     Aspect::interface_luid, 64},
    {"FWPM_CONDITION_IP_FORWARD_INTERFACE", DP_SLOT_NEXTHOP_INTERFACE, Aspect::interface_luid, 64},
    {"FWPM_CONDITION_DESTINATION_INTERFACE_INDEX", DP_SLOT_NEXTHOP_INTERFACE, Aspect::number, 32},
    {"FWPM_CONDITION_ALE_APP_ID", DP_SLOT_APP, Aspect::executable, 64},
    {"FWPM_CONDITION_ALE_ORIGINAL_APP_ID", DP_SLOT_APP, Aspect::executable, 64},
    {"FWPM_CONDITION_ALE_USER_ID", DP_SLOT_USER, Aspect::user, 32},
    {"SLUICE_CONDITION_ALE_GROUP_ID", DP_SLOT_GROUP, Aspect::number, 32},
    {"SLUICE_CONDITION_CGROUP", DP_SLOT_CGROUP, Aspect::cgroup, 64},
    {"SLUICE_CONDITION_CONTAINER", DP_SLOT_CGROUP, Aspect::container, 64},
};

const std::map<Guid, Row> &known_fields() {
    static const std::map<Guid, Row> known = [] {
        std::map<Guid, Row> out;
        for (const Row &row : rows)
            out.emplace(table_key(row.name), row);
        return out;
    }();
    return known;
}

bool is_network_layer(std::uint16_t layer) {
    const std::uint16_t v4 = layer_v4(layer);
    return v4 == DP_LAYER_INBOUND_IPPACKET_V4 || v4 == DP_LAYER_OUTBOUND_IPPACKET_V4 ||
           v4 == DP_LAYER_IPFORWARD_V4;
}

bool carries_packets(std::uint16_t layer) {
    switch (layer_v4(layer)) {
    case DP_LAYER_INBOUND_TRANSPORT_V4:
    case DP_LAYER_OUTBOUND_TRANSPORT_V4:
    case DP_LAYER_INBOUND_ICMP_ERROR_V4:
    case DP_LAYER_OUTBOUND_ICMP_ERROR_V4:
    case DP_LAYER_DATAGRAM_DATA_V4:
    case DP_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
        return true;
    default:
        return is_network_layer(layer);
    }
}

bool has(std::uint16_t layer, const char *name) {
    return layer_has_field(layer, table_key(name));
}

bool knows_interface(std::uint16_t layer) {
    return has(layer, "FWPM_CONDITION_INTERFACE_INDEX") ||
           has(layer, "FWPM_CONDITION_IP_LOCAL_INTERFACE");
}

// Fields that Windows' layers do not have and ours do.
bool is_extension_at(std::uint16_t layer, const Row &row) {
    const Guid key = table_key(row.name);
    const auto is = [&](const char *name) { return key == table_key(name); };
    const std::uint16_t v4 = layer_v4(layer);
    if (is("FWPM_CONDITION_IP_PROTOCOL") || is("FWPM_CONDITION_IP_LOCAL_PORT") ||
        is("FWPM_CONDITION_IP_REMOTE_PORT"))
        return is_network_layer(layer);
    if (is("SLUICE_CONDITION_PACKET_LENGTH")) return carries_packets(layer);
    if (is("FWPM_CONDITION_DIRECTION"))
        return v4 == DP_LAYER_ALE_AUTH_CONNECT_V4 || v4 == DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    if (row.aspect == Aspect::interface_name || row.aspect == Aspect::interface_alias)
        return knows_interface(layer);
    if (row.slot == DP_SLOT_GROUP || row.slot == DP_SLOT_CGROUP)
        return has(layer, "FWPM_CONDITION_ALE_USER_ID");
    return false;
}

Field field_of(const Row &row, std::uint16_t layer) {
    Field field{row.slot, row.aspect, row.bits};
    if (row.aspect == Aspect::address && !layer_is_v6(layer)) field.bits = 32;
    // A forwarded packet has two interfaces; the local one is where it came in.
    if (layer_v4(layer) == DP_LAYER_IPFORWARD_V4 && row.slot == DP_SLOT_INTERFACE)
        field.slot = DP_SLOT_ARRIVAL_INTERFACE;
    return field;
}

bool is_integer_match(std::uint32_t match) {
    return match <= FWP_MATCH_FLAGS_NONE_SET || match == FWP_MATCH_NOT_EQUAL;
}
bool is_order_match(std::uint32_t match) {
    return match <= FWP_MATCH_RANGE || match == FWP_MATCH_NOT_EQUAL;
}
bool is_text_match(std::uint32_t match) {
    return is_order_match(match) ||
           (match >= FWP_MATCH_EQUAL_CASE_INSENSITIVE && match < FWP_MATCH_TYPE_MAX);
}

} // namespace

bool is_interface_property(Aspect aspect) {
    return aspect >= Aspect::interface_luid && aspect <= Aspect::interface_mac;
}

Result<Field> field_at(std::uint16_t layer, const Guid &key) {
    const auto row = known_fields().find(key);
    const bool native = layer_has_field(layer, key);
    if (row != known_fields().end() && (native || is_extension_at(layer, row->second)))
        return field_of(row->second, layer);
    if (native)
        return refuse(STATUS_NOT_SUPPORTED, "Linux has nothing like the field", field_name(key));
    return refuse(STATUS_FWP_CONDITION_NOT_FOUND, layer_name(layer) + " has no field",
                  field_name(key));
}

std::vector<Guid> fields_at(std::uint16_t layer) {
    std::vector<Guid> out;
    for (const auto &[key, row] : known_fields()) {
        if (field_at(layer, key)) out.push_back(key);
    }
    return out;
}

bool match_exists(const Field &field, std::uint32_t match, bool v6) {
    switch (field.aspect) {
    case Aspect::address:
        return v6 ? is_order_match(match) : is_integer_match(match);
    case Aspect::mac:
    case Aspect::interface_mac:
    case Aspect::cgroup:
    case Aspect::container:
        return match == FWP_MATCH_EQUAL || match == FWP_MATCH_NOT_EQUAL;
    case Aspect::interface_name:
    case Aspect::interface_alias:
    case Aspect::executable:
        return is_text_match(match);
    case Aspect::number:
    case Aspect::interface_luid:
    case Aspect::interface_type:
    case Aspect::interface_tunnel:
    case Aspect::user:
        break;
    }
    return is_integer_match(match);
}

} // namespace sluice::policy
