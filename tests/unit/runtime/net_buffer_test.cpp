// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "runtime/holds.h"
#include "runtime/net_buffer.h"
#include "runtime/net_buffer_pool.h"

using namespace sluice;
using namespace sluice::runtime;
using sluice::test::FakePort;

namespace {

struct Made {
    explicit Made(std::uint32_t frames = 64)
        : io(std::make_shared<FakePort>(frames)), link(std::make_shared<PortLink>()) {
        link->io = io;
        link->host_id = 5;
    }
    // A list over a packet of 100 bytes that count up, data from the 20th on.
    BufferList *indicate() {
        std::string text(100, 0);
        std::iota(text.begin(), text.end(), 0);
        frame = SharedFrame(io->frame({}, text), link);
        return BufferList::indicated(frame.bytes().subspan(sizeof(dp_upcall)), 20, 80,
                                     frame.memory(), std::make_shared<PacketOrigin>());
    }
    std::shared_ptr<FakePort> io;
    std::shared_ptr<PortLink> link;
    SharedFrame frame;
};

int first_byte(const NET_BUFFER_LIST &list) {
    std::byte b{0xEE};
    return read(*list.FirstNetBuffer, 0, {&b, 1}) == 1 ? std::to_integer<int>(b) : -1;
}

struct Chain {
    explicit Chain(std::initializer_list<std::uint32_t> sizes) : bytes(256) {
        std::iota(reinterpret_cast<unsigned char *>(bytes.data()),
                  reinterpret_cast<unsigned char *>(bytes.data()) + bytes.size(), 0);
        std::uint32_t at = 0;
        for (const std::uint32_t size : sizes) {
            MDL mdl{};
            mdl.MappedSystemVa = bytes.data() + at;
            mdl.ByteCount = size;
            pieces.push_back(mdl);
            at += size;
        }
        for (std::size_t i = 0; i + 1 < pieces.size(); ++i)
            pieces[i].Next = &pieces[i + 1];
    }
    std::vector<std::byte> bytes;
    std::vector<MDL> pieces;
};

} // namespace

TEST(NetBuffer, RetreatAndAdvanceWithinOnePieceComeBackToWhereTheyWere) {
    Made made;
    BufferList *list = made.indicate();
    NET_BUFFER &b = *list->FirstNetBuffer;
    const NET_BUFFER before = b;
    EXPECT_EQ(retreat(b, 20, 0, nullptr), NDIS_STATUS_SUCCESS);
    EXPECT_EQ(b.DataOffset, 0u);
    EXPECT_EQ(b.CurrentMdlOffset, 0u);
    EXPECT_EQ(b.DataLength, 100u);
    EXPECT_EQ(first_byte(*list), 0);
    advance(b, 20, false, nullptr);
    EXPECT_EQ(b.DataOffset, before.DataOffset);
    EXPECT_EQ(b.CurrentMdlOffset, before.CurrentMdlOffset);
    EXPECT_EQ(b.DataLength, before.DataLength);
    EXPECT_EQ(b.MdlChain, before.MdlChain);
    EXPECT_EQ(first_byte(*list), 20);
    list->release();
}

TEST(NetBuffer, ARetreatBeyondTheStartPutsAPieceInFrontWhichAnAdvanceTakesAway) {
    Made made;
    BufferList *list = made.indicate();
    NET_BUFFER &b = *list->FirstNetBuffer;
    MDL *const base = b.MdlChain;
    ASSERT_EQ(retreat(b, 30, 6, nullptr), NDIS_STATUS_SUCCESS);
    EXPECT_NE(b.MdlChain, base);
    EXPECT_EQ(b.MdlChain->ByteCount, 16u); // ten missing, six in reserve
    EXPECT_EQ(b.DataOffset, 6u);
    EXPECT_EQ(b.DataLength, 110u);
    EXPECT_EQ(first_byte(*list), 0); // zeroed
    ASSERT_EQ(retreat(b, 6, 0, nullptr), NDIS_STATUS_SUCCESS);
    EXPECT_EQ(b.MdlChain->ByteCount, 16u); // the reserve was enough
    advance(b, 36, true, nullptr);
    EXPECT_EQ(b.MdlChain, base);
    EXPECT_EQ(b.DataOffset, 20u);
    EXPECT_EQ(first_byte(*list), 20);
    ASSERT_EQ(retreat(b, 30, 0, nullptr), NDIS_STATUS_SUCCESS);
    list->release(); // takes that piece with it
}

