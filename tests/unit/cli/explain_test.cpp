// SPDX-License-Identifier: Apache-2.0
// The evaluation as people read it, of hand-made policies.
#include "cli/explain_text.h"

#include <gtest/gtest.h>

#include "policyfile/check.h"
#include "policyfile/layers.h"
#include "sluice/fwp.h"

namespace sluice::cli {
namespace {

policy::Policy policy_of(const std::string &text) {
    auto file = policyfile::read_text("p", "version: 1\n" + text);
    auto policy = policyfile::check(file);
    EXPECT_TRUE(file.good()) << file.errors();
    return policy;
}

Traffic traffic(const char *source = "10.0.0.1:1234", const char *destination = "10.0.0.2:443",
                bool inbound = false) {
    auto made = parse_traffic("tcp", source, destination, inbound);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
}

std::vector<LayerWay> way_of(const policy::Policy &policy, const Traffic &about,
                             const Answers &answers = {}) {
    auto way = explain_way(policy, about, {48}, answers);
    EXPECT_TRUE(way) << way.error().text();
    return *way;
}

std::string explained(const policy::Policy &policy, const Traffic &about,
                      const Answers &answers = {}) {
    return way_text(policy, about, way_of(policy, about, answers));
}

constexpr const char *front_and_back = R"(
sublayers: [{name: front, weight: 900}, {name: back, weight: 5}]
filters:
  - name: no telnet
    layer: ale_auth_connect_v4
    sublayer: front
    action: block
    conditions: {protocol: tcp, remote_port: 23}
  - name: web
    layer: ale_auth_connect_v4
    sublayer: front
    action: permit
    flags: hard
    conditions: {remote_port: [80, 443]}
  - name: nothing else
    layer: ale_auth_connect_v4
    sublayer: back
    action: block
)";

TEST(Explain, BehindARedirectionTheNewDestinationIsJudged) {
    const auto policy = policy_of("filters:\n"
                                  "  - {name: to the proxy, layer: ale_connect_redirect_v4, "
                                  "action: redirect, to: '127.0.0.1:8080'}\n"
                                  "  - {name: proxy only, layer: ale_auth_connect_v4, action: "
                                  "block, conditions: {remote_port: {not: 8080}}}\n");
    const auto about = traffic();
    const auto way = explain_way(policy, about, layers_passed(about), {});
    ASSERT_TRUE(way) << way.error().text();
    const std::string text = way_text(policy, about, *way);
    EXPECT_NE(text.find("matches; redirects to 127.0.0.1:8080: permit, soft"), std::string::npos)
        << text;
    EXPECT_TRUE(text.ends_with("permitted\n")) << text;
    const auto json = way_json(policy, about, *way);
    EXPECT_EQ(json["layers"][0]["sublayers"][0]["filters"][0]["redirects_to"], "127.0.0.1:8080");
    const auto without = explain_way(policy_of(front_and_back), about, layers_passed(about), {});
    EXPECT_EQ(policyfile::layer_name(without->front().steps.layer), "ale_auth_connect_v4");
}

TEST(Explain, SaysWhatMatchedWhatDidNotAndWhy) {
    EXPECT_EQ(explained(policy_of(front_and_back), traffic()),
              "tcp 10.0.0.1:1234 -> 10.0.0.2:443, outbound\n"
              "ale_auth_connect_v4\n"
              "  sublayer front (weight 900)\n"
              "    filter 1 'no telnet': no, not remote_port 23\n"
              "    filter 2 'web': matches; permit, hard\n"
              "    so far: permit, hard\n"
              "  sublayer back (weight 5)\n"
              "    filter 3 'nothing else': matches; block, hard, too late: the decision before it "
              "stands\n"
              "    so far: permit, hard\n"
              "  result: permit by filter 2 'web'\n"
              "permitted\n");
}

TEST(Explain, NamesTheLayerThatStopsTheTraffic) {
    const std::string text =
        explained(policy_of(front_and_back), traffic("10.0.0.1:1", "10.0.0.2:23"));
    EXPECT_TRUE(text.ends_with("ale_auth_connect_v4: block by filter 1 'no telnet'\n")) << text;
}

TEST(Explain, SaysThatNothingDecided) {
    const std::string text = explained(policy_of("filters: []\n"), traffic());
    EXPECT_NE(text.find("result: permit, as no filter decided"), std::string::npos) << text;
}

TEST(Explain, SaysWhatItWouldHaveToKnow) {
    const auto policy =
        policy_of("filters:\n- {name: f, layer: ale_auth_connect_v4, action: block, "
                  "conditions: {app: /usr/bin/curl}}\n");
    const std::string text = explained(policy, traffic());
    EXPECT_NE(text.find("depends on what is not known here: app /usr/bin/curl"), std::string::npos)
        << text;
    EXPECT_NE(text.find("result: not decided: filter 1 'f'"), std::string::npos) << text;
    auto told = traffic();
    told.given = {"app: /usr/bin/curl"};
    EXPECT_NE(explained(policy, told).find("result: block by filter 1"), std::string::npos);
    told.given = {"app: /usr/bin/wget"};
    EXPECT_NE(explained(policy, told).find("no, not app /usr/bin/curl"), std::string::npos);
}

constexpr const char *with_callout = R"(
callouts: [{name: asker, key: 12345678-1234-1234-1234-123456789abc, layer: ale_auth_connect_v4}]
filters:
  - {name: ask, layer: ale_auth_connect_v4, action: callout asker unknown}
)";

