// SPDX-License-Identifier: Apache-2.0
#include "policyfile/conditions.h"

#include "read.h"

namespace sluice::policyfile {
namespace {

struct Seen {
    std::uint32_t match = 0;
    std::uint32_t type = 0;
    std::uint64_t low = 0, high = 0; // of a range; else the number twice
    bool operator==(const Seen &) const = default;
};
std::ostream &operator<<(std::ostream &out, const Seen &s) {
    return out << "match " << s.match << " type " << s.type << " " << s.low << "-" << s.high;
}

std::vector<Seen> conditions(const PolicyFile &file) {
    std::vector<Seen> all;
    EXPECT_TRUE(file.good()) << file.errors();
    if (file.objects.filters_size() != 1) return all;
    for (const auto &c : file.objects.filters(0).conditions()) {
        const auto &v = c.value();
        const bool range = v.type() == FWP_RANGE_TYPE;
        all.push_back({c.match(), range ? v.low().type() : v.type(),
                       range ? v.low().number() : v.number(),
                       range ? v.high().number() : v.number()});
    }
    return all;
}

TEST(Conditions, ListsAreAlternatives) {
    EXPECT_EQ(conditions(read_condition("remote_port: [443, 8000-8999]")),
              (std::vector<Seen>{{FWP_MATCH_EQUAL, FWP_UINT16, 443, 443},
                                 {FWP_MATCH_RANGE, FWP_UINT16, 8000, 8999}}));
}

TEST(Conditions, ComparisonsAreMaps) {
    const auto one = [](const char *text) { return conditions(read_condition(text)).at(0); };
    EXPECT_EQ(one("remote_port: {greater: 1023}"),
              (Seen{FWP_MATCH_GREATER, FWP_UINT16, 1023, 1023}));
    EXPECT_EQ(one("remote_port: {less: 5}"), (Seen{FWP_MATCH_LESS, FWP_UINT16, 5, 5}));
    EXPECT_EQ(one("remote_port: {greater_or_equal: 5}"),
              (Seen{FWP_MATCH_GREATER_OR_EQUAL, FWP_UINT16, 5, 5}));
    EXPECT_EQ(one("remote_port: {less_or_equal: 5}"),
              (Seen{FWP_MATCH_LESS_OR_EQUAL, FWP_UINT16, 5, 5}));
    EXPECT_EQ(one("remote_port: {not: 22}"), (Seen{FWP_MATCH_NOT_EQUAL, FWP_UINT16, 22, 22}));
    EXPECT_EQ(one("remote_port: {range: [5, 6]}"), (Seen{FWP_MATCH_RANGE, FWP_UINT16, 5, 6}));
    EXPECT_EQ(one("flags: {flags_any: [loopback, fragment]}"),
              (Seen{FWP_MATCH_FLAGS_ANY_SET, FWP_UINT32, 0x21, 0x21}));
    EXPECT_EQ(one("flags: {flags_none: loopback}"),
              (Seen{FWP_MATCH_FLAGS_NONE_SET, FWP_UINT32, 1, 1}));
    EXPECT_EQ(one("flags: {not: loopback}"), (Seen{FWP_MATCH_FLAGS_NONE_SET, FWP_UINT32, 1, 1}));
    EXPECT_EQ(one("flags: loopback"), (Seen{FWP_MATCH_FLAGS_ALL_SET, FWP_UINT32, 1, 1}));
    EXPECT_EQ(one("app: {ends_with: /curl}").match, static_cast<std::uint32_t>(FWP_MATCH_PREFIX));
    EXPECT_EQ(one("app: {equal_no_case: /CURL}").match,
              static_cast<std::uint32_t>(FWP_MATCH_EQUAL_CASE_INSENSITIVE));
    EXPECT_EQ(one("user: {sid: S-1-22-1-5}").type, static_cast<std::uint32_t>(FWP_SID));
    EXPECT_EQ(one("interface: {empty: true}"), (Seen{FWP_MATCH_EQUAL, FWP_EMPTY, 0, 0}));
}

TEST(Conditions, NotOfSeveralValuesIsWhatIsLeft) {
    EXPECT_EQ(conditions(read_condition("remote_port: {not: [0, 80-90, 65535]}")),
              (std::vector<Seen>{{FWP_MATCH_RANGE, FWP_UINT16, 1, 79},
                                 {FWP_MATCH_RANGE, FWP_UINT16, 91, 65534}}));
    EXPECT_EQ(conditions(read_condition("remote_address: {not: [10.0.0.0/8, 0.0.0.0/8, "
                                        "128.0.0.0/1]}")),
              (std::vector<Seen>{{FWP_MATCH_RANGE, FWP_UINT32, 0x01000000, 0x09ffffff},
                                 {FWP_MATCH_RANGE, FWP_UINT32, 0x0b000000, 0x7fffffff}}));
    const auto v6 = read_condition("remote_address: {not: 8000::/1}", "ale_auth_connect_v6");
    ASSERT_TRUE(v6.good()) << v6.errors();
    EXPECT_EQ(v6.objects.filters(0).conditions(0).value().high().data(),
              "\x7f" + std::string(15, '\xff'));
}

TEST(Conditions, OfOneFamilyMakeNoFilterInTheOther) {
    const auto both =
        read_condition("remote_address: [10.0.0.0/8, 'fd00::/8']", "ale_auth_connect");
    ASSERT_TRUE(both.good()) << both.errors();
    ASSERT_EQ(both.objects.filters_size(), 2);
    EXPECT_EQ(both.objects.filters(0).conditions(0).value().type(), FWP_V4_ADDR_MASK);
    EXPECT_EQ(both.objects.filters(1).conditions(0).value().type(), FWP_V6_ADDR_MASK);
    const auto v4 = read_condition("remote_address: 10.0.0.0/8", "ale_auth_connect");
    ASSERT_TRUE(v4.good());
    ASSERT_EQ(v4.objects.filters_size(), 1);
    EXPECT_EQ(v4.objects.filters(0).layer(), 48u);
    const auto wrong = read_condition("remote_address: [10.0.0.1, '::1']");
    EXPECT_EQ(said(wrong), std::vector<std::string>{"7:34 this is of the other family: none of the "
                                                    "filter's layers has it"});
    const auto none =
        read_condition("{remote_address: 10.0.0.1, local_address: '::1'}", "ale_auth_connect");
    ASSERT_EQ(said(none).size(), 1u);
    EXPECT_NE(said(none)[0].find("different families"), std::string::npos) << said(none)[0];
}

TEST(Conditions, InAListMayNameAFieldAgain) {
    const auto file = read_filter("    layer: ale_auth_connect_v4\n    action: block\n"
                                  "    conditions:\n    - remote_port: {greater: 10}\n"
                                  "    - protocol: udp\n    - remote_port: {less: 20}\n");
    EXPECT_EQ(conditions(file).size(), 3u);
}

TEST(Conditions, WrongOnesAreToldWhere) {
    const auto first = [](const char *text) { return said(read_condition(text)).at(0); };
    EXPECT_TRUE(first("remote_port: [1, x]").starts_with("7:24 remote_port: 'x' is no number"));
    EXPECT_TRUE(first("remote_port: {not: 1, less: 2}").starts_with("7:20 remote_port: one comp"));
    EXPECT_TRUE(first("remote_port: {near: 1}").starts_with("7:21 remote_port: 'near' is no comp"));
    EXPECT_TRUE(first("remote_port: []").starts_with("7:20 remote_port: the list is empty"));
    EXPECT_TRUE(first("remote_port: ~").starts_with("7:20 remote_port: a value is needed"));
    EXPECT_TRUE(first("remote_port: ").ends_with(" remote_port: a value is needed"));
    EXPECT_TRUE(
        first("remote_port: {greater: 1-2}").starts_with("7:30 remote_port: this comparison"));
    EXPECT_TRUE(first("remote_port: {range: 5}").starts_with("7:28 remote_port: a range is"));
    EXPECT_TRUE(first("flags: [loopback, odd]").starts_with("7:25 flags: 'odd' is no number"));
    EXPECT_TRUE(first("remote_port: {not: 0-65535}").starts_with("7:26 remote_port: `not` leaves"));
    EXPECT_TRUE(first("app: {not: [/a, /b]}").starts_with("7:18 app: `not` takes one"));
    EXPECT_TRUE(first("user: {sid: nobody}").starts_with("7:19 user: 'nobody' is no value of"));
    EXPECT_TRUE(first("remote_port: {empty: yes}").starts_with("7:28 remote_port: `empty`"));
}

TEST(ConditionText, IsReadByPeople) {
    const auto text = [](const char *condition) {
        const auto file = read_condition(condition);
        return condition_text(file.objects.filters(0).conditions(0), 48);
    };
    EXPECT_EQ(text("remote_port: 443"), "remote_port 443");
    EXPECT_EQ(text("remote_address: 10.0.0.0/8"), "remote_address 10.0.0.0/8");
    EXPECT_EQ(text("app: {ends_with: curl}"), "app ends with curl");
    EXPECT_EQ(text("protocol: {not: tcp}"), "protocol not tcp");
    EXPECT_EQ(text("flags: {flags_any: [loopback, fragment]}"), "flags any loopback, fragment");
}

TEST(AddConditions, IsTheSameGrammar) {
    protocol::Filter filter;
    ASSERT_TRUE(add_conditions("remote_port: [80, {greater: 1000}]", 48, filter));
    EXPECT_EQ(filter.conditions_size(), 2);
    const auto bad = add_conditions("{remote_port: 1, remote_address: '::1'}", 48, filter);
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().text().find("other family"), std::string::npos) << bad.error().text();
    EXPECT_EQ(filter.conditions_size(), 2);
    ASSERT_TRUE(add_condition("protocol", {"tcp", "udp"}, 48, filter));
    EXPECT_EQ(filter.conditions_size(), 4);
    const auto word = add_condition("protocol", {"tcp", "odd"}, 48, filter);
    ASSERT_FALSE(word);
    EXPECT_NE(word.error().text().find("odd"), std::string::npos);
    EXPECT_EQ(filter.conditions_size(), 4);
}

} // namespace
} // namespace sluice::policyfile
