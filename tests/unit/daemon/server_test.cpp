// SPDX-License-Identifier: Apache-2.0
// Clients, sessions, hosts, lists of a daemon without any data plane.
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

TEST_F(Server, RefusesASecondInstance) {
    auto other = Loop::make();
    auto second = Daemon::start(options, **other);
    ASSERT_FALSE(second);
    EXPECT_NE(
        second.error().text().find("another sluiced (pid " + std::to_string(::getpid()) + ")"),
        std::string::npos);
}

TEST_F(Server, RefusesToStartOverADamagedState) {
    daemon.reset();
    { Fd(::open(options.state.c_str(), O_WRONLY | O_TRUNC)); }
    auto r = Daemon::start(options, *loop);
    ASSERT_FALSE(r);
    EXPECT_NE(r.error().text().find(options.state), std::string::npos);
}

TEST_F(Server, SendsListsInPages) {
    auto c = caller();
    const std::uint64_t session = c.ask(open(false)).session_id();
    c.ask(transaction('b', session));
    for (int i = 0; i < 450; ++i)
        ASSERT_EQ(c.ask(filter(session)).status(), 0u);
    ASSERT_EQ(c.ask(transaction('c', session)).status(), 0u);
    protocol::Request r;
    r.mutable_filter_list();
    c.send(r);
    std::vector<int> sizes;
    for (auto reply = c.reply(); reply; reply = c.reply()) {
        sizes.push_back(reply->filters().filters_size());
        if (!reply->more()) break;
    }
    EXPECT_EQ(sizes, (std::vector<int>{200, 200, 50}));
}

TEST_F(Server, ATransactionIsWholeOrNothing) {
    auto c = caller();
    const std::uint64_t s = c.ask(open(false)).session_id();
    EXPECT_EQ(c.ask(transaction('c', s)).status(), word(STATUS_FWP_NO_TXN_IN_PROGRESS));
    c.ask(transaction('b', s));
    EXPECT_EQ(c.ask(transaction('b', s)).status(), word(STATUS_FWP_TXN_IN_PROGRESS));
    const auto first = c.ask(filter(s)).filter_id();
    EXPECT_EQ(filters(c), 0);
    c.ask(transaction('a', s));
    EXPECT_EQ(filters(c), 0);
    EXPECT_GT(c.ask(filter(s)).filter_id(), first)
        << "an id of an aborted transaction was given again";
    EXPECT_EQ(filters(c), 1);
    c.ask(transaction('b', s, true));
    EXPECT_EQ(c.ask(filter(s)).status(), word(STATUS_FWP_INCOMPATIBLE_TXN));
}

TEST_F(Server, WritersWaitForEachOtherAsLongAsTheySaid) {
    auto a = caller(), b = caller();
    const std::uint64_t first = a.ask(open(false)).session_id(),
                        second = b.ask(open(false)).session_id();
    a.ask(transaction('b', first));
    EXPECT_EQ(b.ask(transaction('b', second)).status(), word(STATUS_FWP_TIMEOUT));
    b.send(filter(second));
    EXPECT_FALSE(b.reply(30));
    a.ask(transaction('c', first));
    EXPECT_EQ(b.reply()->status(), 0u);
}

TEST_F(Server, ASessionBelongsToItsConnection) {
    auto a = caller(), b = caller();
    const std::uint64_t s = a.ask(open(false)).session_id();
    EXPECT_EQ(b.ask(transaction('b', s)).status(), word(STATUS_INVALID_HANDLE));
}

TEST_F(Server, ObjectsOfADynamicSessionOutliveItsConnectionByTheLinger) {
    const Guid key = Guid::random();
    auto watcher = caller();
    {
        auto c = caller();
        const auto s = c.ask(open(true, key)).session_id();
        ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    }
    EXPECT_EQ(filters(watcher), 1);
    {
        auto again = caller();
        ASSERT_EQ(again.ask(open(true, key)).status(), 0u);
        let_pass(120);
        EXPECT_EQ(filters(watcher), 1) << "the session was taken over";
    }
    let_pass(120);
    EXPECT_EQ(filters(watcher), 0);
}

TEST_F(Server, StaticObjectsSurviveARestart) {
    {
        auto c = caller();
        ASSERT_EQ(c.ask(filter()).status(), 0u);
    }
    restart();
    auto c = caller();
    EXPECT_EQ(filters(c), 1);
}

TEST_F(Server, ACalloutHasOneHostAtATime) {
    const Guid key = Guid::random();
    auto a = caller(), b = caller();
    EXPECT_EQ(a.ask(registration(key)).status(), word(STATUS_INVALID_PARAMETER)) << "no host yet";
    EXPECT_NE(a.ask(hello()).host_welcome().host_id(), b.ask(hello()).host_welcome().host_id());
    const auto id = a.ask(registration(key)).callout_registered().id();
    EXPECT_NE(id, 0u);
    EXPECT_EQ(a.ask(registration(key)).status(), word(STATUS_FWP_ALREADY_EXISTS));
    EXPECT_EQ(b.ask(registration(key)).status(), word(STATUS_FWP_ALREADY_EXISTS));
    protocol::Request gone;
    gone.mutable_callout_unregister()->set_key(key.bytes());
    EXPECT_EQ(a.ask(gone).status(), 0u);
    EXPECT_EQ(a.ask(gone).status(), word(STATUS_FWP_CALLOUT_NOT_FOUND));
    EXPECT_EQ(b.ask(registration(key)).callout_registered().id(), id)
        << "a key keeps its run-time id";
}

