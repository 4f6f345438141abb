// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <gtest/gtest.h>

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
    EXPECT_EQ(heading(static_cast<protocol::Counter *>(nullptr)).size(),
              row(protocol::Counter()).size());
}

} // namespace
} // namespace sluice::cli
