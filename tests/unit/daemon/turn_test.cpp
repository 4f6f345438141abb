// SPDX-License-Identifier: Apache-2.0
#include "daemon/turn.h"

#include <gtest/gtest.h>

namespace sluice::daemon {
namespace {

using std::chrono::milliseconds;

class Turn : public testing::Test {
protected:
    Turn() : loop(std::move(*Loop::make())), turn(*loop) {}
    WriterTurn::Granted note(int who) {
        return [this, who](bool granted) { log.push_back(granted ? who : -who); };
    }
    std::unique_ptr<Loop> loop;
    WriterTurn turn;
    std::vector<int> log;
};

TEST_F(Turn, IsTakenAtOnceWhenFree) {
    turn.take(1, milliseconds(0), note(1));
    EXPECT_EQ(log, std::vector<int>{1});
    EXPECT_EQ(turn.holder(), 1u);
}

TEST_F(Turn, GoesToThoseWhoWaitInTheirOrder) {
    turn.take(1, milliseconds(1000), note(1));
    turn.take(2, milliseconds(1000), note(2));
    turn.take(3, milliseconds(1000), note(3));
    EXPECT_EQ(log, std::vector<int>{1});
    turn.give_back(2); // not its to give
    turn.give_back(1);
    turn.give_back(2);
    EXPECT_EQ(log, (std::vector<int>{1, 2, 3}));
}

TEST_F(Turn, IsRefusedWhenTheWaitIsOver) {
    turn.take(1, milliseconds(1000), note(1));
    turn.take(2, milliseconds(10), note(2));
    loop->turn(milliseconds(500));
    EXPECT_EQ(log, (std::vector<int>{1, -2}));
    turn.give_back(1);
    EXPECT_EQ(turn.holder(), 0u);
}

TEST_F(Turn, IsFreedWhenItsHolderIsForgotten) {
    turn.take(1, milliseconds(1000), note(1));
    turn.take(2, milliseconds(1000), note(2));
    turn.take(3, milliseconds(1000), note(3));
    turn.forget(2);
    turn.forget(1);
    EXPECT_EQ(log, (std::vector<int>{1, 3}));
}

} // namespace
} // namespace sluice::daemon
