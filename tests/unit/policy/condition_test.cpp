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
    return matches(with(p.layer, {c}), p) == Match::yes;
}
bool fits(const Filter &f, const Packet &p) {
    return matches(f, p) == Match::yes;
}

Packet from(const char *remote) {
    Packet p = packet_at(in_v4);
    return show(p, remote_address, v4(remote));
}
Packet from6(const char *remote) {
    Packet p = packet_at(in_v6);
    return show(p, remote_address, v6(remote));
}
Packet to_port(std::uint16_t port) {
    Packet p = packet_at(connect_v4);
    return show(p, remote_port, port);
}

// What one condition, or the first group of a filter, admits.
Intervals admitted(const Filter &filter) {
    const auto groups = understand(filter);
    EXPECT_TRUE(groups) << (groups ? "" : groups.error().text());
    const auto in = groups ? admitted_by(groups->front()) : std::nullopt;
    EXPECT_TRUE(in);
    return in.value_or(Intervals{});
}
Intervals admitted(const Condition &c, std::uint16_t layer) {
    const auto test = understand(c, layer);
    EXPECT_TRUE(test) << (test ? "" : test.error().text());
    return test ? std::get<IsIn>(test->question).admitted : Intervals{};
}
Intervals port_intervals(std::uint32_t match, std::uint16_t port) {
    return admitted(condition(remote_port, match, Scalar{port}), connect_v4);
}

TEST(Conditions, B3_NoneMatchEverything) {
    for (const std::uint16_t layer : {in_v4, in_v6, connect_v4, connect_v6})
        EXPECT_TRUE(fits(with(layer, {}), packet_at(layer)));
}

TEST(Conditions, B1_DifferentFieldsMustAllHold) {
    const Filter f = with(
        connect_v4, {equal(remote_port, std::uint16_t{443}), equal(protocol, std::uint8_t{6})});
    Packet p = to_port(443);
    EXPECT_TRUE(fits(f, p));
    show(p, protocol, std::uint8_t{17});
    EXPECT_FALSE(fits(f, p));
}

TEST(Conditions, B1_NeighboursOnOneFieldAreAlternatives) {
    const Filter f = with(connect_v4, {equal(remote_port, std::uint16_t{80}),
                                       equal(remote_port, std::uint16_t{443}),
                                       equal(protocol, std::uint8_t{6})});
    EXPECT_TRUE(fits(f, to_port(80)));
    EXPECT_TRUE(fits(f, to_port(443)));
    EXPECT_FALSE(fits(f, to_port(81)));
    EXPECT_EQ(admitted(f), (Intervals{{80, 80}, {443, 443}}));
}

TEST(Conditions, B1_GroupsOfOneFieldThatStandApartMustAllHold) {
    const Filter f =
        with(connect_v4, {between(remote_port, std::uint16_t{80}, std::uint16_t{100}),
                          equal(protocol, std::uint8_t{6}),
                          between(remote_port, std::uint16_t{90}, std::uint16_t{200})});
    EXPECT_FALSE(fits(f, to_port(80)));
    EXPECT_TRUE(fits(f, to_port(95)));
    const auto groups = understand(f);
    ASSERT_TRUE(groups);
    EXPECT_EQ(groups->size(), 3u);
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
    EXPECT_EQ(admitted(c, in_v4), (Intervals{{0x0a010000, 0x0a01ffff}}));
    EXPECT_EQ(admitted(equal(remote_address, V4Mask{v4("10.1.2.3"), 0}), in_v4),
              (Intervals{{0, 0xffffffff}}));
}

TEST(Conditions, V6PrefixesOfEveryLengthAgreeWithTheOracle) {
    const Bytes16 net = v6("2001:db8:aaaa:5555:1234:5678:9abc:def0");
    for (unsigned length = 0; length <= 128; ++length) {
        const Condition c = equal(remote_address, V6Prefix{net, static_cast<std::uint8_t>(length)});
        const Intervals in = admitted(c, in_v6);
        ASSERT_EQ(in.size(), 1u);
        Packet p = packet_at(in_v6);
        for (int flipped = -1; flipped < 128; ++flipped) {
            Bytes16 address = net;
            if (flipped >= 0)
                address[flipped / 8] ^= static_cast<std::uint8_t>(0x80 >> flipped % 8);
            show(p, remote_address, address);
            Number n = 0;
            for (const std::uint8_t byte : address)
                n = n << 8 | byte;
            const bool inside = n >= in.front().low && n <= in.front().high;
            EXPECT_EQ(inside, flipped < 0 || flipped >= static_cast<int>(length));
            EXPECT_EQ(takes(c, p), inside);
        }
    }
}

