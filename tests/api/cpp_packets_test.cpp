// SPDX-License-Identifier: Apache-2.0
// Packets and injection in the C++ layer.
#include <numeric>
#include <stdexcept>

#if __cplusplus >= 202002L
#include <span>
#endif

#include <gtest/gtest.h>

#include <sluice.hpp>

#include "fake_library.h"

using namespace sluice;

// An indicated packet of 100 bytes, the first 20 of them before its data.
struct Indicated : NET_BUFFER_LIST {
    Indicated() : NET_BUFFER_LIST{}, bytes(100) {
        std::iota(bytes.begin(), bytes.end(), UINT8{0x45});
        piece.MappedSystemVa = bytes.data();
        piece.ByteCount = 100;
        buffer.CurrentMdl = buffer.MdlChain = &piece;
        buffer.CurrentMdlOffset = buffer.DataOffset = 20;
        buffer.DataLength = 80;
        FirstNetBuffer = &buffer;
    }
    std::vector<UINT8> bytes;
    MDL piece{};
    NET_BUFFER buffer{};
};

class CppPackets : public testing::Test {
protected:
    CppPackets() { library = FakeLibrary{}; }
    ~CppPackets() override { EXPECT_EQ(library.clones, 0); }
    Indicated indicated;
};

TEST_F(CppPackets, AViewShowsTheFirstBytesAndCopiesAll) {
    const PacketView view(indicated);
    EXPECT_EQ(view.size(), 80u);
    const Bytes header = view.first(20);
    ASSERT_EQ(header.size(), 20u);
    EXPECT_EQ(header.data(), indicated.bytes.data() + 20);
    EXPECT_EQ(header.end() - header.begin(), 20);
    EXPECT_TRUE(view.first(65).empty()); // not in one piece
    EXPECT_TRUE(view.first(81).empty()); // not there
    const std::vector<UINT8> copy = view.copy();
    ASSERT_EQ(copy.size(), 80u);
    EXPECT_EQ(copy[79], indicated.bytes[99]);
    indicated.buffer.DataLength = 8;
    EXPECT_EQ(view.copy().size(), 8u);
    indicated.FirstNetBuffer = nullptr;
    EXPECT_EQ(view.size(), 0u);
    EXPECT_TRUE(view.copy().empty());
#if __cplusplus >= 202002L
    EXPECT_EQ(std::span<UINT8>(header).size(), 20u);
#endif
}

TEST_F(CppPackets, ARetreatEndsWithItsScopeAndACloneKeepsTheEarlierStart) {
    ClonedPacket clone;
    EXPECT_FALSE(clone);
    {
        const Retreat retreat(indicated, 20);
        clone = ClonedPacket(indicated);
    }
    EXPECT_EQ(PacketView(indicated).size(), 80u);
    EXPECT_EQ(clone.view().size(), 100u);
    EXPECT_EQ(clone.view().first(1)[0], 0x45);
    EXPECT_THROW(Retreat(indicated, 21), Error);
    EXPECT_EQ(PacketView(indicated).size(), 80u);
}

TEST_F(CppPackets, ClonesMoveAndDeepOnesHaveBytesOfTheirOwn) {
    ClonedPacket deep(indicated, true);
    deep.view().first(1)[0] = 0;
    EXPECT_NE(indicated.bytes[20], 0);
    ClonedPacket moved(std::move(deep));
    EXPECT_EQ(library.clones, 1);
    moved = ClonedPacket(indicated);
    EXPECT_EQ(library.clones, 1);
    NET_BUFFER_LIST *given_away = moved.release();
    EXPECT_FALSE(moved);
    FwpsFreeCloneNetBufferList0(given_away, 0);
    library.clone_status = STATUS_INSUFFICIENT_RESOURCES;
    EXPECT_THROW(ClonedPacket{indicated}, Error);
}

TEST_F(CppPackets, InjectingTakesThePacketOverAndTellsOnce) {
    const InjectionHandle handle;
    int told = 0;
    ClonedPacket clone(indicated);
    Destination to;
    to.endpoint = 9;
    to.address.assign(16, 0xfd);
    handle.send(std::move(clone), to, [&](NTSTATUS status) {
        EXPECT_EQ(status, STATUS_SUCCESS);
        ++told;
    });
    EXPECT_EQ(told, 1);
    EXPECT_FALSE(clone);
    EXPECT_EQ(library.clones, 0);
    ASSERT_EQ(library.injections.size(), 1u);
    EXPECT_EQ(library.injections[0].family, SLUICE_AF_INET6);
    EXPECT_EQ(library.injections[0].endpoint, 9u);
    EXPECT_EQ(library.injections[0].remote, to.address);
    const Retreat retreat(indicated, 20);
    handle.receive(ClonedPacket(indicated), 3, [](NTSTATUS) { throw std::runtime_error("lost"); });
    EXPECT_TRUE(library.injections[1].receive);
    EXPECT_EQ(library.injections[1].family, SLUICE_AF_INET);
    EXPECT_EQ(library.injections[1].interface, 3u);
}

TEST_F(CppPackets, ARefusedPacketStaysWithItsOwner) {
    const InjectionHandle handle;
    ClonedPacket clone(indicated);
    Destination to;
    to.address = {10, 0, 0, 2};
    library.inject_status = STATUS_NOT_FOUND;
    bool told = false;
    EXPECT_THROW(handle.send(std::move(clone), to, [&](NTSTATUS) { told = true; }), Error);
    EXPECT_TRUE(clone);
    EXPECT_FALSE(told);
    to.address = {10, 0, 0};
    EXPECT_THROW(handle.send(std::move(clone), to), Error);
    EXPECT_TRUE(clone);
    EXPECT_THROW(handle.receive(ClonedPacket(), 3), Error);
}

TEST_F(CppPackets, AHandleEndsWithItsScopeAndKnowsItsPackets) {
    {
        const InjectionHandle handle;
        EXPECT_EQ(library.injection_handles, 1);
        HANDLE context = nullptr;
        EXPECT_FALSE(handle.knows(&indicated));
        EXPECT_FALSE(handle.knows(nullptr));
        indicated.Scratch = this;
        EXPECT_TRUE(handle.knows(&indicated));
        EXPECT_EQ(handle.state(&indicated, &context), FWPS_PACKET_INJECTED_BY_SELF);
        EXPECT_EQ(context, this);
    }
    EXPECT_EQ(library.injection_handles, 0);
    EXPECT_THROW(InjectionHandle(0x1000), Error);
}
