// SPDX-License-Identifier: Apache-2.0
// Redirections as sluiced looks after them: what the sweep decides, handles of hosts, and filters
// whose contexts go with them.
#include "daemon/redirects.h"

#include "policy/redirect.h"
#include "server_fixture.h"

namespace sluice::daemon {
namespace {

constexpr std::uint64_t second_ns = 1000000000ull;

dp_redirect redirect_in(std::uint32_t state) {
    dp_redirect redirect{};
    redirect.state = state;
    redirect.created_ns = 5 * second_ns;
    redirect.ended_ns = state == DP_REDIRECT_ENDED ? 100 * second_ns : 0;
    return redirect;
}

TEST(RedirectFates, AnEndedOneStaysForItsRecordsAndGoes) {
    const auto ended = redirect_in(DP_REDIRECT_ENDED);
    EXPECT_EQ(fate_of(ended, 130 * second_ns, 0), RedirectFate::keep);
    EXPECT_EQ(fate_of(ended, 130 * second_ns + 1, 0), RedirectFate::remove);
    EXPECT_EQ(fate_of(ended, 50 * second_ns, 0), RedirectFate::keep) << "ended meanwhile";
}

TEST(RedirectFates, OneThatIsMissedForLongEndsAndADraftGoes) {
    const auto live = redirect_in(DP_REDIRECT_LIVE), draft = redirect_in(DP_REDIRECT_DRAFT);
    const std::uint64_t since = 10 * second_ns, due = since + DP_UDP_IDLE_NS;
    EXPECT_EQ(fate_of(live, 1000000 * second_ns, 0), RedirectFate::keep) << "it is there";
    EXPECT_EQ(fate_of(live, due, since), RedirectFate::keep);
    EXPECT_EQ(fate_of(live, due + 1, since), RedirectFate::end);
    EXPECT_EQ(fate_of(draft, due, since), RedirectFate::keep);
    EXPECT_EQ(fate_of(draft, due + 1, since), RedirectFate::remove);
}

TEST(RedirectFates, ItsHostsAreThoseOfItsVersionsHandles) {
    auto redirect = redirect_in(DP_REDIRECT_LIVE);
    redirect.versions = 3;
    redirect.version[1].handle = 7ull << 32 | 1;
    redirect.version[2].handle = 9ull << 32 | 4;
    redirect.version[3].handle = 5ull << 32 | 1; // of another evaluation
    EXPECT_EQ(hosts_of(redirect), (std::set<std::uint32_t>{7, 9}));
    redirect.versions = 77; // whatever stands there
    EXPECT_EQ(hosts_of(redirect), (std::set<std::uint32_t>{5, 7, 9}));
}

class RedirectServer : public Server {
protected:
    static protocol::Request create(std::uint32_t number, const std::string &provider) {
        protocol::Request r;
        r.mutable_redirect_handle_create()->set_number(number);
        r.mutable_redirect_handle_create()->set_provider(provider);
        return r;
    }
    static protocol::Request destroy(std::uint32_t number) {
        protocol::Request r;
        r.mutable_redirect_handle_destroy()->set_number(number);
        return r;
    }
};

TEST_F(RedirectServer, HandlesAreOfTheHostThatMadeThem) {
    const std::string provider = Guid::random().bytes();
    auto one = caller(), other = caller(), nobody = caller();
    one.ask(hello());
    other.ask(hello());
    EXPECT_NE(nobody.ask(create(1, provider)).exit_code(), 0u) << "no host";
    EXPECT_NE(one.ask(create(0, provider)).exit_code(), 0u);
    EXPECT_NE(one.ask(create(1, "short")).exit_code(), 0u);
    EXPECT_EQ(one.ask(create(1, provider)).exit_code(), 0u);
    EXPECT_NE(other.ask(destroy(1)).exit_code(), 0u) << "another host's";
    EXPECT_EQ(one.ask(destroy(1)).exit_code(), 0u);
    const auto again = one.ask(destroy(1));
    EXPECT_NE(again.exit_code(), 0u);
    EXPECT_NE(again.error().find("redirect handle 1"), std::string::npos) << again.error();
}

TEST_F(RedirectServer, AFilterTakesItsContextWithItAndOneWithoutATargetIsRefused) {
    auto c = caller();
    const Guid key = Guid::random(), context = policy::own_context_key(key);
    const auto with_context = [&](const std::string &data) {
        protocol::Request add;
        add.mutable_provider_context_add()->set_key(context.bytes());
        add.mutable_provider_context_add()->set_name("target");
        add.mutable_provider_context_add()->set_type(FWPM_GENERAL_CONTEXT);
        add.mutable_provider_context_add()->set_data(data);
        EXPECT_EQ(c.ask(add).exit_code(), 0u);
        auto r = filter();
        r.mutable_filter_add()->set_layer(FWPS_LAYER_ALE_CONNECT_REDIRECT_V4);
        r.mutable_filter_add()->set_action(FWP_ACTION_PERMIT);
        r.mutable_filter_add()->set_key(key.bytes());
        r.mutable_filter_add()->set_provider_context(context.bytes());
        r.mutable_filter_add()->set_flags(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
        return c.ask(r);
    };
    const auto remove = [&](protocol::ObjectKind kind, const Guid &of) {
        protocol::Request r;
        r.mutable_object_delete()->set_kind(kind);
        r.mutable_object_delete()->set_key(of.bytes());
        return c.ask(r).status();
    };
    const auto refused = with_context("no target");
    EXPECT_EQ(refused.status(), word(STATUS_FWP_INVALID_PARAMETER));
    EXPECT_NE(refused.error().find("'target'"), std::string::npos) << refused.error();
    EXPECT_EQ(remove(protocol::PROVIDER_CONTEXT, context), 0u);
    const policy::TargetEnd proxy{std::string("\x7f\0\0\1", 4), 8080};
    EXPECT_EQ(with_context(policy::write_target({.v4 = proxy})).exit_code(), 0u);
    EXPECT_EQ(remove(protocol::PROVIDER_CONTEXT, context), word(STATUS_FWP_IN_USE));
    EXPECT_EQ(remove(protocol::FILTER, key), 0u);
    EXPECT_EQ(remove(protocol::PROVIDER_CONTEXT, context),
              word(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND));
}

TEST_F(RedirectServer, TheListIsEmptyWithoutDataPlanes) {
    auto c = caller();
    protocol::Request r;
    r.mutable_redirect_list();
    const auto reply = c.ask(r);
    EXPECT_EQ(reply.exit_code(), 0u);
    EXPECT_EQ(reply.redirects().redirects_size(), 0);
}

} // namespace
} // namespace sluice::daemon
