// SPDX-License-Identifier: Apache-2.0
// One case by hand for each rule of arbitration; A and I numbers name the rules:
// A1 order, A2 first decision of a sublayer, A3 all sublayers, A5-A7 soft and hard, A9-A11 veto,
// A12 layers, A13 action types, A14 default, A16 ties, I2 callouts that are not registered.
#include "policy/arbitrate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

constexpr std::uint32_t clear_right = FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT;
constexpr std::uint32_t permit_if_unregistered = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;

struct Arbitration : testing::Test {
    Policy policy = initial();
    Guid top = new_sublayer(policy, 300);
    Guid middle = new_sublayer(policy, 200);
    Guid bottom = new_sublayer(policy, 100);
    Guid callout = new_callout(policy, in_v4);
    std::map<std::uint64_t, CalloutAnswer> answers; // by filter; none: unregistered
    struct Question {
        std::uint64_t filter;
        std::uint32_t running;
        bool writable;
    };
    std::vector<Question> asked;
    std::vector<std::uint64_t> without_context; // filters of callouts that are asked only with one

    Verdict judge(std::uint16_t layer = in_v4) {
        asked.clear();
        return arbitrate(
            policy, packet_at(layer),
            [&](const Filter &f, std::uint32_t running, bool writable) -> CalloutReply {
                if (std::count(without_context.begin(), without_context.end(), f.id) != 0)
                    return {Asked::passed_over, {}};
                asked.push_back({f.id, running, writable});
                const auto answer = answers.find(f.id);
                if (answer == answers.end()) return {};
                return {Asked::answered, answer->second};
            });
    }
    std::uint64_t answering(Filter filter, std::uint32_t action, bool clear = false) {
        const std::uint64_t id = add(policy, std::move(filter));
        answers[id] = {action, clear};
        return id;
    }
    void expect(std::uint32_t action, bool hard, std::uint64_t filter) {
        const Verdict v = judge();
        EXPECT_EQ(v.action, action);
        EXPECT_EQ(v.hard, hard);
        EXPECT_EQ(v.filter, filter);
    }
};

TEST_F(Arbitration, A14_NothingMatchedIsPermit) {
    expect(FWP_ACTION_PERMIT, false, 0);
}

TEST_F(Arbitration, A1_HigherFilterWeightGoesFirst) {
    add(policy, block(in_v4).in(top).weighing(1));
    const auto first = add(policy, permit(in_v4).in(top).weighing(2));
    expect(FWP_ACTION_PERMIT, false, first);
}

TEST_F(Arbitration, A1_HigherSublayerWeightGoesFirst) {
    const auto low = add(policy, terminating(in_v4, callout).in(bottom));
    const auto high = add(policy, terminating(in_v4, callout).in(top));
    judge();
    ASSERT_EQ(asked.size(), 2u);
    EXPECT_EQ(asked[0].filter, high);
    EXPECT_EQ(asked[1].filter, low);
}

TEST_F(Arbitration, A2_ASublayerEndsAtItsFirstDecision) {
    answering(unknown(in_v4, callout).in(top).weighing(3), FWP_ACTION_CONTINUE);
    const auto decides = add(policy, permit(in_v4).in(top).weighing(2));
    answering(terminating(in_v4, callout).in(top).weighing(1), FWP_ACTION_BLOCK);
    expect(FWP_ACTION_PERMIT, false, decides);
    EXPECT_EQ(asked.size(), 1u);
}

TEST_F(Arbitration, A2_ASublayerThatDoesNotDecideAddsNothing) {
    const auto decides = add(policy, block(in_v4).in(top));
    answering(unknown(in_v4, callout).in(bottom), FWP_ACTION_CONTINUE);
    expect(FWP_ACTION_BLOCK, true, decides);
}

TEST_F(Arbitration, A2_AFilterThatMayNotWriteEndsItsSublayerAllTheSame) {
    const auto hard = add(policy, permit(in_v4).in(top).flagged(clear_right));
    answering(terminating(in_v4, callout).in(bottom).weighing(2), FWP_ACTION_PERMIT);
    answering(terminating(in_v4, callout).in(bottom).weighing(1), FWP_ACTION_BLOCK);
    expect(FWP_ACTION_PERMIT, true, hard);
}

TEST_F(Arbitration, A3_SublayersBelowABlockAreVisited) {
    add(policy, block(in_v4).in(top));
    const auto below = answering(inspecting(in_v4, callout).in(bottom), FWP_ACTION_CONTINUE);
    judge();
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].filter, below);
    EXPECT_EQ(asked[0].running, static_cast<std::uint32_t>(FWP_ACTION_BLOCK));
    EXPECT_FALSE(asked[0].writable);
}

