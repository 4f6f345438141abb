// SPDX-License-Identifier: Apache-2.0
// The image: which cells a filter becomes, where they lead, and what names stand for.
#include "compiler/compile.h"

#include <gtest/gtest.h>
#include <sluice/fwp.h>

#include <cstring>

#include "harness/policy_builder.h"
#include "policy/redirect.h"

namespace sluice::compiler {
namespace {

using namespace harness;
using policy::Bytes6;
using policy::Policy;
using policy::Scalar;
using policy::Text;

const char *const app_id = "FWPM_CONDITION_ALE_APP_ID";
const char *const interface_name = "SLUICE_CONDITION_INTERFACE_NAME";
const char *const interface_mac = "FWPM_CONDITION_INTERFACE_MAC_ADDRESS";
const char *const cgroup = "SLUICE_CONDITION_CGROUP";
constexpr std::uint16_t mac_layer = DP_LAYER_INBOUND_MAC_FRAME_ETHERNET;

struct Compile : testing::Test {
    Policy policy = policy::initial();
    Environment environment;

    Plan plan(std::uint64_t generation = 1) {
        auto r = compile(policy, generation, environment);
        if (!r) throw std::runtime_error(r.error().text());
        return std::move(r).value();
    }
    std::vector<dp_cell> cells_of(const Plan &p, std::uint16_t layer) {
        const auto &index = p.image.at(layer).layer;
        const auto first = p.image.begin() + index.first;
        return {first, first + index.count};
    }
    // Of the only filter, with its match behind.
    std::vector<dp_cell> cells(std::uint16_t layer) { return cells_of(plan(), layer); }
    std::vector<dp_cell> cells(const policy::Condition &condition, std::uint16_t layer) {
        policy = policy::initial();
        add(policy, permit(layer).when(condition));
        return cells(layer);
    }
};

TEST_F(Compile, NothingIsIndexCellsOnly) {
    const Plan p = plan(42);
    EXPECT_EQ(p.image.size(), static_cast<std::size_t>(DP_LAYERS_MAX));
    for (const dp_cell &cell : p.image) {
        EXPECT_EQ(cell.layer.generation, 42u);
        EXPECT_EQ(cell.layer.count, 0u);
        EXPECT_EQ(cell.layer.present[0] | cell.layer.present[1], 0u);
    }
    EXPECT_EQ(p.generation, 42u);
    EXPECT_TRUE(p.filter_ids.empty());
}

TEST_F(Compile, HoldOptionsStandInTheMatch) {
    const std::pair<policy::Outcome, std::uint32_t> outcomes[] = {
        {policy::Outcome::host_default, 0},
        {policy::Outcome::block, DP_ROW_OUTCOME_BLOCK},
        {policy::Outcome::permit, DP_ROW_OUTCOME_PERMIT},
        {policy::Outcome::next_filter, DP_ROW_OUTCOME_NEXT}};
    const auto callout = new_callout(policy, in_v4);
    policy::Filter asking = permit(in_v4);
    asking.action = FWP_ACTION_CALLOUT_TERMINATING;
    asking.callout = callout;
    const auto id = add(policy, asking);
    for (const auto &[outcome, flag] : outcomes) {
        ASSERT_TRUE(policy::set_hold(policy, id, {1500, outcome}, 0));
        const auto row = cells(in_v4);
        EXPECT_EQ(row[0].row.hold_ms, 1500u);
        EXPECT_EQ(row[0].row.flags, flag);
    }
}

TEST_F(Compile, B3_AFilterWithoutConditionsIsItsMatch) {
    const auto id = add(policy, block(in_v4).weighing(9));
    const std::vector<dp_cell> row = cells(in_v4);
    ASSERT_EQ(row.size(), 1u);
    EXPECT_EQ(row[0].op, DP_OP_MATCH);
    EXPECT_EQ(row[0].flags, DP_CELL_FIRST);
    EXPECT_EQ(row[0].fail, 0u);
    EXPECT_EQ(row[0].row.filter_id, id);
    EXPECT_EQ(row[0].row.rank, 1u);
    EXPECT_EQ(row[0].row.sublayer, 0u);
    EXPECT_EQ(row[0].row.action, static_cast<std::uint32_t>(DP_ACTION_BLOCK));
    EXPECT_EQ(row[0].row.callout, 0u);
    EXPECT_EQ(row[0].row.flags, 0u);
}

TEST_F(Compile, EveryIndexCellSaysWhichLayersHaveRows) {
    add(policy, block(in_v4));
    add(policy, block(connect_v6));
    for (std::uint16_t layer = 0; layer < DP_LAYERS_MAX; ++layer)
        EXPECT_EQ(plan().image[layer].layer.present[0], 1ull << in_v4 | 1ull << connect_v6);
}

TEST_F(Compile, Ipv4AddressesAreMapped) {
    const auto row =
        cells(equal(remote_address, policy::V4Mask{v4("10.1.0.0"), 0xffff0000}), in_v4);
    ASSERT_EQ(row.size(), 2u);
    EXPECT_EQ(row[0].op, DP_OP_RANGE);
    EXPECT_EQ(row[0].slot, DP_SLOT_REMOTE_ADDRESS);
    EXPECT_EQ(row[0].test.low.hi, 0u);
    EXPECT_EQ(row[0].test.low.lo, 0x0000ffff0a010000ull);
    EXPECT_EQ(row[0].test.high.lo, 0x0000ffff0a01ffffull);
}

TEST_F(Compile, Ipv6AddressesAreTwoHalves) {
    const auto row = cells(equal(local_address, policy::V6Prefix{v6("2001:db8::"), 32}), in_v6);
    EXPECT_EQ(row[0].test.low.hi, 0x20010db800000000ull);
    EXPECT_EQ(row[0].test.low.lo, 0u);
    EXPECT_EQ(row[0].test.high.hi, 0x20010db8ffffffffull);
    EXPECT_EQ(row[0].test.high.lo, ~0ull);
}

TEST_F(Compile, B1_AlternativesLeadToEachOtherAndGroupsToTheNext) {
    add(policy, permit(connect_v4)
                    .weighing(5)
                    .when(equal(remote_port, std::uint16_t{80}))
                    .when(equal(remote_port, std::uint16_t{443}))
                    .when(equal(protocol, std::uint8_t{6})));
    add(policy, block(connect_v4).weighing(1));
    const Plan p = plan();
    const std::uint32_t first = p.image[connect_v4].layer.first;
    const auto row = cells_of(p, connect_v4);
    ASSERT_EQ(row.size(), 5u);
    EXPECT_EQ(row[0].pass, first + 2);
    EXPECT_EQ(row[0].fail, first + 1);
    EXPECT_EQ(row[1].pass, first + 2);
    EXPECT_EQ(row[1].fail, first + 4);
    EXPECT_EQ(row[2].slot, DP_SLOT_PROTOCOL);
    EXPECT_EQ(row[2].pass, first + 3);
    EXPECT_EQ(row[2].fail, first + 4);
    EXPECT_EQ(row[3].fail, first + 4);
    EXPECT_EQ(row[4].flags, DP_CELL_FIRST);
    EXPECT_EQ(row[4].fail, 0u) << "the layer's end";
}

TEST_F(Compile, SortsBySublayerThenWeightThenAge) {
    const Guid high = new_sublayer(policy, 2000);
    const Guid low = new_sublayer(policy, 1000);
    const auto d = add(policy, block(in_v4).in(low).weighing(99));
    const auto c = add(policy, block(in_v4).in(high).weighing(1));
    const auto a = add(policy, block(in_v4).in(high).weighing(7));
    const auto b = add(policy, block(in_v4).in(high).weighing(7));
    std::vector<std::uint64_t> ids;
    std::vector<std::uint32_t> ranks, sublayers;
    for (const dp_cell &cell : cells(in_v4)) {
        ids.push_back(cell.row.filter_id);
        ranks.push_back(cell.row.rank);
        sublayers.push_back(cell.row.sublayer);
    }
    EXPECT_EQ(ids, (std::vector<std::uint64_t>{a, b, c, d}));
    EXPECT_EQ(ranks, (std::vector<std::uint32_t>{1, 2, 3, 4}));
    EXPECT_EQ(sublayers, (std::vector<std::uint32_t>{0, 0, 0, 1}));
}

TEST_F(Compile, SublayersOfEqualWeightStayApart) {
    const Guid one = new_sublayer(policy, 1000);
    const Guid two = new_sublayer(policy, 1000);
    add(policy, block(in_v4).in(one).weighing(1));
    add(policy, block(in_v4).in(two).weighing(2));
    add(policy, block(in_v4).in(one).weighing(3));
    const auto rows = cells(in_v4);
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_NE(rows.front().row.sublayer, rows.back().row.sublayer);
}

TEST_F(Compile, EachLayerCountsForItself) {
    add(policy, block(in_v4));
    add(policy, block(in_v6));
    add(policy, block(in_v6));
    add(policy, permit(connect_v6));
    const Plan p = plan();
    EXPECT_EQ(p.image[in_v4].layer.first, static_cast<std::uint32_t>(DP_LAYERS_MAX));
    EXPECT_EQ(p.image[in_v6].layer.count, 2u);
    EXPECT_EQ(p.image[connect_v4].layer.count, 0u);
    EXPECT_EQ(cells_of(p, connect_v6).at(0).row.rank, 1u);
    EXPECT_EQ(cells_of(p, in_v4).at(0).fail, 0u);
    EXPECT_EQ(p.image.size(), DP_LAYERS_MAX + 4u);
}

TEST_F(Compile, CalloutRowsNameTheRuntimeIdAndFlags) {
    const Guid callout = new_callout(policy, in_v4);
    add(policy, terminating(in_v4, callout)
                    .flagged(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED |
                             FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT));
    const dp_cell match = cells(in_v4).at(0);
    EXPECT_EQ(match.row.callout, policy.callouts.at(callout).id);
    EXPECT_EQ(match.row.action, static_cast<std::uint32_t>(DP_ACTION_CALLOUT_TERMINATING));
    EXPECT_EQ(match.row.flags, static_cast<std::uint32_t>(DP_ROW_CLEAR_ACTION_RIGHT |
                                                          DP_ROW_PERMIT_IF_UNREGISTERED));
}

policy::Filter redirecting(Policy &policy, const policy::TargetEnd &to) {
    policy::ProviderContext context;
    context.key = Guid::random();
    context.name = "target";
    context.type = FWPM_GENERAL_CONTEXT;
    context.data = policy::write_target({.v4 = to});
    EXPECT_TRUE(policy::add_provider_context(policy, context));
    policy::Filter filter =
        permit(DP_LAYER_ALE_CONNECT_REDIRECT_V4)
            .flagged(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT | FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT);
    filter.provider_context = context.key;
    return filter;
}

TEST_F(Compile, AFixedRedirectionIsACalloutThatTheKernelAnswersFor) {
    const std::uint16_t layer = DP_LAYER_ALE_CONNECT_REDIRECT_V4;
    const auto first = redirecting(policy, {std::string("\x7f\0\0\1", 4), 80});
    const auto second = redirecting(policy, {std::string("\x7f\0\0\1", 4), 81});
    add(policy, policy::Filter(first));
    add(policy, policy::Filter(second));
    add(policy, policy::Filter(first));
    add(policy, permit(layer));
    const Plan p = plan();
    ASSERT_EQ(p.goals.size(), 2u) << "each target once";
    EXPECT_EQ(p.goals[0].v4.port, 80u);
    EXPECT_EQ(p.goals[1].v4.port, 81u);
    const auto rows = cells_of(p, layer);
    ASSERT_EQ(rows.size(), 4u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(rows[i].row.action, static_cast<std::uint32_t>(DP_ACTION_CALLOUT_UNKNOWN));
        EXPECT_EQ(rows[i].row.flags,
                  static_cast<std::uint32_t>(DP_ROW_REDIRECT | DP_ROW_CLEAR_ACTION_RIGHT));
        EXPECT_EQ(rows[i].row.callout, i == 1 ? 2u : 1u);
    }
    EXPECT_EQ(rows[3].row.action, static_cast<std::uint32_t>(DP_ACTION_PERMIT));
    EXPECT_EQ(rows[3].row.flags | rows[3].row.callout, 0u);
}

TEST_F(Compile, MoreTargetsThanThereIsRoomForAreRefusedWithTheFilter) {
    for (std::size_t i = 0; i < goals_max; ++i)
        add(policy, redirecting(policy, {std::string(4, 0), static_cast<std::uint16_t>(i + 1)}));
    EXPECT_TRUE(compile(policy, 1));
    auto last = redirecting(policy, {std::string(4, 0), 9999});
    last.name = "the last";
    add(policy, last);
    const auto refused = compile(policy, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_OUT_OF_BOUNDS));
    EXPECT_EQ(refused.error().object, "the last");
}

TEST_F(Compile, FlagsAndNoValueAreTestsOfTheirOwn) {
    const char *const flags = "FWPM_CONDITION_FLAGS";
    const auto none =
        cells(condition(flags, FWP_MATCH_FLAGS_NONE_SET, Scalar{std::uint32_t{0x20}}), in_v4);
    EXPECT_EQ(none[0].op, DP_OP_FLAGS_NONE);
    EXPECT_EQ(none[0].slot, DP_SLOT_FLAGS);
    EXPECT_EQ(none[0].test.low.lo, 0x20u);
    EXPECT_EQ(cells(equal(flags, std::monostate{}), in_v4)[0].op, DP_OP_EMPTY);
}

TEST_F(Compile, AnExecutableIsEachFileThatThePathWas) {
    environment.files["/bin/x"] = {{8, 1}, {8, 2}};
    const auto row = cells(equal(app_id, Text{"/bin/x"}), connect_v4);
    ASSERT_EQ(row.size(), 3u);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(row[i].op, DP_OP_RANGE);
        EXPECT_EQ(row[i].slot, DP_SLOT_APP);
        EXPECT_EQ(row[i].test.low.hi, 8u);
        EXPECT_EQ(row[i].test.low.lo, 1u + i);
    }
    EXPECT_EQ(row[0].fail, row[0].pass - 1) << "alternatives";
    const auto other =
        cells(condition(app_id, FWP_MATCH_NOT_EQUAL, Scalar{Text{"/bin/x"}}), connect_v4);
    ASSERT_EQ(other.size(), 3u);
    EXPECT_EQ(other[0].op, DP_OP_NOT_RANGE);
    EXPECT_EQ(other[1].pass, other[0].pass + 1) << "both must hold";
    EXPECT_EQ(other[0].fail, other[1].fail);
}

