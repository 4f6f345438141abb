// SPDX-License-Identifier: Apache-2.0
// Filters that redirect by themselves: what their provider contexts may say, and what they are to
// everything else.
#include "policy/redirect.h"

#include <cstring>
#include <gtest/gtest.h>
#include <sluice/fwp.h>
#include <sluice/sluice_redirect.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

constexpr std::uint16_t redirect_v4 = FWPS_LAYER_ALE_CONNECT_REDIRECT_V4,
                        redirect_v6 = FWPS_LAYER_ALE_CONNECT_REDIRECT_V6,
                        bind_v4 = FWPS_LAYER_ALE_BIND_REDIRECT_V4;

TargetEnd end4(std::array<std::uint8_t, 4> bytes, std::uint16_t port) {
    return {{bytes.begin(), bytes.end()}, port};
}
TargetEnd end6(const char *text, std::uint16_t port) {
    const Bytes16 bytes = v6(text);
    return {{bytes.begin(), bytes.end()}, port};
}
const TargetEnd proxy = end4({127, 0, 0, 1}, 8080);

Guid new_context(Policy &policy, std::string data, const Guid &provider = {}) {
    ProviderContext context;
    context.key = Guid::random();
    context.name = "target";
    context.type = FWPM_GENERAL_CONTEXT;
    context.provider = provider;
    context.data = std::move(data);
    const auto added = add_provider_context(policy, context);
    EXPECT_TRUE(added);
    return context.key;
}