TEST(Explain, SaysThatACalloutDecides) {
    const auto policy = policy_of(with_callout);
    const std::string text = explained(policy, traffic());
    EXPECT_NE(text.find("callout 'asker' decides; if it permits: permit, soft"), std::string::npos)
        << text;
    EXPECT_NE(text.find("result: permit by filter 1 'ask'; block if blocked by 'asker'"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("\npermitted\n"), std::string::npos) << text;
    const Json json = way_json(policy, traffic(), way_of(policy, traffic()));
    EXPECT_EQ(json["result"]["depends_on_callouts"], Json::array({"asker"}));
    EXPECT_EQ(json["result"]["otherwise"], "block");
}

TEST(Explain, AssumesTheAnswersThatAreGiven) {
    const auto policy = policy_of(with_callout);
    Answers answers;
    answers.by_name["asker"] = {FWP_ACTION_BLOCK, true};
    const std::string text = explained(policy, traffic(), answers);
    EXPECT_NE(text.find("callout 'asker' answers: block, hard"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("ale_auth_connect_v4: block by filter 1 'ask'\n")) << text;
}

TEST(Explain, KnowsWhatIsNotRegistered) {
    const auto policy = policy_of(with_callout);
    Answers answers;
    answers.unregistered.insert(*Guid::parse("12345678-1234-1234-1234-123456789abc"));
    const std::string text = explained(policy, traffic(), answers);
    EXPECT_NE(text.find("callout 'asker' is not registered: block"), std::string::npos) << text;
}

TEST(Explain, HasTheSameInJson) {
    const auto policy = policy_of(front_and_back);
    const Json json = way_json(policy, traffic(), way_of(policy, traffic()));
    EXPECT_EQ(json["schema"], schema);
    const Json &front = json["layers"][0]["sublayers"][0];
    EXPECT_EQ(front["sublayer"], "front");
    EXPECT_EQ(front["filters"][0]["matched"], false);
    EXPECT_EQ(front["filters"][0]["condition"], "remote_port 23");
    EXPECT_EQ(front["filters"][1]["action"], "permit");
    EXPECT_EQ(front["filters"][1]["hard"], true);
    EXPECT_EQ(json["result"]["action"], "permit");
}

TEST(Way, LeadsThroughTheLayersOfItsDirectionAndFamily) {
    const auto names = [](const Traffic &about) {
        std::vector<std::string> all;
        for (const auto layer : layers_passed(about))
            all.push_back(policyfile::layer_name(layer));
        return all;
    };
    EXPECT_EQ(names(traffic()),
              (std::vector<std::string>{"ale_connect_redirect_v4", "ale_auth_connect_v4",
                                        "outbound_transport_v4", "outbound_ippacket_v4",
                                        "outbound_mac_frame_ethernet"}));
    EXPECT_EQ(names(traffic("[fd00::1]:5", "[fd00::2]:6", true)),
              (std::vector<std::string>{"inbound_mac_frame_ethernet", "inbound_ippacket_v6",
                                        "inbound_transport_v6", "ale_auth_recv_accept_v6"}));
}

TEST(Traffic, KnowsWhichSideIsLocal) {
    const auto in = traffic("10.0.0.9:5", "10.0.0.1:80", true);
    EXPECT_EQ(in.local.port, 80);
    EXPECT_EQ(in.remote.port, 5);
    EXPECT_EQ(text_of(in), "tcp 10.0.0.9:5 -> 10.0.0.1:80, inbound");
    EXPECT_TRUE(traffic("127.0.0.1:1", "127.0.0.1:2").loopback);
    EXPECT_FALSE(parse_endpoint("10.0.0.1")->port);
}

TEST(Traffic, RefusesWhatIsNone) {
    for (const char *bad :
         {"", "10.0.0", "10.0.0.1:65536", "10.0.0.1:", "[::1", "[::1]80", "::1:x"})
        EXPECT_FALSE(parse_endpoint(bad)) << bad;
    EXPECT_FALSE(parse_traffic("tcp", "10.0.0.1:1", "[::1]:1", false));
    EXPECT_FALSE(parse_traffic("tpc", "10.0.0.1:1", "10.0.0.1:1", false));
    auto told = traffic();
    told.given = {"ap: x"};
    EXPECT_FALSE(packet_at(told, 48));
    told.given = {"remote_port: {greater: 5}"};
    EXPECT_FALSE(packet_at(told, 48));
}

TEST(Answer, IsANameAndAnAction) {
    const auto answer = parse_answer("my = callout=block,hard");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->first, "my = callout");
    EXPECT_EQ(answer->second.action, FWP_ACTION_BLOCK);
    EXPECT_TRUE(answer->second.clear_right);
    for (const char *bad : {"x", "=permit", "x=", "x=drop", "x=hard"})
        EXPECT_FALSE(parse_answer(bad)) << bad;
}

} // namespace
} // namespace sluice::cli
