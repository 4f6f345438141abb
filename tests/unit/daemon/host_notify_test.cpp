// SPDX-License-Identifier: Apache-2.0
// What hosts are asked and told about filters, in a daemon without any data plane.
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

class HostNotify : public Server {
protected:
    HostNotify() {
        host.ask(hello());
        host.ask(registration(key, 77, FWP_CALLOUT_FLAG_ENABLE_COMMIT_ADD_NOTIFY));
        EXPECT_EQ(c.ask(callout_object(key)).status(), 0u);
    }
    static protocol::Request registration(const Guid &callout, std::uint32_t id,
                                          std::uint32_t flags) {
        auto r = daemon::registration(callout, id);
        r.mutable_callout_register()->set_flags(flags);
        return r;
    }
    // The next notification that the host gets; what comes before it is answered.
    protocol::Notice notification(Caller &of, protocol::FilterNotify::Type type) {
        while (auto message = of.next(1000)) {
            if (message->notice().has_filter_notify() &&
                message->notice().filter_notify().type() == type)
                return message->notice();
            if (message->notice().id() != 0) of.answer(message->notice().id(), 0);
        }
        ADD_FAILURE() << "no notification of type " << type;
        return {};
    }
    // Answers everything that the host is asked until nothing comes any more.
    void let_answer(Caller &of) {
        while (auto message = of.next(30))
            if (message->notice().id() != 0) of.answer(message->notice().id(), 0);
    }
    std::string state_of_host() {
        protocol::Request r;
        r.mutable_host_list();
        const protocol::HostList list = c.ask(r).hosts();
        return list.hosts_size() == 1 ? list.hosts(0).state() : "none";
    }
    bool registered() {
        protocol::Request r;
        r.mutable_callout_list();
        const auto reply = c.ask(r);
        for (const auto &info : reply.callouts().callouts())
            if (info.key() == key.bytes()) return info.registered();
        return false;
    }

    const Guid key = Guid::random();
    Caller host = caller(), c = caller();
};

TEST_F(HostNotify, AHungHostFailsTheAddAndKeepsNobodyElseWaiting) {
    auto slow = caller();
    slow.send(filter(0, key));
    const auto asked = notification(host, protocol::FilterNotify::ADD);
    ASSERT_EQ(c.ask(filter()).status(), 0u) << "another writer goes on meanwhile";
    EXPECT_EQ(state_of_host(), "live");
    const auto failed = slow.reply();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED));
    EXPECT_EQ(state_of_host(), "hung");
    EXPECT_EQ(filters(c), 1);
    host.answer(asked.id(), 0);
    let_pass(10);
    EXPECT_EQ(state_of_host(), "live") << "it answers again";
    EXPECT_EQ(filters(c), 1) << "too late for the filter";
}

TEST_F(HostNotify, TheSessionSaysHowLongAHostMayTake) {
    const auto s = c.ask(open(false, Guid::random(), 60)).session_id();
    const std::uint64_t began = monotonic_ns();
    EXPECT_EQ(c.ask(filter(s, key)).status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED));
    EXPECT_LT(monotonic_ns() - began, 250'000'000u);
}

TEST_F(HostNotify, ARefusedFilterLeavesTheTransactionGoingOn) {
    const auto s = c.ask(open(false)).session_id();
    c.ask(transaction('b', s));
    ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    c.send(filter(s, key));
    host.answer(notification(host, protocol::FilterNotify::ADD).id(), 0xc0000001);
    EXPECT_EQ(c.reply()->status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED));
    EXPECT_EQ(c.ask(transaction('c', s)).status(), 0u);
    EXPECT_EQ(filters(c), 1);
}

TEST_F(HostNotify, AnAbortIsToldToTheHostsThatHadAccepted) {
    const auto s = c.ask(open(false)).session_id();
    c.ask(transaction('b', s));
    c.send(filter(s, key));
    host.answer(notification(host, protocol::FilterNotify::ADD).id(), 0);
    const auto id = c.reply()->filter_id();
    c.ask(transaction('a', s));
    EXPECT_EQ(notification(host, protocol::FilterNotify::DELETE).filter_notify().filter().id(), id);
}

TEST_F(HostNotify, AfterTheCommitOneMoreNotificationToThoseWhoWantIt) {
    c.send(filter(0, key));
    host.answer(notification(host, protocol::FilterNotify::ADD).id(), 0);
    const auto id = c.reply()->filter_id();
    EXPECT_EQ(notification(host, protocol::FilterNotify::COMMIT_ADD).filter_notify().filter().id(),
              id);
}

