// SPDX-License-Identifier: Apache-2.0
#include "core/crash_point.h"

#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice {
namespace {

// What becomes of a process that makes this many writes when it is to die at `at`.
int status_after(int writes, const char *at) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (at != nullptr) ::setenv("SLUICE_DIE_AT_WRITE", at, 1);
        for (int i = 0; i < writes; ++i)
            crash_point();
        ::_exit(0);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
}

TEST(CrashPoint, KillsAtTheChosenWriteAndNotBefore) {
    EXPECT_EQ(status_after(2, "3"), 0);
    const int killed = status_after(3, "3");
    EXPECT_TRUE(WIFSIGNALED(killed));
    EXPECT_EQ(WTERMSIG(killed), SIGKILL);
    EXPECT_EQ(status_after(100, nullptr), 0);
}

} // namespace
} // namespace sluice
