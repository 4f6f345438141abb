// SPDX-License-Identifier: Apache-2.0
// Transactions and what is asked of the engine as a whole, in a daemon without any data plane.
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

class Transactions : public Server {
protected:
    Caller c = caller();
    std::uint64_t s = c.ask(open(false)).session_id();

    protocol::Request option(std::uint32_t which, std::uint64_t number) const {
        protocol::Request r;
        r.mutable_engine_option_set()->set_session(s);
        r.mutable_engine_option_set()->set_option(which);
        r.mutable_engine_option_set()->mutable_value()->set_type(FWP_UINT32);
        r.mutable_engine_option_set()->mutable_value()->set_number(number);
        return r;
    }
};

TEST_F(Transactions, AFailedOperationLeavesTheTransactionAsItWas) {
    c.ask(transaction('b', s));
    ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    auto wrong = filter(s);
    wrong.mutable_filter_add()->set_action(12345);
    EXPECT_EQ(c.ask(wrong).status(), word(STATUS_FWP_INVALID_ACTION_TYPE));
    ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    ASSERT_EQ(c.ask(transaction('c', s)).status(), 0u);
    EXPECT_EQ(filters(c), 2);
}

TEST_F(Transactions, AReadOnlyOneSeesOneSnapshotAndKeepsNobodyWaiting) {
    c.ask(transaction('b', s, true));
    auto other = caller();
    const auto id = other.ask(filter()).filter_id();
    ASSERT_NE(id, 0u);
    protocol::Request get;
    get.mutable_object_get()->set_session(s);
    get.mutable_object_get()->set_kind(protocol::FILTER);
    get.mutable_object_get()->set_id(id);
    EXPECT_EQ(c.ask(get).status(), word(STATUS_FWP_FILTER_NOT_FOUND));
    protocol::Request remove;
    remove.mutable_object_delete()->set_session(s);
    remove.mutable_object_delete()->set_kind(protocol::FILTER);
    remove.mutable_object_delete()->set_id(id);
    EXPECT_EQ(c.ask(remove).status(), word(STATUS_FWP_INCOMPATIBLE_TXN));
    EXPECT_EQ(c.ask(transaction('c', s)).status(), 0u);
    EXPECT_EQ(c.ask(get).status(), 0u);
}

TEST_F(Transactions, OneThatIsHeldForTooLongIsAborted) {
    ASSERT_EQ(c.ask(option(FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC, 60)).status(), 0u);
    c.ask(transaction('b', s));
    ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    let_pass(100);
    auto other = caller();
    EXPECT_EQ(other.ask(filter()).status(), 0u) << "the turn is free again";
    const auto told = c.ask(transaction('c', s));
    EXPECT_EQ(told.status(), word(STATUS_FWP_TXN_ABORTED));
    EXPECT_EQ(told.exit_code(), 5u);
    EXPECT_EQ(c.ask(transaction('c', s)).status(), word(STATUS_FWP_NO_TXN_IN_PROGRESS));
    EXPECT_EQ(filters(c), 1) << "only the other one's filter";
    c.ask(transaction('b', s, true));
    let_pass(100);
    EXPECT_EQ(c.ask(transaction('c', s)).status(), 0u) << "readers may take their time";
}

TEST_F(Transactions, ADynamicSessionClosesWhileAnotherWrites) {
    const auto dynamic = c.ask(open(true)).session_id();
    ASSERT_EQ(c.ask(filter(dynamic)).status(), 0u);
    c.ask(transaction('b', s));
    protocol::Request close;
    close.mutable_engine_close()->set_session(dynamic);
    EXPECT_EQ(c.ask(close).status(), 0u) << "at once: the writer may be the same thread";
    EXPECT_EQ(filters(c), 1) << "what it leaves waits for the writer's turn";
    ASSERT_EQ(c.ask(transaction('a', s)).status(), 0u);
    let_pass(20);
    EXPECT_EQ(filters(c), 0);
}

TEST_F(Transactions, OneThatIsOverInTimeIsNotAbortedLater) {
    ASSERT_EQ(c.ask(option(FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC, 60)).status(), 0u);
    c.ask(transaction('b', s));
    c.ask(transaction('c', s));
    let_pass(40);
    c.ask(transaction('b', s));
    let_pass(40);
    EXPECT_EQ(c.ask(transaction('c', s)).status(), 0u);
}

TEST_F(Transactions, OptionsOfTheEngineAreCheckedAndRead) {
    EXPECT_EQ(c.ask(option(FWPM_ENGINE_COLLECT_NET_EVENTS, 2)).status(),
              word(STATUS_FWP_OUT_OF_BOUNDS));
    EXPECT_EQ(c.ask(option(4711, 0)).status(), word(STATUS_NOT_SUPPORTED));
    auto wrong = option(FWPM_ENGINE_COLLECT_NET_EVENTS, 0);
    wrong.mutable_engine_option_set()->mutable_value()->set_type(FWP_UINT8);
    EXPECT_EQ(c.ask(wrong).status(), word(STATUS_FWP_TYPE_MISMATCH));
    ASSERT_EQ(c.ask(option(FWPM_ENGINE_COLLECT_NET_EVENTS, 0)).status(), 0u);
    protocol::Request get;
    get.mutable_engine_option_get()->set_option(FWPM_ENGINE_COLLECT_NET_EVENTS);
    EXPECT_EQ(c.ask(get).engine_option().value().number(), 0u);
    protocol::Request events;
    events.mutable_net_event_enum();
    EXPECT_EQ(c.ask(events).status(), word(STATUS_FWP_NET_EVENTS_DISABLED));
    ASSERT_EQ(c.ask(option(FWPM_ENGINE_COLLECT_NET_EVENTS, 1)).status(), 0u);
    EXPECT_EQ(c.ask(events).status(), 0u);
}

TEST_F(Transactions, SessionsAreListed) {
    const Guid key = Guid::random();
    auto other = caller();
    other.ask(open(true, key, 777));
    protocol::Request r;
    r.mutable_session_enum();
    const protocol::SessionList list = c.ask(r).sessions();
    int found = 0;
    for (const auto &info : list.sessions()) {
        if (info.key() != key.bytes()) continue;
        ++found;
        EXPECT_EQ(info.flags(), FWPM_SESSION_FLAG_DYNAMIC);
        EXPECT_EQ(info.txn_wait_ms(), 777u);
        EXPECT_EQ(info.pid(), static_cast<std::uint32_t>(::getpid()));
    }
    EXPECT_EQ(found, 1);
}

TEST_F(Transactions, AFullStoreRefusesTheChangeAndTheOldPolicyStays) {
    ASSERT_EQ(c.ask(filter()).status(), 0u);
    // The state file cannot be written any more: a directory stands where it is made.
    std::filesystem::create_directory(options.state + ".new");
    const auto reply = c.ask(filter());
    EXPECT_NE(reply.status(), 0u);
    EXPECT_NE(reply.error().find(options.state), std::string::npos) << reply.error();
    EXPECT_EQ(filters(c), 1);
    std::filesystem::remove(options.state + ".new");
    EXPECT_EQ(c.ask(filter()).status(), 0u);
    EXPECT_EQ(filters(c), 2);
}

} // namespace
} // namespace sluice::daemon
