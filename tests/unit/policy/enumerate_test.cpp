// SPDX-License-Identifier: Apache-2.0
// Templates: which objects each member of one leaves.
#include "policy/enumerate.h"

#include <gtest/gtest.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;
using Ids = std::vector<std::uint64_t>;

const char *const app_id = "FWPM_CONDITION_ALE_APP_ID";

Template of_layer(std::uint16_t layer) {
    Template out;
    out.layer = layer;
    return out;
}
Template of_type(std::uint32_t type) {
    Template out;
    out.context_type = type;
    return out;
}

struct Enumerate : testing::Test {
    Policy policy = initial();

    Ids ids(const Template &wanted) {
        const auto found = enumerate_filters(policy, wanted);
        if (!found) throw std::runtime_error(found.error().text());
        Ids out;
        for (const Filter &filter : *found) {
            out.push_back(filter.id);
            const auto alone = meets(filter, wanted);
            EXPECT_TRUE(alone && *alone);
        }
        return out;
    }
    Ids at(std::uint16_t layer, std::uint32_t type, Condition traffic) {
        Template wanted;
        wanted.layer = layer;
        wanted.enum_type = type;
        wanted.conditions = {std::move(traffic)};
        return ids(wanted);
    }
    void refuse(NTSTATUS status, const Template &wanted) {
        const auto found = enumerate_filters(policy, wanted);
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().ntstatus, static_cast<std::uint32_t>(status));
    }
};

TEST_F(Enumerate, AnEmptyTemplateIsAllButBootTime) {
    const auto a = add(policy, permit(in_v4));
    const auto boot = add(policy, permit(in_v4).flagged(FWPM_FILTER_FLAG_BOOTTIME));
    const auto b = add(policy, block(connect_v6));
    Template wanted;
    EXPECT_EQ(ids(wanted), (Ids{a, b}));
    wanted.flags = FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME | FWP_FILTER_ENUM_FLAG_INCLUDE_DISABLED;
    EXPECT_EQ(ids(wanted), (Ids{a, boot, b}));
    wanted.flags = FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY;
    EXPECT_EQ(ids(wanted), (Ids{boot}));
}

