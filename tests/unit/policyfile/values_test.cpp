// SPDX-License-Identifier: Apache-2.0
#include "policyfile/values.h"

#include <gtest/gtest.h>
#include <set>

#include "policyfile/values_text.h"
#include "sluice/detail/fwp_tables.hpp"

namespace sluice::policyfile {
namespace {

TEST(Fields, EveryConditionOfTheTablesHasAWord) {
    std::set<std::string> words;
    for (const auto &field : fields()) {
        EXPECT_TRUE(words.insert(field.word).second) << field.word << " twice";
        EXPECT_FALSE(field.key.is_null()) << field.word;
    }
    for (const auto &row : tables::conditions) {
        const std::string name = row.name;
        std::string word = name.substr(name.find("_CONDITION_") + 11);
        for (char &c : word)
            c = static_cast<char>(std::tolower(c));
        const Field *field = field_of_word(word);
        ASSERT_NE(field, nullptr) << word;
        EXPECT_EQ(std::memcmp(&field->key, &row.key, sizeof row.key), 0) << word;
    }
    for (const char *word : {"remote_address", "app", "user", "group", "cgroup", "container",
                             "interface", "interface_type", "mac", "ether_type", "vlan",
                             "icmp_type", "icmp_code", "packet_length", "direction", "flags"})
        EXPECT_NE(field_of_word(word), nullptr) << word;
    EXPECT_EQ(field_word(field_of_word("ip_remote_port")->key), "remote_port");
}

struct Good {
    const char *field, *word;
    std::uint32_t type;
    std::uint64_t number;
};

TEST(Values, ReadNamesNumbersAndUnits) {
    for (const auto &[field, word, type, number] :
         {Good{"protocol", "tcp", FWP_UINT8, 6}, Good{"protocol", "0x11", FWP_UINT8, 17},
          Good{"remote_port", "443", FWP_UINT16, 443},
          Good{"remote_address", "10.1.2.3", FWP_UINT32, 0x0a010203},
          Good{"user", "root", FWP_UINT32, 0}, Good{"user", "12345", FWP_UINT32, 12345},
          Good{"group", "root", FWP_UINT32, 0}, Good{"interface_type", "loopback", FWP_UINT32, 24},
          Good{"ether_type", "arp", FWP_UINT16, 0x0806}, Good{"vlan", "4094", FWP_UINT16, 4094},
          Good{"icmp_type", "echo-request", FWP_UINT16, 8},
          Good{"direction", "inbound", FWP_UINT32, 1},
          Good{"packet_length", "64KiB", FWP_UINT32, 65536}, Good{"cgroup", "77", FWP_UINT64, 77},
          Good{"ip_local_address_type", "multicast", FWP_UINT8, 3}}) {
        const auto value = parse_value(*field_of_word(field), Family::v4, word);
        ASSERT_TRUE(value && *value) << field << " " << word;
        EXPECT_EQ((*value)->type(), type) << field;
        EXPECT_EQ((*value)->number(), number) << field;
    }
    EXPECT_EQ((*parse_value(*field_of_word("icmp_type"), Family::v6, "echo-request"))->number(),
              128u);
}

TEST(Values, ReadRangesPrefixesAndTexts) {
    const auto range = *parse_value(*field_of_word("remote_port"), Family::v4, "8000-8999");
    EXPECT_EQ(range->type(), FWP_RANGE_TYPE);
    EXPECT_EQ(range->low().number(), 8000u);
    const auto prefix = *parse_value(*field_of_word("remote_address"), Family::v4, "10.0.0.0/8");
    EXPECT_EQ(prefix->mask(), 0xff000000u);
    const auto mask =
        *parse_value(*field_of_word("remote_address"), Family::v4, "10.0.0.1/255.0.255.0");
    EXPECT_EQ(mask->mask(), 0xff00ff00u);
    const auto v6 = *parse_value(*field_of_word("remote_address"), Family::v6, "2001:db8::/32");
    EXPECT_EQ(v6->type(), FWP_V6_ADDR_MASK);
    EXPECT_EQ(v6->mask(), 32u);
    EXPECT_EQ((*parse_value(*field_of_word("mac"), Family::none, "02:00:5E:00:53:01"))->data(),
              std::string("\x02\x00\x5e\x00\x53\x01", 6));
    EXPECT_EQ((*parse_value(*field_of_word("app"), Family::v4, "/usr/bin/curl"))->data(),
              "/usr/bin/curl");
}

TEST(Values, OfTheOtherFamilyAreNoErrorAndNoValue) {
    const auto value = parse_value(*field_of_word("remote_address"), Family::v4, "::1");
    ASSERT_TRUE(value);
    EXPECT_FALSE(*value);
    const auto icmp = parse_value(*field_of_word("icmp_type"), Family::v4, "packet-too-big");
    ASSERT_TRUE(icmp);
    EXPECT_FALSE(*icmp);
}

TEST(Values, WrongOnesAreNamed) {
    for (const auto &[field, word] : {std::pair{"remote_port", "65536"},
                                      {"remote_port", "90-80"},
                                      {"remote_port", "http"},
                                      {"remote_address", "10.0.0"},
                                      {"remote_address", "10.0.0.0/33"},
                                      {"remote_address", "::/129"},
                                      {"remote_address", "10.0.0.9-10.0.0.1"},
                                      {"remote_address", "10.0.0.1-::1"},
                                      {"protocol", "256"},
                                      {"protocol", "tcpp"},
                                      {"user", "no such user"},
                                      {"mac", "02:00:5e"},
                                      {"packet_length", "64Kib"},
                                      {"packet_length", "99999999GiB"},
                                      {"interface_type", "loop"}}) {
        const auto value = parse_value(*field_of_word(field), Family::v4, word);
        ASSERT_FALSE(value) << field << " took " << word;
        EXPECT_NE(value.error().text().find(std::string(word).substr(0, 7)), std::string::npos)
            << value.error().text();
    }
}

TEST(Typed, ValuesSayTheirType) {
    const auto sid = parse_typed("sid", "S-1-22-1-1000");
    ASSERT_TRUE(sid);
    EXPECT_EQ(sid->data(), std::string("\x01\x02\0\0\0\0\0\x16\x01\0\0\0\xe8\x03\0\0", 16));
    EXPECT_EQ(print_typed(*sid), (std::pair<std::string, std::string>{"sid", "S-1-22-1-1000"}));
    const auto app = parse_typed("app_id", "/bin/\xc3\xa4");
    ASSERT_TRUE(app);
    EXPECT_EQ(app->data(), std::string("/\0b\0i\0n\0/\0\xe4\0\0\0", 14));
    EXPECT_EQ(print_typed(*app).second, "/bin/\xc3\xa4");
    EXPECT_FALSE(parse_typed("uint8", "256"));
    EXPECT_FALSE(parse_typed("sid", "S-1-"));
    EXPECT_FALSE(parse_typed("uint9", "1"));
}

TEST(Durations, HaveUnits) {
    EXPECT_EQ(milliseconds_of("60s"), 60000u);
    EXPECT_EQ(milliseconds_of("250ms"), 250u);
    EXPECT_EQ(milliseconds_of("2m"), 120000u);
    EXPECT_EQ(milliseconds_of("5"), 5000u);
    for (const char *bad : {"", "s", "5 s", "-5s", "5x", "99999999999999999999s"})
        EXPECT_FALSE(milliseconds_of(bad)) << bad;
}

} // namespace
} // namespace sluice::policyfile
