// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include "policyfile/names.h"
#include "policyfile/tree.h"
#include "policyfile/writer.h"
#include "read.h"

namespace sluice::policyfile {
namespace {

namespace fs = std::filesystem;

constexpr const char *whole = R"(version: 1
sublayers:
  - name: front
    weight: 0x9000
callouts:
  - name: asker
    key: 12345678-1234-1234-1234-123456789abc
    layer: ale_auth_connect_v4
filters:
  - name: ask about the web
    layer: ale_auth_connect_v4
    sublayer: front
    action: callout asker unknown
    flags: [permit-if-unregistered]
    conditions:
      protocol: tcp
      remote_port: [80, 443]
  - name: no telnet
    layer: ale_auth_connect
    sublayer: front
    action: block
    lifetime: persistent
    conditions: {remote_port: 23}
)";

TEST(Reader, MakesObjectsOfAWholeFile) {
    const auto file = read(whole);
    ASSERT_TRUE(file.good()) << file.errors();
    ASSERT_EQ(file.objects.sublayers_size(), 1);
    EXPECT_EQ(file.objects.sublayers(0).weight(), 0x9000u);
    ASSERT_EQ(file.objects.filters_size(), 3);
    const auto &ask = file.objects.filters(0);
    EXPECT_EQ(ask.sublayer(), file.objects.sublayers(0).key());
    EXPECT_EQ(ask.callout(), file.objects.callouts(0).key());
    EXPECT_EQ(ask.action(), FWP_ACTION_CALLOUT_UNKNOWN);
    EXPECT_EQ(ask.flags(), FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED);
    EXPECT_EQ(ask.conditions_size(), 3);
    EXPECT_EQ(file.objects.filters(1).layer(), 48u);
    EXPECT_EQ(file.objects.filters(2).layer(), 50u);
    EXPECT_EQ(file.objects.filters(1).flags(), FWPM_FILTER_FLAG_PERSISTENT);
    EXPECT_NE(file.objects.filters(1).key(), file.objects.filters(2).key());
}

TEST(Reader, GivesFiltersWithoutWeightTheOrderOfTheFile) {
    const auto file = read(whole);
    ASSERT_TRUE(file.good());
    EXPECT_EQ(file.objects.filters(0).weight().number(), first_ordered_weight);
    EXPECT_EQ(file.objects.filters(1).weight().number(), first_ordered_weight - 1);
    EXPECT_EQ(file.objects.filters(2).weight().number(), first_ordered_weight); // another layer
}

TEST(Reader, IsFreeInTheOrderOfItsParts) {
    const auto file = read("filters:\n  - {name: f, layer: ale_auth_connect_v4, sublayer: late, "
                           "action: block}\nsublayers:\n  - {name: late, weight: 5}\nversion: 1\n");
    EXPECT_TRUE(file.good()) << file.errors();
}

TEST(Reader, TakesJsonOfTheSameMeaning) {
    const auto yaml = read(whole);
    const auto json = read(
        "{\"version\":1,\n\t\"sublayers\":[{\"name\":\"front\",\"weight\":36864}],\n\"callouts\":"
        "[{\"name\":\"asker\",\"key\":\"12345678-1234-1234-1234-123456789abc\",\"layer\":"
        "\"ale_auth_connect_v4\"}],\"filters\":[{\"name\":\"ask about the web\",\"layer\":"
        "\"ale_auth_connect_v4\",\"sublayer\":\"front\",\"action\":\"callout asker unknown\","
        "\"flags\":[\"permit-if-unregistered\"],\"conditions\":{\"protocol\":\"tcp\","
        "\"remote_port\":[80,443]}},{\"name\":\"no telnet\",\"layer\":\"ale_auth_connect\","
        "\"sublayer\":\"front\",\"action\":\"block\",\"lifetime\":\"persistent\","
        "\"conditions\":{\"remote_port\":23}}]}");
    ASSERT_TRUE(json.good()) << json.errors();
    EXPECT_EQ(json.objects.SerializeAsString(), yaml.objects.SerializeAsString());
}

TEST(Reader, TellsThePlaceOfAJsonError) {
    const auto file =
        read("{\n  \"version\": 1,\n  \"filters\": [\n    {\"nome\": \"x\"}\n  ]\n}\n");
    ASSERT_FALSE(said(file).empty());
    EXPECT_TRUE(file.errors().starts_with("p.yaml:4:5: ")) << file.errors();
    EXPECT_NE(file.errors().find("p.yaml:4:6: 'nome' does not belong into a filter"),
              std::string::npos)
        << file.errors();
}

struct Wrong {
    const char *text;
    const char *said; // LINE:COLUMN and the beginning of the text
};

class WrongFile : public testing::TestWithParam<Wrong> {};

TEST_P(WrongFile, IsRefusedAtItsPlace) {
    const auto file = read(GetParam().text);
    ASSERT_FALSE(file.good());
    const auto all = said(file);
    bool found = false;
    std::string list;
    for (const auto &one : all) {
        found |= one.starts_with(GetParam().said);
        list += one + "\n";
    }
    EXPECT_TRUE(found) << "wanted " << GetParam().said << ", got\n" << list;
}

#define HEAD "version: 1\nfilters:\n- name: f\n  layer: ale_auth_connect_v4\n  action: block\n"
INSTANTIATE_TEST_SUITE_P(
    Each, WrongFile,
    testing::Values(
        Wrong{"", "0:0 the file is empty"}, Wrong{"filters: []\n", "1:1 `version: 1` is missing"},
        Wrong{"version: 2\n", "1:10 version '2' is not 1"},
        Wrong{"- 1\n", "1:1 a policy file is written as"},
        Wrong{"version: 1\nfilter: []\n", "2:1 'filter' does not belong into a policy file"},
        Wrong{"version: 1\nversion: 1\n", "2:1 'version' is given twice, first in line 1"},
        Wrong{"version: 1\nfilters: 5\n", "2:10 a list is needed"},
        Wrong{"version: 1\nfilters:\n- 5\n", "3:3 a filter is written as"},
        Wrong{"version: [1\n", "2:1 "},
        Wrong{"version: 1\n---\nversion: 1\n", "3:1 a second document"},
        Wrong{"version: !new 1\n", "1:10 the tag"}, Wrong{"version: *a\n", "1:10 "},
        Wrong{"version: 1\n? [a]\n: b\n", "2:3 a key must be a word"},
        Wrong{"version: 1\n\xff: 2\n", "2:1 a byte that is not UTF-8"},
        Wrong{"version: 1\nx: \"\x01\"\n", "2:5 a byte that is not UTF-8"},
        Wrong{"version: 1\ninclude: [x.yaml]\n", "2:11 only a file can include"},
        Wrong{"version: 1\nsublayers:\n- name: a\n", "3:3 a sublayer needs a weight"},
        Wrong{"version: 1\nsublayers:\n- {name: a, weight: 65536}\n",
              "3:21 sublayer weight '65536'"},
        Wrong{"version: 1\nsublayers:\n- {weight: 1}\n", "3:3 a sublayer needs a name"},
        Wrong{"version: 1\nsublayers:\n- {name: '', weight: 1}\n", "3:10 the name is empty"},
        Wrong{"version: 1\nsublayers:\n- {name: a, weight: 1}\n- {name: a, weight: 2}\n",
              "4:3 a second sublayer 'a', the first is in line 3"},
        Wrong{"version: 1\nsublayers:\n- {name: a, weight: 1, key: x}\n", "3:29 'x' is no key"},
        Wrong{"version: 1\ncallouts:\n- {name: a, layer: ale_auth_connect_v4}\n",
              "3:3 a callout needs the key"},
        Wrong{"version: 1\ncallouts:\n- {name: a, layer: ale_auth_connect, key: "
              "12345678-1234-1234-1234-123456789abc}\n",
              "3:20 no layer 'ale_auth_connect': a callout has one"},
        Wrong{"version: 1\nprovider_contexts:\n- {name: a, hex: 1}\n",
              "3:18 '1' is no whole bytes"},
        Wrong{HEAD "  wieght: 3\n", "6:3 'wieght' does not belong into a filter: known are name"},
        Wrong{HEAD "- name: f\n  layer: ale_auth_connect\n  action: permit\n",
              "6:3 a second filter 'f', the first is in line 3"},
        Wrong{HEAD "  sublayer: x\n", "6:13 no sublayer 'x'"},
        Wrong{HEAD "  provider: x\n", "6:13 no provider 'x'"},
        Wrong{HEAD "  weight: heavy\n", "6:11 weight 'heavy' is not auto"},
        Wrong{HEAD "  weight: {range: 16}\n", "6:19 a range of weights"},
        Wrong{HEAD "  weight: {rnage: 1}\n", "6:12 'rnage' does not belong into a weight"},
        Wrong{HEAD "  flags: [soft]\n", "6:11 flag 'soft' is none of"},
        Wrong{HEAD "  lifetime: eternal\n", "6:13 lifetime 'eternal' is none of"},
        Wrong{HEAD "  conditions: 5\n", "6:15 conditions are WORD: VALUE"},
        Wrong{HEAD "  conditions: {remote: 10.0.0.1}\n", "6:16 no condition 'remote'"},
        Wrong{HEAD "  name: g\n", "6:3 'name' is given twice"},
        Wrong{"version: 1\nfilters:\n- {name: f, layer: ale_auth, action: block}\n",
              "3:20 no layer 'ale_auth'"},
        Wrong{"version: 1\nfilters:\n- {name: f, action: block}\n", "3:3 a filter needs a layer"},
        Wrong{"version: 1\nfilters:\n- {name: f, layer: ale_auth_connect}\n",
              "3:3 a filter needs an action"},
        Wrong{"version: 1\nfilters:\n- {name: f, layer: ale_auth_connect, action: drop}\n",
              "3:46 action 'drop' is none of"},
        Wrong{"version: 1\nfilters:\n- {name: f, layer: ale_auth_connect, action: callout x}\n",
              "3:46 no callout 'x'"},
        Wrong{"version: 1\nfilters:\n- {name: f, layer: ale_auth_connect, action: {callout: x, "
              "type: odd}}\n",
              "3:56 callout type 'odd'"},
        Wrong{"version: 1\nfilters:\n- {name: f, layer: ale_auth_connect, action: block, key: "
              "12345678-1234-1234-1234-123456789abc}\n",
              "3:20 a key is of one filter"}));

TEST(Errors, AreAllSaidAtOnceWithTheLineAndACaret) {
    const auto file = read("version: 1\nsublayers:\n  - {name: \"\xc3\xa4\xc3\xb6\", weight: x}\n"
                           "\nfilters:\n\t- name: f\n");
    EXPECT_EQ(file.errors().substr(0, 11), "p.yaml:6:2:") << file.errors();
    const auto two =
        read("version: 1\nsublayers:\n  - {name: \"\xc3\xa4\xc3\xb6\", weight: x}\n  - "
             "{name: b, weight: -1}\n");
    EXPECT_EQ(two.errors(), "p.yaml:3:26: sublayer weight 'x' is not within 0-65535\n"
                            "    - {name: \"\xc3\xa4\xc3\xb6\", weight: x}\n"
                            "                           ^\n"
                            "p.yaml:4:23: sublayer weight '-1' is not within 0-65535\n"
                            "    - {name: b, weight: -1}\n"
                            "                        ^\n");
}

TEST(Errors, ReplaceWhatCouldSteerATerminal) {
    const auto file = read("version: \"\\e[2J\"\n");
    EXPECT_EQ(file.errors().find('\x1b'), std::string::npos);
    EXPECT_NE(file.errors().find("?[2J"), std::string::npos) << file.errors();
}

TEST(Limits, EndDepthAliasesAndSize) {
    EXPECT_EQ(said(read("version: 1\nfilters: " + std::string(40, '[') + std::string(40, ']'))),
              std::vector<std::string>{"2:25 nested deeper than 16 levels"});
    std::string laughs = "version: 1\na: &a [x, x, x, x, x, x, x, x, x, x]\n";
    for (char c = 'b'; c < 'k'; ++c)
        laughs += std::string(1, c) + ": &" + c + " [*" + static_cast<char>(c - 1) + ", *" +
                  static_cast<char>(c - 1) + ", *" + static_cast<char>(c - 1) + ", *" +
                  static_cast<char>(c - 1) + "]\n";
    const auto all = said(read(laughs));
    ASSERT_FALSE(all.empty());
    EXPECT_NE(all.back().find("aliases stand for too much"), std::string::npos) << all.back();
    const Sources sources{{"x", "[1, 2, 3, 4]"}};
    Problems problems;
    Limits few;
    few.nodes = 4;
    EXPECT_FALSE(parse_tree(sources, 0, problems, few));
    ASSERT_EQ(problems.all().size(), 1u);
    EXPECT_EQ(problems.all()[0].place.column, 1); // the list itself is the fifth
}

TEST(Aliases, RepeatWhatTheyStandFor) {
    const auto file = read("version: 1\nfilters:\n- {name: a, layer: ale_auth_connect_v4, action: "
                           "block, conditions: &c {remote_port: 1}}\n- {name: b, layer: "
                           "ale_auth_connect_v4, action: block, conditions: *c}\n");
    ASSERT_TRUE(file.good()) << file.errors();
    EXPECT_EQ(file.objects.filters(1).conditions_size(), 1);
}

TEST(Keys, AreDerivedFromTheNameUnlessGiven) {
    const auto file = read(whole), again = read(whole);
    EXPECT_EQ(file.objects.filters(0).key(), again.objects.filters(0).key());
    EXPECT_EQ(file.objects.filters(0).key(),
              derived_key("filter", "ask about the web", "ale_auth_connect_v4"));
    EXPECT_NE(derived_key("filter", "a", "b"), derived_key("filter", "ab", ""));
    const auto own = read_filter("    layer: ale_auth_connect_v4\n    action: block\n    key: "
                                 "'{12345678-1234-1234-1234-123456789abc}'\n");
    ASSERT_TRUE(own.good()) << own.errors();
    EXPECT_EQ(own.objects.filters(0).key(),
              Guid::parse("12345678-1234-1234-1234-123456789abc")->bytes());
}

TEST(References, AreNamesOfTheFileOrOfTheEngineOrKeys) {
    protocol::Objects known;
    auto &sublayer = *known.add_sublayers();
    sublayer.set_name("theirs");
    sublayer.set_key(std::string(16, 'k'));
    const std::string filter = "version: 1\nfilters:\n- {name: f, layer: ale_auth_connect_v4, "
                               "action: block, sublayer: ";
    const auto named = read_text("p", filter + "theirs}\n", known);
    ASSERT_TRUE(named.good()) << named.errors();
    EXPECT_EQ(named.objects.filters(0).sublayer(), sublayer.key());
    const auto universal = read_text("p", filter + "universal}\n");
    ASSERT_TRUE(universal.good());
    EXPECT_EQ(universal.objects.filters(0).sublayer(), universal_sublayer());
    const auto external = read("version: 1\nsublayers: [{name: theirs, external: true, key: "
                               "12345678-1234-1234-1234-123456789abc}]\nfilters: []\n");
    EXPECT_TRUE(external.good()) << external.errors();
    EXPECT_EQ(external.objects.sublayers_size(), 0);
    EXPECT_EQ(external.external.sublayers_size(), 1);
}

class Directory : public testing::Test {
protected:
    Directory() { fs::create_directories(path_); }
    ~Directory() override { fs::remove_all(path_); }
    std::string write(const std::string &name, const std::string &text) {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
        return (path_ / name).string();
    }
    fs::path path_ = fs::temp_directory_path() / ("policyfile-" + std::to_string(::getpid()));
};

std::string filter_file(const std::string &name, const std::string &more = "") {
    return more + "version: 1\nfilters:\n- {name: " + name +
           ", layer: ale_auth_connect_v4, action: block}\n";
}

TEST_F(Directory, IncludedFilesStandBeforeAndTheDirectoryBesideBehind) {
    write("part.yaml", filter_file("first"));
    write("policy.d/20-b.json", "{\"version\": 1, \"filters\": [{\"name\": \"fourth\", \"layer\": "
                                "\"ale_auth_connect_v4\", \"action\": \"block\"}]}");
    write("policy.d/10-a.yaml", filter_file("third"));
    write("policy.d/README", "not a policy");
    const auto file =
        read_file(write("policy.yaml", filter_file("second", "include: [part.yaml]\n")));
    ASSERT_TRUE(file.good()) << file.errors();
    ASSERT_EQ(file.objects.filters_size(), 4);
    const char *names[] = {"first", "second", "third", "fourth"};
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(file.objects.filters(i).name(), names[i]);
        EXPECT_EQ(file.objects.filters(i).weight().number(),
                  first_ordered_weight - static_cast<unsigned>(i));
    }
}

