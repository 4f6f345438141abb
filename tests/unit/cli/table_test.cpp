// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <gtest/gtest.h>
#include <sluice/fwp.h>

namespace sluice::cli {
namespace {

TEST(Table, AlignsNumbersRightAndWordsLeft) {
    EXPECT_EQ(table({{"ID", "NAME"}, {"7", "a"}, {"100", "long"}}),
              " ID  NAME\n  7  a\n100  long\n");
}

TEST(Table, ShowsAgesInTenthsOfSeconds) {
    EXPECT_EQ(age_text(12345), "12.3s");
    EXPECT_EQ(age_text(0), "0.0s");
}

TEST(Table, LetsNoProgramNameSteerTheTerminal) {
    EXPECT_EQ(readable("a\x1b[2Jb\n"), "a?[2Jb?");
}

TEST(Table, EveryRowFitsItsHeading) {
    EXPECT_EQ(heading(static_cast<protocol::Hold *>(nullptr)).size(), row(protocol::Hold()).size());
    EXPECT_EQ(heading(static_cast<protocol::Nic *>(nullptr)).size(), row(protocol::Nic()).size());
    EXPECT_EQ(heading(static_cast<protocol::Plugin *>(nullptr)).size(),
              row(protocol::Plugin()).size());
    EXPECT_EQ(heading(static_cast<protocol::Host *>(nullptr)).size(), row(protocol::Host()).size());
    EXPECT_EQ(heading(static_cast<protocol::CalloutInfo *>(nullptr)).size(),
              row(protocol::CalloutInfo()).size());
    EXPECT_EQ(heading(static_cast<protocol::Filter *>(nullptr)).size(),
              row(protocol::Filter()).size());
    EXPECT_EQ(heading(static_cast<protocol::SubLayer *>(nullptr)).size(),
              row(protocol::SubLayer()).size());
    EXPECT_EQ(heading(static_cast<protocol::Redirect *>(nullptr)).size(),
              row(protocol::Redirect()).size());
    EXPECT_EQ(heading(static_cast<protocol::Counter *>(nullptr)).size(),
              row(protocol::Counter()).size());
}

TEST(Table, AChainIsItsNamesInTheirOrderOrTheirKeys) {
    protocol::Redirect m;
    m.add_hops()->set_provider_name("filter proxy");
    m.add_hops()->set_provider(std::string(16, '\1'));
    EXPECT_EQ(row(m)[8], "filter proxy > 01010101-0101-0101-0101-010101010101");
}

TEST(Table, APermitWithATargetIsShownAsTheRedirectionThatItIs) {
    protocol::Filter m;
    m.set_action(FWP_ACTION_PERMIT);
    m.set_layer(FWPS_LAYER_ALE_CONNECT_REDIRECT_V6);
    EXPECT_EQ(row(m)[5], "permit");
    m.set_provider_context(std::string(16, '\1'));
    EXPECT_EQ(row(m)[5], "redirect");
    m.set_layer(FWPS_LAYER_ALE_AUTH_CONNECT_V6);
    EXPECT_EQ(row(m)[5], "permit");
}

} // namespace
} // namespace sluice::cli
