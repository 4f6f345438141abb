// SPDX-License-Identifier: Apache-2.0
#include "daemon/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/plugins.h"
#include "daemon/routes.h"

namespace sluice::daemon {
namespace {

TEST(ProcessStat, IsReadBehindANameThatLooksLikeFields) {
    const auto stat = parse_process_stat(
        "12 (a) T 1 (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21");
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->start_ticks, 4242u);
    EXPECT_FALSE(parse_process_stat("12 (a"));
    EXPECT_FALSE(parse_process_stat("12 (a) S 1 2 3"));
}

TEST(Process, IsKnownByPidAndStartTogether) {
    const auto stat = process_stat(::getpid());
    ASSERT_TRUE(stat);
    const std::uint64_t start_ns =
        stat->start_ticks * (1000000000ull / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
    EXPECT_NE(executable_of(::getpid(), start_ns).find("daemon_test"), std::string::npos);
    EXPECT_EQ(executable_of(::getpid(), start_ns + 1000000000ull), "");
    EXPECT_TRUE(open_pidfd(::getpid()));
}

TEST(BackOffTime, DoublesToHalfAMinuteAndForgetsAfterALongLife) {
    BackOff back_off;
    EXPECT_EQ(back_off.next(Milliseconds(0)), Milliseconds(500));
    EXPECT_EQ(back_off.next(Milliseconds(0)), Milliseconds(1000));
    for (int i = 0; i < 10; ++i)
        back_off.next(Milliseconds(0));
    EXPECT_EQ(back_off.next(Milliseconds(0)), Milliseconds(30000));
    EXPECT_EQ(back_off.next(Milliseconds(120000)), Milliseconds(500));
}

TEST(Routes, NameTheDevicesThatTrafficCanLeaveBy) {
    const std::string v4 =
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n"
        "slc3 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
    EXPECT_EQ(devices_in_routes(v4, false), std::set<std::string>{"eth0"});
    const std::string zeros(32, '0');
    const std::string rest =
        " 40 " + zeros + " 00 " + zeros + " 00000100 00000001 00000000 00000001 ";
    EXPECT_EQ(devices_in_routes("fe80" + zeros.substr(4) + rest + "eth1\n" + "2001" +
                                    zeros.substr(4) + rest + "eth2\n",
                                true),
              std::set<std::string>{"eth2"});
}

} // namespace
} // namespace sluice::daemon