TEST_F(Directory, ErrorsNameTheIncludedFile) {
    const auto part = write("part.yaml", "version: 1\nfilters: 5\n");
    const auto top = write("policy.yaml", filter_file("x", "include: [part.yaml, none.yaml]\n"));
    const auto file = read_file(top);
    const std::string errors = file.errors();
    EXPECT_NE(errors.find(part + ":2:10: "), std::string::npos) << errors;
    EXPECT_NE(errors.find(top + ":1:22: open"), std::string::npos) << errors;
}

TEST_F(Directory, FilesThatIncludeThemselvesEnd) {
    write("a.yaml", filter_file("a", "include: [b.yaml]\n"));
    const auto b = write("b.yaml", filter_file("b", "include: [a.yaml]\n"));
    const auto file = read_file(b);
    ASSERT_FALSE(file.good());
    EXPECT_NE(file.errors().find("includes itself"), std::string::npos) << file.errors();
}

TEST_F(Directory, AFileThatIsNotThereIsAnError) {
    const auto file = read_file((path_ / "none.yaml").string());
    ASSERT_FALSE(file.good());
    EXPECT_NE(file.errors().find("none.yaml"), std::string::npos);
    EXPECT_NE(file.errors().find("No such file"), std::string::npos) << file.errors();
}

