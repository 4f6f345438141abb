// SPDX-License-Identifier: Apache-2.0
// What the parser makes of packets, by way of the XDP program's verdict. The policy permits one TCP
// 5-tuple in IPv4 and one in IPv6 and blocks all else, so a pass says that every field was found
// where it is.
#include <gtest/gtest.h>

#include <functional>

#include "bpf/kernel.h"
#include "harness/policy_builder.h"

namespace sluice::bpf_test {
namespace {

using namespace harness;

constexpr std::uint32_t none = DP_REASON_NONE;

policy::Policy one_tuple_only() {
    policy::Policy policy = policy::initial();
    add(policy, permit(in_v4)
                    .weighing(2)
                    .when(equal(remote_address, v4("192.0.2.1")))
                    .when(equal(local_address, v4("192.0.2.2")))
                    .when(equal(protocol, std::uint8_t{6}))
                    .when(equal(remote_port, std::uint16_t{1000}))
                    .when(equal(local_port, std::uint16_t{80})));
    add(policy, permit(in_v6)
                    .weighing(2)
                    .when(equal(remote_address, v6("2001:db8::1")))
                    .when(equal(local_address, v6("2001:db8::2")))
                    .when(equal(protocol, std::uint8_t{6}))
                    .when(equal(remote_port, std::uint16_t{1000}))
                    .when(equal(local_port, std::uint16_t{80})));
    add(policy, block(in_v4).weighing(1));
    add(policy, block(in_v6).weighing(1));
    return policy;
}

const TCP web{.source_port = 1000, .destination_port = 80};

struct Case {
    const char *name;
    Bytes frame;
    std::uint32_t reason; // of the drop; none: it passes
};

Packet extensions(int count) {
    Packet p = Eth() / IPv6{};
    for (int i = 0; i < count; ++i)
        p = std::move(p) / DestinationOptions();
    return std::move(p) / web;
}

const std::vector<Case> &permitted() {
    static const std::vector<Case> cases{
        {"Ipv4", (Eth() / IPv4{} / web / Payload("hello")).bytes(), none},
        {"Ipv4Vlan", (Eth() / Vlan{7} / IPv4{} / web).bytes(), none},
        {"Ipv4PriorityTag", (Eth() / Vlan{0} / IPv4{} / web).bytes(), none},
        {"Ipv4QinQ", (Eth() / Vlan{7, 0x88a8} / Vlan{8} / IPv4{} / web).bytes(), none},
        {"Ipv4OneOptionWord", (Eth() / IPv4{.options = {1, 1, 1, 0}} / web).bytes(), none},
        {"Ipv4AllOptionWords", (Eth() / IPv4{.options = Bytes(40, 1)} / web).bytes(), none},
        {"Ipv4TcpOptions",
         (Eth() / IPv4{} /
          TCP{.source_port = 1000, .destination_port = 80, .options = Bytes(40, 1)})
             .bytes(),
         none},
        {"Ipv4FirstFragment", (Eth() / IPv4{.more_fragments = true} / web / Payload(12)).bytes(),
         none},
        {"Ipv6", (Eth() / IPv6{} / web / Payload("hello")).bytes(), none},
        {"Ipv6Vlan", (Eth() / Vlan{7} / IPv6{} / web).bytes(), none},
        {"Ipv6QinQ", (Eth() / Vlan{7, 0x88a8} / Vlan{8} / IPv6{} / web).bytes(), none},
        {"Ipv6HopByHop", (Eth() / IPv6{} / HopByHop() / web).bytes(), none},
        {"Ipv6LongHopByHop", (Eth() / IPv6{} / HopByHop(100) / web).bytes(), none},
        {"Ipv6Routing", (Eth() / IPv6{} / Routing(2) / web).bytes(), none},
        {"Ipv6DestinationOptions", (Eth() / IPv6{} / DestinationOptions(1) / web).bytes(), none},
        {"Ipv6Authentication", (Eth() / IPv6{} / Authentication() / web).bytes(), none},
        {"Ipv6FirstFragment", (Eth() / IPv6{} / Fragment6{.more = true} / web / Payload(4)).bytes(),
         none},
        {"Ipv6AtomicFragment", (Eth() / IPv6{} / Fragment6{} / web).bytes(), none},
        {"Ipv6ChainOfKinds",
         (Eth() / Vlan{3} / IPv6{} / HopByHop() / DestinationOptions() / Routing() / Fragment6{} /
          Authentication() / DestinationOptions(3) / web)
             .bytes(),
         none},
        {"Ipv6EightExtensions", extensions(8).bytes(), none},
    };
    return cases;
}

const std::vector<Case> &refused() {
    static const std::vector<Case> cases{
        {"Ipv4OtherPort", (Eth() / IPv4{} / TCP{1000, 81}).bytes(), DP_REASON_FILTER_BLOCK},
        {"Ipv4OtherProtocol", (Eth() / IPv4{} / UDP{1000, 80}).bytes(), DP_REASON_FILTER_BLOCK},
        {"Ipv4OtherSource", (Eth() / IPv4{.source = "192.0.2.3"} / web).bytes(),
         DP_REASON_FILTER_BLOCK},
        {"Ipv4Icmp", (Eth() / IPv4{} / ICMP{}).bytes(), DP_REASON_FILTER_BLOCK},
        {"Ipv4Gre", (Eth() / IPv4{} / Protocol{47} / Payload(8)).bytes(), DP_REASON_FILTER_BLOCK},
        {"Ipv4VlanOtherPort", (Eth() / Vlan{7} / IPv4{} / TCP{1000, 81}).bytes(),
         DP_REASON_FILTER_BLOCK},
        {"Ipv4OptionsThatLookLikePorts",
         (Eth() / IPv4{.options = {3, 232, 0, 80}} / TCP{1, 2}).bytes(), DP_REASON_FILTER_BLOCK},
        {"Ipv6OtherPort", (Eth() / IPv6{} / HopByHop() / TCP{1000, 81}).bytes(),
         DP_REASON_FILTER_BLOCK},
        {"Ipv6NoNextHeader", (Eth() / IPv6{} / HopByHop() / Payload(40)).bytes(),
         DP_REASON_FILTER_BLOCK},
        {"Ipv6Icmp", (Eth() / IPv6{} / ICMP{.type = 128}).bytes(), DP_REASON_FILTER_BLOCK},
        {"Ipv6NineExtensions", extensions(9).bytes(), DP_REASON_EXT_HEADERS},
        {"ThreeTags", (Eth() / Vlan{1, 0x88a8} / Vlan{2, 0x88a8} / Vlan{3} / IPv4{} / web).bytes(),
         DP_REASON_VLAN_DEPTH},
        {"Ipv4LaterFragment",
         (Eth() / IPv4{.fragment_offset = 100, .protocol = 6} / Payload(24)).bytes(),
         DP_REASON_VALUE_UNKNOWN},
        {"Ipv6LaterFragment",
         (Eth() / IPv6{} / Fragment6{.offset = 100, .next_header = 6} / Payload(24)).bytes(),
         DP_REASON_VALUE_UNKNOWN},
        {"Ipv4FragmentIntoTheHeader",
         (Eth() / IPv4{.fragment_offset = 1, .protocol = 6} / Payload(24)).bytes(),
         DP_REASON_FRAGMENT},
        {"Ipv4TinyFirstFragment",
         (Eth() / IPv4{.more_fragments = true, .protocol = 6} / Payload(8)).bytes(),
         DP_REASON_FRAGMENT},
        {"Ipv6TinyFirstFragment",
         (Eth() / IPv6{} / Fragment6{.more = true, .next_header = 6} / Payload(8)).bytes(),
         DP_REASON_FRAGMENT},
        {"Ipv4SaysVersion6", (Eth() / IPv4{.version = 6} / web).bytes(), DP_REASON_MALFORMED},
        {"Ipv6SaysVersion4", (Eth() / IPv6{.version = 4} / web).bytes(), DP_REASON_MALFORMED},
        {"Ipv4ShortHeader", (Eth() / IPv4{.header_words = 4} / web).bytes(), DP_REASON_MALFORMED},
        {"Ipv4HeaderLongerThanPacket",
         (Eth() / IPv4{.header_words = 15, .total_length = 40} / web).bytes(), DP_REASON_MALFORMED},
        {"Ipv4TotalBelowHeader", (Eth() / IPv4{.total_length = 19} / web).bytes(),
         DP_REASON_MALFORMED},
        {"Ipv4TotalZero", (Eth() / IPv4{.total_length = 0} / web).bytes(), DP_REASON_MALFORMED},
        {"Ipv4TotalBeyondFrame", (Eth() / IPv4{.total_length = 41} / web).bytes(),
         DP_REASON_TRUNCATED},
        {"Ipv6PayloadBeyondFrame", (Eth() / IPv6{.payload_length = 21} / web).bytes(),
         DP_REASON_TRUNCATED},
        {"Ipv6PayloadZero", (Eth() / IPv6{.payload_length = 0} / web).bytes(), DP_REASON_TRUNCATED},
        {"Ipv6ExtensionBeyondPacket",
         (Eth() / IPv6{} / Extension{.number = 60, .units = 0, .claimed_units = 200} / web).bytes(),
         DP_REASON_TRUNCATED},
        {"TcpShortHeader",
         (Eth() / IPv4{} / TCP{.source_port = 1000, .destination_port = 80, .header_words = 4})
             .bytes(),
         DP_REASON_MALFORMED},
        {"TcpHeaderBeyondPacket",
         (Eth() / IPv4{} / TCP{.source_port = 1000, .destination_port = 80, .header_words = 6})
             .bytes(),
         DP_REASON_MALFORMED},
    };
    return cases;
}

struct XdpParser : testing::Test {
    std::unique_ptr<Xdp> xdp;