TEST(NetBuffer, AFrontPieceOfTheCallersOwnIsFreedByHisHandler) {
    static MDL front;
    static std::array<std::byte, 64> bytes;
    static int freed;
    front = {};
    freed = 0;
    front.MappedSystemVa = bytes.data();
    Made made;
    BufferList *list = made.indicate();
    NET_BUFFER &b = *list->FirstNetBuffer;
    const auto allocate = [](PULONG size) -> PMDL {
        EXPECT_EQ(*size, 10u);
        front.ByteCount = *size = 64; // more than was asked for
        return &front;
    };
    ASSERT_EQ(retreat(b, 30, 0, +allocate), NDIS_STATUS_SUCCESS);
    EXPECT_EQ(b.DataOffset, 54u);
    advance(
        b, 30, true, +[](PMDL mdl) { freed += mdl == &front; });
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(b.DataOffset, 20u);
    EXPECT_EQ(retreat(
                  b, 30, 0, +[](PULONG) -> PMDL { return nullptr; }),
              NDIS_STATUS_RESOURCES);
    EXPECT_EQ(retreat(b, 0x20000, 0, nullptr), NDIS_STATUS_FAILURE);
    EXPECT_EQ(b.DataOffset, 20u);
    list->release();
}

TEST(NetBuffer, ContiguousUsesStorageOnlyWhereItMust) {
    Chain chain{10, 10, 10};
    NET_BUFFER b{};
    set_up(b, chain.pieces.data(), 4, 26);
    std::array<std::byte, 32> storage{};
    EXPECT_EQ(contiguous(b, 6, nullptr, 1, 0), chain.bytes.data() + 4);
    EXPECT_EQ(contiguous(b, 6, storage.data(), 1, 0), chain.bytes.data() + 4);
    EXPECT_EQ(contiguous(b, 7, nullptr, 1, 0), nullptr);
    EXPECT_EQ(contiguous(b, 26, storage.data(), 1, 0), storage.data());
    EXPECT_EQ(std::to_integer<int>(storage[25]), 29);
    EXPECT_EQ(contiguous(b, 27, storage.data(), 1, 0), nullptr); // more than there is
    EXPECT_EQ(contiguous(b, 0, storage.data(), 1, 0), nullptr);
}

TEST(NetBuffer, ContiguousHonoursAlignment) {
    alignas(64) std::array<std::byte, 128> bytes{};
    MDL mdl{};
    mdl.MappedSystemVa = bytes.data();
    mdl.ByteCount = 128;
    NET_BUFFER b{};
    std::array<std::byte, 16> storage{};
    set_up(b, &mdl, 14, 100);
    EXPECT_EQ(contiguous(b, 8, nullptr, 4, 2), bytes.data() + 14);
    EXPECT_EQ(contiguous(b, 8, nullptr, 4, 0), nullptr);
    EXPECT_EQ(contiguous(b, 8, storage.data(), 4, 0), storage.data());
    set_up(b, &mdl, 16, 100);
    EXPECT_EQ(contiguous(b, 8, nullptr, 16, 0), bytes.data() + 16);
}

TEST(NetBuffer, ReadsAndWritesAcrossPieces) {
    Chain chain{3, 0, 5, 8};
    NET_BUFFER b{};
    set_up(b, chain.pieces.data(), 1, 14);
    std::array<std::byte, 14> out{};
    EXPECT_EQ(read(b, 0, out), 14u);
    EXPECT_EQ(std::to_integer<int>(out[13]), 14);
    EXPECT_EQ(read(b, 10, out), 4u);
    EXPECT_EQ(read(b, 14, out), 0u);
    const std::array<std::byte, 4> in{std::byte{90}, std::byte{91}, std::byte{92}, std::byte{93}};
    EXPECT_EQ(write(b, 1, in), 4u); // bytes 2 to 5 of the chain
    EXPECT_EQ(std::to_integer<int>(chain.bytes[2]), 90);
    EXPECT_EQ(std::to_integer<int>(chain.bytes[5]), 93);
    EXPECT_EQ(std::to_integer<int>(chain.bytes[6]), 6);
    set_up(b, chain.pieces.data(), 0, 100); // claims more than the pieces have
    std::array<std::byte, 100> much{};
    EXPECT_EQ(read(b, 0, much), 16u);
}

TEST(NetBufferList, ACloneInheritsTheOffsetAndSharesTheBytes) {
    Made made;
    BufferList *list = made.indicate();
    ASSERT_EQ(retreat(*list->FirstNetBuffer, 20, 0, nullptr), NDIS_STATUS_SUCCESS);
    BufferList *clone = BufferList::clone(*list, false);
    advance(*list->FirstNetBuffer, 20, false, nullptr);
    EXPECT_EQ(clone->ParentNetBufferList, list);
    EXPECT_EQ(list->ChildRefCount, 1);
    EXPECT_EQ(clone->FirstNetBuffer->DataLength, 100u);
    EXPECT_EQ(first_byte(*clone), 0);
    EXPECT_EQ(clone->FirstNetBuffer->CurrentMdl->MappedSystemVa,
              list->FirstNetBuffer->CurrentMdl->MappedSystemVa);
    // A header written before the clone's start does not touch the original.
    ASSERT_EQ(retreat(*clone->FirstNetBuffer, 8, 0, nullptr), NDIS_STATUS_SUCCESS);
    clone->release();
    EXPECT_EQ(list->ChildRefCount, 0);
    list->release();
}

