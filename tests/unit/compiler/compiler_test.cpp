// SPDX-License-Identifier: Apache-2.0
// Images that were changed against images made anew: every match of every header, in order.
#include "compiler/compiler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <netinet/in.h>
#include <random>

#include "harness/image_search.h"
#include "harness/policy_builder.h"
#include "rules.h"

namespace sluice::compiler {
namespace {

using namespace harness;
using bench::Generator;
using bench::Header;
using bench::Profile;
using bench::Rule;

constexpr std::uint16_t v4_layer = DP_LAYER_INBOUND_TRANSPORT_V4,
                        v6_layer = DP_LAYER_INBOUND_TRANSPORT_V6;

dp_key key_for(const Header &h, std::uint16_t layer) {
    dp_key key{};
    key.layer = layer;
    key.number[DP_SLOT_LOCAL_PORT] = h.local_port;
    key.number[DP_SLOT_REMOTE_PORT] = h.remote_port;
    key.number[DP_SLOT_PROTOCOL] = h.protocol;
    key.wide[DP_SLOT_LOCAL_ADDRESS - DP_SLOT_NUMBERS] = h.local;
    key.wide[DP_SLOT_REMOTE_ADDRESS - DP_SLOT_NUMBERS] = h.remote;
    return key;
}

// All matches, sublayer after sublayer, as evaluation asks for them.
std::vector<std::uint64_t> all_of(const std::vector<std::uint64_t> &image, const dp_key &key) {
    std::vector<std::uint64_t> out;
    std::uint32_t after = 0, from = 0;
    for (;;) {
        const Searched found = search(image, key, after, from);
        if (found.filter == 0 || out.size() > 500) return out;
        out.push_back(found.filter);
        // Now on in the sublayer, now in the next one.
        after = found.rank;
        from = out.size() % 3 == 0 ? found.sublayer + 1 : found.sublayer;
    }
}

struct Changes {
    Changes(Profile profile, std::uint16_t in, std::size_t sublayers, std::uint64_t seed)
        : layer(in), make(profile, policy::layer_is_v6(in), seed), random(seed),
          policy(policy::initial()) {
        for (std::size_t i = 0; i < sublayers; ++i) {
            policy::SubLayer sublayer;
            sublayer.key = Guid::random();
            sublayer.weight = static_cast<std::uint16_t>(60000 - i);
            keys.push_back(sublayer.key);
            policy.sublayers.emplace(sublayer.key, sublayer);
        }
    }
    void add_rules(std::size_t count) { add(make.rules(count)); }
    void add(const std::vector<Rule> &some) {
        policy::Policy of = bench::policy_of(some, layer, 1);
        for (const auto &[id, filter] : of.filters) {
            policy::Filter own = filter;
            own.id = policy.next_filter_id++;
            own.sublayer = keys[random() % keys.size()];
            // Now and then above or below all others, or beside another one.
            own.effective_weight = random() % 8 == 0 ? random() % 3 * 1000000 : random() % 2000000;
            rules[own.id] = some[id - 1];
            policy.filters.emplace(own.id, own);
        }
    }
    void drop(std::size_t count) {
        for (std::size_t i = 0; i < count && policy.filters.size() > 1500; ++i) {
            auto at = rules.lower_bound(random() % policy.next_filter_id);
            if (at == rules.end()) at = rules.begin();
            policy.filters.erase(at->first);
            rules.erase(at);
        }
    }
    void expect_same(const Plan &plan) {
        const auto whole = compile(policy, 1);
        ASSERT_TRUE(whole);
        EXPECT_EQ(plan.filter_ids, whole->filter_ids);
        EXPECT_EQ(plan.present[0], whole->present[0]);
        const auto anew = lay_out(whole->image);
        for (int i = 0; i < 60; ++i) {
            auto at = rules.lower_bound(random() % policy.next_filter_id);
            if (at == rules.end()) at = rules.begin();
            const Header h = i % 4 == 0 ? make.outside() : make.inside(at->second);
            const dp_key key = key_for(h, layer);
            const auto expected = all_of(anew, key);
            ASSERT_EQ(all_of(plan.layout->image().words(), key), expected);
            matches += expected.size();
        }
    }