Filter redirecting(std::uint16_t layer, const Guid &context) {
    Filter filter = permit(layer).flagged(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    filter.key = Guid::random();
    filter.provider_context = context;
    return filter;
}

TEST(Redirect, ATargetReadsBackAsItWasWritten) {
    for (const Target &target :
         {Target{.v4 = proxy}, Target{.v4 = end4({0, 0, 0, 0}, 3128), .v6 = end6("::", 3128)},
          Target{.v6 = end6("2001:db8::1", 0), .process = 42, .context = std::string(512, 'x')}}) {
        const auto read = read_target(write_target(target));
        ASSERT_TRUE(read) << read.error().text();
        EXPECT_EQ(*read, target);
    }
}

TEST(Redirect, WhatIsNoTargetIsRefusedAndSaysWhy) {
    const auto refused = [](NTSTATUS status, const std::string &why, const std::string &data) {
        const auto read = read_target(data);
        ASSERT_FALSE(read) << why;
        EXPECT_EQ(read.error().ntstatus, static_cast<std::uint32_t>(status)) << why;
        EXPECT_NE(read.error().text().find(why), std::string::npos) << read.error().text();
    };
    const auto edited = [](const std::function<void(SLUICE_REDIRECT_TARGET0 &)> &edit) {
        std::string data = write_target({.v4 = proxy, .context = "hello"});
        SLUICE_REDIRECT_TARGET0 head{};
        std::memcpy(&head, data.data(), sizeof head - sizeof head.context);
        edit(head);
        std::memcpy(data.data(), &head, offsetof(SLUICE_REDIRECT_TARGET0, context));
        return data;
    };
    const NTSTATUS bad = STATUS_FWP_INVALID_PARAMETER;
    refused(bad, "3 bytes are no SLUICE_REDIRECT_TARGET0", "abc");
    refused(bad, "do not fit", write_target({.v4 = proxy}) + "x");
    refused(bad, "do not fit", edited([](auto &head) { head.contextSize = 6; }));
    refused(STATUS_FWP_OUT_OF_BOUNDS, "513",
            write_target({.v4 = proxy, .context = std::string(513, 'x')}));
    refused(STATUS_FWP_INVALID_FLAGS, "flags 2", edited([](auto &head) { head.flags = 2; }));
    refused(bad, "family 23 in IPv4's place",
            edited([](auto &head) { head.v4.ss_family = SLUICE_AF_INET6; }));
    refused(bad, "no address at all", edited([](auto &head) { head.v4.ss_family = 0; }));
    refused(bad, "neither address nor port", write_target({.v4 = end4({0, 0, 0, 0}, 0)}));
    refused(bad, "224.0.0.1:53", write_target({.v4 = end4({224, 0, 0, 1}, 53)}));
    refused(bad, "[ff02::1]:53", write_target({.v6 = end6("ff02::1", 53)}));
    refused(bad, "link-local", write_target({.v6 = end6("fe80::1", 53)}));
    refused(bad, "IPv4 address in IPv6's", write_target({.v6 = end6("::ffff:10.0.0.1", 53)}));
}

TEST(Redirect, AFilterIsAddedOnlyWithATargetOfItsFamily) {
    Policy policy = initial();
    const auto refused = [&](NTSTATUS status, const Filter &filter) {
        const auto added = add_filter(policy, filter);
        ASSERT_FALSE(added);
        EXPECT_EQ(added.error().ntstatus, static_cast<std::uint32_t>(status));
    };
    const Guid good = new_context(policy, write_target({.v4 = proxy}));
    refused(STATUS_FWP_INVALID_PARAMETER,
            redirecting(redirect_v4, new_context(policy, "nonsense")));
    refused(STATUS_FWP_INVALID_PARAMETER, redirecting(redirect_v6, good));
    refused(STATUS_FWP_INVALID_FLAGS,
            redirecting(
                bind_v4,
                new_context(policy,
                            write_target({.v4 = proxy, .flags = SLUICE_REDIRECT_FLAG_PROXY_V2}))));
    EXPECT_TRUE(policy.filters.empty());
    EXPECT_TRUE(add_filter(policy, redirecting(redirect_v4, good)));
    EXPECT_TRUE(add_filter(policy, redirecting(bind_v4, good)));
    Filter elsewhere = redirecting(connect_v4, new_context(policy, "anything"));
    EXPECT_TRUE(add_filter(policy, elsewhere)) << "a context means nothing there";
    EXPECT_FALSE(redirects(elsewhere));
    elsewhere = redirecting(redirect_v4, new_context(policy, "anything"));
    elsewhere.action = FWP_ACTION_BLOCK;
    EXPECT_TRUE(add_filter(policy, elsewhere));
    EXPECT_FALSE(redirects(elsewhere));
    EXPECT_TRUE(add_filter(policy, permit(redirect_v4))) << "without a context a permit";
}

TEST(Redirect, CalloutsAreAskedAboutConnectsAndBinds) {
    Policy policy = initial();
    EXPECT_TRUE(add_filter(policy, terminating(redirect_v6, new_callout(policy, redirect_v6))));
    EXPECT_TRUE(add_filter(policy, terminating(bind_v4, new_callout(policy, bind_v4))));
}

TEST(Redirect, ToEveryoneElseItIsAPermit) {
    Policy policy = initial();
    const auto id =
        add(policy, redirecting(redirect_v4, new_context(policy, write_target({.v4 = proxy}))));
    EXPECT_EQ(redirection_text(policy, policy.filters.at(id)), "redirects to 127.0.0.1:8080");
    const auto verdict = arbitrate(policy, packet_at(redirect_v4),
                                   [](const Filter &, std::uint32_t, bool) -> CalloutReply {
                                       ADD_FAILURE() << "nobody is asked";
                                       return {};
                                   });
    EXPECT_EQ(verdict.action, FWP_ACTION_PERMIT);
    EXPECT_EQ(verdict.filter, id);
    EXPECT_FALSE(verdict.hard);
    EXPECT_TRUE(redirection_text(policy, permit(redirect_v4)).empty());
}

TEST(Redirect, ItsIdentityIsTheFiltersProviderTheContextsOrTheContext) {
    Policy policy = initial();
    const std::string target = write_target({.v4 = proxy});
    Provider mine, its;
    mine.name = its.name = "vendor";
    mine.key = Guid::random();
    its.key = Guid::random();
    ASSERT_TRUE(add_provider(policy, mine));
    ASSERT_TRUE(add_provider(policy, its));
    const Guid plain = new_context(policy, target), owned = new_context(policy, target, its.key);
    Filter filter = redirecting(redirect_v4, plain);
    EXPECT_EQ(identity_of(policy, filter), plain);
    filter.provider_context = owned;
    EXPECT_EQ(identity_of(policy, filter), its.key);
    filter.provider = mine.key;
    EXPECT_EQ(identity_of(policy, filter), mine.key);
}

TEST(Redirect, TheKernelsGoalHasAddressesAsItComparesThem) {
    const Guid identity = Guid::random();
    const auto goal = goal_of({.v4 = end4({10, 0, 0, 7}, 0),
                               .v6 = end6("2001:db8::7", 443),
                               .process = 5,
                               .context = "ctx"},
                              identity);
    EXPECT_EQ(goal.v4.address.lo, 0x0000ffff0a000007ull);
    EXPECT_EQ(goal.v4.port, 0u);
    EXPECT_EQ(goal.v6.address.hi, 0x20010db800000000ull);
    EXPECT_EQ(goal.v6.port, 443u);
    EXPECT_EQ(goal.target_pid, 5u);
    EXPECT_EQ(std::string(reinterpret_cast<const char *>(goal.context), goal.context_bytes), "ctx");
    EXPECT_EQ(std::memcmp(goal.provider, identity.bytes().data(), 16), 0);
    const auto only_port = goal_of({.v6 = end6("::", 80)}, identity);
    EXPECT_EQ(only_port.v4.present, 0u);
    EXPECT_EQ(only_port.v6.present, 1u);
    EXPECT_EQ(only_port.v6.address.hi | only_port.v6.address.lo, 0u);
}

TEST(Redirect, AContextMadeWithAFilterGoesWithIt) {
    Policy policy = initial();
    const std::string target = write_target({.v4 = proxy});
    const Guid key = Guid::random();
    ProviderContext own;
    own.key = own_context_key(key);
    own.data = target;
    own.name = "own";
    own.type = FWPM_GENERAL_CONTEXT;
    ASSERT_TRUE(add_provider_context(policy, own));
    Filter filter = redirecting(redirect_v4, own.key);
    filter.key = key;
    const auto id = add(policy, filter);
    const auto other = add(policy, redirecting(redirect_v4, new_context(policy, target)));
    ASSERT_TRUE(delete_filter(policy, id, 0));
    EXPECT_FALSE(policy.provider_contexts.contains(own.key));
    ASSERT_TRUE(delete_filter(policy, other, 0));
    EXPECT_EQ(policy.provider_contexts.size(), 1u) << "somebody made it by itself";
}

} // namespace
} // namespace sluice::policy
