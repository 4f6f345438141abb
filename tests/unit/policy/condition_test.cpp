// SPDX-License-Identifier: Apache-2.0
// What conditions admit, twice: as intervals (condition.h) and by the oracle's own comparison
// (matches()). B numbers name the rules of condition matching.
#include "policy/condition.h"

#include <gtest/gtest.h>

#include "harness/policy_builder.h"

namespace sluice::policy {
namespace {

using namespace harness;

Filter with(std::uint16_t layer, std::vector<Condition> conditions) {
    Filter filter = permit(layer);
    filter.conditions = std::move(conditions);
    return filter;
}

bool takes(const Condition &c, const Packet &p) {
    return matches(with(p.layer, {c}), p);
}

Packet from(const char *remote) {
    Packet p = packet_at(in_v4);
    p.remote4 = v4(remote);
    return p;
}
Packet from6(const char *remote) {
    Packet p = packet_at(in_v6);
    p.remote6 = v6(remote);
    return p;
}
Packet to_port(std::uint16_t port) {
    Packet p = packet_at(connect_v4);
    p.remote_port = port;
    return p;
}

Intervals port_intervals(std::uint32_t match, std::uint16_t port) {
    const auto r = admitted_by(condition(remote_port, match, Scalar{port}), connect_v4);
    EXPECT_TRUE(r) << (r ? "" : r.error().text());
    return r ? *r : Intervals{};
}

TEST(Conditions, B3_NoneMatchEverything) {
    for (const std::uint16_t layer : {in_v4, in_v6, connect_v4, connect_v6})
        EXPECT_TRUE(matches(with(layer, {}), packet_at(layer)));
}

TEST(Conditions, B1_DifferentFieldsMustAllHold) {
    const Filter f = with(
        connect_v4, {equal(remote_port, std::uint16_t{443}), equal(protocol, std::uint8_t{6})});
    Packet p = to_port(443);
    EXPECT_TRUE(matches(f, p));
    p.protocol = 17;
    EXPECT_FALSE(matches(f, p));
}

TEST(Conditions, B1_NeighboursOnOneFieldAreAlternatives) {
    const Filter f = with(connect_v4, {equal(remote_port, std::uint16_t{80}),
                                       equal(remote_port, std::uint16_t{443}),
                                       equal(protocol, std::uint8_t{6})});
    EXPECT_TRUE(matches(f, to_port(80)));
    EXPECT_TRUE(matches(f, to_port(443)));
    EXPECT_FALSE(matches(f, to_port(81)));
    const auto admitted = admitted_by(f);
    ASSERT_TRUE(admitted);
    EXPECT_EQ((*admitted)[static_cast<int>(Field::remote_port)], (Intervals{{80, 80}, {443, 443}}));
}

TEST(Conditions, B1_GroupsOfOneFieldThatStandApartMustAllHold) {
    const Filter f =
        with(connect_v4, {between(remote_port, std::uint16_t{80}, std::uint16_t{100}),
                          equal(protocol, std::uint8_t{6}),
                          between(remote_port, std::uint16_t{90}, std::uint16_t{200})});
    EXPECT_FALSE(matches(f, to_port(80)));
    EXPECT_TRUE(matches(f, to_port(95)));
    const auto admitted = admitted_by(f);
    ASSERT_TRUE(admitted);
    EXPECT_EQ((*admitted)[static_cast<int>(Field::remote_port)], (Intervals{{90, 100}}));
}

TEST(Conditions, B5_OrderComparisons) {
    EXPECT_EQ(port_intervals(FWP_MATCH_EQUAL, 5), (Intervals{{5, 5}}));
    EXPECT_EQ(port_intervals(FWP_MATCH_GREATER, 5), (Intervals{{6, 65535}}));
    EXPECT_EQ(port_intervals(FWP_MATCH_LESS, 5), (Intervals{{0, 4}}));
    EXPECT_EQ(port_intervals(FWP_MATCH_GREATER_OR_EQUAL, 5), (Intervals{{5, 65535}}));
    EXPECT_EQ(port_intervals(FWP_MATCH_LESS_OR_EQUAL, 5), (Intervals{{0, 5}}));
    EXPECT_EQ(port_intervals(FWP_MATCH_NOT_EQUAL, 5), (Intervals{{0, 4}, {6, 65535}}));
}

TEST(Conditions, B5_OrderComparisonsAtTheEnds) {
    EXPECT_EQ(port_intervals(FWP_MATCH_GREATER, 65535), Intervals{});
    EXPECT_EQ(port_intervals(FWP_MATCH_LESS, 0), Intervals{});
    EXPECT_EQ(port_intervals(FWP_MATCH_NOT_EQUAL, 0), (Intervals{{1, 65535}}));
    EXPECT_EQ(port_intervals(FWP_MATCH_NOT_EQUAL, 65535), (Intervals{{0, 65534}}));
}

TEST(Conditions, B5_TheOracleComparesAlike) {
    for (std::uint32_t match = FWP_MATCH_EQUAL; match <= FWP_MATCH_NOT_EQUAL; ++match) {
        if (match >= FWP_MATCH_RANGE && match != FWP_MATCH_NOT_EQUAL) continue;
        for (const std::uint16_t wanted : {0, 5, 65535}) {
            const Intervals in = port_intervals(match, wanted);
            for (const std::uint16_t seen : {0, 4, 5, 6, 65534, 65535}) {
                bool expected = false;
                for (const Interval &i : in)
                    expected |= seen >= i.low && seen <= i.high;
                EXPECT_EQ(takes(condition(remote_port, match, Scalar{wanted}), to_port(seen)),
                          expected)
                    << match << ' ' << wanted << ' ' << seen;
            }
        }
    }
}

TEST(Conditions, B6_RangesIncludeBothEnds) {
    const Condition c = between(remote_address, v4("10.0.0.5"), v4("10.0.0.9"));
    EXPECT_FALSE(takes(c, from("10.0.0.4")));
    EXPECT_TRUE(takes(c, from("10.0.0.5")));
    EXPECT_TRUE(takes(c, from("10.0.0.9")));
    EXPECT_FALSE(takes(c, from("10.0.0.10")));
}

TEST(Conditions, B8_Ipv4AddressesAreHostOrderIpv6NetworkOrder) {
    EXPECT_TRUE(takes(equal(remote_address, std::uint32_t{0x0a000001}), from("10.0.0.1")));
    EXPECT_TRUE(takes(equal(remote_address, v6("2001:db8::5")), from6("2001:db8::5")));
    EXPECT_TRUE(takes(between(remote_address, v6("2001:db8::"), v6("2001:db8::ff")),
                      from6("2001:db8::10")));
    EXPECT_FALSE(takes(between(remote_address, v6("2001:db8::"), v6("2001:db8::ff")),
                       from6("2001:db8::100")));
}

TEST(Conditions, V4MasksArePrefixes) {
    const Condition c = equal(remote_address, V4Mask{v4("10.1.2.3"), 0xffff0000});
    EXPECT_TRUE(takes(c, from("10.1.0.0")));
    EXPECT_TRUE(takes(c, from("10.1.255.255")));
    EXPECT_FALSE(takes(c, from("10.2.0.0")));
    const auto in = admitted_by(c, in_v4);
    ASSERT_TRUE(in);
    EXPECT_EQ(*in, (Intervals{{0x0a010000, 0x0a01ffff}}));
    const auto all = admitted_by(equal(remote_address, V4Mask{v4("10.1.2.3"), 0}), in_v4);
    ASSERT_TRUE(all);
    EXPECT_EQ(*all, (Intervals{{0, 0xffffffff}}));
}

TEST(Conditions, V6PrefixesOfEveryLengthAgreeWithTheOracle) {
    const Bytes16 net = v6("2001:db8:aaaa:5555:1234:5678:9abc:def0");
    for (unsigned length = 0; length <= 128; ++length) {
        const Condition c = equal(remote_address, V6Prefix{net, static_cast<std::uint8_t>(length)});
        const auto in = admitted_by(c, in_v6);
        ASSERT_TRUE(in);
        ASSERT_EQ(in->size(), 1u);
        Packet p = packet_at(in_v6);
        for (int flipped = -1; flipped < 128; ++flipped) {
            p.remote6 = net;
            if (flipped >= 0)
                p.remote6[flipped / 8] ^= static_cast<std::uint8_t>(0x80 >> flipped % 8);
            Number n = 0;
            for (const std::uint8_t byte : p.remote6)
                n = n << 8 | byte;
            const bool inside = n >= in->front().low && n <= in->front().high;
            EXPECT_EQ(inside, flipped < 0 || flipped >= static_cast<int>(length));
            EXPECT_EQ(takes(c, p), inside);
        }
    }
}

TEST(Conditions, B9_AnUnknownLocalEndMeetsNoCondition) {
    Packet p = packet_at(connect_v4);
    p.local_known = false;
    EXPECT_FALSE(takes(equal(local_port, p.local_port), p));
    EXPECT_FALSE(takes(condition(local_port, FWP_MATCH_NOT_EQUAL, Scalar{std::uint16_t{1}}), p));
    EXPECT_FALSE(takes(equal(local_address, p.local4), p));
    EXPECT_TRUE(takes(equal(remote_port, p.remote_port), p));
}

TEST(Conditions, AlternativesThatTouchBecomeOne) {
    const auto admitted =
        admitted_by(with(connect_v4, {between(remote_port, std::uint16_t{10}, std::uint16_t{20}),
                                      equal(remote_port, std::uint16_t{21}),
                                      between(remote_port, std::uint16_t{15}, std::uint16_t{30}),
                                      equal(remote_port, std::uint16_t{32})}));
    ASSERT_TRUE(admitted);
    EXPECT_EQ((*admitted)[static_cast<int>(Field::remote_port)], (Intervals{{10, 30}, {32, 32}}));
}

} // namespace
} // namespace sluice::policy