TEST_F(Arbitration, A4_ACalloutSeesTheRunningDecision) {
    answering(terminating(in_v4, callout).in(top), FWP_ACTION_PERMIT);
    answering(terminating(in_v4, callout).in(middle), FWP_ACTION_PERMIT, true);
    answering(terminating(in_v4, callout).in(bottom), FWP_ACTION_PERMIT);
    judge();
    ASSERT_EQ(asked.size(), 3u);
    EXPECT_EQ(asked[0].running, static_cast<std::uint32_t>(FWP_ACTION_NONE));
    EXPECT_TRUE(asked[0].writable);
    EXPECT_EQ(asked[1].running, static_cast<std::uint32_t>(FWP_ACTION_PERMIT));
    EXPECT_TRUE(asked[1].writable);
    EXPECT_EQ(asked[2].running, static_cast<std::uint32_t>(FWP_ACTION_PERMIT));
    EXPECT_FALSE(asked[2].writable);
}

TEST_F(Arbitration, A5_ASoftPermitYieldsToAFiltersBlock) {
    add(policy, permit(in_v4).in(top));
    const auto later = add(policy, block(in_v4).in(bottom));
    expect(FWP_ACTION_BLOCK, true, later);
}

TEST_F(Arbitration, A5_ASoftPermitYieldsToACalloutsBlock) {
    add(policy, permit(in_v4).in(top));
    const auto later = answering(terminating(in_v4, callout).in(bottom), FWP_ACTION_BLOCK);
    expect(FWP_ACTION_BLOCK, false, later);
}

TEST_F(Arbitration, A5_ASoftBlockYieldsToAPermit) {
    answering(terminating(in_v4, callout).in(top), FWP_ACTION_BLOCK);
    const auto later = add(policy, permit(in_v4).in(bottom));
    expect(FWP_ACTION_PERMIT, false, later);
}

TEST_F(Arbitration, A5_AHardBlockIsFinal) {
    const auto blocks = add(policy, block(in_v4).in(top));
    answering(terminating(in_v4, callout).in(middle), FWP_ACTION_PERMIT, true);
    add(policy, permit(in_v4).in(bottom).flagged(clear_right));
    expect(FWP_ACTION_BLOCK, true, blocks);
}

TEST_F(Arbitration, A6_APlainBlockIsHard) {
    const auto blocks = add(policy, block(in_v4).in(top));
    expect(FWP_ACTION_BLOCK, true, blocks);
}

TEST_F(Arbitration, A6_ACalloutsDecisionIsSoftUnlessItClearsTheRight) {
    const auto id = answering(terminating(in_v4, callout).in(top), FWP_ACTION_BLOCK);
    expect(FWP_ACTION_BLOCK, false, id);
    answers[id] = {FWP_ACTION_BLOCK, true};
    expect(FWP_ACTION_BLOCK, true, id);
}

TEST_F(Arbitration, A7_ClearActionRightMakesAPermitHard) {
    const auto hard = add(policy, permit(in_v4).in(top).flagged(clear_right));
    add(policy, block(in_v4).in(bottom));
    expect(FWP_ACTION_PERMIT, true, hard);
}

TEST_F(Arbitration, A7_OnACalloutFilterTheCalloutMustClearIt) {
    const auto id =
        answering(terminating(in_v4, callout).in(top).flagged(clear_right), FWP_ACTION_PERMIT);
    expect(FWP_ACTION_PERMIT, false, id);
}

TEST_F(Arbitration, A9_AVetoBeatsAHardPermitAndIsFinal) {
    add(policy, permit(in_v4).in(top).flagged(clear_right));
    const auto veto = answering(terminating(in_v4, callout).in(middle), FWP_ACTION_BLOCK);
    answering(terminating(in_v4, callout).in(bottom), FWP_ACTION_PERMIT);
    expect(FWP_ACTION_BLOCK, true, veto);
}

TEST_F(Arbitration, A10_APlainBlockNeverVetoes) {
    const auto hard = answering(terminating(in_v4, callout).in(top), FWP_ACTION_PERMIT, true);
    add(policy, block(in_v4).in(bottom));
    expect(FWP_ACTION_PERMIT, true, hard);
}

TEST_F(Arbitration, A11_AHigherSublayerOverridesAHardPermitSilently) {
    const auto first = add(policy, block(in_v4).in(top));
    add(policy, permit(in_v4).in(middle).flagged(clear_right));
    expect(FWP_ACTION_BLOCK, true, first);
}

TEST_F(Arbitration, A12_LayersAreSeparate) {
    add(policy, block(connect_v4).in(top));
    add(policy, block(in_v6).in(top));
    expect(FWP_ACTION_PERMIT, false, 0);
    EXPECT_EQ(judge(connect_v4).action, static_cast<std::uint32_t>(FWP_ACTION_BLOCK));
    EXPECT_EQ(judge(in_v6).action, static_cast<std::uint32_t>(FWP_ACTION_BLOCK));
}

TEST_F(Arbitration, A13_WhatATerminatingCalloutMaySay) {
    const auto id = answering(terminating(in_v4, callout).in(top), FWP_ACTION_PERMIT);
    expect(FWP_ACTION_PERMIT, false, id);
    for (const std::uint32_t odd : {FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE, FWP_ACTION_NONE,
                                    FWP_ACTION_NONE_NO_MATCH, 0u, ~0u}) {
        answers[id] = {odd, false};
        expect(FWP_ACTION_BLOCK, false, id);
    }
}

