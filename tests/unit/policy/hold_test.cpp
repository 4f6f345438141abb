// SPDX-License-Identifier: Apache-2.0
// Options of holds, the built-in callout, and decisions that become filters.
#include <gtest/gtest.h>

#include "harness/policy_builder.h"
#include "policy/always.h"
#include "policy/built_in.h"
#include "policy/edit.h"
#include "policy/hold_words.h"
#include "policy/wfp.h"
#include "shared/policy.h"

namespace sluice::policy {
namespace {

using namespace harness;

constexpr std::uint16_t connect_v4 = FWPS_LAYER_ALE_AUTH_CONNECT_V4;

TEST(HoldWords, DeadlinesHaveAUnitOrAreNone) {
    EXPECT_EQ(*deadline_of("500ms"), 500u);
    EXPECT_EQ(*deadline_of("30s"), 30000u);
    EXPECT_EQ(*deadline_of("5m"), 300000u);
    EXPECT_EQ(*deadline_of("2h"), 7200000u);
    EXPECT_EQ(*deadline_of("none"), DP_HOLD_FOREVER);
    for (const char *word : {"", "30", "0s", "-1s", "1.5s", "30 s", "1d", "1194h", "4294967295ms",
                             "18446744073709551616s", "forever"}) {
        const auto r = deadline_of(word);
        ASSERT_FALSE(r) << word;
        EXPECT_NE(r.error().text().find("'" + std::string(word) + "'"), std::string::npos);
    }
    for (const std::uint32_t ms : {1u, 1500u, 30000u, 90000u, 3600000u, DP_HOLD_FOREVER})
        EXPECT_EQ(*deadline_of(deadline_text(ms)), ms);
    EXPECT_EQ(deadline_text(0), "");
}

TEST(HoldWords, OutcomesAreThree) {
    for (const Outcome outcome : {Outcome::block, Outcome::permit, Outcome::next_filter})
        EXPECT_EQ(*outcome_of(outcome_text(outcome)), outcome);
    EXPECT_EQ(outcome_text(Outcome::host_default), "");
    EXPECT_FALSE(outcome_of("default"));
}

struct Holding : testing::Test {
    Policy policy = initial();
    Guid sublayer = new_sublayer(policy, 100);
    Guid callout = new_callout(policy, connect_v4);
    HeldTraffic web{.program = "/usr/bin/curl",
                    .protocol = 6,
                    .remote_address = std::uint32_t{0x0a000001},
                    .local_port = 40000,
                    .remote_port = 80};

    std::uint64_t asking(std::uint16_t layer, const Guid &to, const Guid &in = {}) {
        Filter filter = permit(layer);
        filter.action = FWP_ACTION_CALLOUT_TERMINATING;
        filter.callout = to;
        filter.sublayer = in;
        return *add_filter(policy, filter);
    }
    const Filter &at(std::uint64_t id) { return policy.filters.at(id); }
};

TEST_F(Holding, OptionsNeedACallout) {
    Filter plain = permit(connect_v4);
    plain.hold = {.deadline_ms = 1000};
    const auto refused = add_filter(policy, plain);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_INVALID_PARAMETER));
    EXPECT_NE(refused.error().text().find("'" + plain.name + "'"), std::string::npos);
    plain.hold = {};
    const auto id = *add_filter(policy, plain);
    EXPECT_FALSE(set_hold(policy, id, {.outcome = Outcome::permit}, 0));
    EXPECT_EQ(at(id).hold, HoldOptions());
}

TEST_F(Holding, OptionsChangeUnderTheSameIdByWhomMayDeleteTheFilter) {
    const auto id = asking(connect_v4, callout);
    const HoldOptions wanted{5000, Outcome::next_filter};
    ASSERT_TRUE(set_hold(policy, id, wanted, 0));
    EXPECT_EQ(at(id).hold, wanted);
    const auto foreign = set_hold(policy, id, {}, 7);
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().ntstatus,
              static_cast<std::uint32_t>(STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS));
    const auto missing = set_hold(policy, 4711, {}, 0);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_FILTER_NOT_FOUND));
    EXPECT_EQ(at(id).hold, wanted);
}

TEST_F(Holding, AskIsInEveryPolicyAndStays) {
    EXPECT_FALSE(is_ask_callout({}));
    for (const auto &ask : ask_callouts()) {
        ASSERT_TRUE(policy.callouts.contains(ask.key)) << ask.name;
        EXPECT_EQ(lifetime(policy.callouts.at(ask.key)), Lifetime::built_in);
        EXPECT_EQ(policy.callout_ids.at(ask.key), ask.id);
        EXPECT_EQ(*ask_callout_at(ask.layer), ask.key);
        EXPECT_TRUE(is_ask_callout(ask.key));
        const auto r = delete_callout(policy, ask.key, 0);
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_BUILTIN_OBJECT));
    }
    EXPECT_FALSE(ask_callout_at(FWPS_LAYER_INBOUND_IPPACKET_V4));
    asking(connect_v4, *ask_callout_at(connect_v4));
}

