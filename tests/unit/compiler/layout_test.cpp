// SPDX-License-Identifier: Apache-2.0
// The image: what stands in leaves, what goes to which table, and that it stays within its bounds.
#include "compiler/layout.h"

#include <cstring>
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/compile.h"
#include "harness/image_search.h"
#include "harness/policy_builder.h"
#include "rules.h"

namespace sluice::compiler {
namespace {

using namespace harness;
using Words = std::vector<std::uint64_t>;

constexpr std::uint16_t transport_v4 = DP_LAYER_INBOUND_TRANSPORT_V4,
                        transport_v6 = DP_LAYER_INBOUND_TRANSPORT_V6;
const char *const application = "FWPM_CONDITION_ALE_APP_ID";

template <typename T>
const T &in(const Words &image, std::uint32_t at, std::size_t index = 0) {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(image.data()) + at)[index];
}
const dp_layer_search &layer_of(const Words &image, std::uint16_t layer) {
    return in<dp_image_head>(image, 0).layer[layer];
}

Words image_of(const policy::Policy &policy, const Environment &environment = {}) {
    const auto plan = compile(policy, 1, environment);
    if (!plan) throw std::runtime_error(plan.error().text());
    return lay_out(plan->image);
}
// Of a layer with this one filter.
struct One {
    Words image;
    dp_leaf leaf;
    std::vector<dp_cell> cells; // that its leaf leads to
};
One one(const policy::Filter &filter, const Environment &environment = {}) {
    policy::Policy policy = policy::initial();
    add(policy, filter);
    One out{image_of(policy, environment), {}, {}};
    const auto &layer = layer_of(out.image, filter.layer);
    std::memcpy(&out.leaf, &in<char>(out.image, layer.first), layer.stride);
    const std::size_t end = out.image.size() * 8;
    for (std::uint32_t at = out.leaf.cells; at != 0 && at + sizeof(dp_cell) <= end;
         at += sizeof(dp_cell))
        out.cells.push_back(in<dp_cell>(out.image, at));
    return out;
}

TEST(Layout, ALeafTestsAddressesPortsAndProtocol) {
    const One row = one(block(in_v4)
                            .when(equal(remote_address, policy::V4Mask{v4("10.1.0.0"), 0xffff0000}))
                            .when(equal(local_port, std::uint16_t{80}))
                            .when(between(remote_port, std::uint16_t{1000}, std::uint16_t{1999}))
                            .when(equal(protocol, std::uint8_t{6})));
    EXPECT_EQ(row.leaf.cells, 0u) << "nothing is left for them";
    EXPECT_EQ(row.leaf.tests, DP_SLOT_BIT(REMOTE_ADDRESS) | DP_SLOT_BIT(LOCAL_PORT) |
                                  DP_SLOT_BIT(REMOTE_PORT) | DP_SLOT_BIT(PROTOCOL));
    EXPECT_EQ(row.leaf.remote_bits, 0u);
    EXPECT_EQ(row.leaf.address.v4.remote, 0x0a01'0000u);
    EXPECT_EQ(row.leaf.address.v4.remote_span, 0xffffu);
    EXPECT_EQ(row.leaf.local_port, 80u);
    EXPECT_EQ(row.leaf.local_span, 0u);
    EXPECT_EQ(row.leaf.remote_port, 1000u);
    EXPECT_EQ(row.leaf.remote_span, 999u);
    EXPECT_EQ(row.leaf.protocol, 6u);
    EXPECT_EQ(row.leaf.rank, 1u);
    EXPECT_EQ(row.leaf.action, FWP_ACTION_BLOCK);
}

TEST(Layout, AnIpv6LeafTestsPrefixesAndLeavesRangesToCells) {
    const One prefix =
        one(block(in_v6).when(equal(local_address, policy::V6Prefix{v6("2001:db8:1::"), 48})));
    EXPECT_EQ(prefix.leaf.local_bits, 48u);
    EXPECT_EQ(prefix.leaf.local.hi, 0x20010db800010000u);
    const One range =
        one(block(in_v6).when(between(local_address, v6("2001:db8::1"), v6("2001:db8::6"))));
    EXPECT_EQ(range.leaf.tests, 0u);
    EXPECT_EQ(range.leaf.local_bits, 0u);
    EXPECT_EQ(range.cells.at(0).slot, DP_SLOT_LOCAL_ADDRESS);
}

TEST(Layout, WhatALeafTestsIsLeftOutOfTheCellsThatLeadPastIt) {
    Environment environment;
    environment.files["/bin/x"] = {{8, 1}, {8, 2}};
    const One row = one(block(connect_v4)
                            .when(equal(application, policy::Text{"/bin/x"}))
                            .when(equal(remote_port, std::uint16_t{80})),
                        environment);
    EXPECT_EQ(row.leaf.tests, DP_SLOT_BIT(REMOTE_PORT));
    ASSERT_GE(row.cells.size(), 2u);
    const std::uint32_t second = row.leaf.cells + sizeof(dp_cell);
    EXPECT_EQ(row.cells[0].slot, DP_SLOT_APP);
    EXPECT_EQ(row.cells[0].pass, static_cast<std::uint32_t>(DP_CELL_YES));
    EXPECT_EQ(row.cells[0].fail, second) << "the other file";
    EXPECT_EQ(row.cells[1].pass, static_cast<std::uint32_t>(DP_CELL_YES));
    EXPECT_EQ(row.cells[1].fail, static_cast<std::uint32_t>(DP_CELL_NO));
}

TEST(Layout, ATextStandsInOnePieceBehindItsTest) {
    std::string path(70, 'p');
    path.back() = 'q';
    const One row = one(
        block(connect_v4)
            .when(condition(application, FWP_MATCH_PREFIX, policy::Scalar{policy::Text{path}})));
    const std::uint32_t at = row.leaf.cells + sizeof(dp_cell);
    EXPECT_EQ(std::string(&in<char>(row.image, at), path.size()), path);
}

TEST(Layout, LayersWithCalloutsAreKnown) {
    policy::Policy policy = policy::initial();
    add(policy, block(in_v4));
    const Guid callout = new_callout(policy, connect_v4);
    add(policy, terminating(connect_v4, callout));
    const auto head = in<dp_image_head>(image_of(policy), 0);
    EXPECT_EQ(head.present[0], 1ull << in_v4 | 1ull << connect_v4);
    EXPECT_EQ(head.asks[0], 1ull << connect_v4);
    EXPECT_EQ(head.asks[1], 0u);
}

TEST(Layout, FewRowsAreWalkedAndMoreHaveTables) {
    for (const int rows : {8, 9}) {
        policy::Policy policy = policy::initial();
        for (int i = 0; i < rows; ++i)
            add(policy, block(in_v4).when(equal(remote_port, static_cast<std::uint16_t>(i + 1))));
        EXPECT_EQ(layer_of(image_of(policy), in_v4).groups, rows == 9 ? 1u : 0u);
    }
}

TEST(Layout, ConnectHashesNothingThatIsNotKnownYet) {
    policy::Policy policy = policy::initial();
    for (std::uint16_t i = 1; i < 40; ++i)
        add(policy, block(connect_v4)
                        .when(equal(local_port, i))
                        .when(equal(local_address, v4("10.0.0.1") + i))
                        .when(equal(remote_port, i)));
    EXPECT_EQ(layer_of(image_of(policy), connect_v4).hashed, DP_SLOT_BIT(REMOTE_PORT));
}

std::size_t longest_chain(const Words &image, std::uint16_t layer) {
    const dp_layer_search &l = layer_of(image, layer);
    std::size_t longest = 0;
    for (std::uint32_t i = 0; i < l.groups * 64; ++i) {
        const auto &table = in<dp_table>(image, l.tables, i);
        if (table.slots == 0) continue;
        for (std::size_t slot = 0; slot < std::size_t{1} << (64 - table.shift); ++slot) {
            std::size_t chain = 0;
            for (auto at = in<std::uint32_t>(image, table.slots, slot); at != 0; ++chain)
                at = in<dp_leaf>(image, at).next;
            longest = std::max(longest, chain);
        }
    }
    return longest;
}

TEST(Layout, CrowdsArePartedByWhateverTellsThemApart) {
    // Of one address and service each: told apart by the application, or by a port's first bits.
    Environment environment;
    policy::Policy by_app = policy::initial(), by_range = policy::initial();
    for (std::uint16_t i = 1; i <= 600; ++i) {
        const std::string path = "/bin/" + std::to_string(i);
        environment.files[path] = {{8, i}};
        add(by_app, block(connect_v4)
                        .when(equal(application, policy::Text{path}))
                        .when(equal(remote_port, std::uint16_t{443})));
        const auto low = static_cast<std::uint16_t>(i * 64);
        add(by_range, block(transport_v4)
                          .when(between(remote_port, low, static_cast<std::uint16_t>(low + 63))));
    }
    EXPECT_LE(longest_chain(image_of(by_app, environment), connect_v4), 8u);
    EXPECT_LE(longest_chain(image_of(by_range), transport_v4), 8u);
}

dp_key key_of(const bench::Header &h, std::uint16_t layer) {
    dp_key key{};
    key.layer = layer;
    key.wide[0] = h.local;
    key.wide[1] = h.remote;
    key.number[DP_SLOT_LOCAL_PORT] = h.local_port;
    key.number[DP_SLOT_REMOTE_PORT] = h.remote_port;
    key.number[DP_SLOT_PROTOCOL] = h.protocol;
    return key;
}

TEST(Layout, FewTablesAreProbedAndFewLeavesLookedAt) {
    for (const bool v6 : {false, true}) {
        const std::uint16_t layer = v6 ? transport_v6 : transport_v4;
        bench::Generator make(bench::Profile::acl, v6, 1);
        const auto rules = make.rules(2000);
        const Words image = image_of(bench::policy_of(rules, layer, 1));
        std::size_t probes = 0, leaves = 0, missed = 0;
        for (std::size_t i = 0; i < 500; ++i) {
            const bench::Header h = make.inside(rules[i * 4]);
            const Searched found = search(image, key_of(h, layer), 0, 0);
            const auto first = std::find_if(rules.begin(), rules.end(),
                                            [&](const bench::Rule &r) { return matches(r, h); });
            EXPECT_EQ(found.filter, static_cast<std::uint64_t>(first - rules.begin() + 1));
            probes += found.probes;
            leaves += found.leaves;
            missed += search(image, key_of(make.outside(), layer), 0, 0).probes;
        }
        EXPECT_LT(probes, 500u * 5);
        EXPECT_LT(leaves, 500u * 5);
        EXPECT_LT(missed, 50u);
    }
}

// A plan as large as there are, of rows with one address each.
std::vector<dp_cell> largest_plan() {
    constexpr std::uint32_t rows = DP_IMAGE_CELLS_MAX - DP_LAYERS_MAX;
    std::vector<dp_cell> cells(DP_LAYERS_MAX + 2 * rows);
    cells[transport_v4].layer.first = DP_LAYERS_MAX;
    cells[transport_v4].layer.count = 2 * rows;
    for (std::uint32_t i = 0; i < rows; ++i) {
        const std::uint32_t at = DP_LAYERS_MAX + 2 * i, next = i + 1 < rows ? at + 2 : 0;
        dp_cell &test = cells[at], &match = cells[at + 1];
        test.op = DP_OP_RANGE;
        test.slot = DP_SLOT_REMOTE_ADDRESS;
        test.pass = at + 1;
        test.fail = match.fail = next;
        test.test.low.lo = test.test.high.lo = 0xffff'0000'0000 | i * 2654435761u;
        match.op = DP_OP_MATCH;
        match.row.rank = i + 1;
        match.row.filter_id = i + 1;
    }
    return cells;
}

TEST(Layout, TheLargestPlanFits) {
    const Words image = lay_out(largest_plan());
    EXPECT_LE(image.size() * 8, std::size_t{DP_IMAGE_LARGE});
    EXPECT_FALSE(is_small(image));
    for (const std::uint32_t i : {0u, 100000u, DP_IMAGE_CELLS_MAX - DP_LAYERS_MAX - 1u}) {
        dp_key key{};
        key.layer = transport_v4;
        key.wide[1].lo = 0xffff'0000'0000 | i * 2654435761u;
        EXPECT_EQ(search(image, key, 0, 0).filter, i + 1);
    }
}

} // namespace
} // namespace sluice::compiler
