// SPDX-License-Identifier: Apache-2.0
#include "cli/parse.h"

#include <gtest/gtest.h>

#include "sluice/fwp.h"

namespace sluice::cli {
namespace {

FilterWords words(const char *layer = "ale_auth_connect_v4", const char *action = "block") {
    FilterWords w;
    w.layer = layer;
    w.action = action;
    return w;
}

template <typename T>
void refuses(const Result<T> &result, const std::string &value) {
    ASSERT_FALSE(result) << value << " was taken";
    EXPECT_NE(result.error().text().find(value), std::string::npos) << result.error().text();
}

TEST(Layer, IsTakenByNameInAnyFormAndByNumber) {
    EXPECT_EQ(*parse_layer("ale_auth_connect_v4"), 48);
    EXPECT_EQ(*parse_layer("FWPS_LAYER_ALE_AUTH_CONNECT_V6"), 50);
    EXPECT_EQ(*parse_layer("2"), 2);
    refuses(parse_layer("ale_auth"), "ale_auth");
    refuses(parse_layer("99999"), "99999");
}

TEST(Port, IsANumberOrARange) {
    EXPECT_EQ(parse_port("443")->number(), 443u);
    const auto range = parse_port("80-90");
    EXPECT_EQ(range->type(), FWP_RANGE_TYPE);
    EXPECT_EQ(range->low().number(), 80u);
    EXPECT_EQ(range->high().number(), 90u);
    for (const char *bad : {"65536", "90-80", "-5", "80-", "http", "", "8 0", "1-2-3"})
        refuses(parse_port(bad), bad);
}

TEST(Address, IsOneAPrefixOrARange) {
    EXPECT_EQ(parse_address("10.1.2.3", false)->number(), 0x0a010203u);
    const auto prefix = parse_address("10.0.0.0/8", false);
    EXPECT_EQ(prefix->type(), FWP_V4_ADDR_MASK);
    EXPECT_EQ(prefix->mask(), 0xff000000u);
    EXPECT_EQ(parse_address("0.0.0.0/0", false)->mask(), 0u);
    EXPECT_EQ(parse_address("10.0.0.1-10.0.0.9", false)->type(), FWP_RANGE_TYPE);
    const auto v6 = parse_address("2001:db8::/32", true);
    EXPECT_EQ(v6->type(), FWP_V6_ADDR_MASK);
    EXPECT_EQ(v6->mask(), 32u);
    for (const char *bad : {"10.0.0", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "::1", "10.0.0.1-"})
        refuses(parse_address(bad, false), bad);
    for (const char *bad : {"10.0.0.1", "::/129", "::2-::1"})
        refuses(parse_address(bad, true), bad);
}

TEST(Protocol, IsAWordOrANumber) {
    EXPECT_EQ(*parse_protocol("tcp"), 6);
    EXPECT_EQ(*parse_protocol("132"), 132);
    refuses(parse_protocol("256"), "256");
    refuses(parse_protocol("tcpp"), "tcpp");
}

TEST(Weight, IsAutomaticARangeOrExact) {
    EXPECT_EQ(parse_weight("auto")->type(), static_cast<unsigned>(FWP_EMPTY));
    EXPECT_EQ(parse_weight("15")->type(), static_cast<unsigned>(FWP_UINT8));
    EXPECT_EQ(parse_weight("16")->type(), static_cast<unsigned>(FWP_UINT64));
    EXPECT_EQ(parse_weight("18446744073709551615")->number(), ~0ull);
    refuses(parse_weight("heavy"), "heavy");
    refuses(parse_weight("18446744073709551616"), "18446744073709551616");
}

TEST(Filter, RepeatedOptionsAreSeveralConditionsOnOneField) {
    auto w = words();
    w.remote_port = {"80", "443"};
    w.protocol = {"tcp"};
    const auto filter = parse_filter(w, {});
    ASSERT_TRUE(filter) << filter.error().text();
    ASSERT_EQ(filter->conditions_size(), 3);
    EXPECT_EQ(filter->conditions(0).field(), filter->conditions(1).field());
    EXPECT_NE(filter->conditions(0).field(), filter->conditions(2).field());
    EXPECT_EQ(filter->action(), FWP_ACTION_BLOCK);
    EXPECT_FALSE(filter->name().empty());
}

TEST(Filter, FindsCalloutsByNameAndRefusesUnknownAndAmbiguousOnes) {
    Names names;
    for (const char *name : {"ask", "twice", "twice"}) {
        auto &callout = names.callouts.emplace_back();
        callout.set_name(name);
        callout.set_key(Guid::random().bytes());
    }
    auto w = words("ale_auth_connect_v6", "callout");
    w.callout = "ask";
    const auto filter = parse_filter(w, names);
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->callout(), names.callouts[0].key());
    EXPECT_EQ(filter->action(), FWP_ACTION_CALLOUT_TERMINATING);
    w.callout = "nobody";
    refuses(parse_filter(w, names), "nobody");
    w.callout = "twice";
    refuses(parse_filter(w, names), "twice");
    w.callout = "ask";
    w.callout_type = "odd";
    refuses(parse_filter(w, names), "odd");
}

TEST(Filter, HasALifetime) {
    auto w = words();
    const std::pair<const char *, unsigned> lifetimes[] = {
        {"static", 0},
        {"persistent", FWPM_FILTER_FLAG_PERSISTENT},
        {"boot-time", FWPM_FILTER_FLAG_BOOTTIME}};
    for (const auto &[word, flag] : lifetimes) {
        w.lifetime = word;
        const auto filter = parse_filter(w, {});
        ASSERT_TRUE(filter) << filter.error().text();
        EXPECT_EQ(filter->flags(), flag) << word;
    }
    w.lifetime = "forever";
    refuses(parse_filter(w, {}), "forever");
}
TEST(Filter, RefusesActionsThatDoNotFitTheirOptions) {
    refuses(parse_filter(words("ale_auth_connect_v4", "drop"), {}), "drop");
    refuses(parse_filter(words("ale_auth_connect_v4", "callout"), {}), "--callout");
    auto w = words();
    w.callout = "ask";
    refuses(parse_filter(w, {}), "--callout");
}

TEST(Filter, TakesAddressesOfItsLayersFamilyOnly) {
    auto w = words("ale_auth_connect_v6");
    w.remote = {"10.0.0.1"};
    refuses(parse_filter(w, {}), "10.0.0.1");
}

} // namespace
} // namespace sluice::cli
