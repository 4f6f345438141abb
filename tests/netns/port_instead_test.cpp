// SPDX-License-Identifier: Apache-2.0
// One frame that answers a ticket and injects what stands in its place, and answers that come
// before the kernel asks: what the kernel believes of them.
#include "port_fixture.h"

namespace sluice::datapath {
namespace {

constexpr std::uint16_t in_v4 = harness::in_v4;

class InsteadTest : public PortTest {
protected:
    void SetUp() override {
        PortTest::SetUp();
        if (IsSkipped()) return;
        server_ = bound(name_, SOCK_DGRAM, {near(false), 6300});
        client_ = bound(peer_, SOCK_DGRAM, {far(false), 6301});
    }
    void say(const char *text) const {
        const Address to(near(false), 6300);
        EXPECT_EQ(sendto(client_.get(), text, std::strlen(text), 0, to.get(), to.length),
                  ssize_t(std::strlen(text)));
    }
    // Absorbed, and the packet itself in its place; `ahead` permits it.
    dp_downcall instead(const Up &up) {
        dp_downcall d = head(DP_DOWNCALL_INSTEAD, up, DP_ACTION_BLOCK);
        d.flags = DP_DOWNCALL_ABSORB;
        d.generation = static_cast<__u32>(up.head.generation);
        d.count = 1;
        d.inject = {.handle = 11,
                    .previous = 12,
                    .context = 0x1234,
                    .ifindex = nic(),
                    .kind = DP_INJECT_RECEIVE,
                    .previous_host = 0,
                    .endpoint = 0};
        d.ahead = {.filter_id = up.head.filter_id,
                   .action = DP_ACTION_PERMIT,
                   .running_action = up.head.action,
                   .rights = DP_RIGHT_ACTION_WRITE,
                   .running_rights = up.head.rights,
                   .flags = 0,
                   .pad = 0,
                   .ifindex = up.head.ifindex,
                   .generation = static_cast<__u32>(up.head.generation)};
        return d;
    }
    Fd server_, client_;
};

TEST_F(InsteadTest, AnAnswerAheadSparesTheQuestion) {
    ask_at({in_v4});
    say("text");
    const auto up = next();
    ASSERT_TRUE(up);
    EXPECT_TRUE(up->head.flags & DP_UPCALL_ALONE);
    const auto asked = counted("DP_REASON_UPCALL");
    const dp_downcall d = instead(*up);
    down(d, up->packet);
    EXPECT_EQ(received(server_), "text");
    EXPECT_EQ(counted("DP_REASON_UPCALL"), asked) << "it did not come up again";
    EXPECT_EQ(counted("DP_REASON_CALLOUT_BLOCK"), 1u) << "the one that was absorbed";
    // The ticket is redeemed; what is injected with a stale answer is injected all the same.
    down(d, up->packet);
    EXPECT_EQ(received(server_), "text");
    EXPECT_EQ(counted("DP_REASON_DOWNCALL_STALE"), 1u);
    EXPECT_EQ(counted("DP_REASON_CALLOUT_BLOCK"), 1u);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_DOWNCALL_STALE") == 2; }));
    EXPECT_EQ(received(server_, 100), "");
}

TEST_F(InsteadTest, WhatIsAnsweredAheadWithABlockIsDroppedAndTold) {
    ask_at({in_v4});
    say("text");
    const auto up = next();
    ASSERT_TRUE(up);
    dp_downcall d = instead(*up);
    d.ahead.action = DP_ACTION_BLOCK;
    down(d, up->packet);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_CALLOUT_BLOCK") == 2; }));
    EXPECT_EQ(received(server_, 100), "");
}

// Of another filter, policy, running decision or interface: the callout is asked.
TEST_F(InsteadTest, AnAnswerToAnotherQuestionIsNone) {
    ask_at({in_v4});
    const std::vector<std::function<void(dp_ahead &)>> changes = {
        [](dp_ahead &a) { a.filter_id++; },
        [](dp_ahead &a) { a.generation++; },
        [](dp_ahead &a) { a.running_action = DP_ACTION_PERMIT; },
        [](dp_ahead &a) { a.running_rights = 0; },
        [](dp_ahead &a) { a.ifindex++; },
        [](dp_ahead &a) { a.filter_id = 0; },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
        SCOPED_TRACE(i);
        say("text");
        const auto up = next();
        ASSERT_TRUE(up);
        dp_downcall d = instead(*up);
        changes[i](d.ahead);
        down(d, up->packet);
        const auto again = next();
        ASSERT_TRUE(again);
        expect_injected(*again);
        answer(*again, DP_ACTION_PERMIT);
        EXPECT_EQ(received(server_), "text");
    }
}

// A host answers for its own callouts only.
TEST_F(InsteadTest, NobodyAnswersAheadForAnother) {
    ask_at({in_v4});
    say("text");
    const auto up = next();
    ASSERT_TRUE(up);
    constexpr std::uint32_t other = host_id + 1;
    ASSERT_TRUE(plane_->set_host(
        other,
        dp_host{.port_ifindex = port_->near_ifindex(), .alive = 1, .queue_bytes_max = 1000}));
    ASSERT_TRUE(plane_->set_callout(up->head.callout, dp_callout{.host = other}));
    down(instead(*up), up->packet);
    const auto again = next();
    ASSERT_TRUE(again) << "the other host is asked";
    EXPECT_NE(again->head.ticket, up->head.ticket);
    EXPECT_EQ(received(server_, 100), "");
}

// What is answered ahead waits for its question while other layers ask theirs.
TEST_F(InsteadTest, ItIsKeptWhileAnotherLayerAsks) {
    ask_at({harness::in_v4, DP_LAYER_INBOUND_TRANSPORT_V4});
    say("text");
    auto up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_PERMIT);
    const auto transport = next();
    ASSERT_TRUE(transport);
    ASSERT_EQ(transport->head.layer, DP_LAYER_INBOUND_TRANSPORT_V4);
    down(instead(*transport), transport->packet);
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, in_v4) << "it begins there";
    expect_injected(*up);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server_), "text");
}