TEST(NetBufferList, ACloneKeepsTheFrameWhileTheAnswerGoesDownInAnother) {
    Made made;
    BufferList *list = made.indicate();
    BufferList *clone = BufferList::clone(*list, false);
    list->release(); // the classify is over
    EXPECT_EQ(made.link->kept, 1u);
    xsk::Frame answer = std::move(made.frame);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::to_integer<int>(answer.bytes()[sizeof(dp_upcall) + 99]), 99);
    EXPECT_NE(static_cast<void *>(answer.bytes().data() + sizeof(dp_upcall) + 20),
              clone->FirstNetBuffer->CurrentMdl->MappedSystemVa);
    answer.reset();
    EXPECT_EQ(made.io->free_frames(), 63u);
    EXPECT_EQ(first_byte(*clone), 20);
    clone->release();
    EXPECT_EQ(made.io->free_frames(), 64u);
    EXPECT_EQ(made.link->kept, 0u);
}

TEST(NetBufferList, AHoldThatIsFlushedLeavesItsFrameToTheClone) {
    Made made;
    BufferList *list = made.indicate();
    BufferList *clone = BufferList::clone(*list, false);
    list->release();
    EXPECT_EQ(made.io->free_frames(), 62u); // and the one that is set aside
    made.frame.reset();
    EXPECT_EQ(made.io->free_frames(), 63u);
    EXPECT_EQ(first_byte(*clone), 20);
    BufferList *second = BufferList::clone(*clone, false);
    clone->release();
    EXPECT_EQ(first_byte(*second), 20);
    second->release();
    EXPECT_EQ(made.io->free_frames(), 64u);
}

TEST(NetBufferList, AReferenceKeepsListAndBytes) {
    Made made;
    BufferList *list = made.indicate();
    list->reference();
    list->release();
    made.frame.reset();
    EXPECT_EQ(first_byte(*list), 20);
    EXPECT_EQ(BufferList::of(static_cast<NET_BUFFER_LIST *>(list)), list);
    list->release();
    EXPECT_EQ(made.io->free_frames(), 64u);
}

TEST(NetBufferList, PastHalfOfThePortsFramesBytesAreCopiedOut) {
    Made made(8);
    made.link->kept = 4;
    BufferList *list = made.indicate();
    BufferList *clone = BufferList::clone(*list, false);
    EXPECT_EQ(clone->ParentNetBufferList, nullptr);
    list->reference();
    list->release();
    made.frame.reset();
    EXPECT_EQ(made.io->free_frames(), 8u); // nobody keeps a frame
    EXPECT_EQ(first_byte(*clone), 20);
    EXPECT_EQ(first_byte(*list), 20);
    EXPECT_EQ(made.link->kept, 4u);
    clone->release();
    list->release();
}

TEST(NetBufferList, ManyClonesNeverStarveThePort) {
    Made made(16);
    std::vector<BufferList *> clones;
    for (int i = 0; i < 100; ++i) {
        BufferList *list = made.indicate();
        clones.push_back(BufferList::clone(*list, false));
        list->release();
        made.frame.reset();
    }
    EXPECT_GE(made.io->free_frames(), 8u);
    for (BufferList *clone : clones) {
        EXPECT_EQ(first_byte(*clone), 20);
        clone->release();
    }
    EXPECT_EQ(made.io->free_frames(), 16u);
    EXPECT_EQ(made.link->kept, 0u);
}

TEST(NetBufferList, ADeepCloneHasBytesOfItsOwn) {
    Made made;
    BufferList *list = made.indicate();
    BufferList *clone = BufferList::clone(*list, true);
    const std::array<std::byte, 1> changed{std::byte{200}};
    EXPECT_EQ(write(*clone->FirstNetBuffer, 0, changed), 1u);
    EXPECT_EQ(first_byte(*list), 20);
    EXPECT_EQ(first_byte(*clone), 200);
    EXPECT_EQ(made.link->kept, 0u);
    list->release();
    clone->release();
}

TEST(NetBufferList, OneThatNobodyMadeHereIsNotOurs) {
    NET_BUFFER_LIST list{};
    EXPECT_EQ(BufferList::of(&list), nullptr);
    EXPECT_EQ(BufferList::of(static_cast<NET_BUFFER_LIST *>(nullptr)), nullptr);
}

