// SPDX-License-Identifier: Apache-2.0
// The steps behind a verdict: sublayers, filters tried, the condition that did not hold, what each
// one said and whether it counted.
#include "policy/explain.h"

#include <gtest/gtest.h>
#include <sluice/fwp.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

constexpr std::uint32_t permits = FWP_ACTION_PERMIT, blocks = FWP_ACTION_BLOCK;

struct Explain : testing::Test {
    Policy policy = initial();
    Guid top = new_sublayer(policy, 0xf000);
    Guid callout = new_callout(policy, in_v4);
    CalloutReply reply{};

    Explanation explained(const Packet &packet = packet_at(in_v4)) {
        return explain(policy, packet, [&](const Filter &, std::uint32_t, bool) { return reply; });
    }
};

TEST_F(Explain, SaysWhichConditionDidNotHold) {
    const auto id = add(policy, block(in_v4)
                                    .in(top)
                                    .when(equal(protocol, std::uint8_t{6}))
                                    .when(equal(remote_port, std::uint16_t{1}))
                                    .when(equal(remote_port, std::uint16_t{2})));
    const Explanation e = explained();
    ASSERT_EQ(e.sublayers.size(), 2u);
    EXPECT_EQ(e.sublayers[0].key, top);
    ASSERT_EQ(e.sublayers[0].filters.size(), 1u);
    EXPECT_EQ(e.sublayers[0].filters[0].id, id);
    EXPECT_EQ(e.sublayers[0].filters[0].match, Match::no);
    EXPECT_EQ(e.sublayers[0].filters[0].condition, 1u);
    EXPECT_EQ(e.sublayers[0].action, static_cast<std::uint32_t>(FWP_ACTION_NONE));
    EXPECT_EQ(e.verdict.action, permits);
    EXPECT_EQ(e.verdict.filter, 0u);
}

TEST_F(Explain, FollowsTheRunningDecision) {
    add(policy, permit(in_v4).in(top).weighing(2).flagged(FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT));
    add(policy, block(in_v4).in(top).weighing(1));
    add(policy, block(in_v4));
    const Explanation e = explained();
    ASSERT_EQ(e.sublayers[0].filters.size(), 1u) << "behind the decision nothing is tried";
    EXPECT_TRUE(e.sublayers[0].filters[0].clears_right);
    EXPECT_EQ(e.sublayers[0].action, permits);
    EXPECT_FALSE(e.sublayers[0].writable);
    EXPECT_EQ(e.sublayers[1].filters[0].action, blocks);
    EXPECT_TRUE(e.sublayers[1].filters[0].ignored);
    EXPECT_EQ(e.sublayers[1].action, permits);
    EXPECT_EQ(e.verdict.action, permits);
    EXPECT_TRUE(e.verdict.hard);
}

TEST_F(Explain, TellsAVetoAndACalloutThatIsNotThere) {
    add(policy, permit(in_v4).in(top).flagged(FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT));
    const auto asks = add(policy, terminating(in_v4, callout));
    Explanation e = explained();
    EXPECT_TRUE(e.sublayers[1].filters[0].unregistered);
    EXPECT_TRUE(e.sublayers[1].filters[0].ignored);
    EXPECT_EQ(e.verdict.action, permits);
    reply = {Asked::answered, {FWP_ACTION_BLOCK, false}};
    e = explained();
    EXPECT_TRUE(e.sublayers[1].filters[0].asked);
    EXPECT_TRUE(e.sublayers[1].filters[0].veto);
    EXPECT_FALSE(e.sublayers[1].filters[0].ignored);
    EXPECT_EQ(e.verdict.action, blocks);
    EXPECT_EQ(e.verdict.filter, asks);
}

TEST_F(Explain, ACalloutWithoutContextIsNeitherAskedNorMissing) {
    add(policy, terminating(in_v4, callout));
    reply = {Asked::passed_over, {}};
    const Explanation e = explained();
    EXPECT_FALSE(e.sublayers.back().filters[0].asked);
    EXPECT_FALSE(e.sublayers.back().filters[0].unregistered);
    EXPECT_EQ(e.verdict.action, permits);
    EXPECT_EQ(e.verdict.filter, 0u);
}

TEST_F(Explain, StopsWhereAFieldIsUnknown) {
    const auto id = add(policy, block(in_v4).in(top).when(equal(local_port, std::uint16_t{80})));
    add(policy, block(in_v4));
    Packet packet = packet_at(in_v4);
    hide(packet, local_port);
    const Explanation e = explained(packet);
    ASSERT_EQ(e.sublayers.size(), 1u);
    EXPECT_EQ(e.sublayers[0].filters[0].match, Match::unknown);
    EXPECT_EQ(e.sublayers[0].filters[0].condition, 0u);
    EXPECT_TRUE(e.verdict.deferred);
    EXPECT_EQ(e.verdict.filter, id);
}

} // namespace
} // namespace sluice::policy
