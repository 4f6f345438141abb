// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "datapath/netns.h"

using sluice::Fd;
using sluice::datapath::NetNs;

TEST(NetNsDescriptor, RefusesWhatIsNotANetworkNamespace) {
    for (const char *path : {"/dev/null", "/proc/self/ns/mnt"}) {
        auto ns = NetNs::from_fd(Fd(open(path, O_RDONLY | O_CLOEXEC)));
        ASSERT_FALSE(ns) << path;
        EXPECT_EQ(ns.error().code, EINVAL) << path;
    }
    EXPECT_FALSE(NetNs::from_fd(Fd()));
}