TEST_F(Compile, WhatNobodyKnowsMatchesNothingAndItsNegationAnyValue) {
    const auto op = [&](const char *field, std::uint32_t match) {
        return cells(condition(field, match, Scalar{Text{"absent"}}), connect_v4)[0].op;
    };
    for (const char *field : {app_id, cgroup, "SLUICE_CONDITION_CONTAINER", interface_name}) {
        EXPECT_EQ(op(field, FWP_MATCH_EQUAL), DP_OP_NEVER) << field;
        EXPECT_EQ(op(field, FWP_MATCH_NOT_EQUAL), DP_OP_ALWAYS) << field;
    }
}

TEST_F(Compile, APathAsTextIsBehindItsTest) {
    const std::string path(40, 'p');
    const auto row = cells(condition(app_id, FWP_MATCH_PREFIX, Scalar{Text{path}}), connect_v4);
    ASSERT_EQ(row.size(), 4u);
    EXPECT_EQ(row[0].op, DP_OP_TEXT);
    EXPECT_EQ(row[0].compare, DP_COMPARE_ENDS_WITH);
    EXPECT_EQ(row[0].length, 40u);
    EXPECT_EQ(std::memcmp(row[1].text, path.data(), DP_CELL_TEXT), 0);
    EXPECT_EQ(std::memcmp(row[2].text, path.data(), 8), 0);
    EXPECT_EQ(row[2].text[8], 0);
    EXPECT_EQ(row[3].op, DP_OP_MATCH);
    EXPECT_EQ(row[0].pass, static_cast<std::uint32_t>(DP_LAYERS_MAX + 3));
}