TEST_F(Arbitration, A13_WhatAnInspectingCalloutMaySay) {
    const auto id = answering(inspecting(in_v4, callout).in(top).weighing(2), FWP_ACTION_CONTINUE);
    const auto next = add(policy, permit(in_v4).in(top).weighing(1));
    for (const std::uint32_t any : {FWP_ACTION_CONTINUE, FWP_ACTION_BLOCK, FWP_ACTION_PERMIT, 0u}) {
        answers[id] = {any, true};
        expect(FWP_ACTION_PERMIT, false, next);
    }
}

TEST_F(Arbitration, A13_WhatAnUnknownCalloutMaySay) {
    const auto id = answering(unknown(in_v4, callout).in(top).weighing(2), FWP_ACTION_PERMIT);
    const auto next = add(policy, block(in_v4).in(top).weighing(1));
    expect(FWP_ACTION_PERMIT, false, id);
    answers[id] = {FWP_ACTION_CONTINUE, false};
    expect(FWP_ACTION_BLOCK, true, next);
    answers[id] = {FWP_ACTION_BLOCK, false};
    expect(FWP_ACTION_BLOCK, false, id);
    answers[id] = {FWP_ACTION_NONE, false};
    expect(FWP_ACTION_BLOCK, false, id);
}

TEST_F(Arbitration, A16_EqualWeightsGoByAge) {
    const auto older = add(policy, permit(in_v4).in(top).weighing(5));
    add(policy, block(in_v4).in(top).weighing(5));
    expect(FWP_ACTION_PERMIT, false, older);
}

TEST_F(Arbitration, A17_TheUniversalSublayerStandsInTheMiddle) {
    const Guid above = new_sublayer(policy, 0x8001);
    const auto universal = add(policy, permit(in_v4).flagged(clear_right));
    add(policy, block(in_v4).in(top)); // 300 is below 0x8000
    expect(FWP_ACTION_PERMIT, true, universal);
    const auto higher = add(policy, block(in_v4).in(above));
    expect(FWP_ACTION_BLOCK, true, higher);
}

TEST_F(Arbitration, A19_ALowerCalloutIsToldThatTheRightIsGone) {
    answering(terminating(in_v4, callout).in(top), FWP_ACTION_BLOCK, true);
    answering(terminating(in_v4, callout).in(bottom), FWP_ACTION_PERMIT);
    judge();
    ASSERT_EQ(asked.size(), 2u);
    EXPECT_FALSE(asked[1].writable);
}

TEST_F(Arbitration, I2_UnregisteredTerminatingBlocks) {
    const auto id = add(policy, terminating(in_v4, callout).in(top));
    expect(FWP_ACTION_BLOCK, true, id);
}

TEST_F(Arbitration, I2_UnregisteredUnknownBlocks) {
    const auto id = add(policy, unknown(in_v4, callout).in(top));
    expect(FWP_ACTION_BLOCK, true, id);
}

TEST_F(Arbitration, I2_UnregisteredPermitsWhereFlagged) {
    const auto id =
        add(policy, terminating(in_v4, callout).in(top).flagged(permit_if_unregistered));
    expect(FWP_ACTION_PERMIT, false, id);
    const auto other = add(
        policy, unknown(in_v4, callout).in(bottom).flagged(permit_if_unregistered | clear_right));
    expect(FWP_ACTION_PERMIT, false, other);
}

TEST_F(Arbitration, I2_UnregisteredInspectionIsIgnored) {
    add(policy, inspecting(in_v4, callout).in(top).weighing(2));
    const auto next = add(policy, permit(in_v4).in(top).weighing(1));
    expect(FWP_ACTION_PERMIT, false, next);
}

TEST_F(Arbitration, I2_AnUnregisteredCalloutDoesNotVeto) {
    const auto hard = add(policy, permit(in_v4).in(top).flagged(clear_right));
    add(policy, terminating(in_v4, callout).in(bottom));
    expect(FWP_ACTION_PERMIT, true, hard);
}

TEST_F(Arbitration, ConditionalOnFlowIsAsIfTheFilterWereNotThere) {
    for (const auto &filter : {Filter(terminating(in_v4, callout).in(top).weighing(9)),
                               Filter(unknown(in_v4, callout).in(top).weighing(8))})
        without_context.push_back(answering(filter, FWP_ACTION_BLOCK));
    const auto next = add(policy, permit(in_v4).in(top).weighing(1));
    without_context.push_back(answering(terminating(in_v4, callout).in(bottom), FWP_ACTION_BLOCK));
    expect(FWP_ACTION_PERMIT, false, next);
    EXPECT_TRUE(asked.empty());
    without_context.pop_back();
    expect(FWP_ACTION_BLOCK, false, answers.rbegin()->first);
    EXPECT_EQ(asked.size(), 1u);
}

} // namespace
} // namespace sluice::policy
