// SPDX-License-Identifier: Apache-2.0
// Who may delete what, and what goes with a dynamic session. J numbers name the rules of lifetimes.
#include <gtest/gtest.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

constexpr SessionId mine = 7, other = 8;

struct Sessions : testing::Test {
    Policy policy = initial();

    static void expect_status(const Result<void> &r, NTSTATUS status) {
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(status)) << r.error().text();
    }
    void refuse(NTSTATUS status, const Filter &filter) {
        const auto r = add_filter(policy, filter);
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(status)) << r.error().text();
    }
};

TEST_F(Sessions, J7_DeleteTheirOwn) {
    const auto id = add(policy, permit(in_v4).owned_by(mine));
    EXPECT_TRUE(delete_filter(policy, id, mine));
    EXPECT_TRUE(policy.filters.empty());
}

TEST_F(Sessions, J7_DoNotDeleteStaticObjects) {
    const auto id = add(policy, permit(in_v4));
    expect_status(delete_filter(policy, id, mine), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    EXPECT_TRUE(delete_filter(policy, id, 0));
}

TEST_F(Sessions, J7_DoNotDeleteEachOthers) {
    const auto id = add(policy, permit(in_v4).owned_by(other));
    expect_status(delete_filter(policy, id, mine), STATUS_FWP_WRONG_SESSION);
    expect_status(delete_filter(policy, id, 0), STATUS_FWP_WRONG_SESSION);
    EXPECT_EQ(policy.filters.size(), 1u);
}

TEST_F(Sessions, J6_NothingRefersToWhatEndsEarlier) {
    const Guid sublayer = new_sublayer(policy, 1, mine);
    const Guid callout = new_callout(policy, in_v4, mine);
    refuse(STATUS_FWP_LIFETIME_MISMATCH, permit(in_v4).in(sublayer));
    refuse(STATUS_FWP_LIFETIME_MISMATCH, permit(in_v4).in(sublayer).owned_by(other));
    refuse(STATUS_FWP_LIFETIME_MISMATCH, terminating(in_v4, callout));
    refuse(STATUS_FWP_LIFETIME_MISMATCH, terminating(in_v4, callout).owned_by(other));
    EXPECT_TRUE(add_filter(policy, terminating(in_v4, callout).in(sublayer).owned_by(mine)));
}

TEST_F(Sessions, J6_AddNothingThatOutlivesThem) {
    refuse(STATUS_FWP_LIFETIME_MISMATCH,
           permit(in_v4).flagged(FWPM_FILTER_FLAG_PERSISTENT).owned_by(mine));
    SubLayer s;
    s.name = "s";
    s.owner = mine;
    s.flags = FWPM_SUBLAYER_FLAG_PERSISTENT;
    expect_status(policy::add_sublayer(policy, s), STATUS_FWP_LIFETIME_MISMATCH);
}

TEST_F(Sessions, J5_TakeTheirObjectsWithThem) {
    const Guid sublayer = new_sublayer(policy, 1, mine);
    const Guid callout = new_callout(policy, in_v4, mine);
    const auto a = add(policy, terminating(in_v4, callout).in(sublayer).owned_by(mine));
    const auto b = add(policy, permit(in_v4).owned_by(mine));
    const auto kept = add(policy, permit(in_v4));
    const auto others = add(policy, permit(in_v4).owned_by(other));
    const std::uint32_t id = policy.callouts.at(callout).id;

    const std::vector<Filter> gone = delete_owned(policy, mine);
    ASSERT_EQ(gone.size(), 2u);
    EXPECT_EQ(gone[0].id, a);
    EXPECT_EQ(gone[1].id, b);
    EXPECT_EQ(policy.filters.size(), 2u);
    EXPECT_TRUE(policy.filters.contains(kept));
    EXPECT_TRUE(policy.filters.contains(others));
    EXPECT_FALSE(policy.sublayers.contains(sublayer));
    EXPECT_FALSE(policy.callouts.contains(callout));
    EXPECT_EQ(policy.callout_ids.at(callout), id) << "a callout keeps its id when it comes back";
}

TEST_F(Sessions, DeletingWhatNobodyOwnsIsNothing) {
    add(policy, permit(in_v4));
    EXPECT_TRUE(delete_owned(policy, 0).empty());
    EXPECT_TRUE(delete_owned(policy, 99).empty());
    EXPECT_EQ(policy.filters.size(), 1u);
}

} // namespace
} // namespace sluice::policy
