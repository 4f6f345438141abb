// SPDX-License-Identifier: Apache-2.0
#include "cli/words.h"

#include <gtest/gtest.h>

#include "cli/commands.h"

namespace sluice::cli {
namespace {

using Words = std::vector<std::string>;

Words expanded(const Words &words) {
    auto r = expand(words, vocabulary());
    return r ? *r : Words{r.error().text()};
}

TEST(Words, TakesUnambiguousBeginnings) {
    EXPECT_EQ(expanded({"ho", "l"})[0].find("object 'ho' may be any of"), 0u);
    EXPECT_EQ(expanded({"hol", "l"}), (Words{"hold", "list"}));
    EXPECT_EQ(expanded({"n", "lo", "eth0"}), (Words{"nic", "load", "eth0"}));
    EXPECT_EQ(expanded({"n", "l"})[0].find("nic action 'l' may be any of"), 0u);
}

TEST(Words, KnowsAliases) {
    EXPECT_EQ(expanded({"filter", "ls"}), (Words{"filter", "list"}));
    EXPECT_EQ(expanded({"filter", "rm", "4"}), (Words{"filter", "delete", "4"}));
    EXPECT_EQ(expanded({"nic", "rm", "eth0"}), (Words{"nic", "unload", "eth0"}));
}

TEST(Words, ListsWhenNoActionIsGiven) {
    EXPECT_EQ(expanded({"hold"}), (Words{"hold", "list"}));
    EXPECT_EQ(expanded({"hold", "-j"}), (Words{"hold", "list", "-j"}));
    EXPECT_EQ(expanded({"hold", "--help"}), (Words{"hold", "--help"}));
    EXPECT_EQ(expanded({"status"}), (Words{"status"}));
}

TEST(Words, PassesOverGlobalOptionsAndTheirValues) {
    EXPECT_EQ(expanded({"-j", "--socket", "/tmp/s", "hol", "sh", "3"}),
              (Words{"-j", "--socket", "/tmp/s", "hold", "show", "3"}));
}

TEST(Words, NamesWhatIsKnownWhenAWordIsNot) {
    EXPECT_NE(expanded({"frob"})[0].find("'frob'"), std::string::npos);
    EXPECT_NE(expanded({"hold", "frob"})[0].find("permit"), std::string::npos);
}

} // namespace
} // namespace sluice::cli
