// SPDX-License-Identifier: Apache-2.0
#include "fake_sluiced.h"
#include "host_fixture.h"

using namespace sluice;
using namespace sluice::test;
using runtime::Subscriptions;
using Kind = Subscriptions::Kind;
using Request = protocol::Request;

namespace {

class SubscriptionsTest : public ::testing::Test {
protected:
    void SetUp() override {
        sluiced = std::make_unique<FakeSluiced>(path);
        engine = std::make_unique<runtime::Engine>(runtime::Engine::Options{path, "test", {}, -1});
        engine->start();
        auto opened = engine->sessions().open({});
        ASSERT_TRUE(opened);
        session = *opened;
    }
    HANDLE add(Subscriptions::Deliver deliver, Kind kind = Kind::filter) {
        auto made = engine->subscriptions().add(session, kind, {}, std::move(deliver));
        EXPECT_TRUE(made);
        return made ? *made : nullptr;
    }
    // The id under which the thread in sluiced's place knows the latest subscription.
    std::uint64_t remote() {
        std::uint64_t id = 0;
        for (const auto &r : sluiced->requests())
            if (r.has_subscribe()) id = r.id();
        return id;
    }
    static protocol::Notice change(std::uint64_t subscription, std::uint64_t object) {
        protocol::Notice notice;
        notice.mutable_change()->set_subscription(subscription);
        notice.mutable_change()->set_id(object);
        return notice;
    }
    template <typename F>
    static bool eventually(F condition) {
        for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(5)))
            if (condition()) return true;
        return false;
    }
    const std::string path = FakeSluiced::unique_path();
    std::unique_ptr<FakeSluiced> sluiced;
    std::unique_ptr<runtime::Engine> engine;
    HANDLE session = nullptr;
};

} // namespace

TEST_F(SubscriptionsTest, ChangesComeInOrderAndMayAskSluiced) {
    std::vector<std::uint64_t> seen;
    std::atomic<std::size_t> count{0};
    add([&](const protocol::Notice &n) {
        auto reply = engine->sessions().request(
            session, [](Request &r, std::uint64_t s) { r.mutable_object_get()->set_session(s); });
        EXPECT_TRUE(reply);
        seen.push_back(n.change().id());
        ++count;
    });
    for (std::uint64_t i = 1; i <= 20; ++i)
        EXPECT_EQ(sluiced->notify(change(remote(), i)), 0u);
    ASSERT_TRUE(eventually([&] { return count == 20; }));
    for (std::uint64_t i = 0; i < 20; ++i)
        EXPECT_EQ(seen[i], i + 1);
}

TEST_F(SubscriptionsTest, ANoticeFasterThanTheReplyIsNotLost) {
    sluiced->on_request([&](const Request &r, protocol::Reply &) {
        if (r.has_subscribe()) sluiced->tell(change(r.id(), 9));
    });
    std::atomic<std::uint64_t> seen{0};
    add([&](const protocol::Notice &n) { seen = n.change().id(); });
    EXPECT_TRUE(eventually([&] { return seen == 9; }));
    sluiced->on_request({});
}

TEST_F(SubscriptionsTest, EndingWaitsForACallThatRuns) {
    std::atomic<int> inside{0}, calls{0};
    std::atomic<bool> let_go{false};
    const HANDLE handle = add([&](const protocol::Notice &) {
        ++calls;
        ++inside;
        while (!let_go)
            std::this_thread::yield();
        --inside;
    });
    sluiced->notify(change(remote(), 1));
    sluiced->notify(change(remote(), 2));
    ASSERT_TRUE(eventually([&] { return inside == 1; }));
    std::thread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        let_go = true;
    });
    EXPECT_EQ(engine->subscriptions().remove(session, Kind::filter, handle), STATUS_SUCCESS);
    EXPECT_TRUE(let_go && inside == 0);
    EXPECT_EQ(calls, 1); // what was waiting is not told any more
    later.join();
    EXPECT_EQ(sluiced->count(Request::kUnsubscribe), 1u);
    sluiced->notify(change(remote(), 3));
    EXPECT_EQ(calls, 1);
}

