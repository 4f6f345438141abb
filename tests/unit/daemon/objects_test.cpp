// SPDX-License-Identifier: Apache-2.0
// Providers, contexts, enumerations and subscriptions of a daemon without any data plane.
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

protocol::Request provider(const Guid &key, std::uint64_t session = 0) {
    protocol::Request r;
    r.mutable_provider_add()->set_session(session);
    r.mutable_provider_add()->set_key(key.bytes());
    r.mutable_provider_add()->set_name("provider");
    return r;
}

protocol::Request context(const Guid &key, const std::string &data) {
    protocol::Request r;
    auto *m = r.mutable_provider_context_add();
    m->set_key(key.bytes());
    m->set_name("context");
    m->set_type(FWPM_GENERAL_CONTEXT);
    m->set_data(data);
    return r;
}

protocol::Request get(protocol::ObjectKind kind, const Guid &key, std::uint64_t id = 0,
                      std::uint64_t session = 0) {
    protocol::Request r;
    r.mutable_object_get()->set_session(session);
    r.mutable_object_get()->set_kind(kind);
    if (!key.is_null()) r.mutable_object_get()->set_key(key.bytes());
    r.mutable_object_get()->set_id(id);
    return r;
}

protocol::Request removal(protocol::ObjectKind kind, const Guid &key, std::uint64_t id = 0) {
    protocol::Request r;
    r.mutable_object_delete()->set_kind(kind);
    if (!key.is_null()) r.mutable_object_delete()->set_key(key.bytes());
    r.mutable_object_delete()->set_id(id);
    return r;
}

protocol::Request subscription(std::uint64_t session, protocol::ObjectKind kind,
                               std::uint32_t flags = FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_ADD |
                                                     FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE) {
    protocol::Request r;
    r.mutable_subscribe()->set_session(session);
    r.mutable_subscribe()->set_kind(kind);
    r.mutable_subscribe()->set_flags(flags);
    return r;
}

class Objects : public Server {
protected:
    Caller c = caller();
};

TEST_F(Objects, AProviderIsAddedReadAndDeletedUnlessItIsReferredTo) {
    const Guid key = Guid::random(), sub = Guid::random();
    ASSERT_EQ(c.ask(provider(key)).status(), 0u);
    EXPECT_EQ(c.ask(provider(key)).status(), word(STATUS_FWP_ALREADY_EXISTS));
    const auto got = c.ask(get(protocol::PROVIDER, key));
    ASSERT_EQ(got.objects().providers_size(), 1);
    EXPECT_EQ(got.objects().providers(0).name(), "provider");
    EXPECT_EQ(got.objects().providers(0).lifetime(), "static");
    protocol::Request sublayer;
    sublayer.mutable_sublayer_add()->set_key(sub.bytes());
    sublayer.mutable_sublayer_add()->set_name("s");
    sublayer.mutable_sublayer_add()->set_provider(key.bytes());
    ASSERT_EQ(c.ask(sublayer).status(), 0u);
    EXPECT_EQ(c.ask(removal(protocol::PROVIDER, key)).status(), word(STATUS_FWP_IN_USE));
    EXPECT_EQ(c.ask(removal(protocol::SUBLAYER, sub)).status(), 0u);
    EXPECT_EQ(c.ask(removal(protocol::PROVIDER, key)).status(), 0u);
    EXPECT_EQ(c.ask(get(protocol::PROVIDER, key)).status(), word(STATUS_FWP_PROVIDER_NOT_FOUND));
}

TEST_F(Objects, AProviderContextHasAKeyAndANumber) {
    const Guid key = Guid::random();
    const auto id = c.ask(context(key, std::string("a\0b", 3))).provider_context_id();
    ASSERT_NE(id, 0u);
    for (const auto &got : {c.ask(get(protocol::PROVIDER_CONTEXT, key)),
                            c.ask(get(protocol::PROVIDER_CONTEXT, {}, id))}) {
        ASSERT_EQ(got.objects().provider_contexts_size(), 1) << got.error();
        EXPECT_EQ(got.objects().provider_contexts(0).data(), std::string("a\0b", 3));
    }
    EXPECT_EQ(c.ask(removal(protocol::PROVIDER_CONTEXT, {}, id)).status(), 0u);
    EXPECT_EQ(c.ask(get(protocol::PROVIDER_CONTEXT, key)).status(),
              word(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND));
}

TEST_F(Objects, ASessionSeesItsOwnTransactionAndNobodyElseDoes) {
    const std::uint64_t s = c.ask(open(false)).session_id();
    c.ask(transaction('b', s));
    const auto id = c.ask(filter(s)).filter_id();
    EXPECT_EQ(c.ask(get(protocol::FILTER, {}, id, s)).status(), 0u);
    auto other = caller();
    EXPECT_EQ(other.ask(get(protocol::FILTER, {}, id)).status(), word(STATUS_FWP_FILTER_NOT_FOUND));
    c.ask(transaction('c', s));
    EXPECT_EQ(other.ask(get(protocol::FILTER, {}, id)).status(), 0u);
}

TEST_F(Objects, EnumerationsComeWholeInPieces) {
    const std::uint64_t s = c.ask(open(false)).session_id();
    c.ask(transaction('b', s));
    for (int i = 0; i < 450; ++i)
        ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    c.ask(transaction('c', s));
    protocol::Request r;
    r.mutable_object_enum()->set_kind(protocol::FILTER);
    c.send(r);
    int all = 0, pieces = 0;
    for (auto reply = c.reply(); reply; reply = c.reply()) {
        all += reply->objects().filters_size();
        ++pieces;
        if (!reply->more()) break;
    }
    EXPECT_EQ(all, 450);
    EXPECT_GT(pieces, 1);
}