TEST(Conditions, B9_NoValueMeetsNothingButTheTestForNone) {
    Packet p = packet_at(connect_v4);
    p.values.erase(table_key(local_port));
    EXPECT_FALSE(takes(equal(local_port, std::uint16_t{80}), p));
    EXPECT_FALSE(takes(condition(local_port, FWP_MATCH_NOT_EQUAL, Scalar{std::uint16_t{1}}), p));
    EXPECT_FALSE(
        takes(condition(local_port, FWP_MATCH_FLAGS_NONE_SET, Scalar{std::uint16_t{1}}), p));
    EXPECT_TRUE(takes(equal(local_port, std::monostate{}), p));
    EXPECT_FALSE(takes(equal(remote_port, std::monostate{}), p));
}

TEST(Conditions, WhatIsUnknownIsNeitherYesNorNo) {
    Packet p = packet_at(connect_v4);
    hide(p, local_port);
    const Condition port = equal(local_port, std::uint16_t{80});
    EXPECT_EQ(matches(with(connect_v4, {port}), p), Match::unknown);
    EXPECT_EQ(matches(with(connect_v4, {equal(local_port, std::monostate{})}), p), Match::unknown);
    EXPECT_EQ(matches(with(connect_v4, {port, equal(protocol, std::uint8_t{6})}), p),
              Match::unknown);
    EXPECT_EQ(matches(with(connect_v4, {port, equal(protocol, std::uint8_t{17})}), p), Match::no);
}

TEST(Conditions, AlternativesThatTouchBecomeOne) {
    EXPECT_EQ(admitted(with(connect_v4, {between(remote_port, std::uint16_t{10}, std::uint16_t{20}),
                                         equal(remote_port, std::uint16_t{21}),
                                         between(remote_port, std::uint16_t{15}, std::uint16_t{30}),
                                         equal(remote_port, std::uint16_t{32})})),
              (Intervals{{10, 30}, {32, 32}}));
}

bool flags_take(std::uint32_t match, std::uint32_t wanted, std::uint32_t seen) {
    Packet p = packet_at(in_v4);
    show(p, "FWPM_CONDITION_FLAGS", seen);
    return takes(condition("FWPM_CONDITION_FLAGS", match, Scalar{wanted}), p);
}

TEST(Conditions, B5_Flags) {
    EXPECT_TRUE(flags_take(FWP_MATCH_FLAGS_ALL_SET, 0x5, 0x7));
    EXPECT_FALSE(flags_take(FWP_MATCH_FLAGS_ALL_SET, 0x5, 0x4));
    EXPECT_TRUE(flags_take(FWP_MATCH_FLAGS_ANY_SET, 0x5, 0x4));
    EXPECT_FALSE(flags_take(FWP_MATCH_FLAGS_ANY_SET, 0x5, 0x2));
    EXPECT_TRUE(flags_take(FWP_MATCH_FLAGS_ALL_SET, 0, 0));
}

TEST(Conditions, B14_FlagsNoneSetExcludes) {
    EXPECT_TRUE(flags_take(FWP_MATCH_FLAGS_NONE_SET, 0x20, 0x1));
    EXPECT_FALSE(flags_take(FWP_MATCH_FLAGS_NONE_SET, 0x20, 0x21));
}

bool path_takes(std::uint32_t match, const Scalar &wanted, const char *seen = "/usr/bin/curl") {
    Packet p = packet_at(connect_v4);
    show(p, "FWPM_CONDITION_ALE_APP_ID", Text{seen});
    return takes(condition("FWPM_CONDITION_ALE_APP_ID", match, wanted), p);
}

