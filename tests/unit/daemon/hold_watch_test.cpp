// SPDX-License-Identifier: Apache-2.0
#include "daemon/hold_watch.h"

#include "policy/built_in.h"
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

TEST(HoldResult, IsTheKernelsReason) {
    EXPECT_STREQ(result_of(DP_REASON_HOLD_PERMITTED), "permitted");
    EXPECT_STREQ(result_of(DP_REASON_HOLD_BLOCKED), "blocked");
    EXPECT_STREQ(result_of(DP_REASON_HOLD_EXPIRED), "expired");
    EXPECT_STREQ(result_of(DP_REASON_HOLD_ABANDONED), "abandoned");
}

TEST(HoldResult, OfAnEndThatWasNotToldIsWhatBecameOfTheFlow) {
    dp_flow flow{};
    EXPECT_STREQ(result_of(static_cast<const dp_flow *>(nullptr)), "abandoned");
    flow.state = DP_FLOW_PERMITTED;
    EXPECT_STREQ(result_of(&flow), "permitted");
    flow.state = DP_FLOW_BLOCKED;
    EXPECT_STREQ(result_of(&flow), "blocked");
    flow.flags = DP_FLOW_EXPIRED;
    EXPECT_STREQ(result_of(&flow), "expired");
    flow.reason = DP_REASON_HOLD_ABANDONED;
    EXPECT_STREQ(result_of(&flow), "abandoned");
}

TEST(HoldResult, OfABindOrListenLikewise) {
    dp_operation operation{};
    EXPECT_STREQ(result_of(static_cast<const dp_operation *>(nullptr)), "abandoned");
    operation.state = DP_FLOW_DRAINING;
    EXPECT_STREQ(result_of(&operation), "permitted");
    operation.state = DP_FLOW_BLOCKED;
    EXPECT_STREQ(result_of(&operation), "blocked");
}

protocol::Request hold_set(std::uint64_t filter, std::uint32_t ms, int outcome,
                           std::uint64_t session = 0) {
    protocol::Request r;
    auto *m = r.mutable_filter_hold_set();
    m->set_session(session);
    m->set_filter(filter);
    m->mutable_hold()->set_deadline_ms(ms);
    m->mutable_hold()->set_outcome(static_cast<protocol::Outcome>(outcome));
    return r;
}

class Holds : public Server {
protected:
    Caller c = caller();
    std::uint64_t asking() {
        const Guid key = Guid::random();
        c.ask(callout_object(key));
        return c.ask(filter(0, key)).filter_id();
    }
    protocol::HoldOptions hold_of(std::uint64_t id) {
        protocol::Request r;
        r.mutable_filter_list();
        const auto reply = c.ask(r);
        for (const auto &f : reply.filters().filters())
            if (f.id() == id) return f.hold();
        return {};
    }
};

TEST_F(Holds, AFiltersOptionsChangeAndSurviveARestart) {
    const auto id = asking();
    ASSERT_EQ(c.ask(hold_set(id, 1500, protocol::NEXT_FILTER)).status(), 0u);
    EXPECT_EQ(hold_of(id).deadline_ms(), 1500u);
    restart();
    c = caller();
    EXPECT_EQ(hold_of(id).deadline_ms(), 1500u);
    EXPECT_EQ(hold_of(id).outcome(), protocol::NEXT_FILTER);
}

TEST_F(Holds, BadOptionsChangeNothing) {
    const auto id = asking();
    const auto plain = c.ask(filter()).filter_id();
    ASSERT_EQ(c.ask(hold_set(id, 1500, protocol::BLOCK)).status(), 0u);
    EXPECT_EQ(c.ask(hold_set(id, 1, 4)).status(), word(STATUS_FWP_INVALID_ENUMERATOR));
    EXPECT_EQ(c.ask(hold_set(plain, 1, 0)).status(), word(STATUS_FWP_INVALID_PARAMETER));
    EXPECT_EQ(c.ask(hold_set(4711, 1, 0)).status(), word(STATUS_FWP_FILTER_NOT_FOUND));
    EXPECT_EQ(hold_of(id).deadline_ms(), 1500u);
    EXPECT_EQ(hold_of(plain).deadline_ms(), 0u);
}

TEST_F(Holds, OptionsTakePartInATransaction) {
    const auto id = asking();
    const auto session = c.ask(open(false)).session_id();
    ASSERT_EQ(c.ask(transaction('b', session)).status(), 0u);
    ASSERT_EQ(c.ask(hold_set(id, 700, protocol::PERMIT, session)).status(), 0u);
    EXPECT_EQ(hold_of(id).deadline_ms(), 0u);
    ASSERT_EQ(c.ask(transaction('a', session)).status(), 0u);
    EXPECT_EQ(hold_of(id).deadline_ms(), 0u);
    ASSERT_EQ(c.ask(transaction('b', session)).status(), 0u);
    ASSERT_EQ(c.ask(hold_set(id, 700, protocol::PERMIT, session)).status(), 0u);
    ASSERT_EQ(c.ask(transaction('c', session)).status(), 0u);
    EXPECT_EQ(hold_of(id).deadline_ms(), 700u);
}

TEST_F(Holds, DefaultsAreAHosts) {
    protocol::Request r;
    r.mutable_host_defaults_set()->mutable_hold()->set_deadline_ms(500);
    EXPECT_NE(c.ask(r).error().find("no host"), std::string::npos);
    auto host = caller();
    host.ask(hello());
    EXPECT_EQ(host.ask(r).status(), 0u);
    EXPECT_EQ(daemon->core().hosts->all().begin()->second->hold.deadline_ms, 500u);
    r.mutable_host_defaults_set()->mutable_hold()->set_outcome(static_cast<protocol::Outcome>(9));
    EXPECT_EQ(host.ask(r).status(), word(STATUS_FWP_INVALID_ENUMERATOR));
    EXPECT_EQ(daemon->core().hosts->all().begin()->second->hold.outcome,
              policy::Outcome::host_default);
}

TEST_F(Holds, AWatchIsAnsweredAtOnceAndForgottenWithItsConnection) {
    protocol::Request r;
    r.mutable_hold_watch()->set_existing(true);
    {
        auto watcher = caller();
        const auto reply = watcher.ask(r);
        EXPECT_EQ(reply.status(), 0u);
        EXPECT_EQ(reply.holds().holds_size(), 0);
        EXPECT_TRUE(daemon->core().hold_watch->anybody());
    }
    let_pass(20);
    EXPECT_FALSE(daemon->core().hold_watch->anybody());
}

} // namespace
} // namespace sluice::daemon
