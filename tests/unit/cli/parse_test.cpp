// SPDX-License-Identifier: Apache-2.0
#include "cli/parse.h"

#include <gtest/gtest.h>

#include "policy/redirect.h"
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
    w.conditions = {{"remote_port", {"80", "443"}}, {"protocol", {"tcp"}}, {"app", {}}};
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
    w.conditions = {{"remote_address", {"10.0.0.1"}}};
    refuses(parse_filter(w, {}), "10.0.0.1");
}

TEST(Filter, TakesConditionsAsPolicyFilesWriteThem) {
    auto w = words();
    w.written = {"remote_port: {not: 22}", "flags: {flags_any: [loopback, fragment]}"};
    const auto filter = parse_filter(w, {});
    ASSERT_TRUE(filter) << filter.error().text();
    ASSERT_EQ(filter->conditions_size(), 2);
    EXPECT_EQ(filter->conditions(0).match(), static_cast<std::uint32_t>(FWP_MATCH_NOT_EQUAL));
    EXPECT_EQ(filter->conditions(1).value().number(), 0x21u);
    w.written = {"remote_prot: 22"};
    refuses(parse_filter(w, {}), "remote_prot");
}

TEST(Filter, ThatRedirectsIsAPermitWithItsOwnContext) {
    auto w = words("ale_connect_redirect_v4", "");
    w.redirect = "127.0.0.1:8080,[::1]:8080";
    w.context = "hello";
    w.lifetime = "persistent";
    Names names;
    names.provider = Guid::random().bytes();
    const auto filter = parse_filter(w, names);
    ASSERT_TRUE(filter) << filter.error().text();
    EXPECT_EQ(filter->action(), FWP_ACTION_PERMIT);
    EXPECT_EQ(filter->provider(), names.provider);
    const auto context = parse_redirect(w, *filter);
    ASSERT_TRUE(context) << context.error().text();
    ASSERT_TRUE(*context);
    EXPECT_EQ((*context)->key(), filter->provider_context());
    EXPECT_EQ((*context)->key(), policy::own_context_key(*Guid::from_bytes(filter->key())).bytes());
    EXPECT_EQ((*context)->provider(), names.provider);
    EXPECT_EQ((*context)->flags(), FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT);
    const auto target = policy::read_target((*context)->data());
    ASSERT_TRUE(target) << target.error().text();
    EXPECT_EQ(policy::end_text(*target->v6), "[::1]:8080");
    EXPECT_EQ(target->context, "hello");
    EXPECT_FALSE(*parse_redirect(words(), *parse_filter(words(), {}))) << "it does not redirect";
}

TEST(Filter, RefusesRedirectionsThatAreNone) {
    auto w = words("ale_connect_redirect_v4", "");
    refuses(parse_filter(w, {}), "--redirect is needed");
    w.action = "redirect";
    refuses(parse_filter(w, {}), "needs --redirect");
    w.redirect = "127.0.0.1:80";
    w.action = "block";
    refuses(parse_filter(w, {}), "--action redirect");
    w.action = "redirect";
    ASSERT_TRUE(parse_filter(w, {}));
    w.redirect = "127.0.0.1:eighty";
    refuses(parse_redirect(w, *parse_filter(w, {})), "127.0.0.1:eighty");
    w.layer = "ale_auth_connect_v4";
    refuses(parse_filter(w, {}), "ale_auth_connect_v4");
    auto permit = words();
    permit.proxy_v2 = true;
    refuses(parse_filter(permit, {}), "--proxy-v2");
}

TEST(Filter, TakesAKeyAndADescription) {
    auto w = words();
    w.key = "12345678-1234-1234-1234-123456789abc";
    w.description = "why";
    const auto filter = parse_filter(w, {});
    ASSERT_TRUE(filter) << filter.error().text();
    EXPECT_EQ(filter->key(), Guid::parse(w.key)->bytes());
    EXPECT_EQ(filter->description(), "why");
    w.key = "5";
    refuses(parse_filter(w, {}), "5");
}

} // namespace
} // namespace sluice::cli
