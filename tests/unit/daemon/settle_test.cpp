// SPDX-License-Identifier: Apache-2.0
#include "daemon/settle.h"

#include "daemon/options.h"
#include "daemon/quotas.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace sluice::daemon {
namespace {

constexpr std::uint64_t second = 1000000000ull;
constexpr std::uint64_t watchdog = 5 * second;
constexpr std::uint64_t now = 1000000 * second;

dp_flow flow_in(std::uint32_t state) {
    dp_flow flow{};
    flow.state = state;
    flow.created_ns = flow.asked_ns = flow.seen_ns = now;
    return flow;
}

TEST(Fate, AnAskedFlowExpiresWithTheWatchdog) {
    auto flow = flow_in(DP_FLOW_ASKED);
    flow.asked_ns = now - watchdog;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::keep);
    flow.asked_ns -= 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::expire);
    flow.asked_ns = now - 8 * second; // the answer that was sent for it did not take
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::remove);
}

TEST(Fate, AHoldWithoutDeadlineWaitsForEver) {
    auto flow = flow_in(DP_FLOW_HELD);
    flow.asked_ns = flow.created_ns = flow.seen_ns = 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, now, watchdog), Fate::keep);
    flow.deadline_ns = now + 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, now, watchdog), Fate::keep);
    flow.deadline_ns = now - 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, now, watchdog), Fate::expire);
}

TEST(Fate, WhatBecameDueWhileNobodyLookedIsAnsweredFirst) {
    auto held = flow_in(DP_FLOW_HELD), asked = flow_in(DP_FLOW_ASKED);
    held.deadline_ns = now - 60 * second;
    asked.asked_ns = now - 60 * second;
    for (const std::uint64_t before : {std::uint64_t{0}, now - 61 * second, now - 59 * second}) {
        EXPECT_EQ(fate_of(held, IPPROTO_TCP, now, before, watchdog), Fate::expire) << before;
        EXPECT_EQ(fate_of(asked, IPPROTO_TCP, now, before, watchdog), Fate::expire) << before;
    }
    EXPECT_EQ(fate_of(held, IPPROTO_TCP, now, now - 57 * second, watchdog), Fate::remove);
    EXPECT_EQ(fate_of(asked, IPPROTO_TCP, now, now - 52 * second, watchdog), Fate::remove);
}

TEST(Fate, IdleFlowsGoAndEstablishedConnectionsStay) {
    auto flow = flow_in(DP_FLOW_PERMITTED);
    flow.seen_ns = now - 3600 * second;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::keep);
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, now, watchdog), Fate::remove);
    flow.seen_ns = now - 11 * second;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, now, watchdog), Fate::keep);
    flow.flags = DP_FLOW_FIN_LOCAL;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::keep);
    flow.flags = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::remove);
    flow.flags = DP_FLOW_PASSES;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::keep);
    flow.flags = DP_FLOW_RST;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::remove);
    flow.seen_ns = now - 121 * second;
    flow.flags = DP_FLOW_PASSES;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::remove) << "nobody answered";
    flow.flags = DP_FLOW_PASSES | DP_FLOW_REPLIED;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::keep);
    flow = flow_in(DP_FLOW_BLOCKED);
    flow.seen_ns = now - 11 * second;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::remove);
}

TEST(Fate, AFlowFromTheFutureIsKept) {
    auto flow = flow_in(DP_FLOW_ASKED); // its packet came after the sweep had read the clock
    flow.asked_ns = now + second;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, now, watchdog), Fate::keep);
}