TEST_F(Holding, AskKeepsItsNumbersFromOthers) {
    policy.next_callout_id = ask_callouts().front().id - 1;
    ASSERT_TRUE(callout_id(policy, Guid::random()));
    const auto r = callout_id(policy, Guid::random());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_TOO_MANY_CALLOUTS));
}

TEST_F(Holding, AlwaysStandsBeforeTheFilterThatAsked) {
    const auto asked = asking(connect_v4, callout);
    auto filter = always_filter(policy, at(asked), web, FWP_ACTION_PERMIT);
    ASSERT_TRUE(filter) << filter.error().text();
    ASSERT_TRUE(*add_always(policy, *filter));
    const auto added = std::find_if(policy.filters.begin(), policy.filters.end(),
                                    [&](auto &f) { return f.second.key == filter->key; });
    ASSERT_NE(added, policy.filters.end());
    EXPECT_EQ(added->second.sublayer, at(asked).sublayer);
    EXPECT_EQ(added->second.effective_weight, at(asked).effective_weight + 1);
    EXPECT_EQ(lifetime(added->second), Lifetime::persistent); // the universal sublayer lasts
    EXPECT_EQ(added->second.conditions.size(), 4u);
    EXPECT_NE(added->second.name.find("curl"), std::string::npos);
}

TEST_F(Holding, AlwaysTwiceIsOneFilterAndTheOppositeReplacesIt) {
    const auto asked = asking(connect_v4, callout);
    const auto permits = *always_filter(policy, at(asked), web, FWP_ACTION_PERMIT);
    ASSERT_TRUE(*add_always(policy, permits));
    const std::size_t filters = policy.filters.size();
    EXPECT_FALSE(*add_always(policy, permits));
    EXPECT_EQ(policy.filters.size(), filters);
    ASSERT_TRUE(*add_always(policy, *always_filter(policy, at(asked), web, FWP_ACTION_BLOCK)));
    EXPECT_EQ(policy.filters.size(), filters);
    web.remote_port = 443;
    ASSERT_TRUE(*add_always(policy, *always_filter(policy, at(asked), web, FWP_ACTION_BLOCK)));
    EXPECT_EQ(policy.filters.size(), filters + 1);
}

TEST_F(Holding, AlwaysLastsNoLongerThanItsSublayer) {
    const auto asked = asking(connect_v4, callout, sublayer); // a static one
    const auto filter = *always_filter(policy, at(asked), web, FWP_ACTION_PERMIT);
    EXPECT_EQ(lifetime(filter), Lifetime::fixed);
    EXPECT_TRUE(*add_always(policy, filter));
}

TEST_F(Holding, AlwaysForAnUnknownProgramIsRefused) {
    const auto asked = asking(connect_v4, callout);
    web.program.clear();
    EXPECT_FALSE(always_filter(policy, at(asked), web, FWP_ACTION_PERMIT));
}

TEST_F(Holding, AlwaysOfWhatComesInIsAboutTheOwnPort) {
    Filter inbound = permit(FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4);
    inbound.id = 1;
    inbound.sublayer = sublayer;
    const auto filter = *always_filter(policy, inbound, web, FWP_ACTION_BLOCK);
    const auto has = [&](const char *field) {
        return std::any_of(filter.conditions.begin(), filter.conditions.end(),
                           [&](const auto &c) { return c.field == table_key(field); });
    };
    EXPECT_TRUE(has("FWPM_CONDITION_IP_LOCAL_PORT"));
    EXPECT_TRUE(has("FWPM_CONDITION_IP_REMOTE_ADDRESS"));
    EXPECT_FALSE(has("FWPM_CONDITION_IP_REMOTE_PORT"));
    ASSERT_TRUE(add_always(policy, filter)) << add_always(policy, filter).error().text();
}

TEST_F(Holding, AlwaysOfABindIsAboutItsProtocolAndThePortThatIsChosen) {
    Filter bind = permit(FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4);
    bind.action = FWP_ACTION_CALLOUT_TERMINATING;
    HeldTraffic chosen{.program = "/usr/bin/nc",
                       .protocol = 17,
                       .remote_address = std::uint32_t{0},
                       .local_port = 5353,
                       .remote_port = 0};
    const auto filter = *always_filter(policy, bind, chosen, FWP_ACTION_PERMIT);
    ASSERT_EQ(filter.conditions.size(), 3u); // the program, the protocol, the port
    EXPECT_EQ(filter.conditions[2].field, table_key("FWPM_CONDITION_IP_LOCAL_PORT"));
    ASSERT_TRUE(add_always(policy, filter)) << add_always(policy, filter).error().text();
    chosen.local_port = 0;
    EXPECT_EQ(always_filter(policy, bind, chosen, FWP_ACTION_PERMIT)->conditions.size(), 2u);
}

} // namespace
} // namespace sluice::policy
