// SPDX-License-Identifier: Apache-2.0
#include "fake_sluiced.h"
#include "host_fixture.h"

using namespace sluice;
using namespace sluice::test;
using Request = protocol::Request;

namespace {

class EngineTest : public ::testing::Test {
protected:
    std::unique_ptr<runtime::Engine> make(std::function<void()> on_shutdown = {}) {
        return std::make_unique<runtime::Engine>(
            runtime::Engine::Options{path, "test", std::move(on_shutdown), -1});
    }
    template <typename F>
    static bool eventually(F condition) {
        for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
            if (condition()) return true;
        return false;
    }
    static auto begin() {
        return [](Request &r, std::uint64_t s) { r.mutable_transaction_begin()->set_session(s); };
    }
    static auto commit() {
        return [](Request &r, std::uint64_t s) { r.mutable_transaction_commit()->set_session(s); };
    }
    const std::string path = FakeSluiced::unique_path();
};

} // namespace

TEST_F(EngineTest, AHostMayStartBeforeSluiced) {
    auto engine = make();
    auto id = engine->register_callout(scripted_callout());
    ASSERT_TRUE(id);
    EXPECT_EQ(*id, 1u);
    FakeSluiced sluiced(path);
    EXPECT_TRUE(eventually([&] { return sluiced.count(Request::kCalloutRegister) == 1; }));
    EXPECT_TRUE(eventually([&] { return engine->connected(); }));
}

TEST_F(EngineTest, ADuplicateInAnotherHostIsRefused) {
    FakeSluiced sluiced(path);
    sluiced.on_request([](const Request &r, protocol::Reply &reply) {
        if (r.has_callout_register()) reply.set_status(std::uint32_t(STATUS_FWP_ALREADY_EXISTS));
    });
    auto engine = make();
    EXPECT_EQ(engine->register_callout(scripted_callout()).error().ntstatus,
              std::uint32_t(STATUS_FWP_ALREADY_EXISTS));
    sluiced.on_request({});
    EXPECT_TRUE(engine->register_callout(scripted_callout()));
}

TEST_F(EngineTest, WithoutSluicedNoSessionOpens) {
    auto engine = make();
    engine->start();
    EXPECT_EQ(engine->sessions().open({}).error().ntstatus,
              std::uint32_t(STATUS_CONNECTION_REFUSED));
}

TEST_F(EngineTest, ReconnectTellsCalloutsAndSessionsAgain) {
    auto sluiced = std::make_unique<FakeSluiced>(path);
    auto engine = make();
    ASSERT_TRUE(engine->register_callout(scripted_callout()));
    auto session = engine->sessions().open({});
    ASSERT_TRUE(session);
    ASSERT_TRUE(engine->sessions().request(*session, begin()));
    const auto first = sluiced->requests();
    sluiced = nullptr;
    sluiced = std::make_unique<FakeSluiced>(path);
    EXPECT_TRUE(eventually([&] { return sluiced->count(Request::kEngineOpen) == 1; }));
    EXPECT_EQ(sluiced->count(Request::kCalloutRegister), 1u);
    const auto again = sluiced->requests();
    EXPECT_EQ(first.at(0).host_hello().session_key(), again.at(0).host_hello().session_key());
    std::string before, after;
    for (const auto &r : first)
        if (r.has_engine_open()) before = r.engine_open().session_key();
    for (const auto &r : again)
        if (r.has_engine_open()) after = r.engine_open().session_key();
    EXPECT_EQ(before, after);
    // The transaction did not survive: the next call says so, the one after works.
    EXPECT_EQ(engine->sessions().request(*session, commit()).error().ntstatus,
              std::uint32_t(STATUS_FWP_TXN_ABORTED));
    EXPECT_TRUE(engine->sessions().request(*session, begin()));
}

TEST_F(EngineTest, ASessionThatCannotBeResumedIsAborted) {
    auto sluiced = std::make_unique<FakeSluiced>(path);
    auto engine = make();
    engine->start();
    auto session = engine->sessions().open({});
    ASSERT_TRUE(session);
    sluiced = nullptr;
    ASSERT_TRUE(eventually([&] { return !engine->connected(); }));
    EXPECT_EQ(engine->sessions().request(*session, begin()).error().ntstatus,
              std::uint32_t(STATUS_FWP_SESSION_ABORTED));
    EXPECT_EQ(engine->sessions().close(*session), STATUS_SUCCESS);
    EXPECT_EQ(engine->sessions().close(*session), STATUS_INVALID_HANDLE);
}

namespace {
runtime::Engine *notified = nullptr;
HANDLE notify_session = nullptr;
std::atomic<int> adds{0}, deletes{0};
NTSTATUS NTAPI adding_notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER3 *filter) {
    if (type == FWPS_CALLOUT_NOTIFY_DELETE_FILTER)
        return ++deletes, key ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
    ++adds;
    if (filter->filterId == 13) return STATUS_ACCESS_DENIED;
    filter->context = 99;
    auto reply = notified->sessions().request(notify_session, [](Request &r, std::uint64_t s) {
        r.mutable_filter_add()->set_session(s);
    });
    return reply ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}
} // namespace

