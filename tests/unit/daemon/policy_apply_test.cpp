// SPDX-License-Identifier: Apache-2.0
// Policy files applied, confirmed and rolled back, in a daemon without any data plane.
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

protocol::Filter block(const Guid &key, std::uint32_t port = 80, const std::string &name = "f") {
    protocol::Filter f;
    f.set_key(key.bytes());
    f.set_name(name);
    f.set_layer(48);
    f.set_action(FWP_ACTION_BLOCK);
    auto *condition = f.add_conditions();
    condition->set_field(Guid::parse("c35a604d-d22b-4e1a-91b4-68f674ee674b")->bytes());
    condition->set_match(FWP_MATCH_EQUAL);
    condition->mutable_value()->set_type(FWP_UINT16);
    condition->mutable_value()->set_number(port);
    return f;
}

protocol::Request apply(const std::vector<protocol::Filter> &filters) {
    protocol::Request r;
    r.mutable_policy_apply()->mutable_objects();
    for (const auto &f : filters)
        *r.mutable_policy_apply()->mutable_objects()->add_filters() = f;
    return r;
}

class PolicyFiles : public Server {
protected:
    std::map<std::string, std::uint64_t> in_force() { // ids by name
        protocol::Request r;
        r.mutable_filter_list();
        std::map<std::string, std::uint64_t> out;
        const auto reply = c.ask(r);
        for (const auto &f : reply.filters().filters())
            out[f.name()] = f.id();
        return out;
    }
    protocol::Reply rollback() {
        protocol::Request r;
        r.mutable_policy_rollback();
        return c.ask(r);
    }
    Caller c = caller();
    const Guid a = Guid::random(), b = Guid::random(), d = Guid::random();
};

TEST_F(PolicyFiles, ReplaceWhatTheyBroughtAndNothingElse) {
    ASSERT_EQ(c.ask(filter()).status(), 0u); // "test", of somebody else
    auto first = c.ask(apply({block(a, 80, "a"), block(b, 81, "b")}));
    ASSERT_EQ(first.status(), 0u) << first.error();
    EXPECT_EQ(first.difference().added_size(), 2);
    const auto before = in_force();
    EXPECT_EQ(before.size(), 3u);
    const auto second = c.ask(apply({block(a, 80, "a"), block(b, 8081, "b"), block(d, 82, "d")}));
    ASSERT_EQ(second.status(), 0u) << second.error();
    EXPECT_EQ(second.difference().unchanged(), 1u);
    ASSERT_EQ(second.difference().changed_size(), 1);
    EXPECT_EQ(second.difference().changed(0), "filter b");
    ASSERT_EQ(second.difference().added_size(), 1);
    EXPECT_EQ(second.difference().added(0), "filter d");
    EXPECT_GT(second.difference().generation(), first.difference().generation());
    const auto after = in_force();
    EXPECT_EQ(after.at("a"), before.at("a")) << "what stays keeps its id";
    EXPECT_NE(after.at("b"), before.at("b"));
    ASSERT_EQ(c.ask(apply({})).difference().deleted_size(), 3);
    EXPECT_EQ(in_force().size(), 1u);
}

TEST_F(PolicyFiles, ComeInPieces) {
    auto piece = apply({block(a, 80, "a")});
    piece.mutable_policy_apply()->set_more(true);
    c.send(piece);
    EXPECT_FALSE(c.reply(20));
    const auto done = c.ask(apply({block(b, 81, "b")}));
    EXPECT_EQ(done.status(), 0u) << done.error();
    EXPECT_EQ(in_force().size(), 2u);
}

TEST_F(PolicyFiles, ALongDifferenceComesInPieces) {
    std::vector<protocol::Filter> many;
    for (int i = 0; i < 450; ++i)
        many.push_back(block(Guid::random(), 80, "f" + std::to_string(i)));
    c.send(apply(many));
    protocol::PolicyDifference all;
    int replies = 0;
    for (auto reply = c.reply(); reply; reply = c.reply()) {
        ASSERT_EQ(reply->status(), 0u) << reply->error();
        all.MergeFrom(reply->difference());
        ++replies;
        if (!reply->more()) break;
    }
    EXPECT_EQ(all.added_size(), 450);
    EXPECT_EQ(replies, 3);
    EXPECT_GT(all.generation(), 0u);
}

TEST_F(PolicyFiles, ACheckSaysWhatWouldChangeAndChangesNothing) {
    auto r = apply({block(a)});
    r.mutable_policy_apply()->set_check_only(true);
    const auto said = c.ask(r);
    EXPECT_EQ(said.difference().added_size(), 1);
    EXPECT_TRUE(in_force().empty());
    EXPECT_NE(rollback().status(), 0u) << "nothing was applied";
}

TEST_F(PolicyFiles, AWrongOneChangesNothing) {
    ASSERT_EQ(c.ask(apply({block(a, 80, "a")})).status(), 0u);
    auto wrong = block(b);
    wrong.set_action(17);
    EXPECT_EQ(c.ask(apply({wrong})).status(), word(STATUS_FWP_INVALID_ACTION_TYPE));
    auto foreign = block(b);
    foreign.set_provider(Guid::random().bytes());
    EXPECT_EQ(c.ask(apply({foreign})).status(), word(STATUS_FWP_INVALID_PARAMETER));
    EXPECT_EQ(c.ask(apply({block(b), block(b)})).status(), word(STATUS_FWP_ALREADY_EXISTS));
    EXPECT_EQ(in_force().size(), 1u);
    EXPECT_TRUE(in_force().contains("a"));
}

