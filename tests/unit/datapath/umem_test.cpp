// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datapath/port_device.h"

using sluice::Fd;
using sluice::datapath::Umem;

namespace {

Fd memory(off_t bytes, int seals) {
    Fd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(ftruncate(fd.get(), bytes), 0);
    if (seals != 0) {
        EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    }
    return fd;
}

constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

} // namespace

TEST(Umem, IsSealedMemoryOfWholeFrames) {
    auto umem = Umem::make(16);
    ASSERT_TRUE(umem);
    EXPECT_EQ(umem->frames(), 16u);
    EXPECT_EQ(umem->bytes().size(), 16u * DP_FRAME_BYTES);
    EXPECT_NE(ftruncate(umem->fd(), 0), 0);
    EXPECT_NE(fcntl(umem->fd(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST(Umem, IsSharedWithWhoTakesItOver) {
    auto umem = Umem::make(2);
    ASSERT_TRUE(umem);
    umem->bytes()[DP_FRAME_BYTES] = std::byte{7};
    auto copy = Umem::adopt(Fd(dup(umem->fd())));
    ASSERT_TRUE(copy);
    EXPECT_EQ(copy->bytes()[DP_FRAME_BYTES], std::byte{7});
}

TEST(Umem, RefusesForeignMemory) {
    EXPECT_EQ(Umem::adopt(memory(2 * DP_FRAME_BYTES, 0)).error().code, EINVAL) << "not sealed";
    EXPECT_EQ(Umem::adopt(memory(DP_FRAME_BYTES + 1, all_seals)).error().code, EINVAL)
        << "part of a frame";
    EXPECT_EQ(Umem::adopt(memory(0, all_seals)).error().code, EINVAL) << "empty";
    EXPECT_EQ(Umem::adopt(Fd(open("/dev/null", O_RDWR | O_CLOEXEC))).error().code, EINVAL)
        << "no memory";
    EXPECT_EQ(Umem::make(0).error().code, EINVAL);
}

TEST(Umem, MovesItsMapping) {
    auto umem = Umem::make(1);
    ASSERT_TRUE(umem);
    Umem moved = std::move(*umem);
    EXPECT_EQ(moved.bytes().size(), std::size_t(DP_FRAME_BYTES));
    EXPECT_EQ(umem->frames(), 0u);
}
