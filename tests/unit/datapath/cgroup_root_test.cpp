// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "datapath/attach_cgroup.h"

using sluice::datapath::cgroup_root_in;

TEST(CgroupRoot, IsFoundOnAUnifiedHost) {
    EXPECT_EQ(
        cgroup_root_in("22 18 0:20 / /sys rw - sysfs sysfs rw\n"
                       "26 22 0:24 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"),
        "/sys/fs/cgroup");
}

TEST(CgroupRoot, IsFoundOnAHybridHost) {
    EXPECT_EQ(cgroup_root_in("30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                             "31 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"),
              "/sys/fs/cgroup/unified");
}

TEST(CgroupRoot, SkipsAMountOfASubtreeAndAnyNumberOfOptionalFields) {
    EXPECT_EQ(cgroup_root_in("31 22 0:27 /box /mnt/box rw shared:1 master:2 - cgroup2 cgroup2 rw\n"
                             "32 22 0:27 / /mnt/all rw shared:1 master:2 - cgroup2 cgroup2 rw\n"),
              "/mnt/all");
}

TEST(CgroupRoot, IsEmptyWithoutCgroup2) {
    EXPECT_EQ(cgroup_root_in("30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw\nbad\n"), "");
}
