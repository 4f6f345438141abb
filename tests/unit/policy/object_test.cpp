// SPDX-License-Identifier: Apache-2.0
// Providers and provider contexts, who may refer to whom, and what can be deleted: J6, J7 and the
// statuses of the Add and Delete functions.
#include <gtest/gtest.h>
#include <sluice/fwp.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

constexpr SessionId holder = 7, stranger = 8;

Provider provider_of(SessionId owner = 0, std::uint32_t flags = 0) {
    Provider p;
    p.key = Guid::random();
    p.name = "provider";
    p.owner = owner;
    p.flags = flags;
    return p;
}

ProviderContext context_of(SessionId owner = 0, std::uint32_t flags = 0) {
    ProviderContext c;
    c.key = Guid::random();
    c.name = "context";
    c.type = FWPM_GENERAL_CONTEXT;
    c.owner = owner;
    c.flags = flags;
    return c;
}

SubLayer sublayer_of(const Guid &provider, SessionId owner = 0, std::uint32_t flags = 0) {
    SubLayer s;
    s.key = Guid::random();
    s.name = "sublayer";
    s.provider = provider;
    s.owner = owner;
    s.flags = flags;
    return s;
}

struct Objects : testing::Test {
    Policy policy = initial();

    template <typename R>
    static void expect_status(const R &r, NTSTATUS status) {
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(status)) << r.error().text();
    }
    Guid provider(SessionId owner = 0, std::uint32_t flags = 0) {
        const Provider p = provider_of(owner, flags);
        EXPECT_TRUE(add_provider(policy, p));
        return p.key;
    }
    Guid context(SessionId owner = 0, std::uint32_t flags = 0) {
        const ProviderContext c = context_of(owner, flags);
        EXPECT_TRUE(add_provider_context(policy, c));
        return c.key;
    }
    Filter with_context(const Guid &key) {
        Filter f = permit(in_v4).flagged(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
        f.provider_context = key;
        return f;
    }
};

TEST_F(Objects, TheBuiltInOnesAreThereAndStay) {
    ASSERT_EQ(policy.providers.size(), 1u);
    const Guid file = table_key("SLUICE_PROVIDER_POLICY_FILE");
    EXPECT_EQ(lifetime(policy.providers.at(file)), Lifetime::built_in);
    expect_status(delete_provider(policy, file, 0), STATUS_FWP_BUILTIN_OBJECT);
    const Guid universal = table_key("FWPM_SUBLAYER_UNIVERSAL");
    EXPECT_EQ(lifetime(policy.sublayers.at(universal)), Lifetime::built_in);
    expect_status(delete_sublayer(policy, universal, 0), STATUS_FWP_BUILTIN_OBJECT);
    expect_status(delete_sublayer(policy, universal, holder), STATUS_FWP_BUILTIN_OBJECT);
}

TEST_F(Objects, AddingAProvider) {
    expect_status(add_provider(policy, Provider{}), STATUS_FWP_NULL_DISPLAY_NAME);
    Provider p = provider_of();
    EXPECT_TRUE(add_provider(policy, p));
    expect_status(add_provider(policy, p), STATUS_FWP_ALREADY_EXISTS);
    expect_status(add_provider(policy, provider_of(0, FWPM_PROVIDER_FLAG_DISABLED)),
                  STATUS_FWP_INVALID_FLAGS);
    expect_status(add_provider(policy, provider_of(holder, FWPM_PROVIDER_FLAG_PERSISTENT)),
                  STATUS_FWP_LIFETIME_MISMATCH);
    EXPECT_EQ(policy.providers.size(), 2u);
}

TEST_F(Objects, AddingAProviderContext) {
    const auto id = add_provider_context(policy, context_of());
    ASSERT_TRUE(id);
    const ProviderContext first = policy.provider_contexts.begin()->second;
    EXPECT_EQ(first.id, *id);
    expect_status(add_provider_context(policy, first), STATUS_FWP_ALREADY_EXISTS);
    ProviderContext c = context_of();
    c.type = FWPM_PROVIDER_CONTEXT_TYPE_MAX;
    expect_status(add_provider_context(policy, c), STATUS_FWP_INVALID_ENUMERATOR);
    c.type = FWPM_IPSEC_IKE_MM_CONTEXT;
    expect_status(add_provider_context(policy, c), STATUS_NOT_SUPPORTED);
    c = context_of();
    c.provider = Guid::random();
    expect_status(add_provider_context(policy, c), STATUS_FWP_PROVIDER_NOT_FOUND);
    c = context_of();
    c.name.clear();
    expect_status(add_provider_context(policy, c), STATUS_FWP_NULL_DISPLAY_NAME);
    expect_status(add_provider_context(policy, context_of(0, 0x80)), STATUS_FWP_INVALID_FLAGS);
    EXPECT_EQ(policy.provider_contexts.size(), 1u);
    EXPECT_EQ(policy.next_provider_context_id, *id + 1);
}