TEST_F(EngineTest, NotifyFnMayAddFiltersItselfAndItsStatusDecides) {
    FakeSluiced sluiced(path);
    auto engine = make();
    auto spec = scripted_callout();
    std::get<FWPS_CALLOUT3>(spec).notifyFn = adding_notify;
    ASSERT_TRUE(engine->register_callout(spec));
    auto session = engine->sessions().open({});
    ASSERT_TRUE(session);
    notified = engine.get();
    notify_session = *session;
    protocol::Notice notice;
    auto &body = *notice.mutable_filter_notify();
    body.set_callout_key(callout_key.bytes());
    body.mutable_filter()->set_id(12);
    body.mutable_filter()->set_key(std::string(16, 'k'));
    body.mutable_filter()->set_callout(callout_key.bytes());
    EXPECT_EQ(sluiced.notify(notice), std::uint32_t(STATUS_SUCCESS));
    EXPECT_EQ(sluiced.count(Request::kFilterAdd), 1u);
    // What notifyFn put into the filter is what the table's filter has.
    protocol::Notice table;
    *table.mutable_filter_table()->add_filters() = body.filter();
    EXPECT_EQ(sluiced.notify(table), std::uint32_t(STATUS_SUCCESS));
    auto object = engine->filters().find(12, {});
    ASSERT_TRUE(object);
    EXPECT_EQ(object->as<FWPS_FILTER3>()->context, 99u);
    body.mutable_filter()->set_id(13);
    EXPECT_EQ(sluiced.notify(notice), std::uint32_t(STATUS_ACCESS_DENIED));
    body.set_type(protocol::FilterNotify::DELETE);
    EXPECT_EQ(sluiced.notify(notice), std::uint32_t(STATUS_SUCCESS));
    EXPECT_EQ(adds, 2);
    EXPECT_EQ(deletes, 1);
}

namespace {
struct Notified {
    FWPS_CALLOUT_NOTIFY_TYPE type;
    bool keyed;
    UINT64 context;
    std::string data; // of the provider context
};
std::vector<Notified> notifications;
NTSTATUS NTAPI noting_notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER3 *f) {
    std::string data = "none";
    if (f->providerContext) {
        const FWP_BYTE_BLOB &blob = *f->providerContext->dataBuffer;
        data.assign(reinterpret_cast<const char *>(blob.data), blob.size);
    }
    notifications.push_back({type, key != nullptr, f->context, data});
    return STATUS_SUCCESS;
}
} // namespace

TEST_F(EngineTest, CalloutsSeeACopyOfTheProviderContext) {
    FakeSluiced sluiced(path);
    auto engine = make();
    auto spec = scripted_callout();
    std::get<FWPS_CALLOUT3>(spec).notifyFn = noting_notify;
    ASSERT_TRUE(engine->register_callout(spec));
    notifications.clear();
    protocol::Notice notice;
    auto &body = *notice.mutable_filter_notify();
    body.set_callout_key(callout_key.bytes());
    auto &filter = *body.mutable_filter();
    filter.set_id(21);
    filter.set_key(std::string(16, 'p'));
    filter.set_flags(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    filter.set_raw_context(1);
    filter.set_provider_context_id(8);
    filter.mutable_provider_context_object()->set_id(8);
    filter.mutable_provider_context_object()->set_data("settings");
    sluiced.notify(notice);
    body.set_type(protocol::FilterNotify::COMMIT_ADD);
    sluiced.notify(notice);
    // A callout that does not use provider contexts is sent none.
    filter.clear_provider_context_object();
    filter.set_id(22);
    filter.set_flags(0);
    body.set_type(protocol::FilterNotify::ADD);
    sluiced.notify(notice);
    ASSERT_EQ(notifications.size(), 3u);
    EXPECT_EQ(notifications[0].data, "settings");
    EXPECT_EQ(notifications[0].context, 8u);
    EXPECT_EQ(notifications[1].type, FWPS_CALLOUT_NOTIFY_ADD_FILTER_POST_COMMIT);
    EXPECT_TRUE(notifications[1].keyed);
    EXPECT_EQ(notifications[1].data, "settings");
    EXPECT_EQ(notifications[2].data, "none");
    EXPECT_EQ(notifications[2].context, 1u);
}

TEST_F(EngineTest, TablesComeInPagesAndTheOneBeforeStays) {
    FakeSluiced sluiced(path);
    auto engine = make();
    engine->start();
    protocol::Notice page;
    page.mutable_filter_table()->add_filters()->set_id(1);
    page.mutable_filter_table()->set_more(true);
    sluiced.notify(page);
    EXPECT_FALSE(engine->filters().find(1, {}));
    page.mutable_filter_table()->mutable_filters(0)->set_id(2);
    page.mutable_filter_table()->set_more(false);
    sluiced.notify(page);
    EXPECT_TRUE(engine->filters().find(1, {}));
    EXPECT_TRUE(engine->filters().find(2, {}));
    protocol::Notice empty;
    empty.mutable_filter_table();
    sluiced.notify(empty);
    EXPECT_TRUE(engine->filters().find(1, {}));
    sluiced.notify(empty);
    EXPECT_FALSE(engine->filters().find(1, {}));
}

TEST_F(EngineTest, NoticesThatMakeNoSenseAreAnsweredWithAnError) {
    FakeSluiced sluiced(path);
    auto engine = make();
    engine->start();
    protocol::Notice port;
    port.mutable_port_attach()->set_compartment(1);
    EXPECT_NE(sluiced.notify(port), 0u);
    protocol::Notice order;
    order.mutable_hold_order()->set_ticket(5);
    EXPECT_EQ(sluiced.notify(order), std::uint32_t(STATUS_NOT_FOUND));
    EXPECT_EQ(engine->counters().stale_orders, 1u);
}

TEST_F(EngineTest, ShutdownReachesTheProgram) {
    FakeSluiced sluiced(path);
    std::atomic<bool> asked{false};
    auto engine = make([&] { asked = true; });
    engine->start();
    protocol::Notice notice;
    notice.mutable_shutdown();
    sluiced.notify(notice);
    EXPECT_TRUE(asked);
}
