// SPDX-License-Identifier: Apache-2.0
// The quick reader gives what the whole parser gives, or leaves the text to it.
#include "policyfile/plain.h"

#include <gtest/gtest.h>
#include <random>

namespace sluice::policyfile {
namespace {

std::string shown(const Node &node) {
    std::string text = std::to_string(node.place.line) + ":" + std::to_string(node.place.column) +
                       (node.quoted ? " q" : " ") + std::to_string(static_cast<int>(node.kind)) +
                       "'" + node.text + "'(";
    for (const auto &item : node.items)
        text += shown(item) + " ";
    return text + ")";
}

// By the whole parser; empty: something is wrong with the text.
std::string by_whole_parser(const std::string &text) {
    Problems problems;
    const auto node = parse_any({{"t", text}}, 0, problems);
    return node && problems.empty() ? shown(*node) : "";
}

void expect_same(const std::string &text, int &plain) {
    const auto quick = parse_plain(text, 0, {});
    if (!quick) return;
    ++plain;
    EXPECT_EQ(shown(*quick), by_whole_parser(text)) << text;
}

constexpr const char *texts[] = {
    "version: 1\nfilters:\n  - name: a b\n    layer: x_v4\n    conditions:\n      remote: "
    "10.0.0.0/8\n",
    "---\n# begin\na: 1\n\nb:   two words  # and why\nc: a#b\n",
    "list:\n- a\n- b: 1\n  c: 2\n- [1, two words, 'x', \"y\", ::1, fe80::/10]\nnext: {range: 8, "
    "to: {}}\n",
    "a:\n    b:\n        c: 'it''s'\n    d: \"x # y\"\ne: ~\nf: null\ng: []\n",
    "- 1\n- -1\n- a: {b: c}\n  d:\n  - e\n  - f\n",
    "a: 2001:db8::1\nb: x:y\nc: '# no'\nd: -\xc3\xa4\xe2\x82\xac\n",
    "conditions: {protocol: tcp, remote_port: [80, 443], local: {not: 5}}",
};

TEST(PlainTree, IsThatOfTheWholeParser) {
    for (const std::string text : texts) {
        int plain = 0;
        expect_same(text, plain);
        EXPECT_EQ(plain, 1) << text;
    }
}

TEST(PlainTree, IsLeftToTheWholeParserWhereTheTextHasMoreInIt) {
    for (const std::string text : {"",
                                   "# only\n",
                                   "a",
                                   "a:\n",
                                   "a: |\n  x\n",
                                   "a: >\n  x\n",
                                   "a: x\n  y\n",
                                   "a: &b c\n",
                                   "a: *b\n",
                                   "a: !t c\n",
                                   "a: 'x\n  y'\n",
                                   "a: \"\\n\"\n",
                                   "a: [b\n  ]\n",
                                   "? a\n",
                                   "\"a\": 1\n",
                                   "a: b: c\n",
                                   "a: 1\na: 2\n",
                                   "a: 1\n b: 2\n",
                                   "- - a\n",
                                   "a: 1\n---\nb: 2\n",
                                   "a:\t1\n",
                                   "a: 1\r\n",
                                   "- a\nb: 1\n",
                                   "a: 1\n- b\n",
                                   "a: [,]\n",
                                   "a: {b}\n",
                                   "a: {b:c}\n",
                                   "a: [b: c]\n",
                                   "a: 'b' c\n",
                                   "a: [b] c\n",
                                   "null: 1\n",
                                   "%YAML 1.2\n---\na: 1\n",
                                   "a: @b\n"})
        EXPECT_FALSE(parse_plain(text, 0, {})) << text;
}

TEST(PlainTree, KeepsTheLimits) {
    Limits few;
    few.nodes = 5;
    EXPECT_TRUE(parse_plain("a: [1, 2]\n", 0, few));
    EXPECT_FALSE(parse_plain("a: [1, 2, 3]\n", 0, few));
    Limits flat;
    flat.depth = 2;
    EXPECT_TRUE(parse_plain("a: [1]\n", 0, flat));
    EXPECT_FALSE(parse_plain("a: [{}]\n", 0, flat));
    EXPECT_FALSE(parse_plain("a:\n  b:\n    c: 1\n", 0, flat));
}

// Texts with characters and lines of them changed.
TEST(PlainTree, IsThatOfTheWholeParserForWhateverIsWritten) {
    std::mt19937 choose(20);
    const std::string marks = " \n:-#,[]{}'\"~|>&*!?%@a0./\\";
    const auto below = [&choose](std::size_t n) { return choose() % n; };
    int plain = 0;
    for (int i = 0; i < 40000; ++i) {
        std::string text = texts[below(std::size(texts))];
        for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
            const std::size_t at = below(text.size() + 1);
            const char mark = marks[below(marks.size())];
            if (const auto how = below(3); how == 0)
                text.insert(at, 1, mark);
            else if (how == 1 && at < text.size())
                text.erase(at, 1 + below(4));
            else if (at < text.size())
                text[at] = mark;
        }
        expect_same(text, plain);
        if (HasFailure()) return;
    }
    EXPECT_GT(plain, 4000); // of texts that nothing is wrong with
}

} // namespace
} // namespace sluice::policyfile
