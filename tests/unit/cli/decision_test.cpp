// SPDX-License-Identifier: Apache-2.0
#include "cli/decision.h"

#include <gtest/gtest.h>

#include "cli/parse.h"
#include "sluice/fwp.h"

namespace sluice::cli {
namespace {

TEST(Decision, IsWordsOrJson) {
    for (const char *line : {"permit 12 always", R"({"id":12,"action":"permit","always":true})"}) {
        const auto d = parse_decision(line);
        ASSERT_TRUE(d) << line << ": " << d.error().text();
        EXPECT_EQ(d->id(), 12u);
        EXPECT_EQ(d->action(), FWP_ACTION_PERMIT);
        EXPECT_TRUE(d->always());
    }
    for (const char *line : {"block 1099511627777", R"({"action":"block","id":1099511627777})"}) {
        const auto d = parse_decision(line);
        ASSERT_TRUE(d) << line << ": " << d.error().text();
        EXPECT_EQ(d->id(), 1099511627777u);
        EXPECT_EQ(d->action(), FWP_ACTION_BLOCK);
        EXPECT_FALSE(d->always());
    }
}

TEST(Decision, SaysWhatIsWrong) {
    const std::pair<const char *, const char *> bad[] = {
        {"allow 12", "'allow'"},
        {"permit", "''"},
        {"permit x", "'x'"},
        {"permit 12 forever", "'forever'"},
        {"permit 12 always now", "'now'"},
        {"{\"id\":12", "JSON"},
        {R"({"action":"permit"})", "no id"},
        {R"({"id":12})", "no action"},
        {R"({"id":-1,"action":"permit"})", "'id'"},
        {R"({"id":1,"action":"permit","always":"yes"})", "'always'"},
        {R"({"id":1,"action":"permit","once":true})", "'once'"},
        {R"({"id":1,"action":"maybe"})", "'maybe'"}};
    for (const auto &[line, word] : bad) {
        const auto d = parse_decision(line);
        ASSERT_FALSE(d) << line;
        EXPECT_NE(d.error().text().find(word), std::string::npos) << d.error().text();
    }
}

TEST(Lines, AreNumberedHoweverTheyCome) {
    Lines lines;
    EXPECT_TRUE(lines.take("per").empty());
    const auto first = lines.take("mit 1\r\n\n  block 2\nblo");
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ(first[0].text, "permit 1");
    EXPECT_EQ(first[0].number, 1u);
    EXPECT_EQ(first[1].text, "block 2");
    EXPECT_EQ(first[1].number, 3u);
    lines.take("ck 3");
    const auto last = lines.end();
    ASSERT_EQ(last.size(), 1u);
    EXPECT_EQ(last[0].text, "block 3");
    EXPECT_EQ(last[0].number, 4u);
    EXPECT_TRUE(lines.end().empty());
}

TEST(Lines, AreCutWhenTheyAreTooLong) {
    Lines lines;
    lines.take(std::string(1 << 20, 'x'));
    const auto all = lines.take("\npermit 1\n");
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].text.size(), Lines::longest);
    EXPECT_EQ(all[1].text, "permit 1");
}

FilterWords asking() {
    FilterWords w;
    w.layer = "ale_auth_connect_v4";
    w.action = "callout";
    w.callout = "ask";
    return w;
}

TEST(HoldOptions, StandInTheFilter) {
    auto w = asking();
    w.deadline = "30s";
    w.outcome = "next";
    const auto filter = parse_filter(w, {});
    ASSERT_TRUE(filter) << filter.error().text();
    EXPECT_EQ(filter->hold().deadline_ms(), 30000u);
    EXPECT_EQ(filter->hold().outcome(), protocol::NEXT_FILTER);
}

TEST(HoldOptions, NeedACalloutAndSense) {
    auto w = asking();
    w.deadline = "soon";
    EXPECT_NE(parse_filter(w, {}).error().text().find("'soon'"), std::string::npos);
    w = asking();
    w.outcome = "allow";
    EXPECT_NE(parse_filter(w, {}).error().text().find("'allow'"), std::string::npos);
    w = asking();
    w.action = "block";
    w.callout.clear();
    w.deadline = "30s";
    EXPECT_NE(parse_filter(w, {}).error().text().find("--deadline"), std::string::npos);
}

TEST(Ask, IsTheLayersOwnUnlessSomebodyHasTheName) {
    const auto filter = parse_filter(asking(), {});
    ASSERT_TRUE(filter) << filter.error().text();
    EXPECT_EQ(filter->callout().size(), 16u);
    auto w = asking();
    w.layer = "ale_auth_connect_v6";
    EXPECT_NE(parse_filter(w, {})->callout(), filter->callout());
    Names names;
    names.callouts.emplace_back();
    names.callouts.back().set_name("ask");
    names.callouts.back().set_key(std::string(16, 'k'));
    EXPECT_EQ(parse_filter(w, names)->callout(), std::string(16, 'k'));
    w.layer = "inbound_ippacket_v4";
    EXPECT_NE(parse_filter(w, {}).error().text().find("inbound_ippacket_v4"), std::string::npos);
}

} // namespace
} // namespace sluice::cli