TEST_F(Server, AFilterWaitsForItsCalloutsHost) {
    const Guid key = Guid::random();
    auto host = caller(), c = caller();
    host.ask(hello());
    host.ask(registration(key, 77));
    ASSERT_EQ(c.ask(callout_object(key)).status(), 0u);
    c.send(filter(0, key));
    EXPECT_FALSE(c.reply(20));
    const auto notice = host.next(500)->notice();
    ASSERT_TRUE(notice.has_filter_notify());
    EXPECT_EQ(notice.filter_notify().filter().callout_local_id(), 77u);
    host.answer(notice.id(), 0);
    const auto added = c.reply();
    ASSERT_TRUE(added);
    EXPECT_EQ(added->status(), 0u) << added->error();
    const auto table = host.next(500);
    ASSERT_TRUE(table && table->notice().has_filter_table());
    EXPECT_EQ(table->notice().filter_table().filters_size(), 1);
    EXPECT_EQ(table->notice().filter_table().filters(0).id(), added->filter_id());
}

TEST_F(Server, AFilterThatItsHostRefusesOrDoesNotAnswerIsNotAdded) {
    const Guid key = Guid::random();
    auto host = caller(), c = caller();
    host.ask(hello());
    host.ask(registration(key));
    c.ask(callout_object(key));
    c.send(filter(0, key));
    host.answer(host.next(500)->notice().id(), 5);
    EXPECT_EQ(c.reply()->status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED));
    EXPECT_EQ(c.ask(filter(0, key)).status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED))
        << "no answer in time";
    EXPECT_EQ(filters(c), 0);
}

TEST_F(Server, AHostThatGoesLeavesItsCalloutUnregistered) {
    const Guid key = Guid::random();
    auto c = caller();
    c.ask(callout_object(key));
    const auto registered = [&] {
        protocol::Request list;
        list.mutable_callout_list();
        const auto reply = c.ask(list);
        for (const auto &info : reply.callouts().callouts())
            if (info.key() == key.bytes()) return info.registered();
        return false;
    };
    {
        auto host = caller();
        host.ask(hello());
        host.ask(registration(key));
        EXPECT_TRUE(registered());
    }
    let_pass(20);
    EXPECT_FALSE(registered());
    let_pass(300);
    EXPECT_TRUE(daemon->core().hosts->all().empty());
}

TEST_F(Server, DecidesNoHoldThatIsNotThere) {
    auto c = caller();
    protocol::Request r;
    r.mutable_hold_decide()->set_id(12345);
    r.mutable_hold_decide()->set_action(FWP_ACTION_PERMIT);
    const auto reply = c.ask(r);
    EXPECT_EQ(reply.error(), "no hold 12345");
    EXPECT_EQ(reply.exit_code(), 1u);
}

TEST_F(Server, CalloutsWithAFlowDeleteFnHaveSlotsOfTheirOwn) {
    Caller a = caller();
    a.ask(hello());
    std::set<std::uint32_t> slots;
    const auto registered = [&](const Guid &key, bool flow_delete) {
        protocol::Request r = registration(key);
        r.mutable_callout_register()->set_has_flow_delete(flow_delete);
        return a.ask(r).callout_registered().slot();
    };
    const Guid first = Guid::random();
    EXPECT_EQ(registered(Guid::random(), false), 0u);
    const std::uint32_t slot = registered(first, true);
    EXPECT_NE(slot, 0u);
    slots.insert(slot);
    for (int i = 1; i < 64; ++i)
        slots.insert(registered(Guid::random(), true));
    EXPECT_EQ(slots.size(), 64u);
    EXPECT_EQ(slots.count(0), 0u);
    EXPECT_EQ(registered(Guid::random(), true), 0u) << "all are in use: it can have no contexts";
    protocol::Request gone;
    gone.mutable_callout_unregister()->set_key(first.bytes());
    EXPECT_EQ(a.ask(gone).status(), 0u);
    EXPECT_EQ(registered(Guid::random(), true), slot);
}

TEST_F(Server, OnlyHostsEndFlows) {
    Caller a = caller();
    protocol::Request r;
    r.mutable_flow_end()->set_compartment(1);
    r.mutable_flow_end()->set_flow(7);
    EXPECT_NE(a.ask(r).status(), 0u);
    EXPECT_NE(a.ask(r).error().find("no host's"), std::string::npos);
    a.ask(hello());
    const auto reply = a.ask(r);
    EXPECT_NE(reply.status(), 0u);
    EXPECT_NE(reply.error().find("compartment 1"), std::string::npos) << reply.error();
}

} // namespace
} // namespace sluice::daemon