    std::uint16_t layer;
    Generator make;
    std::mt19937_64 random;
    policy::Policy policy;
    std::vector<Guid> keys;
    std::map<std::uint64_t, Rule> rules; // by filter
    std::size_t matches = 0;
};

void run(Profile profile, std::uint16_t layer, std::size_t sublayers, std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", sublayers " + std::to_string(sublayers));
    Changes c(profile, layer, sublayers, seed);
    c.add_rules(2500);
    Compiler compiler;
    auto plan = compiler.compile(c.policy, 1, {});
    ASSERT_TRUE(plan && plan->layout);
    std::uint64_t layout = plan->layout->number();
    std::size_t kept = 0;
    for (int round = 0; round < 25; ++round) {
        c.drop(c.random() % 8);
        c.add_rules(c.random() % 8 + 1);
        plan = compiler.compile(c.policy, round + 2, {});
        ASSERT_TRUE(plan && plan->layout);
        EXPECT_EQ(plan->layout->head().generation, static_cast<std::uint64_t>(round) + 2);
        kept += plan->layout->number() == layout;
        layout = plan->layout->number();
        c.expect_same(*plan);
        if (testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GT(kept, 18u) << "images were changed, not made anew";
    EXPECT_GT(c.matches, 500u);
}

TEST(Compiler, AChangedImageFindsWhatOneMadeAnewFinds) {
    run(Profile::acl, v4_layer, 1, 11);
    run(Profile::acl, v4_layer, 5, 12);
    run(Profile::acl, v6_layer, 2, 13);
    run(Profile::firewall, v4_layer, 3, 14);
    run(Profile::chain, v4_layer, 9, 15);
}

// Everything goes and comes again near one place: gaps are used up, rows move.
TEST(Compiler, ManyRowsFitAtOnePlace) {
    Changes c(Profile::acl, v4_layer, 2, 21);
    c.add_rules(3000);
    Compiler compiler;
    ASSERT_TRUE(compiler.compile(c.policy, 1, {}));
    for (int round = 0; round < 30; ++round) {
        const auto some = c.make.rules(6);
        for (const auto &[id, filter] : bench::policy_of(some, c.layer, 1).filters) {
            policy::Filter own = filter;
            own.id = c.policy.next_filter_id++;
            own.sublayer = c.keys[0];
            own.effective_weight = 1000000 + static_cast<std::uint64_t>(round % 2);
            c.rules[own.id] = some[id - 1];
            c.policy.filters.emplace(own.id, own);
        }
        const auto plan = compiler.compile(c.policy, 2, {});
        ASSERT_TRUE(plan && plan->layout);
        c.expect_same(*plan);
        if (HasFatalFailure()) return;
    }
}

// No table of the others could have them.
TEST(Compiler, HasTablesForRowsThatTestLittle) {
    Changes c(Profile::acl, v4_layer, 2, 31);
    auto narrow = c.make.rules(2000);
    for (Rule &rule : narrow) {
        rule.local_bits = rule.remote_bits = 128;
        rule.local_port[1] = rule.local_port[0];
        rule.protocol = IPPROTO_TCP;
    }
    c.add(narrow);
    Compiler compiler;
    auto plan = compiler.compile(c.policy, 1, {});
    ASSERT_TRUE(plan && plan->layout);
    const std::uint64_t layout = plan->layout->number();
    std::vector<Rule> wide(6);
    wide[1].protocol = IPPROTO_UDP;
    wide[2].remote = narrow[5].remote;
    wide[2].remote_bits = 128;
    wide[3].local = narrow[7].local;
    wide[3].local.lo &= 0xffffff00;
    wide[3].local_bits = 120;
    wide[4].protocol = IPPROTO_TCP;
    wide[4].remote_port[0] = wide[4].remote_port[1] = 53;
    wide[5].local_port[1] = 1023;
    for (const Rule &rule : wide) {
        c.add({rule});
        plan = compiler.compile(c.policy, 2, {});
        ASSERT_TRUE(plan && plan->layout);
        EXPECT_EQ(plan->layout->number(), layout) << "made anew";
        c.expect_same(*plan);
        if (HasFatalFailure()) return;
    }
}

TEST(Compiler, WritesASmallLayerAgainBesideALargeOne) {
    Changes c(Profile::acl, v4_layer, 1, 31);
    c.add_rules(2000);
    Compiler compiler;
    const auto first = compiler.compile(c.policy, 1, {});
    ASSERT_TRUE(first && first->layout);
    Changes other(Profile::acl, v6_layer, 2, 32);
    for (const auto &[key, sublayer] : other.policy.sublayers)
        c.policy.sublayers.emplace(key, sublayer);
    other.policy.sublayers = c.policy.sublayers;
    other.policy.next_filter_id = 1000000;
    for (int round = 0; round < 8; ++round) {
        other.add_rules(2);
        policy::Policy both = c.policy;
        for (const auto &[id, filter] : other.policy.filters)
            both.filters.emplace(id, filter);
        const auto plan = compiler.compile(both, 2, {});
        ASSERT_TRUE(plan && plan->layout);
        EXPECT_EQ(plan->layout->number(), first->layout->number());
        for (Changes *each : {&c, &other}) {
            const policy::Policy own = each->policy;
            each->policy = both;
            each->expect_same(*plan);
            each->policy = own;
        }
        if (HasFatalFailure()) return;
    }
    const auto without = compiler.compile(c.policy, 3, {});
    ASSERT_TRUE(without && without->layout);
    EXPECT_EQ(without->layout->number(), first->layout->number());
    c.expect_same(*without);
}

TEST(Compiler, SaysWhichLayersAskCalloutsAsTheyCome) {
    Changes c(Profile::acl, v4_layer, 1, 33);
    c.add_rules(2000);
    const Guid callout = new_callout(c.policy, v4_layer);
    Compiler compiler;
    const auto first = compiler.compile(c.policy, 1, {});
    ASSERT_TRUE(first && first->layout);
    EXPECT_EQ(first->layout->head().asks[0], 0u);
    policy::Policy asking = c.policy;
    asking.next_filter_id = 1000000;
    add(asking, terminating(v4_layer, callout));
    const auto second = compiler.compile(asking, 2, {});
    ASSERT_TRUE(second && second->layout);
    EXPECT_EQ(second->layout->number(), first->layout->number()) << "changed, not made anew";
    EXPECT_EQ(second->layout->head().asks[v4_layer / 64], 1ull << v4_layer % 64);
    // A small layer is written again.
    const Guid other = new_callout(asking, in_v6);
    add(asking, terminating(in_v6, other));
    const auto third = compiler.compile(asking, 3, {});
    ASSERT_TRUE(third);
    const dp_image_head head = third->layout ? third->layout->head() : dp_image_head{};
    EXPECT_TRUE(head.asks[0] & 1ull << in_v6);
    const auto fourth = compiler.compile(c.policy, 4, {});
    ASSERT_TRUE(fourth && fourth->layout);
    EXPECT_FALSE(fourth->layout->head().asks[0] & 1ull << in_v6);
}

TEST(Compiler, LeavesOutBootTimeFilters) {
    Changes c(Profile::acl, v4_layer, 1, 41);
    c.add_rules(2000);
    Compiler compiler;
    const auto before = compiler.compile(c.policy, 1, {});
    policy::Policy policy = c.policy;
    policy::Filter boot = policy.filters.begin()->second;
    boot.id = policy.next_filter_id++;
    boot.flags = FWPM_FILTER_FLAG_BOOTTIME;
    policy.filters.emplace(boot.id, boot);
    const auto after = compiler.compile(policy, 2, {});
    ASSERT_TRUE(before && after);
    EXPECT_EQ(before->filter_ids, after->filter_ids);
    const auto fresh = Compiler().compile(policy, 2, {});
    ASSERT_TRUE(fresh);
    EXPECT_EQ(before->filter_ids, fresh->filter_ids);
}

// Sublayers that weigh something else, and names that stand for something else, concern rows that
// stay.
TEST(Compiler, BeginsAnewWhereRowsThatStayMeanSomethingElse) {
    Changes c(Profile::acl, v4_layer, 3, 51);
    c.add_rules(2000);
    Compiler compiler;
    const auto first = compiler.compile(c.policy, 1, {});
    ASSERT_TRUE(first && first->layout);
    c.policy.sublayers.at(c.keys[2]).weight = 65000;
    const auto turned = compiler.compile(c.policy, 2, {});
    ASSERT_TRUE(turned && turned->layout);
    EXPECT_NE(turned->layout->number(), first->layout->number());
    c.expect_same(*turned);
    Environment environment;
    environment.files["/bin/x"] = {{1, 2}};
    const auto elsewhere = compiler.compile(c.policy, 3, environment);
    ASSERT_TRUE(elsewhere && elsewhere->layout);
    EXPECT_NE(elsewhere->layout->number(), turned->layout->number());
}

} // namespace
} // namespace sluice::compiler
