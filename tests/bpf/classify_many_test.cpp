// SPDX-License-Identifier: Apache-2.0
// dp_next_match over many overlapping rules: every match of a header, in order, is what a search
// from rule to rule finds. Repeat a failure with the printed seed: SLUICE_SEED=N; SLUICE_RULES=N
// for sets of up to so many rules (10,000).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>

#include "bpf/kernel.h"
#include "bpf/match_probe.h"
#include "compiler/compiler.h"
#include "datapath/image_map.h"
#include "rules.h"
#include "shared/config.h"

#include "match_probe.skel.h"

namespace sluice::bpf_test {
namespace {

using bench::Generator;
using bench::Header;
using bench::Profile;
using bench::Rule;

std::uint64_t number_from(const char *variable, std::uint64_t otherwise) {
    const char *text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

dp_key key_of(const Header &h, std::uint16_t layer) {
    dp_key key{};
    key.layer = layer;
    key.wide[DP_SLOT_LOCAL_ADDRESS - DP_SLOT_NUMBERS] = h.local;
    key.wide[DP_SLOT_REMOTE_ADDRESS - DP_SLOT_NUMBERS] = h.remote;
    key.number[DP_SLOT_LOCAL_PORT] = h.local_port;
    key.number[DP_SLOT_REMOTE_PORT] = h.remote_port;
    key.number[DP_SLOT_PROTOCOL] = h.protocol;
    return key;
}

struct ClassifyMany : testing::Test {
    struct Destroy {
        void operator()(match_probe_bpf *p) const { match_probe_bpf::destroy(p); }
    };
    std::unique_ptr<match_probe_bpf, Destroy> probe;
    std::uint64_t seed = number_from("SLUICE_SEED", std::random_device{}());
    std::size_t most = number_from("SLUICE_RULES", 10000);

    void SetUp() override {
        SLUICE_NEEDS_BPF();
        std::cout << "SLUICE_SEED=" << seed << '\n';
        probe.reset(match_probe_bpf::open_and_load());
        ASSERT_NE(probe, nullptr);
    }
    void publish(const std::vector<std::uint64_t> &image) {
        const auto made = datapath::make_image(image);
        ASSERT_TRUE(made) << made.error().text();
        ASSERT_TRUE(datapath::publish_image(bpf_map__fd(probe->maps.policy),
                                            bpf_map__fd(probe->maps.policy_large), *made));
    }
    static std::vector<std::uint64_t> image_of(const std::vector<Rule> &rules, std::uint16_t layer,
                                               std::size_t sublayers) {
        return compiler::lay_out(plan_of(bench::policy_of(rules, layer, sublayers)).image);
    }
    std::vector<dp_match_probe> run(const std::vector<dp_match_probe> &asked) {
        const int map = bpf_map__fd(probe->maps.probes);
        for (__u32 i = 0; i < asked.size(); ++i)
            EXPECT_EQ(bpf_map_update_elem(map, &i, &asked[i], BPF_ANY), 0);
        probe->bss->asked = static_cast<__u32>(asked.size());
        const char frame[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof frame);
        EXPECT_EQ(
            bpf_prog_test_run_opts(bpf_program__fd(probe->progs.dp_match_probe_run), &options), 0);
        std::vector<dp_match_probe> out(asked.size());
        for (__u32 i = 0; i < out.size(); ++i)
            EXPECT_EQ(bpf_map_lookup_elem(map, &i, &out[i]), 0);
        return out;
    }

    // Sublayer after sublayer, in each the rules in their order.
    static std::vector<std::uint32_t> expected(const std::vector<Rule> &rules, const Header &h,
                                               std::size_t sublayers, bool skip) {
        std::vector<std::vector<std::uint32_t>> found(sublayers);
        for (std::size_t i = 0; i < rules.size(); ++i) {
            auto &all = found[i % sublayers];
            if (!(skip && !all.empty()) && matches(rules[i], h))
                all.push_back(static_cast<std::uint32_t>(i + 1));
        }
        std::vector<std::uint32_t> out;
        for (const auto &all : found)
            out.insert(out.end(), all.begin(), all.end());
        if (out.size() > DP_MATCH_PROBE_ROWS) out.resize(DP_MATCH_PROBE_ROWS);
        return out;
    }
    static std::vector<std::uint32_t> ids(const dp_match_probe &p) {
        std::vector<std::uint32_t> out;
        for (__u32 i = 0; i < p.count; ++i)
            out.push_back(p.row[i].filter_id);
        return out;
    }

    std::size_t compare(Profile profile, bool v6, std::size_t count, std::size_t sublayers) {
        Generator make(profile, v6, seed + count);
        const std::vector<Rule> rules = make.rules(count);
        const std::uint16_t layer =
            v6 ? DP_LAYER_INBOUND_TRANSPORT_V6 : DP_LAYER_INBOUND_TRANSPORT_V4;
        publish(image_of(rules, layer, sublayers));
        std::vector<Header> headers;
        std::vector<dp_match_probe> asked(512);
        for (std::size_t i = 0; i < asked.size(); ++i) {
            headers.push_back(i % 4 == 3 ? make.outside() : make.inside(rules[i * 7919 % count]));
            asked[i].key = key_of(headers.back(), layer);
            asked[i].skip = i % 2;
        }
        const std::vector<dp_match_probe> found = run(asked);
        std::size_t matched = 0;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            const auto wanted = expected(rules, headers[i], sublayers, asked[i].skip != 0);
            matched += wanted.size();
            EXPECT_EQ(ids(found[i]), wanted)
                << "header " << i << " of " << count << " rules in " << sublayers << " sublayers";
            if (HasFailure()) break;
        }
        return matched;
    }
    // `with`: sublayers of the large ones.
    void compare_all(Profile profile, bool v6, std::size_t with) {
        for (std::size_t count = 10; count <= most && !HasFailure(); count *= 10)
            for (const std::size_t sublayers : {1, 4, 70}) {
                if (count >= 10000 && sublayers != with) continue;
                EXPECT_GT(compare(profile, v6, count, sublayers), 300u);
            }
    }
};

TEST_F(ClassifyMany, AclOfIpv4) {
    compare_all(Profile::acl, false, 1);
}
TEST_F(ClassifyMany, AclOfIpv6) {
    compare_all(Profile::acl, true, 4);
}
TEST_F(ClassifyMany, FirewallOfIpv4) {
    compare_all(Profile::firewall, false, 4);
}
TEST_F(ClassifyMany, FirewallOfIpv6) {
    compare_all(Profile::firewall, true, 1);
}
TEST_F(ClassifyMany, ChainOfIpv4) {
    compare_all(Profile::chain, false, 70);
}
TEST_F(ClassifyMany, ChainOfIpv6) {
    compare_all(Profile::chain, true, 1);
}

// What is not known matches, what is not there does not, in tables as in cells.
TEST_F(ClassifyMany, ValuesThatAreUnknownOrEmpty) {
    Generator make(Profile::chain, false, seed);
    const std::vector<Rule> rules = make.rules(500);
    publish(image_of(rules, DP_LAYER_INBOUND_TRANSPORT_V4, 1));
    std::vector<dp_match_probe> asked;
    std::vector<std::vector<std::uint32_t>> wanted;
    for (std::size_t i = 0; i < 600; ++i) {
        const Header h = make.inside(rules[i * 7919 % rules.size()]);
        dp_match_probe p{};
        p.key = key_of(h, DP_LAYER_INBOUND_TRANSPORT_V4);
        const bool unknown = i % 2 == 0;
        const std::uint32_t slots =
            i % 4 < 2 ? DP_SLOT_BIT(LOCAL_PORT) : DP_SLOT_BIT(REMOTE_ADDRESS);
        (unknown ? p.key.unknown : p.key.empty) = slots;
        asked.push_back(p);
        std::vector<std::uint32_t> ids;
        for (std::size_t r = 0; r < rules.size() && ids.size() < DP_MATCH_PROBE_ROWS; ++r) {
            Rule rule = rules[r];
            const bool port = slots == DP_SLOT_BIT(LOCAL_PORT);
            const bool tests = port ? rule.local_port[0] != 0 || rule.local_port[1] != 0xffff
                                    : rule.remote_bits != 0;
            if (port)
                rule.local_port[0] = 0, rule.local_port[1] = 0xffff;
            else
                rule.remote_bits = 0;
            if ((unknown || !tests) && matches(rule, h))
                ids.push_back(static_cast<std::uint32_t>(r + 1));
        }
        wanted.push_back(ids);
    }
    const std::vector<dp_match_probe> found = run(asked);
    for (std::size_t i = 0; i < asked.size() && !HasFailure(); ++i)
        EXPECT_EQ(ids(found[i]), wanted[i]) << "header " << i;
}

// Small and large images take each other's place.
TEST_F(ClassifyMany, PoliciesOfAllSizesFollowEachOther) {
    constexpr std::uint16_t layer = DP_LAYER_INBOUND_TRANSPORT_V4;
    Generator make(Profile::acl, false, seed);
    const std::vector<Rule> many = make.rules(6000), few(many.begin(), many.begin() + 10);
    const auto large = image_of(many, layer, 1), small = image_of(few, layer, 1);
    ASSERT_TRUE(compiler::is_small(small) && !compiler::is_small(large));
    const Header h = make.inside(many[5000]);
    dp_match_probe p{};
    p.key = key_of(h, layer);
    for (const bool is_large : {false, true, true, false, true}) {
        publish(is_large ? large : small);
        EXPECT_EQ(ids(run({p})[0]), expected(is_large ? many : few, h, 1, false)) << is_large;
    }
}

// Two maps take turns, each gets the pages that changed since it had its last turn; every match is
// what a search from rule to rule finds.
TEST_F(ClassifyMany, AnImageThatChangesFromCommitToCommit) {
    constexpr std::uint16_t layer = DP_LAYER_INBOUND_TRANSPORT_V4;
    Generator make(Profile::chain, false, seed);
    std::mt19937_64 random(seed);
    std::vector<Rule> rules = make.rules(3000);
    policy::Policy policy = bench::policy_of(rules, layer, 1);
    std::map<std::uint64_t, Rule> of; // by filter
    for (std::size_t i = 0; i < rules.size(); ++i)
        of[i + 1] = rules[i];
    compiler::Compiler compiler;
    datapath::ImageMap maps[2];
    std::uint64_t layout = 0, kept = 0, next = 100000;
    for (std::size_t round = 0; round < 30 && !HasFailure(); ++round) {
        for (int i = 0; i < 5; ++i) {
            const auto gone = std::next(of.begin(), static_cast<long>(random() % of.size()))->first;
            policy.filters.erase(gone);
            of.erase(gone);
            policy::Filter filter = policy.filters.begin()->second;
            const auto some = make.rules(1);
            filter.conditions = bench::policy_of(some, layer, 1).filters.begin()->second.conditions;
            filter.id = next++;
            filter.effective_weight = random() % 3000;
            of[filter.id] = some[0];
            policy.filters.emplace(filter.id, filter);
        }
        const auto plan = compiler.compile(policy, round + 1, {});
        ASSERT_TRUE(plan && plan->layout);
        kept += plan->layout->number() == layout;
        layout = plan->layout->number();
        datapath::ImageMap &map = maps[round % 2];
        ASSERT_TRUE(datapath::fill_image(map, *plan->layout));
        ASSERT_TRUE(datapath::publish_image(bpf_map__fd(probe->maps.policy),
                                            bpf_map__fd(probe->maps.policy_large), map));
        std::vector<const policy::Filter *> order;
        for (const auto &[id, filter] : policy.filters)
            order.push_back(&filter);
        std::stable_sort(order.begin(), order.end(), [](auto *a, auto *b) {
            return a->effective_weight > b->effective_weight;
        });
        std::vector<Header> headers;
        std::vector<dp_match_probe> asked(64);
        for (auto &one : asked) {
            const auto &rule = of.at(order[random() % order.size()]->id);
            headers.push_back(make.inside(rule));
            one.key = key_of(headers.back(), layer);
        }
        const auto found = run(asked);
        for (std::size_t i = 0; i < asked.size() && !HasFailure(); ++i) {
            std::vector<std::uint32_t> wanted;
            for (const auto *filter : order)
                if (wanted.size() < DP_MATCH_PROBE_ROWS && matches(of.at(filter->id), headers[i]))
                    wanted.push_back(static_cast<std::uint32_t>(filter->id));
            EXPECT_EQ(ids(found[i]), wanted) << "round " << round << ", header " << i;
        }
    }
    EXPECT_GT(kept, 20u) << "it was changed, not made anew";
}

} // namespace
} // namespace sluice::bpf_test