TEST(NetBufferList, ClonesGoFromThreadToThread) {
    Made made(64);
    for (int round = 0; round < 50; ++round) {
        BufferList *list = made.indicate();
        BufferList *one = BufferList::clone(*list, false);
        list->reference();
        std::thread other([&] {
            BufferList *two = BufferList::clone(*one, false);
            one->release();
            EXPECT_EQ(first_byte(*two), 20);
            two->release();
            list->release();
        });
        xsk::Frame answer = std::move(made.frame);
        answer.reset();
        other.join();
        list->release();
    }
    EXPECT_EQ(made.io->free_frames(), 64u);
    EXPECT_EQ(made.link->kept, 0u);
}

TEST(NetBufferPool, AListHasTheContextThatItAndItsPoolAskFor) {
    auto &pools = buffer_pools();
    const NDIS_HANDLE handle = pools.add({true, true, 32, 0});
    BufferList *list = make_list(pools.find(handle), 16, 0);
    ASSERT_NE(list->Context, nullptr);
    EXPECT_EQ(NET_BUFFER_LIST_CONTEXT_DATA_SIZE(list), 16);
    std::memset(NET_BUFFER_LIST_CONTEXT_DATA_START(list), 1, 16);
    EXPECT_FALSE(pools.remove(handle, false));
    EXPECT_TRUE(pools.remove(handle, true));
    EXPECT_EQ(pools.find(handle), nullptr);
    list->release(); // outlives its pool
}

TEST(NetBufferPool, AChainHoldsWhatItsPiecesHave) {
    Chain chain{10, 10};
    EXPECT_TRUE(chain_holds(chain.pieces.data(), 0, 20));
    EXPECT_TRUE(chain_holds(chain.pieces.data(), 20, 0));
    EXPECT_FALSE(chain_holds(chain.pieces.data(), 1, 20));
    EXPECT_FALSE(chain_holds(chain.pieces.data(), 21, 0));
    EXPECT_FALSE(chain_holds(chain.pieces.data(), 8, SIZE_MAX));
    EXPECT_TRUE(chain_holds(nullptr, 0, 0));
    EXPECT_FALSE(chain_holds(nullptr, 0, 1));
}

TEST(NetBuffer, APieceIsFreedOnce) {
    std::array<std::byte, 8> bytes{};
    MDL *mdl = make_mdl(bytes.data(), 8);
    EXPECT_TRUE(free_mdl(mdl));
    EXPECT_FALSE(free_mdl(mdl));
    MDL foreign{};
    EXPECT_FALSE(free_mdl(&foreign));
    Made made;
    BufferList *list = made.indicate();
    EXPECT_FALSE(free_mdl(list->FirstNetBuffer->MdlChain)); // the list's own
    list->release();
}

TEST(NetBuffer, OneWithoutAListIsFreedOnce) {
    const BufferPool pool{false, false, 0, 16};
    NET_BUFFER *alone = make_buffer(pool, nullptr, nullptr, 0, 16);
    ASSERT_EQ(retreat(*alone, 8, 0, nullptr), NDIS_STATUS_SUCCESS); // goes with it
    EXPECT_TRUE(free_buffer(alone));
    EXPECT_FALSE(free_buffer(alone));
    Made made;
    BufferList *list = made.indicate();
    EXPECT_FALSE(free_buffer(list->FirstNetBuffer));
    list->release();
}

TEST(NetBuffer, AFrontThatIsTooSmallIsRefused) {
    Chain chain{10};
    NET_BUFFER b{};
    set_up(b, chain.pieces.data(), 0, 10);
    static MDL small;
    small.ByteCount = 3;
    EXPECT_EQ(retreat(
                  b, 4, 0, +[](PULONG) -> PMDL { return &small; }),
              NDIS_STATUS_RESOURCES);
    EXPECT_EQ(b.DataLength, 10u);
    EXPECT_EQ(b.MdlChain, chain.pieces.data());
}

TEST(NetBufferList, APacketThatIsShownAndAnsweredIsNeverCopied) {
    Made made;
    const auto &copied = copied_bytes();
    const std::uint64_t before = copied.clone + copied.reference + copied.answer;
    BufferList *list = made.indicate();
    const void *const shown = list->FirstNetBuffer->MdlChain->MappedSystemVa;
    BufferList *clone = BufferList::clone(*list, false);
    EXPECT_EQ(clone->FirstNetBuffer->MdlChain->MappedSystemVa,
              static_cast<const std::byte *>(shown) + 20);
    clone->release();
    list->release();
    xsk::Frame answer = std::move(made.frame);
    EXPECT_EQ(answer.bytes().data() + sizeof(dp_upcall), shown); // the frame that came up
    EXPECT_EQ(copied.clone + copied.reference + copied.answer, before);
}