struct CompileInterfaces : Compile {
    CompileInterfaces() {
        const Bytes6 mac{2, 0, 0, 0, 0, 1};
        environment.interfaces = {{1, "lo", "", 24, 0, {}, false},
                                  {2, "eth0", "wan", 6, 0, mac, true},
                                  {3, "eth1", "lan", 6, 0, mac, true},
                                  {9, "wg0", "vpn", 131, 1, {}, false}};
    }
    struct Bound {
        int op;
        std::uint64_t low, high;
        bool operator==(const Bound &) const = default;
    };
    std::vector<Bound> tests(const policy::Condition &condition, std::uint16_t layer = in_v4) {
        std::vector<Bound> out;
        for (const dp_cell &c : cells(condition, layer)) {
            if (c.op != DP_OP_MATCH) out.push_back({c.op, c.test.low.lo, c.test.high.lo});
        }
        return out;
    }
};

TEST_F(CompileInterfaces, APropertyIsTheIndexesThatHaveIt) {
    using Bounds = std::vector<Bound>;
    const auto type = [](std::uint32_t match, std::uint32_t value) {
        return condition("FWPM_CONDITION_INTERFACE_TYPE", match, Scalar{value});
    };
    EXPECT_EQ(tests(type(FWP_MATCH_EQUAL, 6)), (Bounds{{DP_OP_RANGE, 2, 3}}));
    EXPECT_EQ(tests(type(FWP_MATCH_GREATER, 6)),
              (Bounds{{DP_OP_RANGE, 1, 1}, {DP_OP_RANGE, 9, 9}}));
    EXPECT_EQ(tests(type(FWP_MATCH_NOT_EQUAL, 6)), (Bounds{{DP_OP_NOT_RANGE, 2, 3}}));
    EXPECT_EQ(tests(type(FWP_MATCH_FLAGS_ALL_SET, 0x82)), (Bounds{{DP_OP_RANGE, 9, 9}}));
    EXPECT_EQ(tests(equal(interface_name, Text{"wg0"})), (Bounds{{DP_OP_RANGE, 9, 9}}));
    EXPECT_EQ(tests(condition(interface_name, FWP_MATCH_PREFIX, Scalar{Text{"0"}})),
              (Bounds{{DP_OP_RANGE, 2, 2}, {DP_OP_RANGE, 9, 9}}));
    EXPECT_EQ(tests(equal("FWPM_CONDITION_IP_LOCAL_INTERFACE", environment.interfaces[1].luid())),
              (Bounds{{DP_OP_RANGE, 2, 2}}));
}