TEST_F(InsteadTest, AloneIsWhoOthersNeedNotWaitFor) {
    struct {
        int callouts;
        bool one_sublayer, alone;
    } const cases[] = {{1, true, true}, {2, true, true}, {2, false, false}};
    for (const auto &c : cases) {
        SCOPED_TRACE(c.callouts * 10 + c.one_sublayer);
        ask_at({});
        policy::Policy p = policy::initial();
        // Such as let it pass, so that there is more than one row.
        harness::add(p, harness::permit(in_v4).in(harness::new_sublayer(p, 9)));
        const Guid first = harness::new_sublayer(p, 8);
        for (int i = 0; i < c.callouts; ++i) {
            const Guid callout = harness::new_callout(p, in_v4);
            harness::add(p, harness::unknown(in_v4, callout)
                                .in(c.one_sublayer ? first : harness::new_sublayer(p, 7 - i))
                                .when(harness::equal(harness::protocol, std::uint8_t{17})));
            ASSERT_TRUE(
                plane_->set_callout(p.callouts.at(callout).id, dp_callout{.host = host_id}));
        }
        auto plan = compiler::compile(p, ++generation_, {});
        ASSERT_TRUE(plan && plane_->publish(*plan));
        say("text");
        const auto up = next();
        ASSERT_TRUE(up);
        EXPECT_EQ((up->head.flags & DP_UPCALL_ALONE) != 0, c.alone);
        answer(*up, DP_ACTION_BLOCK);
        if (c.alone) continue;
        const auto behind = next();
        ASSERT_TRUE(behind);
        EXPECT_EQ(behind->head.flags & DP_UPCALL_ALONE, 0) << "another was shown it before";
    }
}

} // namespace
} // namespace sluice::datapath