TEST_F(HostNotify, AHostThatDiesBetweenAddAndCommitLeavesAFilterWithoutHost) {
    const auto s = c.ask(open(false)).session_id();
    c.ask(transaction('b', s));
    {
        auto mortal = caller();
        const Guid its = Guid::random();
        mortal.ask(hello());
        mortal.ask(registration(its, 5, 0));
        ASSERT_EQ(c.ask([&] {
                       auto r = callout_object(its);
                       r.mutable_callout_add()->set_session(s);
                       return r;
                   }())
                      .status(),
                  0u);
        c.send(filter(s, its));
        mortal.answer(notification(mortal, protocol::FilterNotify::ADD).id(), 0);
        ASSERT_EQ(c.reply()->status(), 0u);
    }
    let_pass(20);
    EXPECT_EQ(c.ask(transaction('c', s)).status(), 0u);
    EXPECT_EQ(filters(c), 1);
}

TEST_F(HostNotify, AHostThatDiesWhileItIsAskedFailsTheAdd) {
    const Guid its = Guid::random();
    {
        auto mortal = caller();
        mortal.ask(hello());
        mortal.ask(registration(its, 5, 0));
        ASSERT_EQ(c.ask(callout_object(its)).status(), 0u);
        c.send(filter(0, its));
        notification(mortal, protocol::FilterNotify::ADD);
    }
    EXPECT_EQ(c.reply()->status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED));
    EXPECT_EQ(filters(c), 0);
}

TEST_F(HostNotify, AHostMayAddFiltersOfItsOwnWhileItServesANotification) {
    const auto s = host.ask(open(false, Guid::random(), 1000)).session_id();
    for (const bool in_transaction : {false, true}) {
        if (in_transaction) host.ask(transaction('b', s));
        host.send(filter(s, key));
        const auto asked = notification(host, protocol::FilterNotify::ADD);
        EXPECT_EQ(host.ask(filter(s)).status(), 0u) << "a plain one, in the same session";
        host.answer(asked.id(), 0);
        EXPECT_EQ(host.reply()->status(), 0u);
        let_answer(host);
        if (in_transaction) {
            EXPECT_EQ(filters(c), 2) << "not before the commit";
            host.send(transaction('c', s));
            EXPECT_EQ(host.reply()->status(), 0u);
        }
        let_answer(host);
        EXPECT_EQ(filters(c), in_transaction ? 4 : 2);
    }
}

TEST_F(HostNotify, AHostThatDoesNotAcknowledgeItsFiltersCountsAsUnregisteredUntilItDoes) {
    c.send(filter(0, key));
    host.answer(notification(host, protocol::FilterNotify::ADD).id(), 0);
    EXPECT_EQ(c.reply()->status(), 0u) << "the commit waits for no host";
    std::uint64_t table = 0;
    while (auto message = host.next(20))
        if (message->notice().has_filter_table()) table = message->notice().id();
    ASSERT_NE(table, 0u);
    EXPECT_TRUE(registered());
    let_pass(150);
    EXPECT_FALSE(registered());
    EXPECT_EQ(state_of_host(), "hung");
    host.answer(table, 0);
    let_pass(10);
    EXPECT_TRUE(registered());
    EXPECT_EQ(state_of_host(), "live");
}

TEST_F(HostNotify, AFilterCarriesACopyOfItsProviderContext) {
    const Guid callout = Guid::random(), context = Guid::random();
    host.ask(registration(callout, 78, 0));
    auto object = callout_object(callout);
    object.mutable_callout_add()->set_flags(FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT);
    ASSERT_EQ(c.ask(object).status(), 0u);
    protocol::Request add;
    add.mutable_provider_context_add()->set_key(context.bytes());
    add.mutable_provider_context_add()->set_name("context");
    add.mutable_provider_context_add()->set_type(FWPM_GENERAL_CONTEXT);
    add.mutable_provider_context_add()->set_data("for the callout");
    const auto number = c.ask(add).provider_context_id();
    ASSERT_NE(number, 0u);
    for (const auto &named : {callout, key}) {
        auto with = filter(0, named);
        with.mutable_filter_add()->set_flags(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
        with.mutable_filter_add()->set_provider_context(context.bytes());
        c.send(with);
        const auto notice = notification(host, protocol::FilterNotify::ADD);
        const auto &m = notice.filter_notify().filter();
        EXPECT_EQ(m.provider_context_id(), number);
        EXPECT_EQ(m.has_provider_context_object(), named == callout)
            << "only callouts that say so get it";
        EXPECT_EQ(m.provider_context_object().data(), named == callout ? "for the callout" : "");
        host.answer(notice.id(), 0);
        EXPECT_EQ(c.reply()->status(), 0u);
    }
}

} // namespace
} // namespace sluice::daemon