TEST_F(Enumerate, ByLayerProviderCalloutContextAndAction) {
    Provider provider;
    provider.key = Guid::random();
    provider.name = "p";
    ASSERT_TRUE(add_provider(policy, provider));
    ProviderContext context;
    context.key = Guid::random();
    context.name = "c";
    context.type = FWPM_GENERAL_CONTEXT;
    ASSERT_TRUE(add_provider_context(policy, context));
    Filter f = permit(in_v6);
    f.provider = provider.key;
    const auto provided = add(policy, f);
    f = block(in_v4).flagged(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    f.provider_context = context.key;
    const auto with_context = add(policy, f);
    const Guid callout = new_callout(policy, in_v4);
    const auto inspects = add(policy, inspecting(in_v4, callout));

    Template wanted;
    wanted.layer = in_v6;
    EXPECT_EQ(ids(wanted), (Ids{provided}));
    wanted = {};
    wanted.provider = provider.key;
    EXPECT_EQ(ids(wanted), (Ids{provided}));
    wanted = {};
    wanted.provider_context = context.key;
    EXPECT_EQ(ids(wanted), (Ids{with_context}));
    wanted = {};
    wanted.callout = callout;
    EXPECT_EQ(ids(wanted), (Ids{inspects}));
    wanted = {};
    wanted.action_mask = FWP_ACTION_FLAG_CALLOUT;
    EXPECT_EQ(ids(wanted), (Ids{inspects}));
    wanted.action_mask = FWP_ACTION_FLAG_TERMINATING;
    EXPECT_EQ(ids(wanted), (Ids{provided, with_context}));
}

TEST_F(Enumerate, FullyContainedFiltersMatchAllOfTheTraffic) {
    const auto any = add(policy, permit(in_v4));
    const auto net =
        add(policy, permit(in_v4).when(equal(remote_address, V4Mask{v4("10.0.0.0"), 0xff000000})));
    const auto host = add(policy, permit(in_v4).when(equal(remote_address, v4("10.0.0.1"))));
    const auto port = add(policy, permit(in_v4).when(equal(remote_port, std::uint16_t{80})));
    const auto elsewhere = add(policy, permit(in_v4).when(equal(remote_address, v4("11.0.0.1"))));
    const Condition traffic = equal(remote_address, V4Mask{v4("10.0.0.0"), 0xffff0000});
    EXPECT_EQ(at(in_v4, FWP_FILTER_ENUM_FULLY_CONTAINED, traffic), (Ids{any, net}));
    EXPECT_EQ(at(in_v4, FWP_FILTER_ENUM_OVERLAPPING, traffic), (Ids{any, net, host, port}));
    EXPECT_EQ(policy.filters.count(elsewhere), 1u);
}

TEST_F(Enumerate, NamesOverlapUnlessBothAreEqualToDifferentOnes) {
    const auto same = add(policy, permit(connect_v4).when(equal(app_id, Text{"/a"})));
    add(policy, permit(connect_v4).when(equal(app_id, Text{"/b"})));
    const auto end = add(
        policy, permit(connect_v4).when(condition(app_id, FWP_MATCH_PREFIX, Scalar{Text{"a"}})));
    const Condition traffic = equal(app_id, Text{"/a"});
    EXPECT_EQ(at(connect_v4, FWP_FILTER_ENUM_FULLY_CONTAINED, traffic), (Ids{same}));
    EXPECT_EQ(at(connect_v4, FWP_FILTER_ENUM_OVERLAPPING, traffic), (Ids{same, end}));
}

TEST_F(Enumerate, SortedIsTheOrderOfEvaluation) {
    const Guid low = new_sublayer(policy, 1), high = new_sublayer(policy, 0xffff);
    const auto d = add(policy, permit(in_v6));
    const auto c = add(policy, permit(in_v4).in(low).weighing(9));
    const auto b = add(policy, permit(in_v4).in(high).weighing(1));
    const auto a = add(policy, permit(in_v4).in(high).weighing(2));
    Template wanted;
    wanted.flags = FWP_FILTER_ENUM_FLAG_SORTED;
    EXPECT_EQ(ids(wanted), (Ids{a, b, c, d}));
}

TEST_F(Enumerate, TheBestTerminatingMatchIsOne) {
    const Guid callout = new_callout(policy, in_v4);
    add(policy, inspecting(in_v4, callout).weighing(9));
    const auto best = add(policy, terminating(in_v4, callout).weighing(8));
    add(policy, block(in_v4).weighing(7));
    Template wanted;
    wanted.layer = in_v4;
    wanted.flags = FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH;
    EXPECT_EQ(ids(wanted), (Ids{best}));
}

TEST_F(Enumerate, WhatMakesNoSenseIsRefused) {
    Template wanted;
    wanted.enum_type = FWP_FILTER_ENUM_TYPE_MAX;
    refuse(STATUS_FWP_INVALID_ENUMERATOR, wanted);
    wanted = {};
    wanted.flags = 0x80;
    refuse(STATUS_FWP_INVALID_FLAGS, wanted);
    wanted.flags = FWP_FILTER_ENUM_FLAG_BOOTTIME_ONLY | FWP_FILTER_ENUM_FLAG_INCLUDE_BOOTTIME;
    refuse(STATUS_FWP_INVALID_FLAGS, wanted);
    wanted.flags = FWP_FILTER_ENUM_FLAG_BEST_TERMINATING_MATCH;
    refuse(STATUS_FWP_INVALID_PARAMETER, wanted);
    wanted = {};
    wanted.layer = 9999;
    refuse(STATUS_FWP_LAYER_NOT_FOUND, wanted);
    wanted.layer = in_v4;
    wanted.conditions = {equal(remote_port, std::uint16_t{1}),
                         equal(remote_port, std::uint16_t{2})};
    refuse(STATUS_FWP_DUPLICATE_CONDITION, wanted);
    wanted.conditions = {equal(app_id, Text{"/a"})};
    refuse(STATUS_FWP_CONDITION_NOT_FOUND, wanted);
    EXPECT_FALSE(meets(permit(in_v4), wanted));
    EXPECT_FALSE(enumerate_callouts(policy, of_layer(9999)));
    EXPECT_FALSE(enumerate_provider_contexts(policy, of_type(FWPM_PROVIDER_CONTEXT_TYPE_MAX)));
}

TEST_F(Enumerate, OtherObjectsByProviderLayerAndType) {
    Provider provider;
    provider.key = Guid::random();
    provider.name = "p";
    ASSERT_TRUE(add_provider(policy, provider));
    ProviderContext context;
    context.name = "c";
    context.type = FWPM_GENERAL_CONTEXT;
    context.provider = provider.key;
    ASSERT_TRUE(add_provider_context(policy, context));
    new_callout(policy, in_v4);
    new_callout(policy, in_v6);
    EXPECT_EQ(enumerate_providers(policy).size(), 2u);
    Template by_provider;
    by_provider.provider = provider.key;
    EXPECT_EQ(enumerate_sublayers(policy, {}).size(), 1u);
    EXPECT_TRUE(enumerate_sublayers(policy, by_provider).empty());
    EXPECT_EQ(enumerate_callouts(policy, of_layer(in_v6))->size(), 1u);
    EXPECT_TRUE(enumerate_callouts(policy, by_provider)->empty());
    EXPECT_EQ(enumerate_provider_contexts(policy, by_provider)->size(), 1u);
    EXPECT_TRUE(enumerate_provider_contexts(policy, of_type(FWPM_IPSEC_KEYING_CONTEXT))->empty());
}

} // namespace
} // namespace sluice::policy
