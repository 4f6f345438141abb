// SPDX-License-Identifier: Apache-2.0
#include "daemon/rights.h"

#include <gtest/gtest.h>

namespace sluice::daemon {
namespace {

const RightsRules rules{500, 100, 200}; // own user, sluice-admin, sluice
Peer peer(uid_t uid, gid_t gid = 9, std::vector<gid_t> groups = {}) {
    return {1, uid, gid, std::move(groups)};
}

TEST(Rights, AreDecidedByUserAndGroups) {
    EXPECT_EQ(access_of(peer(0), rules), Access::change);
    EXPECT_EQ(access_of(peer(500), rules), Access::change);
    EXPECT_EQ(access_of(peer(7, 100), rules), Access::change);
    EXPECT_EQ(access_of(peer(7, 9, {1, 100, 200}), rules), Access::change);
    EXPECT_EQ(access_of(peer(7, 9, {200}), rules), Access::read);
    EXPECT_EQ(access_of(peer(7), rules), Access::none);
}

TEST(Rights, OfGroupsThatTheSystemLacksAreNobodys) {
    const RightsRules no_groups{500, {}, {}};
    EXPECT_EQ(access_of(peer(7, 0, {0}), no_groups), Access::none);
}

TEST(Rights, ListsAreReadAndEverythingElseChanges) {
    using R = protocol::Request;
    for (const auto body :
         {R::kHoldList, R::kHoldWatch, R::kStatusGet, R::kObjectGet, R::kObjectEnum, R::kSubscribe,
          R::kUnsubscribe, R::kNetEventEnum, R::kEngineOptionGet, R::kSessionEnum})
        EXPECT_EQ(access_needed(body), Access::read);
    for (const auto body :
         {R::kNicLoad, R::kNicUnload, R::kPluginLoad, R::kHoldDecide, R::kFilterHoldSet,
          R::kHostDefaultsSet, R::kFilterAdd, R::kEngineOpen, R::kCalloutRegister, R::kProviderAdd,
          R::kObjectDelete, R::kEngineOptionSet, R::kPolicyApply, R::kPolicyConfirm,
          R::kPolicyRollback})
        EXPECT_EQ(access_needed(body), Access::change);
}

} // namespace
} // namespace sluice::daemon
