// SPDX-License-Identifier: Apache-2.0
#include "policy/wfp.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include <sluice/detail/fwp_tables.hpp>

#include "shared/verdict.h"

namespace sluice::policy {

namespace {

Guid to_guid(const GUID &g) {
    Guid out{g.Data1, g.Data2, g.Data3, {}};
    std::copy(std::begin(g.Data4), std::end(g.Data4), out.data4.begin());
    return out;
}

const tables::Layer *find_layer(std::uint16_t id) {
    for (const tables::Layer &layer : tables::layers) {
        // An id without a GUID is reserved: nothing can be added there.
        if (layer.id == id && layer.management_name != nullptr) return &layer;
    }
    return nullptr;
}

} // namespace

Guid table_key(const char *name) {
    for (const tables::Condition &condition : tables::conditions) {
        if (std::strcmp(condition.name, name) == 0) return to_guid(condition.key);
    }
    for (const tables::NamedGuid &named : tables::named_guids) {
        if (std::strcmp(named.name, name) == 0) return to_guid(named.key);
    }
    return {};
}

std::string field_name(const Guid &field) {
    for (const tables::Condition &condition : tables::conditions) {
        if (to_guid(condition.key) == field) return condition.name;
    }
    return field.text();
}

bool layer_known(std::uint16_t layer) {
    return find_layer(layer) != nullptr;
}

std::string layer_name(std::uint16_t layer) {
    const tables::Layer *found = find_layer(layer);
    return found != nullptr ? found->management_name : std::to_string(layer);
}

bool layer_has_field(std::uint16_t layer, const Guid &field) {
    const tables::Layer *found = find_layer(layer);
    if (found == nullptr) return false;
    for (std::uint16_t i = 0; i < found->field_count; ++i) {
        const tables::Field &at = tables::fields[found->first_field + i];
        if (at.condition >= 0 && to_guid(tables::conditions[at.condition].key) == field)
            return true;
    }
    return false;
}

bool layer_supported(std::uint16_t layer) {
    switch (layer) {
    case DP_LAYER_INBOUND_IPPACKET_V4:
    case DP_LAYER_INBOUND_IPPACKET_V6:
    case DP_LAYER_OUTBOUND_IPPACKET_V4:
    case DP_LAYER_OUTBOUND_IPPACKET_V6:
    case DP_LAYER_IPFORWARD_V4:
    case DP_LAYER_IPFORWARD_V6:
    case DP_LAYER_INBOUND_TRANSPORT_V4:
    case DP_LAYER_INBOUND_TRANSPORT_V6:
    case DP_LAYER_OUTBOUND_TRANSPORT_V4:
    case DP_LAYER_OUTBOUND_TRANSPORT_V6:
    case DP_LAYER_INBOUND_ICMP_ERROR_V4:
    case DP_LAYER_INBOUND_ICMP_ERROR_V6:
    case DP_LAYER_OUTBOUND_ICMP_ERROR_V4:
    case DP_LAYER_OUTBOUND_ICMP_ERROR_V6:
    case DP_LAYER_DATAGRAM_DATA_V4:
    case DP_LAYER_DATAGRAM_DATA_V6:
    case DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case DP_LAYER_ALE_AUTH_LISTEN_V4:
    case DP_LAYER_ALE_AUTH_LISTEN_V6:
    case DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case DP_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case DP_LAYER_ALE_AUTH_CONNECT_V4:
    case DP_LAYER_ALE_AUTH_CONNECT_V6:
    case DP_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case DP_LAYER_ALE_FLOW_ESTABLISHED_V6:
    case DP_LAYER_ALE_RESOURCE_RELEASE_V4:
    case DP_LAYER_ALE_RESOURCE_RELEASE_V6:
    case DP_LAYER_ALE_ENDPOINT_CLOSURE_V4:
    case DP_LAYER_ALE_ENDPOINT_CLOSURE_V6:
    case DP_LAYER_ALE_CONNECT_REDIRECT_V4:
    case DP_LAYER_ALE_CONNECT_REDIRECT_V6:
    case DP_LAYER_ALE_BIND_REDIRECT_V4:
    case DP_LAYER_ALE_BIND_REDIRECT_V6:
    case DP_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
        return true;
    default:
        return false;
    }
}

bool layer_asks(std::uint16_t layer) {
    switch (layer_v4(layer)) {
    case DP_LAYER_INBOUND_IPPACKET_V4:
    case DP_LAYER_OUTBOUND_IPPACKET_V4:
    case DP_LAYER_IPFORWARD_V4:
    case DP_LAYER_INBOUND_TRANSPORT_V4:
    case DP_LAYER_OUTBOUND_TRANSPORT_V4:
    case DP_LAYER_INBOUND_ICMP_ERROR_V4:
    case DP_LAYER_OUTBOUND_ICMP_ERROR_V4:
    case DP_LAYER_DATAGRAM_DATA_V4:
    case DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case DP_LAYER_ALE_AUTH_LISTEN_V4:
    case DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case DP_LAYER_ALE_AUTH_CONNECT_V4:
    case DP_LAYER_ALE_CONNECT_REDIRECT_V4:
    case DP_LAYER_ALE_BIND_REDIRECT_V4:
    case DP_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case DP_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
        return true;
    default:
        return layer_only_tells(layer);
    }
}

bool layer_only_tells(std::uint16_t layer) {
    const std::uint16_t v4 = layer_v4(layer);
    return v4 == DP_LAYER_ALE_RESOURCE_RELEASE_V4 || v4 == DP_LAYER_ALE_ENDPOINT_CLOSURE_V4;
}

bool layer_is_v6(std::uint16_t layer) {
    return layer_v4(layer) != layer;
}

std::uint16_t layer_v4(std::uint16_t layer) {
    if (!layer_supported(layer)) return layer;
    switch (layer) {
    case DP_LAYER_INBOUND_MAC_FRAME_ETHERNET:
    case DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET:
    case DP_LAYER_ALE_RESOURCE_RELEASE_V4:
    case DP_LAYER_ALE_ENDPOINT_CLOSURE_V4:
    case DP_LAYER_ALE_CONNECT_REDIRECT_V4:
    case DP_LAYER_ALE_BIND_REDIRECT_V4:
        return layer;
    case DP_LAYER_ALE_RESOURCE_RELEASE_V6:
        return DP_LAYER_ALE_RESOURCE_RELEASE_V4;
    case DP_LAYER_ALE_ENDPOINT_CLOSURE_V6:
        return DP_LAYER_ALE_ENDPOINT_CLOSURE_V4;
    case DP_LAYER_ALE_CONNECT_REDIRECT_V6:
        return DP_LAYER_ALE_CONNECT_REDIRECT_V4;
    case DP_LAYER_ALE_BIND_REDIRECT_V6:
        return DP_LAYER_ALE_BIND_REDIRECT_V4;
    default: // of the other pairs the V4 one is a multiple of four
        return layer % 4 == DP_LAYER_V6 ? static_cast<std::uint16_t>(layer - DP_LAYER_V6) : layer;
    }
}

} // namespace sluice::policy
