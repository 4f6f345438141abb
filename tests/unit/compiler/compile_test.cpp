// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <gtest/gtest.h>

#include <cstring>

#include "harness/policy_builder.h"

namespace sluice::compiler {
namespace {

using namespace harness;
using policy::Policy;
using policy::Scalar;

dp_layer_index index_of(const Plan &plan, std::uint16_t layer) {
    dp_layer_index index;
    std::memcpy(&index, &plan.image.at(layer), sizeof index);
    return index;
}

std::vector<dp_row> rows_of(const Plan &plan, std::uint16_t layer) {
    const dp_layer_index index = index_of(plan, layer);
    const auto first = plan.image.begin() + index.first;
    return {first, first + index.count};
}

struct Compile : testing::Test {
    Policy policy = policy::initial();

    Plan plan(std::uint64_t generation = 1) {
        auto r = compile(policy, generation);
        if (!r) throw std::runtime_error(r.error().text());
        return std::move(r).value();
    }
    dp_row only_row(std::uint16_t layer) {
        const Plan p = plan();
        const std::vector<dp_row> rows = rows_of(p, layer);
        EXPECT_EQ(rows.size(), 1u);
        return rows.at(0);
    }
};

TEST_F(Compile, NothingIsIndexRowsOnly) {
    const Plan p = plan(42);
    EXPECT_EQ(p.image.size(), static_cast<std::size_t>(DP_LAYERS_MAX));
    for (std::uint16_t layer = 0; layer < DP_LAYERS_MAX; ++layer) {
        EXPECT_EQ(index_of(p, layer).generation, 42u);
        EXPECT_EQ(index_of(p, layer).count, 0u);
    }
    EXPECT_EQ(p.generation, 42u);
    EXPECT_TRUE(p.filter_ids.empty());
}

TEST_F(Compile, UnusedFieldsAreOpen) {
    const auto id = add(policy, block(in_v4).weighing(9));
    const dp_row row = only_row(in_v4);
    EXPECT_EQ(row.filter_id, id);
    EXPECT_EQ(row.weight, 9u);
    EXPECT_EQ(row.rank, 1u);
    EXPECT_EQ(row.sublayer, 0u);
    EXPECT_EQ(row.action, static_cast<std::uint32_t>(DP_ACTION_BLOCK));
    EXPECT_EQ(row.callout, 0u);
    EXPECT_EQ(row.fields, 0);
    EXPECT_EQ(row.flags, 0);
    EXPECT_EQ(row.protocol_lo, 0);
    EXPECT_EQ(row.protocol_hi, 0xff);
    EXPECT_EQ(row.local_port_hi, 0xffff);
    EXPECT_EQ(row.remote_port_lo, 0);
    EXPECT_EQ(row.local_lo.lo, 0u);
    EXPECT_EQ(row.local_hi.hi, ~0ull);
    EXPECT_EQ(row.remote_hi.lo, ~0ull);
}

TEST_F(Compile, Ipv4AddressesAreMapped) {
    add(policy,
        permit(in_v4).when(equal(remote_address, policy::V4Mask{v4("10.1.0.0"), 0xffff0000})));
    const dp_row row = only_row(in_v4);
    EXPECT_EQ(row.fields, DP_FIELD_REMOTE_ADDRESS);
    EXPECT_EQ(row.remote_lo.hi, 0u);
    EXPECT_EQ(row.remote_lo.lo, 0x0000ffff0a010000ull);
    EXPECT_EQ(row.remote_hi.lo, 0x0000ffff0a01ffffull);
}

TEST_F(Compile, Ipv6AddressesAreTwoHalves) {
    add(policy, permit(in_v6).when(equal(local_address, policy::V6Prefix{v6("2001:db8::"), 32})));
    const dp_row row = only_row(in_v6);
    EXPECT_EQ(row.fields, DP_FIELD_LOCAL_ADDRESS);
    EXPECT_EQ(row.local_lo.hi, 0x20010db800000000ull);
    EXPECT_EQ(row.local_lo.lo, 0u);
    EXPECT_EQ(row.local_hi.hi, 0x20010db8ffffffffull);
    EXPECT_EQ(row.local_hi.lo, ~0ull);
}

TEST_F(Compile, AlternativesAreRowsOfOneRank) {
    const auto two_by_two = add(policy, permit(connect_v4)
                                            .weighing(5)
                                            .when(equal(remote_port, std::uint16_t{80}))
                                            .when(equal(remote_port, std::uint16_t{443}))
                                            .when(equal(protocol, std::uint8_t{6}))
                                            .when(equal(protocol, std::uint8_t{17})));
    const auto last = add(policy, block(connect_v4).weighing(1));
    const Plan p = plan();
    const std::vector<dp_row> rows = rows_of(p, connect_v4);
    ASSERT_EQ(rows.size(), 5u);
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(rows[i].filter_id, two_by_two);
        EXPECT_EQ(rows[i].rank, 1u);
        EXPECT_EQ(rows[i].fields, DP_FIELD_REMOTE_PORT | DP_FIELD_PROTOCOL);
    }
    EXPECT_EQ(rows[4].filter_id, last);
    EXPECT_EQ(rows[4].rank, 2u);
    EXPECT_EQ(p.filter_ids, (std::vector<std::uint64_t>{two_by_two, last}));
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
    for (const dp_row &row : rows_of(plan(), in_v4)) {
        ids.push_back(row.filter_id);
        ranks.push_back(row.rank);
        sublayers.push_back(row.sublayer);
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
    const std::vector<dp_row> rows = rows_of(plan(), in_v4);
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_NE(rows.front().sublayer, rows.back().sublayer);
    EXPECT_EQ(std::max(rows.front().sublayer, rows.back().sublayer), 1u);
}

TEST_F(Compile, EachLayerCountsForItself) {
    add(policy, block(in_v4));
    add(policy, block(in_v6));
    add(policy, block(in_v6));
    add(policy, permit(connect_v6));
    const Plan p = plan();
    EXPECT_EQ(index_of(p, in_v4).first, static_cast<std::uint32_t>(DP_LAYERS_MAX));
    EXPECT_EQ(index_of(p, in_v6).count, 2u);
    EXPECT_EQ(index_of(p, connect_v4).count, 0u);
    EXPECT_EQ(rows_of(p, connect_v6).at(0).rank, 1u);
    EXPECT_EQ(p.image.size(), DP_LAYERS_MAX + 4u);
}

TEST_F(Compile, CalloutRowsNameTheRuntimeIdAndFlags) {
    const Guid callout = new_callout(policy, in_v4);
    add(policy, terminating(in_v4, callout)
                    .flagged(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED |
                             FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT));
    const dp_row row = only_row(in_v4);
    EXPECT_EQ(row.callout, policy.callouts.at(callout).id);
    EXPECT_EQ(row.action, static_cast<std::uint32_t>(DP_ACTION_CALLOUT_TERMINATING));
    EXPECT_EQ(row.flags, DP_ROW_CLEAR_ACTION_RIGHT | DP_ROW_PERMIT_IF_UNREGISTERED);
}

TEST_F(Compile, RefusesMoreRowsThanAnImageHoldsAndNamesTheFilter) {
    policy::Filter big = permit(in_v4);
    big.name = "the big one";
    // 300 ports that do not touch on either side: 90,000 combinations.
    for (const char *field : {local_port, remote_port})
        for (std::uint16_t i = 0; i < 300; ++i)
            big.conditions.push_back(equal(field, static_cast<std::uint16_t>(2 * i)));
    add(policy, big);
    const auto r = compile(policy, 1);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_OUT_OF_BOUNDS));
    EXPECT_NE(r.error().text().find("the big one"), std::string::npos);
}

TEST_F(Compile, TakesExactlyAsManyRowsAsAnImageHolds) {
    policy::Filter f = permit(in_v4);
    for (const char *field : {local_port, remote_port})
        for (std::uint16_t i = 0; i < 256; ++i)
            f.conditions.push_back(equal(field, static_cast<std::uint16_t>(2 * i)));
    add(policy, f);
    EXPECT_EQ(index_of(plan(), in_v4).count, static_cast<std::uint32_t>(DP_IMAGE_ROWS_MAX));
    add(policy, permit(in_v6));
    EXPECT_FALSE(compile(policy, 2));
}

} // namespace
} // namespace sluice::compiler