TEST_F(SubscriptionsTest, EndsInsideItsOwnCallback) {
    std::atomic<HANDLE> handle{nullptr};
    std::atomic<NTSTATUS> status{STATUS_PENDING};
    handle = add([&](const protocol::Notice &) {
        status = engine->subscriptions().remove(session, Kind::filter, handle);
    });
    sluiced->notify(change(remote(), 1));
    EXPECT_TRUE(eventually([&] { return status == STATUS_SUCCESS; }));
    EXPECT_EQ(engine->subscriptions().remove(session, Kind::filter, handle), STATUS_INVALID_HANDLE);
}

TEST_F(SubscriptionsTest, SurvivesARestartOfSluicedAndEndsWithItsSession) {
    std::atomic<std::uint64_t> seen{0};
    std::atomic<int> stopped{0}, running{0};
    const HANDLE state =
        engine->subscriptions().add_state([&](bool up) { ++(up ? running : stopped); });
    add([&](const protocol::Notice &n) { seen = n.change().id(); });
    sluiced = nullptr;
    ASSERT_TRUE(eventually([&] { return stopped == 1; }));
    sluiced = std::make_unique<FakeSluiced>(path);
    // Running is said of the first connection too if its beginning was slow.
    ASSERT_TRUE(eventually([&] { return sluiced->count(Request::kSubscribe) == 1; }));
    EXPECT_TRUE(eventually([&] { return running >= 1; }));
    sluiced->notify(change(remote(), 5));
    EXPECT_TRUE(eventually([&] { return seen == 5; }));
    EXPECT_EQ(engine->subscriptions().list(Kind::filter).size(), 1u);
    engine->subscriptions().end_session(session);
    EXPECT_EQ(engine->subscriptions().list(Kind::filter).size(), 0u);
    EXPECT_EQ(engine->subscriptions().remove_state(state), STATUS_SUCCESS);
}

TEST_F(SubscriptionsTest, ASlowListenerLosesEventsAndNothingElse) {
    std::atomic<bool> let_go{false};
    std::atomic<std::size_t> seen{0};
    add(
        [&](const protocol::Notice &) {
            while (!let_go)
                std::this_thread::yield();
            ++seen;
        },
        Kind::net_event);
    protocol::Notice event;
    event.mutable_net_event()->set_subscription(remote());
    for (std::size_t i = 0; i < Subscriptions::waiting_max + 100; ++i)
        sluiced->tell(event);
    EXPECT_TRUE(eventually([&] { return engine->counters().net_events_lost >= 99; }));
    let_go = true;
    EXPECT_TRUE(eventually([&] { return seen >= Subscriptions::waiting_max; }));
}

TEST_F(SubscriptionsTest, AListInPiecesIsOneReply) {
    protocol::FromDaemon piece;
    sluiced->on_request([&](const Request &r, protocol::Reply &reply) {
        if (!r.has_object_enum()) return;
        piece.mutable_reply()->set_id(r.id());
        piece.mutable_reply()->set_more(true);
        piece.mutable_reply()->mutable_objects()->add_filters()->set_id(71);
        sluiced->tell(piece);
        reply.mutable_objects()->clear_filters();
        reply.mutable_objects()->add_filters()->set_id(72);
    });
    auto reply = engine->sessions().request(
        session, [](Request &r, std::uint64_t s) { r.mutable_object_enum()->set_session(s); });
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->objects().filters_size(), 2);
    EXPECT_EQ(reply->objects().filters(0).id(), 71u);
    EXPECT_EQ(reply->objects().filters(1).id(), 72u);
    EXPECT_FALSE(reply->more());
    sluiced->on_request({});
}