TEST_F(Objects, AFilterNamesItsContext) {
    const Guid key = context();
    EXPECT_TRUE(add_filter(policy, with_context(key)));
    expect_status(add_filter(policy, with_context(Guid::random())),
                  STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
    Filter unflagged = permit(in_v4);
    unflagged.provider_context = key;
    expect_status(add_filter(policy, unflagged), STATUS_FWP_INVALID_PARAMETER);
}

TEST_F(Objects, J6_LifetimesAreNamed) {
    EXPECT_STREQ(lifetime_name(lifetime(provider_of())), "static");
    EXPECT_STREQ(lifetime_name(lifetime(provider_of(holder))), "dynamic");
    EXPECT_STREQ(lifetime_name(lifetime(provider_of(0, FWPM_PROVIDER_FLAG_PERSISTENT))),
                 "persistent");
    EXPECT_STREQ(lifetime_name(lifetime(Filter(permit(in_v4).flagged(FWPM_FILTER_FLAG_BOOTTIME)))),
                 "boot-time");
    EXPECT_STREQ(lifetime_name(Lifetime::built_in), "built-in");
}

TEST_F(Objects, J6_NothingRefersToWhatCanEndEarlier) {
    const Guid fixed = provider(), dynamic = provider(holder),
               lasting = provider(0, FWPM_PROVIDER_FLAG_PERSISTENT);
    constexpr std::uint32_t persistent = FWPM_SUBLAYER_FLAG_PERSISTENT;
    EXPECT_TRUE(add_sublayer(policy, sublayer_of(lasting, 0, persistent)));
    EXPECT_TRUE(add_sublayer(policy, sublayer_of(lasting)));
    EXPECT_TRUE(add_sublayer(policy, sublayer_of(lasting, holder)));
    EXPECT_TRUE(add_sublayer(policy, sublayer_of(fixed, holder)));
    EXPECT_TRUE(add_sublayer(policy, sublayer_of(dynamic, holder)));
    expect_status(add_sublayer(policy, sublayer_of(fixed, 0, persistent)),
                  STATUS_FWP_LIFETIME_MISMATCH);
    expect_status(add_sublayer(policy, sublayer_of(dynamic)), STATUS_FWP_LIFETIME_MISMATCH);
    expect_status(add_sublayer(policy, sublayer_of(dynamic, stranger)),
                  STATUS_FWP_LIFETIME_MISMATCH);
}

TEST_F(Objects, J6_APersistentOrBootTimeFilterNeedsWhatLasts) {
    const Guid fixed = new_sublayer(policy, 5);
    for (const std::uint32_t flag : {FWPM_FILTER_FLAG_PERSISTENT, FWPM_FILTER_FLAG_BOOTTIME}) {
        expect_status(add_filter(policy, permit(in_v4).in(fixed).flagged(flag)),
                      STATUS_FWP_LIFETIME_MISMATCH);
        EXPECT_TRUE(add_filter(policy, permit(in_v4).flagged(flag))); // universal
        Filter f = with_context(context());
        f.flags |= flag;
        expect_status(add_filter(policy, f), STATUS_FWP_LIFETIME_MISMATCH);
        f.provider_context = context(0, FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT);
        EXPECT_TRUE(add_filter(policy, f));
        expect_status(add_filter(policy, permit(in_v4).flagged(flag).owned_by(holder)),
                      STATUS_FWP_LIFETIME_MISMATCH);
    }
    expect_status(add_filter(policy, terminating(in_v4, new_callout(policy, in_v4))
                                         .flagged(FWPM_FILTER_FLAG_PERSISTENT)),
                  STATUS_FWP_LIFETIME_MISMATCH);
}

TEST_F(Objects, J7_WhatIsReferredToStays) {
    const Guid by_sublayer = provider(), by_context = provider(), by_callout = provider(),
               by_filter = provider();
    const SubLayer sublayer = sublayer_of(by_sublayer);
    ASSERT_TRUE(add_sublayer(policy, sublayer));
    ProviderContext c = context_of();
    c.provider = by_context;
    const auto context_id = add_provider_context(policy, c);
    ASSERT_TRUE(context_id);
    Callout callout;
    callout.key = Guid::random();
    callout.name = "callout";
    callout.provider = by_callout;
    const auto callout_id = policy::add_callout(policy, callout);
    ASSERT_TRUE(callout_id);
    Filter f = with_context(c.key);
    f.sublayer = sublayer.key;
    f.provider = by_filter;
    f.action = FWP_ACTION_CALLOUT_TERMINATING;
    f.callout = callout.key;
    const auto filter = add_filter(policy, f);
    ASSERT_TRUE(filter);

    for (const Guid &key : {by_sublayer, by_context, by_callout, by_filter})
        expect_status(delete_provider(policy, key, 0), STATUS_FWP_IN_USE);
    expect_status(delete_sublayer(policy, sublayer.key, 0), STATUS_FWP_IN_USE);
    expect_status(delete_callout(policy, callout.key, 0), STATUS_FWP_IN_USE);
    expect_status(delete_callout(policy, *callout_id, 0), STATUS_FWP_IN_USE);
    expect_status(delete_provider_context(policy, c.key, 0), STATUS_FWP_IN_USE);
    expect_status(delete_provider_context(policy, *context_id, 0), STATUS_FWP_IN_USE);

    EXPECT_TRUE(delete_filter(policy, policy.filters.at(*filter).key, 0));
    EXPECT_TRUE(delete_sublayer(policy, sublayer.key, 0));
    EXPECT_TRUE(delete_callout(policy, *callout_id, 0));
    EXPECT_TRUE(delete_provider_context(policy, *context_id, 0));
    for (const Guid &key : {by_sublayer, by_context, by_callout, by_filter})
        EXPECT_TRUE(delete_provider(policy, key, 0));
}

TEST_F(Objects, WhatIsNotThereIsNotFound) {
    const Guid nowhere = Guid::random();
    expect_status(delete_filter(policy, nowhere, 0), STATUS_FWP_FILTER_NOT_FOUND);
    expect_status(delete_callout(policy, nowhere, 0), STATUS_FWP_CALLOUT_NOT_FOUND);
    expect_status(delete_callout(policy, std::uint32_t{99}, 0), STATUS_FWP_CALLOUT_NOT_FOUND);
    expect_status(delete_sublayer(policy, nowhere, 0), STATUS_FWP_SUBLAYER_NOT_FOUND);
    expect_status(delete_provider(policy, nowhere, 0), STATUS_FWP_PROVIDER_NOT_FOUND);
    expect_status(delete_provider_context(policy, nowhere, 0),
                  STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
    expect_status(delete_provider_context(policy, std::uint64_t{99}, 0),
                  STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND);
}

TEST_F(Objects, J7_SessionsKeepToTheirOwn) {
    const Guid fixed = provider(), theirs = provider(stranger);
    expect_status(delete_provider(policy, fixed, holder), STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    expect_status(delete_provider(policy, theirs, holder), STATUS_FWP_WRONG_SESSION);
    expect_status(delete_provider(policy, theirs, 0), STATUS_FWP_WRONG_SESSION);
    const Guid sublayer = new_sublayer(policy, 1), callout = new_callout(policy, in_v4, stranger);
    expect_status(delete_sublayer(policy, sublayer, holder),
                  STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS);
    expect_status(delete_callout(policy, callout, 0), STATUS_FWP_WRONG_SESSION);
    expect_status(delete_provider_context(policy, context(stranger), 0), STATUS_FWP_WRONG_SESSION);
}

TEST_F(Objects, J5_ADynamicSessionsObjectsGoWithIt) {
    const Guid theirs = provider(holder), key = context(holder);
    ASSERT_TRUE(add_sublayer(policy, sublayer_of(theirs, holder)));
    Filter f = with_context(key);
    f.owner = holder;
    ASSERT_TRUE(add_filter(policy, f));
    const auto kept = add(policy, permit(in_v4));
    EXPECT_EQ(delete_owned(policy, holder).size(), 1u);
    EXPECT_EQ(policy.filters.size(), 1u);
    EXPECT_TRUE(policy.filters.contains(kept));
    EXPECT_TRUE(policy.provider_contexts.empty());
    EXPECT_EQ(policy.providers.size(), 1u);
    EXPECT_EQ(policy.sublayers.size(), 1u);
}

} // namespace
} // namespace sluice::policy
