// SPDX-License-Identifier: Apache-2.0
// The table of fields against the tables of WFP: nothing twice, every value of the type that WFP
// gives it, and every field of a layer either taken or refused by name.
#include "policy/field.h"

#include <gtest/gtest.h>
#include <sluice/fwp.h>

#include <set>
#include <sluice/detail/fwp_tables.hpp>

#include "harness/policy_builder.h"
#include "policy/condition.h"

namespace sluice::policy {
namespace {

using namespace harness;

std::vector<std::uint16_t> layers() {
    std::vector<std::uint16_t> out;
    for (std::uint16_t layer = 0; layer < DP_LAYERS_MAX; ++layer) {
        if (layer_supported(layer)) out.push_back(layer);
    }
    return out;
}

unsigned bits_of(FWP_DATA_TYPE type) {
    switch (type) {
    case FWP_UINT8:
        return 8;
    case FWP_UINT16:
        return 16;
    case FWP_UINT32:
        return 32;
    case FWP_UINT64:
        return 64;
    case FWP_BYTE_ARRAY6_TYPE:
        return 48;
    case FWP_BYTE_ARRAY16_TYPE:
        return 128;
    default:
        return 0; // names
    }
}

void each_field_of(std::uint16_t id, const std::function<void(const tables::Field &, Guid)> &f) {
    for (const tables::Layer &layer : tables::layers) {
        if (layer.id != id) continue;
        for (unsigned i = 0; i < layer.field_count; ++i) {
            const tables::Field &field = tables::fields[layer.first_field + i];
            if (field.condition >= 0) f(field, table_key(tables::conditions[field.condition].name));
        }
    }
}

TEST(Fields, ValuesAreAsWideAsWfpsAre) {
    for (const std::uint16_t layer : layers()) {
        each_field_of(layer, [&](const tables::Field &field, const Guid &key) {
            const auto taken = field_at(layer, key);
            if (!taken || bits_of(field.type) == 0) return;
            EXPECT_EQ(taken->bits, bits_of(field.type)) << layer_name(layer) << field.name;
        });
    }
}

TEST(Fields, WhatLinuxLacksIsRefusedByName) {
    static const std::set<std::string> lacking{
        "ALE_EFFECTIVE_NAME",           "ALE_NAP_CONTEXT",
        "ALE_PACKAGE_FAMILY_NAME",      "ALE_PACKAGE_ID",
        "ALE_PROMISCUOUS_MODE",         "ALE_REMOTE_MACHINE_ID",
        "ALE_REMOTE_USER_ID",           "ALE_SECURITY_ATTRIBUTE_FQBN_VALUE",
        "ALE_SIO_FIREWALL_SYSTEM_PORT", "ARRIVAL_INTERFACE_PROFILE_ID",
        "CURRENT_PROFILE_ID",           "DESTINATION_SUB_INTERFACE_INDEX",
        "INTERFACE_QUARANTINE_EPOCH",   "IPSEC_SECURITY_REALM_ID",
        "LOCAL_INTERFACE_PROFILE_ID",   "NDIS_PORT",
        "NEXTHOP_INTERFACE_PROFILE_ID", "NEXTHOP_SUB_INTERFACE_INDEX",
        "ORIGINAL_PROFILE_ID",          "PEER_NAME",
        "SOURCE_SUB_INTERFACE_INDEX",   "SUB_INTERFACE_INDEX"};
    std::set<std::string> refused;
    for (const std::uint16_t layer : layers()) {
        each_field_of(layer, [&](const tables::Field &, const Guid &key) {
            const auto taken = field_at(layer, key);
            if (taken) return;
            EXPECT_EQ(taken.error().ntstatus, static_cast<std::uint32_t>(STATUS_NOT_SUPPORTED));
            EXPECT_NE(taken.error().text().find(field_name(key)), std::string::npos);
            refused.insert(field_name(key).substr(std::string("FWPM_CONDITION_").size()));
        });
    }
    EXPECT_EQ(refused, lacking);
}

TEST(Fields, AForwardedPacketHasTwoInterfacesAndNoLocalEnd) {
    const auto slot = [](const char *name) {
        return field_at(DP_LAYER_IPFORWARD_V4, table_key(name))->slot;
    };
    EXPECT_EQ(slot("FWPM_CONDITION_SOURCE_INTERFACE_INDEX"), DP_SLOT_ARRIVAL_INTERFACE);
    EXPECT_EQ(slot("FWPM_CONDITION_IP_PHYSICAL_ARRIVAL_INTERFACE"), DP_SLOT_ARRIVAL_INTERFACE);
    EXPECT_EQ(slot("FWPM_CONDITION_IP_LOCAL_INTERFACE"), DP_SLOT_ARRIVAL_INTERFACE);
    EXPECT_EQ(slot("SLUICE_CONDITION_INTERFACE_NAME"), DP_SLOT_ARRIVAL_INTERFACE);
    EXPECT_EQ(slot("FWPM_CONDITION_DESTINATION_INTERFACE_INDEX"), DP_SLOT_NEXTHOP_INTERFACE);
    EXPECT_EQ(slot("FWPM_CONDITION_IP_FORWARD_INTERFACE"), DP_SLOT_NEXTHOP_INTERFACE);
    EXPECT_EQ(slot("FWPM_CONDITION_IP_SOURCE_ADDRESS"), DP_SLOT_LOCAL_ADDRESS);
    EXPECT_EQ(slot("FWPM_CONDITION_IP_DESTINATION_ADDRESS"), DP_SLOT_REMOTE_ADDRESS);
    EXPECT_EQ(slot("FWPM_CONDITION_IP_DESTINATION_ADDRESS_TYPE"), DP_SLOT_REMOTE_ADDRESS_TYPE);
}

TEST(Fields, OurOwnAreWhereTheyMeanSomething) {
    const auto has = [](std::uint16_t layer, const char *name) {
        return field_at(layer, table_key(name)).has_value();
    };
    EXPECT_TRUE(has(in_v4, "FWPM_CONDITION_IP_PROTOCOL"));
    EXPECT_TRUE(has(DP_LAYER_IPFORWARD_V6, "FWPM_CONDITION_IP_REMOTE_PORT"));
    EXPECT_TRUE(has(in_v4, "SLUICE_CONDITION_PACKET_LENGTH"));
    EXPECT_FALSE(has(connect_v4, "SLUICE_CONDITION_PACKET_LENGTH"));
    EXPECT_TRUE(has(connect_v4, "FWPM_CONDITION_DIRECTION"));
    EXPECT_FALSE(has(in_v4, "FWPM_CONDITION_DIRECTION"));
    EXPECT_TRUE(has(DP_LAYER_ALE_AUTH_LISTEN_V4, "SLUICE_CONDITION_INTERFACE_NAME"));
    EXPECT_TRUE(has(DP_LAYER_INBOUND_MAC_FRAME_ETHERNET, "SLUICE_CONDITION_INTERFACE_ALIAS"));
    for (const char *name : {"SLUICE_CONDITION_ALE_GROUP_ID", "SLUICE_CONDITION_CGROUP",
                             "SLUICE_CONDITION_CONTAINER"}) {
        EXPECT_TRUE(has(connect_v6, name));
        EXPECT_FALSE(has(in_v6, name));
    }
}

TEST(Fields, FamiliesOfLayersAreToldApart) {
    for (const std::uint16_t layer : layers()) {
        const bool v6 = layer_name(layer).ends_with("_V6");
        EXPECT_EQ(layer_is_v6(layer), v6) << layer_name(layer);
        std::string v4_name = layer_name(layer);
        if (v6) v4_name.replace(v4_name.size() - 1, 1, "4");
        EXPECT_EQ(layer_name(layer_v4(layer)), v4_name);
        EXPECT_EQ(v6 ? DP_LAYER_V6_OF(layer_v4(layer)) : layer, layer);
    }
}

TEST(Fields, FlowsAndDatagramsHaveTheirConditions) {
    const auto bits = [](std::uint16_t layer, const char *name) {
        const auto field = field_at(layer, table_key(name));
        return field ? field->bits : 0;
    };
    const char *const remote = "FWPM_CONDITION_IP_REMOTE_ADDRESS";
    const char *const length = "SLUICE_CONDITION_PACKET_LENGTH";
    const char *const app = "FWPM_CONDITION_ALE_APP_ID";
    const char *const direction = "FWPM_CONDITION_DIRECTION";
    EXPECT_EQ(bits(DP_LAYER_ALE_ENDPOINT_CLOSURE_V4, remote), 32u);
    EXPECT_EQ(bits(DP_LAYER_ALE_ENDPOINT_CLOSURE_V6, remote), 128u);
    EXPECT_EQ(bits(DP_LAYER_ALE_RESOURCE_RELEASE_V6, remote), 0u) << "no peer";
    EXPECT_EQ(bits(DP_LAYER_DATAGRAM_DATA_V6, length), 32u);
    EXPECT_EQ(bits(DP_LAYER_DATAGRAM_DATA_V4, app), 0u) << "no process";
    EXPECT_EQ(bits(DP_LAYER_DATAGRAM_DATA_V4, direction), 32u);
    EXPECT_EQ(bits(DP_LAYER_ALE_FLOW_ESTABLISHED_V4, direction), 32u);
    EXPECT_NE(bits(DP_LAYER_ALE_FLOW_ESTABLISHED_V6, app), 0u);
    EXPECT_EQ(bits(DP_LAYER_ALE_FLOW_ESTABLISHED_V6, length), 0u);
}

TEST(Fields, B10_IcmpTypeAndCodeAreThePorts) {
    EXPECT_EQ(
        field_at(DP_LAYER_INBOUND_ICMP_ERROR_V4, table_key("FWPM_CONDITION_IP_LOCAL_PORT"))->slot,
        DP_SLOT_LOCAL_PORT);
    EXPECT_EQ(
        field_at(DP_LAYER_INBOUND_ICMP_ERROR_V6, table_key("FWPM_CONDITION_IP_REMOTE_PORT"))->slot,
        DP_SLOT_REMOTE_PORT);
}

} // namespace
} // namespace sluice::policy
