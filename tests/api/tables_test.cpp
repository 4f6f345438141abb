// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <gtest/gtest.h>

#include <sluice/detail/fwp_tables.hpp>

#include "table_checks.h"

namespace tables = sluice::tables;

static std::string text_of(const GUID &g) {
    char text[40];
    std::snprintf(text, sizeof text, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", g.Data1,
                  g.Data2, g.Data3, g.Data4[0], g.Data4[1], g.Data4[2], g.Data4[3], g.Data4[4],
                  g.Data4[5], g.Data4[6], g.Data4[7]);
    return text;
}

TEST(Guids, ExportedDataEqualsTheTables) {
    ASSERT_GT(guid_rows.size(), 300u);
    for (const GuidRow &row : guid_rows)
        EXPECT_EQ(text_of(*row.exported), row.text) << row.name;
}

TEST(Layers, AreIndexedByTheirId) {
    ASSERT_EQ(tables::layers.size(), 99u);
    for (std::size_t i = 0; i < tables::layers.size(); ++i)
        EXPECT_EQ(tables::layers[i].id, i);
}

TEST(Layers, HaveDistinctKeys) {
    std::set<std::string> seen;
    for (const auto &layer : tables::layers) {
        if (layer.management_name)
            EXPECT_TRUE(seen.insert(text_of(layer.key)).second) << layer.name;
    }
}

TEST(Layers, FindTheirFieldsInIndexOrder) {
    const auto &connect = tables::layers[FWPS_LAYER_ALE_AUTH_CONNECT_V4];
    EXPECT_STREQ(connect.management_name, "FWPM_LAYER_ALE_AUTH_CONNECT_V4");
    ASSERT_GT(connect.field_count, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT);
    const auto &port =
        tables::fields[connect.first_field + FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT];
    EXPECT_STREQ(port.name, "FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT");
    EXPECT_EQ(port.type, FWP_UINT16);
    EXPECT_TRUE(tables::conditions[static_cast<std::size_t>(port.condition)].key ==
                FWPM_CONDITION_IP_REMOTE_PORT);
}

TEST(Fields, FillEachLayerWithoutHoles) {
    for (const auto &layer : tables::layers)
        EXPECT_LE(layer.first_field + layer.field_count, tables::fields.size());
}

TEST(Statuses, HaveOneNameEach) {
    std::set<std::uint32_t> seen;
    for (const auto &status : tables::statuses)
        EXPECT_TRUE(seen.insert(status.value).second) << status.name;
    EXPECT_TRUE(seen.count(static_cast<std::uint32_t>(STATUS_FWP_CANNOT_PEND)));
}

TEST(Statuses, OnlyErrorsAndWarningsFailNtSuccess) {
    EXPECT_TRUE(NT_SUCCESS(STATUS_SUCCESS));
    EXPECT_TRUE(NT_SUCCESS(STATUS_PENDING));
    EXPECT_FALSE(NT_SUCCESS(STATUS_DEVICE_BUSY));
    EXPECT_FALSE(NT_SUCCESS(STATUS_FWP_ALREADY_EXISTS));
}