TEST_F(CompileInterfaces, WhoLacksThePropertyHasNoneOfItsValues) {
    using Bounds = std::vector<Bound>;
    const Bytes6 other{2, 0, 0, 0, 0, 9};
    EXPECT_EQ(tests(condition(interface_mac, FWP_MATCH_NOT_EQUAL, Scalar{other}), mac_layer),
              (Bounds{{DP_OP_NOT_RANGE, 1, 1}, {DP_OP_NOT_RANGE, 9, 9}}));
    EXPECT_EQ(tests(equal(interface_mac, std::monostate{}), mac_layer),
              (Bounds{{DP_OP_EMPTY, 0, 0}, {DP_OP_RANGE, 1, 1}, {DP_OP_RANGE, 9, 9}}));
}

TEST_F(Compile, CgroupsAreTheirIds) {
    environment.cgroups["a/b"] = {77};
    environment.containers["web"] = {5, 6};
    const auto by_path = cells(equal(cgroup, Text{"a/b"}), connect_v4);
    EXPECT_EQ(by_path[0].op, DP_OP_CGROUP);
    EXPECT_EQ(by_path[0].slot, DP_SLOT_CGROUP);
    EXPECT_EQ(by_path[0].test.low.lo, 77u);
    EXPECT_EQ(cells(equal(cgroup, std::uint64_t{9}), connect_v4)[0].test.low.lo, 9u);
    const auto not_web =
        cells(condition("SLUICE_CONDITION_CONTAINER", FWP_MATCH_NOT_EQUAL, Scalar{Text{"web"}}),
              connect_v4);
    ASSERT_EQ(not_web.size(), 3u);
    EXPECT_EQ(not_web[1].op, DP_OP_NOT_CGROUP);
    EXPECT_EQ(not_web[1].test.low.lo, 6u);
}

