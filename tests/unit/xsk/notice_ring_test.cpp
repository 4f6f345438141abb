// SPDX-License-Identifier: Apache-2.0
// The ring as the kernel lays it out, in a memfd; the test is the kernel.
#include <cstring>
#include <linux/bpf.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "xsk/notice_ring.h"

using namespace sluice;

namespace {

class Kernel {
public:
    static constexpr std::uint32_t bytes = 4096;
    Kernel() : fd_(::memfd_create("ring", MFD_CLOEXEC)) {
        page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        const auto size = 2 * page_ + bytes;
        EXPECT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size)), 0);
        auto all = xsk::Mapping::make(fd_.get(), size, 0, "ring");
        EXPECT_TRUE(all);
        memory_ = *std::move(all);
    }
    xsk::NoticeRing reader() {
        auto ring = xsk::NoticeRing::open(Fd(::dup(fd_.get())), bytes);
        EXPECT_TRUE(ring);
        return *std::move(ring);
    }
    std::uint64_t &consumer() { return *reinterpret_cast<std::uint64_t *>(at(0)); }
    std::uint64_t &producer() { return *reinterpret_cast<std::uint64_t *>(at(page_)); }
    std::uint32_t &header(std::uint64_t position) {
        return *reinterpret_cast<std::uint32_t *>(at(2 * page_ + position % bytes));
    }
    // False: no room, as bpf_ringbuf_reserve says it.
    bool put(const std::string &text, std::uint32_t bits = 0) {
        const std::uint64_t position = producer(), taken = (text.size() + 8 + 7) / 8 * 8;
        if (position + taken - __atomic_load_n(&consumer(), __ATOMIC_ACQUIRE) > bytes) return false;
        for (std::size_t i = 0; i < text.size(); ++i)
            *at(2 * page_ + (position + 8 + i) % bytes) = static_cast<std::byte>(text[i]);
        __atomic_store_n(&header(position), static_cast<std::uint32_t>(text.size()) | bits,
                         __ATOMIC_RELEASE);
        __atomic_store_n(&producer(), position + taken, __ATOMIC_RELEASE);
        return true;
    }

private:
    std::byte *at(std::size_t offset) { return memory_.bytes().data() + offset; }
    Fd fd_;
    std::size_t page_ = 0;
    xsk::Mapping memory_;
};

std::string next(xsk::NoticeRing &ring) {
    std::byte room[512];
    const std::size_t n = ring.receive(room);
    return n > sizeof room ? "too long" : std::string(reinterpret_cast<const char *>(room), n);
}

} // namespace

TEST(NoticeRing, GivesRecordsInOrderAndTakesThemOut) {
    Kernel kernel;
    auto ring = kernel.reader();
    EXPECT_EQ(next(ring), "");
    kernel.put("one");
    kernel.put("twelve bytes");
    EXPECT_EQ(next(ring), "one");
    EXPECT_EQ(kernel.consumer(), 16u);
    EXPECT_EQ(next(ring), "twelve bytes");
    EXPECT_EQ(next(ring), "");
    EXPECT_EQ(kernel.consumer(), kernel.producer());
}

TEST(NoticeRing, StopsAtARecordThatIsBeingWritten) {
    Kernel kernel;
    auto ring = kernel.reader();
    kernel.put("busy", BPF_RINGBUF_BUSY_BIT);
    kernel.put("behind");
    EXPECT_EQ(next(ring), "");
    EXPECT_EQ(kernel.consumer(), 0u);
    kernel.header(0) = 4;
    EXPECT_EQ(next(ring), "busy");
    EXPECT_EQ(next(ring), "behind");
}

TEST(NoticeRing, PassesOverWhatWasDiscarded) {
    Kernel kernel;
    auto ring = kernel.reader();
    kernel.put("gone", BPF_RINGBUF_DISCARD_BIT);
    kernel.put("here");
    EXPECT_EQ(next(ring), "here");
    kernel.put("gone too", BPF_RINGBUF_DISCARD_BIT);
    EXPECT_EQ(next(ring), "");
    EXPECT_EQ(kernel.consumer(), kernel.producer());
}

TEST(NoticeRing, ARecordThatIsLongerThanTheRoomIsTakenOutAndNotCopied) {
    Kernel kernel;
    auto ring = kernel.reader();
    kernel.put(std::string(600, 'x'));
    kernel.put("next");
    EXPECT_EQ(next(ring), "too long");
    EXPECT_EQ(next(ring), "next");
}

TEST(NoticeRing, GoesRoundTheEndManyTimes) {
    Kernel kernel;
    auto ring = kernel.reader();
    std::thread writer([&] {
        for (int i = 0; i < 20000; ++i)
            while (!kernel.put(std::string(static_cast<std::size_t>(1 + i % 300), 'a') +
                               std::to_string(i)))
                std::this_thread::yield();
    });
    int i = 0;
    for (; i < 20000; ++i) {
        std::string got;
        while ((got = next(ring)).empty())
            std::this_thread::yield();
        if (got != std::string(static_cast<std::size_t>(1 + i % 300), 'a') + std::to_string(i))
            break;
    }
    EXPECT_EQ(i, 20000);
    writer.join();
}

TEST(NoticeRing, LengthsThatContradictTheRingAreSkippedAndTold) {
    for (const std::uint32_t length : {100u, 4096u, 0x3FFFFFFFu}) {
        Kernel kernel;
        auto ring = kernel.reader();
        kernel.put("four");
        kernel.header(0) = length;
        EXPECT_EQ(next(ring), "") << length;
        EXPECT_TRUE(ring.broken()) << length;
        kernel.put("again");
        EXPECT_EQ(next(ring), "again") << length;
    }
    Kernel kernel;
    auto ring = kernel.reader();
    kernel.producer() = 3 * Kernel::bytes;
    EXPECT_EQ(next(ring), "");
    EXPECT_TRUE(ring.broken());
    kernel.producer() -= 8; // behind the reader
    EXPECT_EQ(next(ring), "");
}

TEST(NoticeRing, RefusesSizesThatNoMapHas) {
    for (const std::uint32_t bytes : {0u, 8u, 5000u, 12288u})
        EXPECT_FALSE(xsk::NoticeRing::open(Fd(::memfd_create("ring", MFD_CLOEXEC)), bytes))
            << bytes;
    EXPECT_FALSE(xsk::NoticeRing::open(Fd(), 4096));
}
