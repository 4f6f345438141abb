// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "datapath/counters.h"
#include "shared/verdict.h"

using namespace sluice::datapath;

TEST(Counters, NamesAreTheEnumerationsWords) {
    EXPECT_EQ(reason_name(DP_REASON_FILTER_BLOCK), "filter_block");
    EXPECT_EQ(reason_name(DP_REASON_NO_NIC), "no_nic");
    EXPECT_EQ(reason_name(DP_REASON_VLAN_DEPTH), "vlan_depth");
    EXPECT_EQ(reason_name(DP_REASON_DOWNCALL_STATE), "downcall_state");
    EXPECT_EQ(reason_name(DP_REASON_INTERNAL), "internal");
    EXPECT_EQ(reason_name(DP_REASON_REJECT_SENT), "reject_sent");
    EXPECT_EQ(reason_name(DP_REASONS - 1), "discarded");
    EXPECT_EQ(layer_name(DP_LAYER_ALE_AUTH_CONNECT_V6), "ale_auth_connect_v6");
}

TEST(Counters, AnUnknownNumberHasNoName) {
    EXPECT_TRUE(reason_name(DP_REASONS).empty());
    EXPECT_TRUE(layer_name(1).empty());
}