TEST(Answer, IsTheOutcomeOfTheFilterThatAsked) {
    dp_flow_key key{};
    auto flow = flow_in(DP_FLOW_HELD);
    flow.ticket = 12;
    flow.eval.asked_id = 34;
    flow.eval.generation = 5;
    flow.round = 2;
    auto head = flow_answer(key, flow, DP_DOWNCALL_EXPIRED, 0);
    EXPECT_EQ(head.kind, DP_DOWNCALL_COMPLETE);
    EXPECT_EQ(head.action, static_cast<unsigned>(DP_ACTION_BLOCK));
    EXPECT_EQ(head.rights, 0u);
    EXPECT_EQ(head.flags, DP_DOWNCALL_EXPIRED);
    EXPECT_EQ(head.ticket, 12u);
    EXPECT_EQ(head.filter_id, 34u);
    EXPECT_EQ(head.generation, 5u + (2u << 20)) << "of the question that is open";
    flow.state = DP_FLOW_ASKED;
    flow.eval.row_flags = DP_ROW_PERMIT_IF_UNREGISTERED;
    head = flow_answer(key, flow, DP_DOWNCALL_ABANDONED, 0);
    EXPECT_EQ(head.flags, DP_DOWNCALL_ABANDONED);
    EXPECT_EQ(head.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(head.action, static_cast<unsigned>(DP_ACTION_PERMIT));
    EXPECT_EQ(head.rights, static_cast<unsigned>(DP_RIGHT_ACTION_WRITE));
    flow.eval.row_flags |= DP_ROW_CLEAR_ACTION_RIGHT;
    EXPECT_EQ(flow_answer(key, flow, DP_DOWNCALL_ABANDONED, 0).rights, 0u);
}

TEST(Answer, OfADeadlineIsTheFiltersChoiceOrElseTheHosts) {
    auto flow = flow_in(DP_FLOW_HELD);
    const auto action = [&](dp_downcall_flag why, std::uint32_t host) {
        return flow_answer({}, flow, why, host).action;
    };
    EXPECT_EQ(action(DP_DOWNCALL_EXPIRED, DP_OUTCOME_NEXT), unsigned{DP_ACTION_NEXT});
    EXPECT_EQ(action(DP_DOWNCALL_EXPIRED, DP_OUTCOME_PERMIT), unsigned{DP_ACTION_PERMIT});
    EXPECT_EQ(action(DP_DOWNCALL_ABANDONED, DP_OUTCOME_PERMIT), unsigned{DP_ACTION_BLOCK})
        << "an end of the host is not a deadline";
    flow.eval.row_flags = DP_ROW_OUTCOME_BLOCK | DP_ROW_PERMIT_IF_UNREGISTERED;
    EXPECT_EQ(action(DP_DOWNCALL_EXPIRED, DP_OUTCOME_PERMIT), unsigned{DP_ACTION_BLOCK});
    EXPECT_EQ(action(DP_DOWNCALL_ABANDONED, 0), unsigned{DP_ACTION_PERMIT});
    flow.eval.row_flags = DP_ROW_OUTCOME_PERMIT;
    EXPECT_EQ(action(DP_DOWNCALL_EXPIRED, DP_OUTCOME_BLOCK), unsigned{DP_ACTION_PERMIT});
}

TEST(Quotas, FollowFromTheFramesUnlessChosen) {
    Options options;
    options.frames = 4096;
    dp_host record{};
    fill_quotas(record, options);
    EXPECT_EQ(record.holds_max, 3072u);
    EXPECT_EQ(record.process_holds_max, 768u);
    EXPECT_EQ(record.hold_bytes_max, 3072u * DP_FRAME_BYTES);
    EXPECT_EQ(record.process_bytes_max, 768u * DP_FRAME_BYTES);
    EXPECT_EQ(record.packets_max, 2048u);
    options.holds_max = 3;
    options.process_hold_bytes_max = 99;
    fill_quotas(record, options);
    EXPECT_EQ(record.holds_max, 3u);
    EXPECT_EQ(record.process_holds_max, 1u) << "never nothing";
    EXPECT_EQ(record.process_bytes_max, 99u);
}

TEST(Quotas, OnlyWhatCountsNothingOfAnEndedOwnerIsSpent) {
    dp_use use{};
    EXPECT_TRUE(is_spent({7, 1}, use, false));
    EXPECT_FALSE(is_spent({7, 1}, use, true));
    EXPECT_FALSE(is_spent({0, 0}, use, false));
    use.bytes = 1;
    EXPECT_FALSE(is_spent({7, 1}, use, false));
}

} // namespace
} // namespace sluice::daemon