TEST(Hold, OptionsAreReadAndWrittenAgain) {
    const auto file = read_filter("    layer: ale_auth_connect\n    action: callout ask\n"
                                  "    hold: {deadline: 30s, outcome: next}\n");
    ASSERT_TRUE(file.good()) << file.errors();
    ASSERT_EQ(file.objects.filters_size(), 2); // `ask` has a key in each layer
    EXPECT_NE(file.objects.filters(0).callout(), file.objects.filters(1).callout());
    for (const auto &filter : file.objects.filters()) {
        EXPECT_EQ(filter.hold().deadline_ms(), 30000u);
        EXPECT_EQ(filter.hold().outcome(), protocol::NEXT_FILTER);
    }
    const auto again = read(to_yaml(to_tree(file.objects)));
    ASSERT_TRUE(again.good()) << again.errors();
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(again.objects.filters(i).SerializeAsString(),
                  file.objects.filters(i).SerializeAsString());
}

TEST(Hold, WhatIsWrongHasItsPlace) {
    const auto problem = [](const std::string &lines) {
        const auto all = said(read_filter("    layer: ale_auth_connect_v4\n" + lines));
        return all.empty() ? std::string("no problem") : all.front();
    };
    EXPECT_NE(problem("    action: callout ask\n    hold: {deadline: 30}\n").find("'30'"),
              std::string::npos);
    EXPECT_NE(problem("    action: callout ask\n    hold: {outcome: allow}\n").find("'allow'"),
              std::string::npos);
    EXPECT_NE(problem("    action: callout ask\n    hold: 30s\n").find("deadline: TIME"),
              std::string::npos);
    EXPECT_NE(problem("    action: block\n    hold: {deadline: 30s}\n").find("needs a callout"),
              std::string::npos);
    const auto packets =
        said(read_filter("    layer: inbound_ippacket\n    action: callout ask\n"));
    ASSERT_FALSE(packets.empty());
    EXPECT_NE(packets.front().find("'ask'"), std::string::npos);
}

} // namespace
} // namespace sluice::policyfile
