// SPDX-License-Identifier: Apache-2.0
// dp_classify by itself: suspension, resumption, kept answers, changes of generation, unknown
// fields, dead hosts.
#include <gtest/gtest.h>

#include "bpf/kernel.h"
#include "harness/policy_builder.h"

namespace sluice::bpf_test {
namespace {

using namespace harness;

constexpr std::uint32_t permits = DP_CLASSIFY_PERMIT, blocks = DP_CLASSIFY_BLOCK,
                        asks = DP_CLASSIFY_CALLOUT, defers = DP_CLASSIFY_DEFER,
                        no_policy = DP_CLASSIFY_NO_POLICY;
constexpr std::uint32_t host = 9;

struct Classify : testing::Test {
    policy::Policy policy = policy::initial();
    Guid top = new_sublayer(policy, 300);
    Guid bottom = new_sublayer(policy, 100);
    Guid callout = new_callout(policy, connect_v4);
    std::unique_ptr<Classifier> kernel;
    dp_eval eval{};

    void SetUp() override {
        SLUICE_NEEDS_BPF();
        kernel = std::make_unique<Classifier>();
        kernel->maps().set_alive(host, true);
        kernel->maps().answer_for(policy.callouts.at(callout).id, host);
    }
    void publish(std::uint64_t generation) { kernel->maps().publish(plan_of(policy, generation)); }
    std::uint32_t run() { return run(packet_at(connect_v4)); }
    std::uint32_t run(const policy::Packet &packet) { return kernel->run(key_of(packet), eval); }
};

TEST_F(Classify, WithoutAPolicySaysSo) {
    EXPECT_EQ(run(), no_policy);
}

TEST_F(Classify, NothingMatchedIsPermit) {
    publish(3);
    EXPECT_EQ(run(), permits);
    EXPECT_EQ(eval.generation, 3u);
    EXPECT_EQ(eval.filter_id, 0u);
}

TEST_F(Classify, SuspendsAtACalloutAndSaysWhich) {
    const auto id = add(policy, terminating(connect_v4, callout)
                                    .in(top)
                                    .flagged(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED));
    publish(1);
    EXPECT_EQ(run(), asks);
    EXPECT_EQ(eval.asked_id, id);
    EXPECT_EQ(eval.callout, policy.callouts.at(callout).id);
    EXPECT_EQ(eval.callout_action, static_cast<std::uint32_t>(DP_ACTION_CALLOUT_TERMINATING));
    EXPECT_EQ(eval.row_flags, static_cast<std::uint32_t>(DP_ROW_PERMIT_IF_UNREGISTERED));
    EXPECT_EQ(eval.action, static_cast<std::uint32_t>(DP_ACTION_NONE));
    EXPECT_EQ(eval.rights, static_cast<std::uint32_t>(DP_RIGHT_ACTION_WRITE));
}

TEST_F(Classify, ResumesBehindTheCalloutThatAnswered) {
    const auto first = add(policy, unknown(connect_v4, callout).in(top).weighing(2));
    const auto second = add(policy, terminating(connect_v4, callout).in(top).weighing(1));
    const auto third = add(policy, terminating(connect_v4, callout).in(bottom));
    publish(1);
    EXPECT_EQ(run(), asks);
    EXPECT_EQ(eval.asked_id, first);
    keep_answer(eval, DP_ACTION_CONTINUE, false);
    EXPECT_EQ(run(), asks);
    EXPECT_EQ(eval.asked_id, second);
    keep_answer(eval, DP_ACTION_PERMIT, true);
    EXPECT_EQ(run(), asks);
    EXPECT_EQ(eval.asked_id, third);
    EXPECT_EQ(eval.action, static_cast<std::uint32_t>(DP_ACTION_PERMIT));
    EXPECT_EQ(eval.rights, 0u) << "the second cleared the right";
    keep_answer(eval, DP_ACTION_BLOCK, true);
    EXPECT_EQ(run(), blocks) << "a veto";
    EXPECT_EQ(eval.filter_id, third);
}

TEST_F(Classify, AnswersAreKeptOverAChangeOfGeneration) {
    add(policy, terminating(connect_v4, callout).in(top));
    publish(1);
    EXPECT_EQ(run(), asks);
    keep_answer(eval, DP_ACTION_PERMIT, false);
    add(policy, permit(connect_v6));
    publish(2);
    EXPECT_EQ(run(), permits);
    EXPECT_EQ(eval.generation, 2u);
}

TEST_F(Classify, AChangeOfGenerationIsJudgedFromTheTop) {
    add(policy, terminating(connect_v4, callout).in(bottom));
    publish(1);
    EXPECT_EQ(run(), asks);
    keep_answer(eval, DP_ACTION_PERMIT, false);
    const auto new_block = add(policy, block(connect_v4).in(top));
    publish(2);
    // The callout's answer was given while nothing had been decided; now a block stands: it is
    // asked again.
    EXPECT_EQ(run(), asks);
    EXPECT_EQ(eval.action, static_cast<std::uint32_t>(DP_ACTION_BLOCK));
    EXPECT_EQ(eval.rights, 0u);
    keep_answer(eval, DP_ACTION_PERMIT, false);
    EXPECT_EQ(run(), blocks);
    EXPECT_EQ(policy.filters.count(new_block), 1u);
}

TEST_F(Classify, AFilterThatWentIsForgotten) {
    const auto id = add(policy, terminating(connect_v4, callout).in(top));
    publish(1);
    EXPECT_EQ(run(), asks);
    keep_answer(eval, DP_ACTION_BLOCK, true);
    ASSERT_TRUE(policy::delete_filter(policy, id, 0));
    publish(2);
    EXPECT_EQ(run(), permits);
    EXPECT_EQ(eval.filter_id, 0u);
}

TEST_F(Classify, ADeadHostsCalloutCountsAsUnregistered) {
    const auto id = add(policy, terminating(connect_v4, callout).in(top));
    publish(1);
    kernel->maps().set_alive(host, false);
    EXPECT_EQ(run(), blocks);
    EXPECT_EQ(eval.filter_id, id);
    EXPECT_EQ(eval.rights, 0u);
}

TEST_F(Classify, ACalloutOfNobodyCountsAsUnregistered) {
    const Guid nobody = new_callout(policy, connect_v4);
    add(policy, inspecting(connect_v4, nobody).in(top).weighing(2));
    const auto id = add(policy, unknown(connect_v4, nobody)
                                    .in(top)
                                    .weighing(1)
                                    .flagged(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED));
    publish(1);
    EXPECT_EQ(run(), permits);
    EXPECT_EQ(eval.filter_id, id);
}

TEST_F(Classify, DefersWhereAnUnknownFieldDecides) {
    add(policy, block(connect_v4).in(top).when(equal(local_port, std::uint16_t{80})));
    publish(1);
    policy::Packet packet = packet_at(connect_v4);
    EXPECT_EQ(run(packet), blocks);
    eval = {};
    hide(hide(packet, local_port), local_address);
    EXPECT_EQ(run(packet), defers);
}

TEST_F(Classify, DoesNotDeferWhereAKnownFieldSaysNoAlready) {
    add(policy, block(connect_v4)
                    .in(top)
                    .when(equal(local_port, std::uint16_t{80}))
                    .when(equal(remote_port, std::uint16_t{9})));
    publish(1);
    policy::Packet packet = packet_at(connect_v4);
    hide(hide(packet, local_port), local_address);
    EXPECT_EQ(run(packet), permits);
}

TEST_F(Classify, FindsTheLastOfManyAlternatives) {
    policy::Filter many = block(connect_v4).in(top);
    for (const char *field : {local_port, remote_port})
        for (std::uint16_t i = 0; i < 256; ++i)
            many.conditions.push_back(equal(field, static_cast<std::uint16_t>(2 * i)));
    add(policy, many);
    publish(1);
    policy::Packet packet = packet_at(connect_v4);
    show(show(packet, local_port, std::uint16_t{510}), remote_port, std::uint16_t{510});
    EXPECT_EQ(run(packet), blocks);
    eval = {};
    show(packet, local_port, std::uint16_t{511});
    EXPECT_EQ(run(packet), permits);
}

TEST_F(Classify, ACalloutThatIsConditionalOnFlowIsAskedOnlyWithItsContext) {
    add(policy, terminating(connect_v4, callout).in(top).weighing(2));
    const auto next = add(policy, permit(connect_v4).in(top).weighing(1));
    publish(1);
    dp_key key = key_of(packet_at(connect_v4));
    for (const std::uint32_t slot : {1u, 33u, 64u}) {
        kernel->maps().answer_for(policy.callouts.at(callout).id, host, slot);
        const std::uint64_t bit = std::uint64_t{1} << (slot - 1);
        key.contexts = ~bit;
        eval = {};
        EXPECT_EQ(kernel->run(key, eval), permits) << slot;
        EXPECT_EQ(eval.filter_id, next);
        key.contexts = bit;
        eval = {};
        EXPECT_EQ(kernel->run(key, eval), asks) << slot;
    }
}

TEST_F(Classify, AConditionalCalloutThatIsNotRegisteredBlocks) {
    const auto id = add(policy, terminating(connect_v4, callout).in(top));
    kernel->maps().answer_for(policy.callouts.at(callout).id, 0, 3);
    publish(1);
    EXPECT_EQ(run(), blocks);
    EXPECT_EQ(eval.filter_id, id);
}

TEST_F(Classify, AnAnswerCountsThoughTheContextWasRemovedMeanwhile) {
    add(policy, terminating(connect_v4, callout).in(top));
    kernel->maps().answer_for(policy.callouts.at(callout).id, host, 5);
    publish(1);
    dp_key key = key_of(packet_at(connect_v4));
    key.contexts = 1 << 4;
    EXPECT_EQ(kernel->run(key, eval), asks);
    keep_answer(eval, DP_ACTION_BLOCK, true);
    key.contexts = 0;
    EXPECT_EQ(kernel->run(key, eval), blocks);
}

TEST_F(Classify, NextFilterIsAnAnswerThatDecidesNothing) {
    add(policy, terminating(connect_v4, callout).in(top).weighing(2));
    const auto next = add(policy, block(connect_v4).in(top).weighing(1));
    publish(1);
    EXPECT_EQ(run(), asks);
    keep_answer(eval, DP_ACTION_NEXT, false);
    EXPECT_EQ(run(), blocks);
    EXPECT_EQ(eval.filter_id, next);
}

TEST_F(Classify, ARowsDeadlineAndOutcomeAreHandedOn) {
    const auto id = add(policy, terminating(connect_v4, callout).in(top));
    compiler::Plan plan = plan_of(policy, 1);
    for (std::size_t i = DP_LAYERS_MAX; i < plan.image.size(); ++i) {
        if (plan.image[i].op != DP_OP_MATCH || plan.image[i].row.filter_id != id) continue;
        plan.image[i].row.hold_ms = 1500;
        plan.image[i].row.flags |= DP_ROW_OUTCOME_NEXT;
    }
    kernel->maps().publish(plan);
    EXPECT_EQ(run(), asks);
    EXPECT_EQ(eval.hold_ms, 1500u);
    EXPECT_NE(eval.row_flags & DP_ROW_OUTCOME_NEXT, 0u);
}

TEST_F(Classify, FindsTheLastRowOfAFullImage) {
    // Rows of four cells; one of three tests more than fit are refused.
    policy::Filter row = block(connect_v4).in(top);
    for (const std::uint16_t port : {1, 3, 5})
        row.conditions.push_back(equal(remote_port, port));
    constexpr int rows = (DP_IMAGE_CELLS_MAX - DP_LAYERS_MAX) / 4;
    for (int i = 1; i < rows; ++i) {
        row.id = i;
        row.effective_weight = 9;
        policy.filters.emplace(i, row);
    }
    policy.next_filter_id = rows;
    row.conditions = {equal(remote_port, std::uint16_t{7}), equal(remote_port, std::uint16_t{9}),
                      equal(remote_port, std::uint16_t{1000})};
    row.weight = policy::Scalar{std::uint64_t{0}};
    const auto last = add(policy, row);
    publish(1);
    EXPECT_EQ(run(), blocks);
    EXPECT_EQ(eval.filter_id, last);
    policy.filters.emplace(rows + 1, policy.filters.at(1));
    EXPECT_FALSE(compiler::compile(policy, 2));
}

} // namespace
} // namespace sluice::bpf_test
