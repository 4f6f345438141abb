// SPDX-License-Identifier: Apache-2.0
#include "daemon/settle.h"

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
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::keep);
    flow.asked_ns -= 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::expire);
    flow.asked_ns = now - 8 * second; // the answer that was sent for it did not take
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::remove);
}

TEST(Fate, AHoldWithoutDeadlineWaitsForEver) {
    auto flow = flow_in(DP_FLOW_HELD);
    flow.asked_ns = flow.created_ns = flow.seen_ns = 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, watchdog), Fate::keep);
    flow.deadline_ns = now + 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, watchdog), Fate::keep);
    flow.deadline_ns = now - 1;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, watchdog), Fate::expire);
}

TEST(Fate, IdleFlowsGoAndEstablishedConnectionsStay) {
    auto flow = flow_in(DP_FLOW_PERMITTED);
    flow.seen_ns = now - 3600 * second;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::keep);
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, watchdog), Fate::remove);
    flow.seen_ns = now - 11 * second;
    EXPECT_EQ(fate_of(flow, IPPROTO_UDP, now, watchdog), Fate::keep);
    flow.flags = DP_FLOW_FIN_LOCAL;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::keep);
    flow.flags = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::remove);
    flow.flags = DP_FLOW_RST;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::remove);
    flow = flow_in(DP_FLOW_BLOCKED);
    flow.seen_ns = now - 11 * second;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::remove);
}

TEST(Fate, AFlowFromTheFutureIsKept) {
    auto flow = flow_in(DP_FLOW_ASKED); // its packet came after the sweep had read the clock
    flow.asked_ns = now + second;
    EXPECT_EQ(fate_of(flow, IPPROTO_TCP, now, watchdog), Fate::keep);
}

TEST(Answer, IsTheOutcomeOfTheFilterThatAsked) {
    dp_flow_key key{};
    auto flow = flow_in(DP_FLOW_HELD);
    flow.ticket = 12;
    flow.eval.asked_id = 34;
    auto head = flow_answer(key, flow, true);
    EXPECT_EQ(head.kind, DP_DOWNCALL_COMPLETE);
    EXPECT_EQ(head.action, static_cast<unsigned>(DP_ACTION_BLOCK));
    EXPECT_EQ(head.rights, 0u);
    EXPECT_EQ(head.flags, DP_DOWNCALL_EXPIRED);
    EXPECT_EQ(head.ticket, 12u);
    EXPECT_EQ(head.filter_id, 34u);
    flow.state = DP_FLOW_ASKED;
    flow.flags = DP_FLOW_PERMIT_ON_LOSS;
    head = flow_answer(key, flow, false);
    EXPECT_EQ(head.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(head.action, static_cast<unsigned>(DP_ACTION_PERMIT));
    EXPECT_EQ(head.rights, static_cast<unsigned>(DP_RIGHT_ACTION_WRITE));
    flow.eval.row_flags = DP_ROW_CLEAR_ACTION_RIGHT;
    EXPECT_EQ(flow_answer(key, flow, false).rights, 0u);
}

} // namespace
} // namespace sluice::daemon
