// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <sys/mman.h>

#include <gtest/gtest.h>

#include "xsk/xsk_port.h"

using namespace sluice;
using namespace sluice::xsk;

namespace {

class CountingPort final : public PortIo, public std::enable_shared_from_this<CountingPort> {
public:
    Wait wait(std::chrono::milliseconds) override { return Wait::timeout; }
    std::optional<Frame> receive() override { return std::nullopt; }
    std::optional<Frame> allocate() override { return Frame(shared_from_this(), chunk, 0, 0); }
    bool transmit(Frame frame) override { return frame.detach() != nullptr; }
    void close() override {}
    bool closed() const override { return false; }
    std::uint32_t frames() const override { return 1; }
    int memory_fd() const override { return -1; }
    int namespace_fd() const override { return -1; }

    std::byte chunk[DP_FRAME_BYTES]{};
    int returned = 0;

protected:
    void give_back(std::byte *) override { ++returned; }
};

} // namespace

TEST(Frame, GivesItsChunkBackOnce) {
    auto port = std::make_shared<CountingPort>();
    {
        Frame a = *port->allocate();
        Frame b = std::move(a);
        EXPECT_FALSE(a);
        EXPECT_TRUE(b);
        b.reset();
        b.reset();
    }
    EXPECT_EQ(port->returned, 1);
}

TEST(Frame, SentIsNotGivenBack) {
    auto port = std::make_shared<CountingPort>();
    EXPECT_TRUE(port->send(*port->allocate()));
    EXPECT_EQ(port->returned, 0);
}

TEST(Frame, AssignmentGivesTheOldChunkBack) {
    auto port = std::make_shared<CountingPort>();
    Frame a = *port->allocate();
    a = *port->allocate();
    EXPECT_EQ(port->returned, 1);
}

TEST(Frame, KeepsItsPortAlive) {
    auto port = std::make_shared<CountingPort>();
    std::weak_ptr<CountingPort> watch = port;
    Frame frame = *port->allocate();
    port.reset();
    EXPECT_FALSE(watch.expired());
    frame.reset();
    EXPECT_TRUE(watch.expired());
}

TEST(Frame, BoundsStayInsideTheChunk) {
    auto port = std::make_shared<CountingPort>();
    Frame frame = *port->allocate();
    EXPECT_TRUE(frame.set_bounds(96, DP_FRAME_BYTES - 96));
    EXPECT_FALSE(frame.set_bounds(96, DP_FRAME_BYTES - 95));
    EXPECT_FALSE(frame.set_bounds(DP_FRAME_BYTES + 1, 0));
    EXPECT_EQ(frame.bytes().size(), DP_FRAME_BYTES - 96u);
}

TEST(FrameStore, LeavesTheReserve) {
    FrameStore store(4);
    std::array<std::uint64_t, 3> out{};
    ASSERT_EQ(store.take(out, 2), 2u) << "no more than there are";
    EXPECT_EQ(out[0], 0u);
    EXPECT_EQ(out[1], std::uint64_t(DP_FRAME_BYTES));
    EXPECT_EQ(store.take(out, 2), 0u);
    EXPECT_EQ(store.take(std::span(out).first(1), 0), 1u) << "no more than fit";
    EXPECT_EQ(out[0], 2 * std::uint64_t(DP_FRAME_BYTES));
    store.put(std::span(out).first(2));
    EXPECT_EQ(store.size(), 3u);
}

TEST(XskPort, RefusesMemoryThatIsTooSmall) {
    Fd memory(::memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(memory.get(), DP_FRAME_BYTES), 0);
    auto port = XskPort::open({Fd(), std::move(memory), Fd(), Fd(), 1, 2, 2, 4096});
    ASSERT_FALSE(port);
    EXPECT_EQ(port.error().code, EINVAL);
}

TEST(XskPort, RefusesWhatIsNoSocket) {
    Fd memory(::memfd_create("test", MFD_CLOEXEC)), other(::memfd_create("other", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(memory.get(), 2 * DP_FRAME_BYTES), 0);
    auto port = XskPort::open({std::move(other), std::move(memory), Fd(), Fd(), 1, 2, 2, 4096});
    ASSERT_FALSE(port);
    EXPECT_EQ(port.error().code, ENOTSOCK);
}

TEST(Rings, RefuseASizeThatIsNoPowerOfTwo) {
    auto rings = Rings::map(-1, 3);
    ASSERT_FALSE(rings);
    EXPECT_EQ(rings.error().code, EINVAL);
}
