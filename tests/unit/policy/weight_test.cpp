// SPDX-License-Identifier: Apache-2.0
// A15: empty weights are chosen by specificity in the low 60 bits, UINT8 0 to 15 names the top
// four, UINT64 is exact.
#include <gtest/gtest.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

struct Weights : testing::Test {
    Policy policy = initial();

    std::uint64_t of(Filter f, Value weight = Scalar{}) {
        f.weight = std::move(weight);
        return policy.filters.at(add(policy, std::move(f))).effective_weight;
    }
};

TEST_F(Weights, A15_Uint64IsExact) {
    for (const std::uint64_t w : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}})
        EXPECT_EQ(of(permit(in_v4), Scalar{w}), w);
}

TEST_F(Weights, A15_AutomaticOnesStayInTheLow60Bits) {
    const std::uint64_t w = of(permit(in_v6)
                                   .when(equal(local_address, v6("::1")))
                                   .when(equal(remote_address, v6("::1")))
                                   .when(equal(local_port, std::uint16_t{1}))
                                   .when(equal(remote_port, std::uint16_t{1}))
                                   .when(equal(protocol, std::uint8_t{1})));
    EXPECT_EQ(w >> 60, 0u);
    EXPECT_GT(w, 0u);
}

TEST_F(Weights, A15_Uint8NamesTheTopFourBits) {
    const Filter f = permit(in_v4).when(equal(protocol, std::uint8_t{6}));
    const std::uint64_t automatic = of(f);
    for (std::uint8_t range = 0; range <= 15; ++range)
        EXPECT_EQ(of(f, Scalar{range}), std::uint64_t{range} << 60 | automatic);
}

TEST_F(Weights, A15_MoreSpecificWeighsMore) {
    const auto net = [](std::uint32_t mask) {
        return permit(in_v4).when(equal(remote_address, V4Mask{v4("10.0.0.0"), mask}));
    };
    const std::uint64_t any = of(permit(in_v4));
    const std::uint64_t not_ssh = of(
        permit(in_v4).when(condition(remote_port, FWP_MATCH_NOT_EQUAL, Scalar{std::uint16_t{22}})));
    const std::uint64_t net8 = of(net(0xff000000));
    const std::uint64_t net24 = of(net(0xffffff00));
    const std::uint64_t host = of(permit(in_v4).when(equal(remote_address, v4("10.0.0.1"))));
    const std::uint64_t host_and_port = of(permit(in_v4)
                                               .when(equal(remote_address, v4("10.0.0.1")))
                                               .when(equal(remote_port, std::uint16_t{22})));
    EXPECT_LT(any, not_ssh);
    EXPECT_LT(not_ssh, net8);
    EXPECT_LT(net8, net24);
    EXPECT_LT(net24, host);
    EXPECT_LT(host, host_and_port);
}

TEST_F(Weights, A15_AnAlternativeMakesAFilterLessSpecific) {
    EXPECT_LT(of(permit(in_v4)
                     .when(equal(remote_port, std::uint16_t{1}))
                     .when(equal(remote_port, std::uint16_t{9}))),
              of(permit(in_v4).when(equal(remote_port, std::uint16_t{1}))));
}

TEST_F(Weights, A15_OtherTypesAreInvalid) {
    const std::vector<Value> bad{Scalar{std::uint8_t{16}}, Scalar{std::uint16_t{1}},
                                 Scalar{std::uint32_t{1}}, Scalar{Blob{"1"}},
                                 Range{Scalar{std::uint64_t{1}}, Scalar{std::uint64_t{2}}}};
    for (const Value &weight : bad) {
        Filter f = permit(in_v4);
        f.weight = weight;
        const auto r = add_filter(policy, f);
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().ntstatus, static_cast<std::uint32_t>(STATUS_FWP_INVALID_WEIGHT));
    }
}

} // namespace
} // namespace sluice::policy