TEST_F(Objects, AnEnumerationHeedsItsTemplate) {
    const Guid mine = Guid::random();
    ASSERT_EQ(c.ask(provider(mine)).status(), 0u);
    auto wanted = filter();
    wanted.mutable_filter_add()->set_provider(mine.bytes());
    const auto id = c.ask(wanted).filter_id();
    ASSERT_EQ(c.ask(filter()).status(), 0u);
    protocol::Request r;
    r.mutable_object_enum()->set_kind(protocol::FILTER);
    r.mutable_object_enum()->set_provider(mine.bytes());
    const auto got = c.ask(r);
    ASSERT_EQ(got.objects().filters_size(), 1);
    EXPECT_EQ(got.objects().filters(0).id(), id);
    r.mutable_object_enum()->set_enum_type(99);
    EXPECT_EQ(c.ask(r).status(), word(STATUS_FWP_INVALID_ENUMERATOR));
}

TEST_F(Objects, SubscribersHearOfWhatOthersChange) {
    auto watcher = caller();
    const std::uint64_t own = watcher.ask(open(false)).session_id();
    const auto sub = watcher.ask(subscription(own, protocol::FILTER)).subscription_id();
    ASSERT_NE(sub, 0u);
    const auto id = c.ask(filter()).filter_id();
    auto heard = watcher.next(500);
    ASSERT_TRUE(heard && heard->notice().has_change());
    EXPECT_EQ(heard->notice().change().subscription(), sub);
    EXPECT_EQ(heard->notice().change().id(), id);
    EXPECT_EQ(heard->notice().change().type(), std::uint32_t{FWPM_CHANGE_ADD});
    ASSERT_EQ(watcher.ask(filter(own)).status(), 0u);
    EXPECT_TRUE(watcher.notices.empty()) << "its own change";
    ASSERT_EQ(c.ask(removal(protocol::FILTER, {}, id)).status(), 0u);
    heard = watcher.next(500);
    ASSERT_TRUE(heard && heard->notice().has_change());
    EXPECT_EQ(heard->notice().change().type(), std::uint32_t{FWPM_CHANGE_DELETE});

    protocol::Request end;
    end.mutable_unsubscribe()->set_session(own);
    end.mutable_unsubscribe()->set_subscription(sub);
    EXPECT_EQ(watcher.ask(end).status(), 0u);
    ASSERT_EQ(watcher.notices.size(), 1u);
    EXPECT_EQ(watcher.notices[0].subscription_end().subscription(), sub);
    ASSERT_EQ(c.ask(filter()).status(), 0u);
    EXPECT_FALSE(watcher.next(20));
    EXPECT_EQ(watcher.ask(end).status(), word(STATUS_INVALID_HANDLE));
}

TEST_F(Objects, ASubscriptionHasATemplateAndKindsOfChange) {
    auto watcher = caller();
    const std::uint64_t own = watcher.ask(open(false)).session_id();
    const Guid mine = Guid::random();
    auto wanted = subscription(own, protocol::SUBLAYER, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE);
    wanted.mutable_subscribe()->mutable_filter()->set_provider(mine.bytes());
    ASSERT_EQ(watcher.ask(wanted).status(), 0u);
    ASSERT_EQ(c.ask(provider(mine)).status(), 0u);
    const Guid theirs = Guid::random(), other = Guid::random();
    for (const auto &key : {theirs, other}) {
        protocol::Request r;
        r.mutable_sublayer_add()->set_key(key.bytes());
        r.mutable_sublayer_add()->set_name("s");
        if (key == theirs) r.mutable_sublayer_add()->set_provider(mine.bytes());
        ASSERT_EQ(c.ask(r).status(), 0u);
    }
    ASSERT_EQ(c.ask(removal(protocol::SUBLAYER, other)).status(), 0u);
    ASSERT_EQ(c.ask(removal(protocol::SUBLAYER, theirs)).status(), 0u);
    const auto heard = watcher.next(500);
    ASSERT_TRUE(heard && heard->notice().has_change());
    EXPECT_EQ(heard->notice().change().key(), theirs.bytes());
    EXPECT_FALSE(watcher.next(20));
}

TEST_F(Objects, NobodySubscribesInsideATransaction) {
    const std::uint64_t s = c.ask(open(false)).session_id();
    c.ask(transaction('b', s));
    EXPECT_EQ(c.ask(subscription(s, protocol::FILTER)).status(), word(STATUS_FWP_TXN_IN_PROGRESS));
    c.ask(transaction('a', s));
    EXPECT_EQ(c.ask(subscription(s, protocol::FILTER)).status(), 0u);
}

TEST_F(Objects, TheEndOfADynamicSessionIsAChangeLikeAnother) {
    auto watcher = caller();
    const std::uint64_t own = watcher.ask(open(false)).session_id();
    ASSERT_EQ(
        watcher.ask(subscription(own, protocol::FILTER, FWPM_SUBSCRIPTION_FLAG_NOTIFY_ON_DELETE))
            .status(),
        0u);
    const std::uint64_t s = c.ask(open(true)).session_id();
    const auto id = c.ask(filter(s)).filter_id();
    protocol::Request close;
    close.mutable_engine_close()->set_session(s);
    ASSERT_EQ(c.ask(close).status(), 0u);
    const auto heard = watcher.next(500);
    ASSERT_TRUE(heard && heard->notice().has_change());
    EXPECT_EQ(heard->notice().change().id(), id);
}

} // namespace
} // namespace sluice::daemon
