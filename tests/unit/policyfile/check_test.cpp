// SPDX-License-Identifier: Apache-2.0
// What the engine refuses is said at its place in the file.
#include <fstream>
#include <sstream>

#include "policy/built_in.h"
#include "read.h"

namespace sluice::policyfile {
namespace {

std::vector<std::string> checked(const std::string &text) {
    auto file = read(text);
    EXPECT_TRUE(file.good()) << file.errors();
    check(file);
    return said(file);
}

std::string only(const std::vector<std::string> &all) {
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? "" : all[0];
}

const std::string head = "version: 1\nsublayers: [{name: s, weight: 7}]\ncallouts:\n"
                         "- {name: c, key: 12345678-1234-1234-1234-123456789abc, layer: "
                         "ale_auth_connect_v4}\nfilters:\n";

TEST(Check, TakesAGoodFile) {
    auto file = read(head + "- {name: a, layer: ale_auth_connect, action: permit, sublayer: s}\n"
                            "- {name: b, layer: ale_auth_connect_v4, action: callout c}\n");
    const auto policy = check(file);
    EXPECT_TRUE(file.good()) << file.errors();
    EXPECT_EQ(policy.filters.size(), 3u);
    EXPECT_EQ(policy.callouts.size(), 1 + policy::ask_callouts().size());
}

TEST(Check, PointsAtTheConditionThatTheLayerHasNot) {
    const auto said =
        only(checked(head + "- name: a\n  layer: inbound_ippacket_v4\n  action: block\n"
                            "  conditions:\n    remote_address: 10.0.0.1\n"
                            "    user: root\n"));
    EXPECT_TRUE(said.starts_with("11:11 ")) << said;
}

TEST(Check, PointsAtTheWeightThatIsNone) {
    auto file =
        read(head + "- name: a\n  layer: ale_auth_connect_v4\n  action: block\n  weight: 5\n");
    file.objects.mutable_filters(0)->mutable_weight()->set_type(FWP_UINT32);
    check(file);
    EXPECT_TRUE(only(said(file)).starts_with("9:11 ")) << file.errors();
}

TEST(Check, PointsAtTheActionWhoseCalloutIsOfAnotherLayer) {
    const auto said =
        only(checked(head + "- name: a\n  layer: inbound_ippacket_v4\n  action: callout c\n"));
    EXPECT_TRUE(said.starts_with("8:11 ")) << said;
    const auto key = only(checked("version: 1\nfilters:\n- name: a\n  layer: ale_auth_connect_v4\n"
                                  "  action: callout 12345678-1234-1234-1234-123456789abd\n"));
    EXPECT_TRUE(key.starts_with("5:11 ")) << key;
}

TEST(Check, PointsAtTheFieldThatNothingCanMeet) {
    const auto said =
        only(checked(head + "- name: a\n  layer: ale_auth_connect_v4\n  action: block\n"
                            "  conditions:\n  - remote_port: 5\n  - protocol: tcp\n"
                            "  - remote_port: 6\n"));
    EXPECT_TRUE(said.starts_with("12:18 ")) << said;
}

TEST(Check, PointsAtTheLayerThatIsNotClassified) {
    const auto said = only(checked("version: 1\nfilters:\n- name: a\n  layer: stream_v4\n"
                                   "  action: block\n"));
    EXPECT_TRUE(said.starts_with("3:3 ") || said.starts_with("4:10 ")) << said;
}

TEST(Documentation, ItsExampleIsTaken) {
    std::ifstream in(std::string(SLUICE_DOCS) + "/policy-file.md");
    std::stringstream text;
    text << in.rdbuf();
    const std::string all = text.str();
    int examples = 0;
    for (std::size_t at = 0; (at = all.find("```yaml\n", at)) != std::string::npos;) {
        at += 8;
        const std::string example = all.substr(at, all.find("```", at) - at);
        if (!example.starts_with("version: 1")) continue;
        auto file = read(example);
        check(file);
        EXPECT_TRUE(file.good()) << file.errors();
        EXPECT_GT(file.objects.filters_size(), 0);
        ++examples;
    }
    EXPECT_GE(examples, 1);
}

} // namespace
} // namespace sluice::policyfile
