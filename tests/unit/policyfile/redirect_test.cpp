// SPDX-License-Identifier: Apache-2.0
// `action: redirect`: what a file may say, what it becomes, and that it is written as it was read.
#include <google/protobuf/util/message_differencer.h>

#include "policyfile/redirect_words.h"
#include "policyfile/writer.h"
#include "read.h"
#include "sluice/sluice_redirect.h"

namespace sluice::policyfile {
namespace {

const std::string both = "    layer: ale_connect_redirect\n    action: redirect\n"
                         "    to: [127.0.0.1:8080, \"[::1]:8080\"]\n";

policy::Target target_in(const PolicyFile &file, int filter = 0) {
    for (const auto &context : file.objects.provider_contexts())
        if (context.key() == file.objects.filters(filter).provider_context())
            return *policy::read_target(context.data());
    ADD_FAILURE() << "no context";
    return {};
}

TEST(Redirect, IsAPermitAtBothLayersWithOneContext) {
    auto file = read_filter(both + "    context: hello\n    proxy_protocol: v2\n");
    check(file);
    ASSERT_TRUE(file.good()) << file.errors();
    ASSERT_EQ(file.objects.filters_size(), 2);
    ASSERT_EQ(file.objects.provider_contexts_size(), 1);
    EXPECT_EQ(file.objects.provider_contexts(0).name(), "redirect to 127.0.0.1:8080 [::1]:8080");
    for (const auto &filter : file.objects.filters()) {
        EXPECT_EQ(filter.action(), FWP_ACTION_PERMIT);
        EXPECT_TRUE(filter.flags() & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT);
    }
    const auto target = target_in(file);
    EXPECT_EQ(policy::end_text(*target.v4), "127.0.0.1:8080");
    EXPECT_EQ(policy::end_text(*target.v6), "[::1]:8080");
    EXPECT_EQ(target.context, "hello");
    EXPECT_EQ(target.flags, SLUICE_REDIRECT_FLAG_PROXY_V2);
}

TEST(Redirect, FiltersOfOneTargetShareItsContext) {
    const std::string more = "  - name: g\n" + both + "    lifetime: persistent\n  - name: h\n" +
                             both + "    conditions: {remote_port: 443}\n";
    auto file = read_filter(both + more);
    check(file);
    ASSERT_TRUE(file.good()) << file.errors();
    EXPECT_EQ(file.objects.filters_size(), 6);
    EXPECT_EQ(file.objects.provider_contexts_size(), 2) << "one of them lasts";
}

TEST(Redirect, AnAddressOrAPortAloneLeavesTheOther) {
    auto port =
        read_filter("    layer: ale_connect_redirect\n    action: redirect\n    to: :3128\n");
    EXPECT_TRUE(port.good()) << port.errors();
    EXPECT_TRUE(target_in(port).v6->same_address());
    EXPECT_EQ(target_in(port).v4->port, 3128u);
    auto bind =
        read_filter("    layer: ale_bind_redirect_v6\n    action: redirect\n    to: fd00::5\n");
    check(bind);
    EXPECT_TRUE(bind.good()) << bind.errors();
    EXPECT_EQ(policy::end_text(*target_in(bind).v6), "fd00::5");
}

TEST(Redirect, ErrorsHaveTheirPlaces) {
    const auto only = [](const std::string &lines) {
        const auto all = said(read_filter(lines));
        EXPECT_EQ(all.size(), 1u) << lines;
        return all.empty() ? std::string() : all[0];
    };
    const auto at = [](const std::string &text, const std::string &place, const std::string &part) {
        EXPECT_TRUE(text.starts_with(place + " ")) << text;
        EXPECT_NE(text.find(part), std::string::npos) << text;
    };
    const std::string layer = "    layer: ale_connect_redirect_v4\n",
                      redirect = layer + "    action: redirect\n";
    at(only(redirect), "5:13", "needs `to`");
    at(only(redirect + "    to: here\n"), "6:9", "'here' is no ADDRESS:PORT");
    at(only(redirect + "    to: 1.2.3.4:0\n"), "6:9", "port that is not within");
    at(only(redirect + "    to: '[::1]8'\n"), "6:9", "no [ADDRESS]:PORT");
    at(only(redirect + "    to: [1.2.3.4:5, 1.2.3.4:6]\n"), "6:9", "second target");
    at(only(redirect + "    to: 0.0.0.0:5\n"), "6:9", "for another port :PORT");
    at(only(redirect + "    to: 224.0.0.1:5\n"), "6:9", "224.0.0.1:5");
    at(only(redirect + "    to: '[::1]:5'\n"), "6:9", "no IPv4 target for ale_connect_redirect_v4");
    at(only(redirect + "    to: 1.2.3.4:5\n    proxy_protocol: v1\n"), "7:21", "v2 is");
    at(only(redirect + "    to: 1.2.3.4:5\n    context_hex: abc\n"), "7:18", "hexadecimal");
    at(only(redirect + "    to: 1.2.3.4:5\n    context: " + std::string(513, 'x') + "\n"), "7:14",
       "513 bytes");
    at(only(layer + "    action: permit\n    to: 1.2.3.4:5\n"), "6:9", "action: redirect");
    at(only("    layer: ale_auth_connect_v4\n    action: redirect\n    to: 1.2.3.4:5\n"), "4:12",
       "nothing is redirected at ale_auth_connect_v4");
    at(only("    layer: ale_bind_redirect_v4\n    action: redirect\n    to: 1.2.3.4\n"
            "    context: x\n"),
       "7:14", "a bind has no target");
}

TEST(Redirect, ALayerThatTheConditionsLeaveOutNeedsNoTarget) {
    auto file = read_filter("    layer: ale_connect_redirect\n    action: redirect\n"
                            "    to: 127.0.0.1:1\n    conditions: {remote_address: 10.0.0.1}\n");
    EXPECT_TRUE(file.good()) << file.errors();
    EXPECT_EQ(file.objects.filters_size(), 1);
}

void expect_round_trip(const protocol::Objects &objects) {
    const std::string text = to_yaml(to_tree(objects));
    auto again = read(text);
    ASSERT_TRUE(again.good()) << again.errors() << text;
    google::protobuf::util::MessageDifferencer differencer;
    std::string differences;
    differencer.ReportDifferencesToString(&differences);
    differencer.set_repeated_field_comparison(google::protobuf::util::MessageDifferencer::AS_SET);
    EXPECT_TRUE(differencer.Compare(objects, again.objects)) << differences << text;
}

TEST(Redirect, IsWrittenAsItWasRead) {
    const auto file = read_filter(both + "    context_hex: 00ff\n  - name: g\n"
                                         "    layer: ale_bind_redirect_v4\n    action: redirect\n"
                                         "    to: 10.0.0.5\n");
    ASSERT_TRUE(file.good()) << file.errors();
    const std::string text = to_yaml(to_tree(file.objects));
    EXPECT_NE(text.find("redirect"), std::string::npos);
    EXPECT_NE(text.find("context_hex: 00ff"), std::string::npos) << text;
    EXPECT_EQ(text.find("provider_context"), std::string::npos) << text;
    expect_round_trip(file.objects);
}

TEST(Redirect, WhatItsWordsCannotSayIsWrittenInFull) {
    auto file = read_filter(both);
    auto &context = *file.objects.mutable_provider_contexts(0);
    auto target = *policy::read_target(context.data());
    target.process = 7;
    context.set_data(policy::write_target(target));
    const std::string text = to_yaml(to_tree(file.objects));
    EXPECT_NE(text.find("provider_context"), std::string::npos) << text;
    expect_round_trip(file.objects);
}

} // namespace
} // namespace sluice::policyfile