    void SetUp() override {
        SLUICE_NEEDS_BPF();
        xdp = std::make_unique<Xdp>();
        xdp->maps().publish(plan_of(one_tuple_only()));
        xdp->take_reasons();
    }
    void expect_pass(const Bytes &frame, const std::string &what) {
        EXPECT_EQ(xdp->run(frame), static_cast<std::uint32_t>(XDP_PASS)) << what;
        EXPECT_TRUE(xdp->take_reasons().empty()) << what;
    }
    // Dropped, and counted once; under `reason` unless that is none.
    void expect_drop(const Bytes &frame, std::uint32_t reason, const std::string &what) {
        EXPECT_EQ(xdp->run(frame), static_cast<std::uint32_t>(XDP_DROP)) << what;
        const auto counted = xdp->take_reasons();
        ASSERT_EQ(counted.size(), 1u) << what;
        EXPECT_EQ(counted.begin()->second, 1u) << what;
        EXPECT_TRUE(reason == none || counted.begin()->first == reason)
            << what << ": reason " << counted.begin()->first << ", not " << reason;
    }
};

TEST_F(XdpParser, FindsThePermittedTupleInEveryForm) {
    for (const Case &c : permitted())
        expect_pass(c.frame, c.name);
}

TEST_F(XdpParser, RefusesAllElseWithItsReason) {
    for (const Case &c : refused())
        expect_drop(c.frame, c.reason, c.name);
}

TEST_F(XdpParser, DropsPacketsCutAtAnyByte) {
    for (const Case &c : permitted()) {
        // The kernel runs no XDP program on less than an Ethernet header.
        for (std::size_t size = 14; size < c.frame.size(); ++size)
            expect_drop(Bytes(c.frame.begin(), c.frame.begin() + static_cast<long>(size)),
                        DP_REASON_TRUNCATED,
                        std::string(c.name) + " cut to " + std::to_string(size));
    }
}

TEST_F(XdpParser, DropsPacketsWhoseLengthFieldsAgreeWithTheCut) {
    for (std::uint16_t left = 0; left < 20; ++left) {
        const auto total = static_cast<std::uint16_t>(20 + left);
        const std::string what = "transport header of " + std::to_string(left);
        expect_drop((Eth() / IPv4{.total_length = total} / web).bytes(), DP_REASON_TRUNCATED, what);
        expect_drop((Eth() / IPv6{.payload_length = left} / web).bytes(), DP_REASON_TRUNCATED,
                    what);
    }
}

TEST_F(XdpParser, IgnoresPaddingBehindThePacket) {
    for (const Case &c : permitted()) {
        Bytes frame = c.frame;
        frame.resize(frame.size() + 30, 0xff);
        expect_pass(frame, c.name);
    }
}

TEST_F(XdpParser, NoticesEveryBitOfTheTuple) {
    const Bytes four = permitted().front().frame;
    const Bytes six = (Eth() / IPv6{} / web).bytes();
    const auto flip = [&](const Bytes &frame, std::size_t first, std::size_t bytes) {
        for (std::size_t bit = first * 8; bit < (first + bytes) * 8; ++bit) {
            Bytes changed = frame;
            changed[bit / 8] ^= static_cast<std::uint8_t>(0x80 >> bit % 8);
            expect_drop(changed, none, "bit " + std::to_string(bit));
        }
    };
    flip(four, 23, 1);     // protocol
    flip(four, 26, 8 + 4); // addresses, ports
    flip(six, 20, 1);      // next header
    flip(six, 22, 32 + 4); // addresses, ports
}

TEST_F(XdpParser, PassesWhatIsNotIp) {
    expect_pass((Eth{.ethertype = 0x0806} / Payload(28)).bytes(), "ARP");
    expect_pass((Eth() / Vlan{7} / Payload(28)).bytes(), "tagged, not IP");
}

TEST_F(XdpParser, WithoutAPolicyDropsAllAndCountsThat) {
    xdp->maps().withdraw();
    expect_drop(permitted().front().frame, DP_REASON_POLICY_MISSING, "no policy");
    expect_drop((Eth{.ethertype = 0x0806} / Payload(28)).bytes(), DP_REASON_POLICY_MISSING,
                "no policy for frames either");
}

} // namespace
} // namespace sluice::bpf_test
