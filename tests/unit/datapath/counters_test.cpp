// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "datapath/counters.h"
#include "shared/verdict.h"

using namespace sluice::datapath;

TEST(Counters, NamesAreTheEnumerationsWords) {
    EXPECT_EQ(reason_name(DP_REASON_FILTER_BLOCK), "DP_REASON_FILTER_BLOCK");
    EXPECT_EQ(reason_name(DP_REASON_NO_NIC), "DP_REASON_NO_NIC");
    EXPECT_EQ(reason_name(DP_REASON_VLAN_DEPTH), "DP_REASON_VLAN_DEPTH");
    EXPECT_EQ(reason_name(DP_REASON_DOWNCALL_STATE), "DP_REASON_DOWNCALL_STATE");
    EXPECT_EQ(reason_name(DP_REASON_INTERNAL), "DP_REASON_INTERNAL");
    EXPECT_EQ(reason_name(DP_REASON_REJECT_SENT), "DP_REASON_REJECT_SENT");
    EXPECT_EQ(reason_name(DP_REASONS - 1), "DP_REASON_FLOW_CACHED");
    EXPECT_EQ(layer_name(DP_LAYER_ALE_AUTH_CONNECT_V6), "DP_LAYER_ALE_AUTH_CONNECT_V6");
}

TEST(Counters, AnUnknownNumberHasNoName) {
    EXPECT_TRUE(reason_name(DP_REASONS).empty());
    EXPECT_TRUE(layer_name(1).empty());
}