TEST_F(Compile, NamesAreThoseThatMustBeLookedUp) {
    EXPECT_EQ(names_of(policy), Names{});
    add(policy, permit(connect_v4)
                    .when(equal(app_id, Text{"/bin/x"}))
                    .when(equal(cgroup, Text{"a/b"}))
                    .when(equal("SLUICE_CONDITION_CONTAINER", Text{"web"})));
    add(policy, permit(connect_v4).when(equal(cgroup, std::uint64_t{9})));
    add(policy,
        permit(connect_v4)
            .when(condition(app_id, FWP_MATCH_PREFIX, Scalar{Text{"/nonexistent/looked/up"}})));
    Names expected{false, {"/bin/x"}, {"a/b"}, {"web"}};
    EXPECT_EQ(names_of(policy), expected);
    add(policy, permit(in_v4).when(equal(interface_name, Text{"lo"})));
    expected.interfaces = true;
    EXPECT_EQ(names_of(policy), expected);
}

TEST_F(Compile, RefusesMoreCellsThanAnImageHoldsAndNamesTheFilter) {
    policy::Filter row = permit(in_v4);
    row.name = "the last one";
    row.sublayer = policy.sublayers.begin()->first;
    for (int i = 1; i <= DP_IMAGE_CELLS_MAX - DP_LAYERS_MAX; ++i) {
        row.id = i;
        policy.filters.emplace(i, row);
    }
    EXPECT_TRUE(compile(policy, 1));
    row.id = DP_IMAGE_CELLS_MAX;
    policy.filters.emplace(row.id, row);
    const auto r = compile(policy, 1);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_OUT_OF_BOUNDS));
    EXPECT_NE(r.error().text().find("the last one"), std::string::npos);
}

} // namespace
} // namespace sluice::compiler