TEST_F(PolicyFiles, AChangedSublayerTakesItsFiltersAlong) {
    const Guid sub = Guid::random();
    auto f = block(a, 80, "a");
    f.set_sublayer(sub.bytes());
    auto r = apply({f});
    auto *s = r.mutable_policy_apply()->mutable_objects()->add_sublayers();
    s->set_key(sub.bytes());
    s->set_name("mine");
    s->set_weight(7);
    ASSERT_EQ(c.ask(r).status(), 0u);
    s = r.mutable_policy_apply()->mutable_objects()->mutable_sublayers(0);
    s->set_weight(9);
    const auto changed = c.ask(r);
    ASSERT_EQ(changed.status(), 0u) << changed.error();
    EXPECT_EQ(changed.difference().changed_size(), 1);
    EXPECT_EQ(changed.difference().unchanged(), 1u);
    protocol::Request list;
    list.mutable_filter_list();
    EXPECT_EQ(c.ask(list).filters().filters(0).sublayer_weight(), 9u);
    // Somebody else's filter in it keeps it from going.
    auto other = filter();
    other.mutable_filter_add()->set_sublayer(sub.bytes());
    ASSERT_EQ(c.ask(other).status(), 0u);
    EXPECT_EQ(c.ask(apply({})).status(), word(STATUS_FWP_IN_USE));
    EXPECT_EQ(in_force().size(), 2u);
}

TEST_F(PolicyFiles, GoBackToTheLastGoodOneAlsoAfterARestart) {
    ASSERT_EQ(c.ask(apply({block(a, 80, "a")})).status(), 0u);
    ASSERT_EQ(c.ask(apply({block(b, 81, "b")})).status(), 0u);
    restart();
    c = caller();
    const auto back = rollback();
    ASSERT_EQ(back.status(), 0u) << back.error();
    EXPECT_EQ(in_force().size(), 1u);
    EXPECT_TRUE(in_force().contains("a"));
    EXPECT_EQ(rollback().difference().unchanged(), 1u) << "once more changes nothing";
}

TEST_F(PolicyFiles, UnconfirmedGoBackByThemselvesAlsoWhenTheirClientIsGone) {
    ASSERT_EQ(c.ask(apply({block(a, 80, "a")})).status(), 0u);
    {
        auto other = caller();
        auto r = apply({block(b, 81, "b")});
        r.mutable_policy_apply()->set_confirm_ms(60);
        ASSERT_EQ(other.ask(r).status(), 0u);
    }
    EXPECT_TRUE(in_force().contains("b"));
    EXPECT_NE(c.ask(apply({})).status(), 0u) << "one waits for its confirmation";
    let_pass(120);
    EXPECT_TRUE(in_force().contains("a"));
    EXPECT_EQ(in_force().size(), 1u);
    ASSERT_EQ(c.ask(apply({})).status(), 0u);
}

TEST_F(PolicyFiles, ConfirmedStay) {
    auto r = apply({block(b, 81, "b")});
    r.mutable_policy_apply()->set_confirm_ms(60);
    ASSERT_EQ(c.ask(r).status(), 0u);
    protocol::Request confirm;
    confirm.mutable_policy_confirm();
    EXPECT_EQ(c.ask(confirm).status(), 0u);
    let_pass(120);
    EXPECT_TRUE(in_force().contains("b"));
    EXPECT_NE(c.ask(confirm).status(), 0u) << "nothing waits any more";
}

TEST_F(PolicyFiles, AConfirmationIsAwaitedOverARestart) {
    auto r = apply({block(b, 81, "b")});
    r.mutable_policy_apply()->set_confirm_ms(150);
    ASSERT_EQ(c.ask(r).status(), 0u);
    restart();
    c = caller();
    EXPECT_TRUE(in_force().contains("b"));
    let_pass(250);
    EXPECT_TRUE(in_force().empty());
}

TEST_F(PolicyFiles, AHostMayRefuseAFilterOfThem) {
    const Guid key = Guid::random();
    auto host = caller();
    host.ask(hello());
    host.ask(registration(key));
    ASSERT_EQ(c.ask(callout_object(key)).status(), 0u);
    auto f = block(a, 80, "a");
    f.set_action(FWP_ACTION_CALLOUT_TERMINATING);
    f.set_callout(key.bytes());
    for (const std::uint32_t answer : {5u, 0u}) {
        c.send(apply({block(b, 81, "b"), f}));
        for (;;) {
            const auto asked = host.next(500);
            ASSERT_TRUE(asked);
            if (!asked->notice().has_filter_notify()) continue;
            host.answer(asked->notice().id(), answer);
            break;
        }
        const auto reply = c.reply();
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->status(), answer == 0 ? 0 : word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED))
            << reply->error();
        EXPECT_EQ(in_force().size(), answer == 0 ? 2u : 0u);
    }
}

} // namespace
} // namespace sluice::daemon
