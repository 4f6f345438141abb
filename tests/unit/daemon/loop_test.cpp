// SPDX-License-Identifier: Apache-2.0
#include "daemon/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace sluice::daemon {
namespace {

using std::chrono::milliseconds;

TEST(Loop, RunsTimersInTheOrderOfTheirTimes) {
    auto loop = std::move(*Loop::make());
    std::string order;
    loop->after(milliseconds(20), [&] {
        order += "c";
        loop->stop(7);
    });
    loop->after(milliseconds(0), [&] { order += "a"; });
    loop->after(milliseconds(5), [&] { order += "b"; });
    loop->cancel(loop->after(milliseconds(1), [&] { order += "x"; }));
    EXPECT_EQ(loop->run(), 7);
    EXPECT_EQ(order, "abc");
}

TEST(Loop, AHandlerMayForgetAnotherThatIsDueInTheSameRound) {
    auto loop = std::move(*Loop::make());
    Fd one(::eventfd(1, EFD_CLOEXEC)), two(::eventfd(1, EFD_CLOEXEC));
    int calls = 0;
    const auto only_once = [&](std::uint32_t) {
        ++calls;
        loop->forget(one.get());
        loop->forget(two.get());
    };
    ASSERT_TRUE(loop->watch(one.get(), EPOLLIN, only_once));
    ASSERT_TRUE(loop->watch(two.get(), EPOLLIN, only_once));
    loop->turn(milliseconds(10));
    loop->turn(milliseconds(10));
    EXPECT_EQ(calls, 1);
}

TEST(Loop, ATimerThatStartsItselfAnewLeavesTheOthersTheirTurn) {
    auto loop = std::move(*Loop::make());
    int rounds = 0;
    std::function<void()> again = [&] {
        ++rounds;
        loop->after(milliseconds(0), again);
    };
    again();
    loop->turn(milliseconds(0));
    EXPECT_EQ(rounds, 2);
}

} // namespace
} // namespace sluice::daemon
