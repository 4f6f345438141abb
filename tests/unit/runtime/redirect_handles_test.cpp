// SPDX-License-Identifier: Apache-2.0
#include "fake_sluiced.h"
#include "redirect_fixture.h"

using namespace sluice;
using namespace sluice::test;
using Request = protocol::Request;

namespace {

class RedirectHandlesTest : public ::testing::Test {
protected:
    std::vector<protocol::RedirectHandle> created() const {
        std::vector<protocol::RedirectHandle> out;
        for (const auto &r : sluiced->requests())
            if (r.has_redirect_handle_create()) out.push_back(r.redirect_handle_create());
        return out;
    }
    template <typename F>
    static bool eventually(F condition) {
        for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
            if (condition()) return true;
        return false;
    }
    const std::string path = FakeSluiced::unique_path();
    std::unique_ptr<FakeSluiced> sluiced = std::make_unique<FakeSluiced>(path);
    std::unique_ptr<runtime::Engine> engine =
        std::make_unique<runtime::Engine>(runtime::Engine::Options{path, "test", {}, -1});
    HANDLE handle = nullptr;
};

} // namespace

TEST_F(RedirectHandlesTest, AreToldToSluicedAndTakenBack) {
    HANDLE second = nullptr;
    ASSERT_EQ(engine->create_redirect_handle(provider, &handle), STATUS_SUCCESS);
    ASSERT_EQ(engine->create_redirect_handle(provider, &second), STATUS_SUCCESS);
    EXPECT_NE(handle, second);
    const auto told = created();
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].provider(), provider.bytes());
    EXPECT_NE(told[0].number(), told[1].number());
    engine->destroy_redirect_handle(handle);
    engine->destroy_redirect_handle(handle);
    engine->destroy_redirect_handle(nullptr);
    const auto requests = sluiced->requests();
    EXPECT_EQ(sluiced->count(Request::kRedirectHandleDestroy), 1u);
    EXPECT_EQ(requests.back().redirect_handle_destroy().number(), told[0].number());
    HANDLE third = nullptr;
    ASSERT_EQ(engine->create_redirect_handle(provider, &third), STATUS_SUCCESS);
    EXPECT_NE(third, handle); // never used again
}

TEST_F(RedirectHandlesTest, AreMadeBeforeSluicedIsThereAndToldAfterEachOfItsRestarts) {
    sluiced.reset();
    ASSERT_EQ(engine->create_redirect_handle(provider, &handle), STATUS_SUCCESS);
    HANDLE gone = nullptr;
    ASSERT_EQ(engine->create_redirect_handle(other_provider, &gone), STATUS_SUCCESS);
    engine->destroy_redirect_handle(gone);
    for (int start = 0; start < 2; ++start) {
        sluiced = std::make_unique<FakeSluiced>(path);
        ASSERT_TRUE(eventually([&] { return created().size() == 1; }));
        EXPECT_EQ(created()[0].provider(), provider.bytes());
        EXPECT_TRUE(eventually([&] { return engine->connected(); }));
        EXPECT_EQ(created().size(), 1u);
        sluiced.reset();
    }
}

TEST_F(RedirectHandlesTest, ARefusedOneIsNotThere) {
    sluiced->on_request([](const Request &r, protocol::Reply &reply) {
        if (r.has_redirect_handle_create()) reply.set_status(std::uint32_t(STATUS_ACCESS_DENIED));
    });
    EXPECT_EQ(engine->create_redirect_handle(provider, &handle), STATUS_ACCESS_DENIED);
    EXPECT_EQ(handle, nullptr);
    sluiced->hang_up();
    EXPECT_TRUE(eventually([&] { return engine->connected(); }));
    EXPECT_EQ(created().size(), 1u);
}

TEST_F(RedirectHandlesTest, EndedRedirectionsTakeTheirContextsWithThem) {
    engine->start();
    const auto context = [] {
        auto made = std::make_shared<runtime::RedirectContext>();
        made->provider = provider;
        made->memory.reset(std::malloc(1));
        return made;
    };
    for (const std::uint64_t id : {7, 8, 8})
        engine->redirect_contexts().keep({3, id}, context());
    protocol::Notice notice;
    notice.mutable_redirects_ended()->set_compartment(3);
    notice.mutable_redirects_ended()->add_redirects(8);
    notice.mutable_redirects_ended()->add_redirects(9);
    ASSERT_TRUE(eventually([&] { return engine->connected(); }));
    EXPECT_EQ(sluiced->notify(notice), 0u);
    EXPECT_EQ(engine->redirect_contexts().count(), 1u);
    EXPECT_TRUE(engine->redirect_contexts().find({3, 7}, provider));
    EXPECT_FALSE(engine->redirect_contexts().find({3, 7}, other_provider));
    EXPECT_FALSE(engine->redirect_contexts().find({1, 7}, provider));

    // And all of a compartment those of its data plane; a port that is offered anew takes none.
    engine->redirect_contexts().keep({4, 1}, context());
    engine->detach(4);
    EXPECT_EQ(engine->redirect_contexts().count(), 2u);
    protocol::Notice gone;
    gone.mutable_port_detach()->set_compartment(3);
    EXPECT_EQ(sluiced->notify(gone), 0u);
    EXPECT_EQ(engine->redirect_contexts().count(), 1u);
    EXPECT_TRUE(engine->redirect_contexts().find({4, 1}, provider));
}
