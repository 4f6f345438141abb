// SPDX-License-Identifier: Apache-2.0
// The BPF tests trust the packet builder, so it is held against packets written out by hand.
#include "harness/packet.h"

#include <gtest/gtest.h>

namespace sluice::harness {

TEST(PacketBuilder, FillsLengthsAndChecksumsOfTcpOverIpv4) {
    const Bytes b = (Eth() / IPv4{.source = "10.0.0.1", .destination = "10.0.0.2"} /
                     TCP{.source_port = 1000, .destination_port = 80} / Payload("hi"))
                        .bytes();
    ASSERT_EQ(b.size(), 14u + 20 + 20 + 2);
    EXPECT_EQ(b[12] << 8 | b[13], 0x0800);
    EXPECT_EQ(b[14], 0x45);
    EXPECT_EQ(b[16] << 8 | b[17], 42);
    EXPECT_EQ(b[23], 6);
    EXPECT_EQ(internet_checksum(&b[14], 20), 0) << "a header with its checksum sums up to nothing";
    // pseudo-header: both addresses, protocol, length
    const std::uint32_t pseudo = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6 + 22;
    EXPECT_EQ(internet_checksum(&b[34], 22, pseudo), 0);
}

TEST(PacketBuilder, NumbersTagsAndExtensionHeaders) {
    const Bytes b =
        (Eth() / Vlan{.id = 5, .ethertype = 0x88a8} / Vlan{.id = 7} / IPv6{} / HopByHop() /
         DestinationOptions(1) / UDP{.source_port = 1, .destination_port = 2})
            .bytes();
    EXPECT_EQ(b[12] << 8 | b[13], 0x88a8);
    EXPECT_EQ(b[14] << 8 | b[15], 5);
    EXPECT_EQ(b[16] << 8 | b[17], 0x8100);
    EXPECT_EQ(b[18] << 8 | b[19], 7);
    EXPECT_EQ(b[20] << 8 | b[21], 0x86dd);
    EXPECT_EQ(b[22 + 4] << 8 | b[22 + 5], 8 + 16 + 8);
    EXPECT_EQ(b[22 + 6], 0); // hop by hop first
    EXPECT_EQ(b[62], 60);    // then destination options
    EXPECT_EQ(b[70], 17);    // of 16 bytes, then UDP
    EXPECT_EQ(b[71], 1);
    EXPECT_EQ(b[86 + 2] << 8 | b[86 + 3], 2);
}

TEST(PacketBuilder, SumsIcmpWithAPseudoHeaderUnderIpv6Only) {
    const Bytes four = (Eth() / IPv4{} / ICMP{}).bytes();
    EXPECT_EQ(internet_checksum(&four[34], 8), 0);
    const Bytes six =
        (Eth() / IPv6{.source = "::1", .destination = "::2"} / ICMP{.type = 128}).bytes();
    EXPECT_EQ(six[20], 58);
    EXPECT_EQ(internet_checksum(&six[54], 8, 1 + 2 + 58 + 8), 0);
}

TEST(PacketBuilder, WritesFragmentFieldsAndOptions) {
    const Bytes b =
        (Eth() / IPv4{.options = {1, 1, 1}, .fragment_offset = 3, .more_fragments = true} /
         Protocol{17} / Payload(16))
            .bytes();
    EXPECT_EQ(b[14], 0x46);
    EXPECT_EQ(b[20] << 8 | b[21], 0x2003);
    EXPECT_EQ(b[23], 17);
}

TEST(PacketBuilder, LiesWhenTold) {
    const Bytes b = (Eth() / IPv4{.header_words = 4, .total_length = 9} / UDP{}).bytes();
    EXPECT_EQ(b[14], 0x44);
    EXPECT_EQ(b[16] << 8 | b[17], 9);
}

} // namespace sluice::harness
