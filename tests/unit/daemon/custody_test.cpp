// SPDX-License-Identifier: Apache-2.0
#include "daemon/custody.h"

#include <cstring>
#include <gtest/gtest.h>

namespace sluice::daemon {
namespace {

class Memory {
public:
    explicit Memory(std::size_t frames) : bytes_(frames * DP_FRAME_BYTES) {}

    // An IPv4 packet of `payload` bytes behind its header, as it lies in a frame.
    dp_upcall &put(std::size_t frame, std::uint64_t ticket, std::uint64_t created_ns,
                   std::uint8_t kind, std::size_t offset = 256,
                   std::uint16_t header_bytes = sizeof(dp_upcall), std::uint16_t payload = 100) {
        std::byte *at = bytes_.data() + frame * DP_FRAME_BYTES + offset;
        auto *head = new (at) dp_upcall{};
        head->magic = DP_UPCALL_MAGIC;
        head->version = DP_LAYOUT_VERSION;
        head->kind = kind;
        head->header_bytes = header_bytes;
        head->ticket = ticket;
        head->created_ns = created_ns;
        head->ip_offset = 14;
        std::byte *ip = at + header_bytes + 14;
        ip[0] = std::byte{0x45};
        const auto total = static_cast<std::uint16_t>(20 + payload);
        ip[2] = static_cast<std::byte>(total >> 8);
        ip[3] = static_cast<std::byte>(total);
        return *head;
    }
    [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

TEST(Custody, FindsPacketsWithTheirLength) {
    Memory memory(4);
    memory.put(2, 77, 1, DP_UPCALL_CLASSIFY);
    const auto index = index_frames(memory.bytes());
    ASSERT_EQ(index.size(), 1u);
    const auto &frame = index.at(77).at(0);
    EXPECT_EQ(frame.packet_offset, 2 * DP_FRAME_BYTES + 256 + sizeof(dp_upcall));
    EXPECT_EQ(frame.packet_bytes, 14u + 20 + 100);
    EXPECT_FALSE(frame.answered);
}

TEST(Custody, FindsHeadersAtUnusualPlacesAndBehindAPath) {
    Memory memory(2);
    memory.put(0, 1, 1, DP_UPCALL_CLASSIFY, 264, sizeof(dp_upcall) + DP_EXE_PATH_MAX);
    memory.put(1, 2, 1, DP_UPCALL_CLASSIFY, 0);
    EXPECT_EQ(index_frames(memory.bytes()).size(), 2u);
}

TEST(Custody, KeepsTheOrderOfArrival) {
    Memory memory(3);
    memory.put(0, 5, 300, DP_UPCALL_QUEUED);
    memory.put(1, 5, 100, DP_UPCALL_CLASSIFY);
    memory.put(2, 5, 200, DP_UPCALL_QUEUED);
    const auto frames = index_frames(memory.bytes()).at(5);
    EXPECT_EQ(frames[0].created_ns, 100u);
    EXPECT_EQ(frames[1].created_ns, 200u);
    EXPECT_EQ(frames[2].created_ns, 300u);
}

TEST(Custody, TellsFramesThatTheirHostHadAnswered) {
    Memory memory(1);
    memory.put(0, 5, 1, DP_UPCALL_QUEUED);
    const std::uint32_t magic = DP_DOWNCALL_MAGIC;
    std::memcpy(memory.bytes().data() + 256 + sizeof(dp_upcall) - sizeof(dp_downcall), &magic,
                sizeof magic);
    EXPECT_TRUE(index_frames(memory.bytes()).at(5).at(0).answered);
}

TEST(Custody, PassesOverWhatIsNoUpcall) {
    Memory memory(5);
    memory.put(0, 1, 1, DP_UPCALL_CLASSIFY).version = DP_LAYOUT_VERSION + 1;
    memory.put(1, 2, 1, DP_UPCALL_CLASSIFY).kind = 9;
    memory.put(2, 3, 1, DP_UPCALL_CLASSIFY).header_bytes = DP_FRAME_BYTES;
    memory.put(3, 0, 1, DP_UPCALL_CLASSIFY);
    memory.put(4, 4, 1, DP_UPCALL_CLASSIFY, 256, sizeof(dp_upcall), 65000); // longer than its frame
    EXPECT_TRUE(index_frames(memory.bytes()).empty());
}

TEST(Custody, SurvivesMemoryOfAnyContent) {
    Memory memory(8);
    std::uint32_t random = 1;
    for (int round = 0; round < 50; ++round) {
        for (auto &byte : memory.bytes())
            byte = static_cast<std::byte>((random = random * 1664525 + 1013904223) >> 24);
        for (std::size_t f = 0; f < 8; ++f) {
            dp_upcall head = memory.put(f, round + 1, 1, DP_UPCALL_CLASSIFY);
            head.header_bytes = static_cast<std::uint16_t>(random = random * 1664525 + 1013904223);
            head.ip_offset = static_cast<std::uint16_t>(random >> 16);
            std::memcpy(memory.bytes().data() + f * DP_FRAME_BYTES + 256, &head, sizeof head);
        }
        for (const auto &[ticket, frames] : index_frames(memory.bytes()))
            for (const auto &frame : frames)
                EXPECT_LE(frame.packet_offset + frame.packet_bytes, memory.bytes().size());
    }
}

TEST(Custody, PutsTheHeaderInFrontOfThePacket) {
    dp_downcall head{};
    head.ticket = 9;
    const std::vector<std::byte> packet(30, std::byte{7});
    const auto frame = downcall_frame(head, packet);
    ASSERT_EQ(frame.size(), sizeof head + 30);
    EXPECT_EQ(frame.back(), std::byte{7});
    EXPECT_EQ(downcall_frame(head, {}).size(), sizeof head);
}

} // namespace
} // namespace sluice::daemon