TEST(Conditions, B7_PrefixTestsTheEnd) {
    EXPECT_TRUE(path_takes(FWP_MATCH_PREFIX, Text{"/curl"}));
    EXPECT_FALSE(path_takes(FWP_MATCH_PREFIX, Text{"/usr/bin"}));
    EXPECT_TRUE(path_takes(FWP_MATCH_NOT_PREFIX, Text{"/usr/bin"}));
    EXPECT_FALSE(path_takes(FWP_MATCH_NOT_PREFIX, Text{"/curl"}));
    EXPECT_FALSE(path_takes(FWP_MATCH_PREFIX, Text{"/opt/long/usr/bin/curl"}));
}

TEST(Conditions, B5_CaseInsensitiveAndOrderOfText) {
    EXPECT_TRUE(path_takes(FWP_MATCH_EQUAL_CASE_INSENSITIVE, Text{"/USR/bin/CURL"}));
    EXPECT_FALSE(path_takes(FWP_MATCH_EQUAL, Text{"/USR/bin/CURL"}));
    EXPECT_TRUE(path_takes(FWP_MATCH_LESS, Text{"/usr/bin/curl0"}));
    EXPECT_TRUE(path_takes(FWP_MATCH_GREATER, Text{"/usr/bin/Curl"}));
    EXPECT_FALSE(path_takes(FWP_MATCH_GREATER, Text{"/usr/bin/curl"}));
    EXPECT_TRUE(path_takes(FWP_MATCH_GREATER_OR_EQUAL, Text{"/usr/bin/curl"}));
}

TEST(Conditions, B12_AnApplicationIdIsThePathInUtf16) {
    const Blob id{std::string("/\0x\0\0\0", 6)};
    EXPECT_TRUE(path_takes(FWP_MATCH_EQUAL, id, "/x"));
    EXPECT_FALSE(path_takes(FWP_MATCH_EQUAL, id, "/y"));
}

Sid unix_sid(char kind, char id) {
    std::string bytes("\x01\x02\0\0\0\0\0\x16\0\0\0\0\0\0\0\0", 16);
    bytes[8] = kind;
    bytes[12] = id;
    return {bytes};
}

TEST(Conditions, B12_AUserIsANumberOrASid) {
    Packet p = packet_at(connect_v4);
    show(p, "FWPM_CONDITION_ALE_USER_ID", std::uint32_t{7});
    show(p, "SLUICE_CONDITION_ALE_GROUP_ID", std::uint32_t{9});
    const char *const user = "FWPM_CONDITION_ALE_USER_ID";
    EXPECT_TRUE(takes(equal(user, std::uint32_t{7}), p));
    EXPECT_TRUE(takes(equal(user, unix_sid(1, 7)), p));
    EXPECT_FALSE(takes(equal(user, unix_sid(1, 9)), p));
    EXPECT_TRUE(takes(equal(user, unix_sid(2, 9)), p));
    EXPECT_FALSE(takes(equal(user, unix_sid(2, 7)), p));
    EXPECT_TRUE(takes(condition(user, FWP_MATCH_NOT_EQUAL, Scalar{unix_sid(2, 7)}), p));
}

TEST(Conditions, ACgroupIsAnyOfThoseAbove) {
    Packet p = packet_at(connect_v4);
    p.cgroup_ids = {5, 4};
    p.cgroup_paths = {"a", "a/b"};
    p.containers = {"web"};
    const char *const cgroup = "SLUICE_CONDITION_CGROUP";
    EXPECT_TRUE(takes(equal(cgroup, Text{"a"}), p));
    EXPECT_TRUE(takes(equal(cgroup, std::uint64_t{4}), p));
    EXPECT_FALSE(takes(equal(cgroup, std::uint64_t{6}), p));
    EXPECT_TRUE(takes(condition(cgroup, FWP_MATCH_NOT_EQUAL, Scalar{Text{"c"}}), p));
    EXPECT_TRUE(takes(equal("SLUICE_CONDITION_CONTAINER", Text{"web"}), p));
    EXPECT_FALSE(takes(equal(cgroup, std::monostate{}), p));
}

} // namespace
} // namespace sluice::policy
