// SPDX-License-Identifier: Apache-2.0
#include "runtime/checksum.h"

#include <gtest/gtest.h>

#include "harness/packet.h"

namespace {

using namespace sluice::harness;
using sluice::runtime::complete_checksum;

struct Sample {
    Bytes packet;
    std::size_t transport, field;
};

std::vector<Sample> samples() {
    const TCP tcp{.source_port = 1000, .destination_port = 80};
    const UDP udp{.source_port = 1000, .destination_port = 53};
    return {{(Eth() / IPv4{} / tcp / Payload("hello")).bytes(), 34, 50},
            {(Eth() / IPv4{} / udp / Payload("odd")).bytes(), 34, 40},
            {(Eth() / IPv6{} / tcp / Payload("hello")).bytes(), 54, 70},
            {(Eth() / IPv6{} / udp / Payload("even")).bytes(), 54, 60}};
}

std::span<std::byte> span(Bytes &b) {
    return std::as_writable_bytes(std::span(b));
}

// What a sender with checksum offload leaves in the field.
void leave_to_device(Sample &s) {
    const bool v4 = s.transport == 34;
    const std::size_t addresses = v4 ? 26 : 22;
    const std::size_t length = s.packet.size() - s.transport;
    std::uint32_t sum = static_cast<std::uint32_t>(length) + (s.field - s.transport == 16 ? 6 : 17);
    for (std::size_t i = addresses; i < s.transport; i += 2)
        sum += s.packet[i] << 8 | s.packet[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    s.packet[s.field] = static_cast<std::uint8_t>(sum >> 8);
    s.packet[s.field + 1] = static_cast<std::uint8_t>(sum);
}

TEST(Checksum, LeftToADeviceIsCompleted) {
    for (Sample s : samples()) {
        const Bytes right = s.packet;
        leave_to_device(s);
        ASSERT_NE(s.packet, right);
        EXPECT_TRUE(complete_checksum(span(s.packet), 14, s.transport));
        EXPECT_EQ(s.packet, right);
    }
}

TEST(Checksum, RightOrWrongOnesStayAsTheyCame) {
    for (Sample s : samples()) {
        Bytes before = s.packet;
        EXPECT_FALSE(complete_checksum(span(s.packet), 14, s.transport));
        EXPECT_EQ(s.packet, before);
        s.packet[s.field] ^= 0x55;
        before = s.packet;
        EXPECT_FALSE(complete_checksum(span(s.packet), 14, s.transport));
        EXPECT_EQ(s.packet, before);
    }
}

TEST(Checksum, FragmentsAndCutPacketsAreLeftAlone) {
    Sample s = samples()[0];
    leave_to_device(s);
    for (std::size_t size = 0; size < s.packet.size(); ++size) {
        Bytes cut(s.packet.begin(), s.packet.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(complete_checksum(span(cut), 14, s.transport)) << size;
    }
    s.packet[20] |= 0x20; // more fragments
    EXPECT_FALSE(complete_checksum(span(s.packet), 14, s.transport));
}

} // namespace
