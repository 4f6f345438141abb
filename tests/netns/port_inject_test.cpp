// SPDX-License-Identifier: Apache-2.0
// What a host injects: through the layers from the first on, by whom is told at each, and only
// where its addresses are this namespace's.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/ioctl.h>

#include "port_fixture.h"

namespace sluice::datapath {
namespace {

using harness::Eth;
using harness::IPv4;
using harness::IPv6;
using harness::Payload;
using harness::UDP;

class InjectTest : public PortTest {
protected:
    static Bytes datagram(const std::string &from, const std::string &to, std::uint16_t source,
                          std::uint16_t destination, const char *text) {
        const UDP udp{.source_port = source, .destination_port = destination};
        if (from.find(':') != std::string::npos)
            return (Eth() / IPv6{.source = from, .destination = to} / udp / Payload(text)).bytes();
        return (Eth() / IPv4{.source = from, .destination = to} / udp / Payload(text)).bytes();
    }
    std::uint64_t refused() const { return counted("DP_REASON_INJECT_REFUSED"); }
};

// The rule of callouts that follow fwpsk.h: the packet that was held is given up, its clone
// authorises the flow.
TEST_F(InjectTest, TheCloneOfAHeldDatagramAuthorisesItsFlow) {
    ask_at({harness::in_v4, accept_v4});
    const Fd server = bound(name_, SOCK_DGRAM, {near(false), 6000});
    const Fd client = bound(peer_, SOCK_DGRAM, {far(false), 6001});
    const Address to(near(false), 6000);
    ASSERT_EQ(sendto(client.get(), "first", 5, 0, to.get(), to.length), 5);
    auto up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_PERMIT); // INBOUND_IPPACKET
    const auto held = next();
    ASSERT_TRUE(held);
    ASSERT_EQ(held->head.layer, accept_v4);
    down(head(DP_DOWNCALL_HELD, *held));
    dp_downcall close = head(DP_DOWNCALL_COMPLETE, *held);
    close.flags = DP_DOWNCALL_CLOSE;
    down(close);
    EXPECT_TRUE(eventually([&] { return state_of(*held) == DP_FLOW_COMPLETED; }));
    ASSERT_EQ(sendto(client.get(), "other", 5, 0, to.get(), to.length), 5);
    up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_HELD") == 1; })) << "not the clone";

    inject(DP_INJECT_RECEIVE, held->packet, nic());
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, harness::in_v4);
    expect_injected(*up);
    answer(*up, DP_ACTION_PERMIT);
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, accept_v4);
    EXPECT_EQ(up->head.ticket, held->head.ticket) << "the same flow";
    expect_injected(*up);
    EXPECT_EQ(up->head.flags & DP_UPCALL_MAY_PEND, 0);
    EXPECT_EQ(up->head.condition_flags & DP_CONDITION_IS_REAUTHORIZE, 0u);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server), "first");
    EXPECT_EQ(received(server, 100), "") << "once";
    EXPECT_EQ(state_of(*held), DP_FLOW_PERMITTED);
}

TEST_F(InjectTest, TheCloneOfASynOpensTheConnection) {
    ask_at({accept_v4, accept_v4 + DP_LAYER_V6});
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const Fd listener = bound(name_, SOCK_STREAM, {near(v6), 6002}, true);
        const Fd client = bound(peer_, SOCK_STREAM, {far(v6), 0});
        const Address to(near(v6), 6002);
        connect(client.get(), to.get(), to.length);
        const auto held = next();
        ASSERT_TRUE(held);
        down(head(DP_DOWNCALL_HELD, *held));
        dp_downcall close = head(DP_DOWNCALL_COMPLETE, *held);
        close.flags = DP_DOWNCALL_CLOSE;
        down(close);
        inject(DP_INJECT_RECEIVE, held->packet, nic());
        const auto clone = next();
        ASSERT_TRUE(clone);
        expect_injected(*clone);
        answer(*clone, DP_ACTION_PERMIT);
        EXPECT_TRUE(ready(client, POLLOUT, 4000));
        EXPECT_EQ(state_of(*held), DP_FLOW_PERMITTED);
    }
}

// ALE_AUTH_CONNECT: what was held is flushed; exactly the clone leaves.
TEST_F(InjectTest, AFlushedDatagramLeavesOnceAsItsClone) {
    ask_at({DP_LAYER_ALE_AUTH_CONNECT_V4});
    const Fd server = bound(peer_, SOCK_DGRAM, {far(false), 6003});
    const Fd client = bound(name_, SOCK_DGRAM, {near(false), 6004});
    const Address to(far(false), 6003);
    ASSERT_EQ(sendto(client.get(), "first", 5, 0, to.get(), to.length), 5);
    const auto held = next();
    ASSERT_TRUE(held);
    down(head(DP_DOWNCALL_HELD, *held));
    down(head(DP_DOWNCALL_COMPLETE, *held, DP_ACTION_PERMIT));
    inject(DP_INJECT_SEND, held->packet);
    EXPECT_EQ(received(server), "first");
    EXPECT_EQ(received(server, 200), "") << "once";
    EXPECT_FALSE(next(10));
}

TEST_F(InjectTest, WhatIsSentGetsItsRouteAndLinkAddresses) {
    ask_at({DP_LAYER_ALE_AUTH_CONNECT_V4, DP_LAYER_ALE_AUTH_CONNECT_V6}, IPPROTO_UDP);
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const Fd server = bound(peer_, SOCK_DGRAM, {far(v6), 6005});
        ASSERT_EQ(run("ip -n " + name_ + " neigh flush dev nic0"), 0);
        for (const char *text : {"unresolved", "resolved"}) {
            inject(DP_INJECT_SEND, datagram(near(v6), far(v6), 6006, 6005, text));
            if (const auto up =
                    next(std::string(text) == "unresolved" ? 2000 : 50)) { // a flow of its own
                EXPECT_EQ(up->head.layer, v6 ? 50 : 48);
                EXPECT_EQ(up->head.ifindex, nic());
                expect_injected(*up);
                answer(*up, DP_ACTION_PERMIT);
            } else {
                EXPECT_STREQ(text, "resolved");
            }
            EXPECT_EQ(received(server), text);
        }
    }
}

TEST_F(InjectTest, LocalDestinationsGoByLo) {
    ask_at({});
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const Fd server = bound(name_, SOCK_DGRAM, {near(v6), 6007});
        inject(DP_INJECT_SEND, datagram(near(v6), near(v6), 6008, 6007, "sent"));
        EXPECT_EQ(received(server), "sent");
        inject(DP_INJECT_RECEIVE, datagram(far(v6), near(v6), 6009, 6007, "received"), nic());
        EXPECT_EQ(received(server), "received");
    }
}

TEST_F(InjectTest, AddressesOfOthersAreRefused) {
    ask_at({});
    const Fd server = bound(peer_, SOCK_DGRAM, {far(false), 6010});
    std::uint64_t expected = refused();
    // a source that is the neighbour's, a group as source, a destination that is not ours
    inject(DP_INJECT_SEND, datagram("192.0.2.77", far(false), 6011, 6010, "spoofed"));
    inject(DP_INJECT_SEND, datagram("224.0.0.1", far(false), 6011, 6010, "spoofed"));
    inject(DP_INJECT_RECEIVE, datagram(far(false), "192.0.2.77", 6011, 6010, "routed"), nic());
    inject(DP_INJECT_SEND, datagram("2001:db8:1::77", far(true), 6011, 6010, "spoofed"));
    // an interface that does not exist, no interface, no packet, no kind
    inject(DP_INJECT_RECEIVE, datagram(far(false), near(false), 6011, 6010, "by nothing"), 9999);
    inject(DP_INJECT_RECEIVE, datagram(far(false), near(false), 6011, 6010, "by nothing"));
    inject(DP_INJECT_SEND, {});
    inject(dp_inject_kind(7), datagram(near(false), far(false), 6011, 6010, "what"));
    expected += 8;
    EXPECT_TRUE(eventually([&] { return refused() == expected; })) << refused();
    EXPECT_EQ(received(server, 200), "");
    EXPECT_EQ(counted("DP_REASON_INJECTED"), 0u);
}

// Whatever is in it.
TEST_F(InjectTest, AFrameIsSentAsItIs) {
    ask_at({});
    const Within in(peer_);
    const Fd raw(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = int(if_nametoindex("peer0"));
    ASSERT_EQ(bind(raw.get(), reinterpret_cast<sockaddr *>(&at), sizeof at), 0);
    Bytes frame(60, 0xEE);
    std::fill_n(frame.begin(), 6, 0xFF);
    frame[6] = 0x02;
    frame[12] = 0x88; // an EtherType of nobody's
    frame[13] = 0xB5;
    inject(DP_INJECT_MAC_SEND, frame, nic());
    bool seen = false;
    for (int i = 0; i < 20 && !seen; ++i) {
        const std::string got = received(raw);
        seen = got == std::string(frame.begin(), frame.end());
    }
    EXPECT_TRUE(seen);
    EXPECT_EQ(counted("DP_REASON_INJECTED"), 1u);
    EXPECT_EQ(counted("DP_REASON_UPCALL"), 0u);
    inject(DP_INJECT_MAC_SEND, frame, 9999);
    inject(DP_INJECT_MAC_SEND, Bytes(13, 0xFF), nic());
    EXPECT_TRUE(eventually([&] { return refused() == 2; }));
}

// What it carries may be as long as the interface says; a tag does not count.
TEST_F(InjectTest, AFrameFitsItsInterface) {
    ask_at({});
    ASSERT_EQ(run("ip -n " + name_ + " link set nic0 mtu 1000"), 0);
    Bytes frame(14 + 1000, 0xEE);
    frame[12] = 0x88;
    frame[13] = 0xB5;
    inject(DP_INJECT_MAC_SEND, frame, nic());
    Bytes tagged = frame;
    const std::uint8_t tag[4] = {0x81, 0, 0, 5};
    tagged.insert(tagged.begin() + 12, tag, tag + 4);
    inject(DP_INJECT_MAC_SEND, tagged, nic());
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_INJECTED") == 2; }));
    frame.push_back(0);
    for (const auto kind : {DP_INJECT_MAC_SEND, DP_INJECT_MAC_RECEIVE})
        inject(kind, frame, nic());
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_INJECT_TOO_BIG") == 2; }));
    EXPECT_EQ(counted("DP_REASON_INJECTED"), 2u);
}

TEST_F(InjectTest, AFrameThatComesInMeetsEachLayer) {
    ask_at({DP_LAYER_INBOUND_MAC_FRAME_ETHERNET, harness::in_v4});
    const Fd server = bound(name_, SOCK_DGRAM, {near(false), 6014});
    Bytes frame = datagram(far(false), near(false), 6015, 6014, "frame");
    {
        const Within in(name_);
        ifreq request{};
        std::strcpy(request.ifr_name, "nic0");
        const Fd any(socket(AF_INET, SOCK_DGRAM, 0));
        ASSERT_EQ(ioctl(any.get(), SIOCGIFHWADDR, &request), 0);
        std::memcpy(frame.data(), request.ifr_hwaddr.sa_data, 6);
    }
    inject(DP_INJECT_MAC_RECEIVE, frame, nic());
    auto up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, DP_LAYER_INBOUND_MAC_FRAME_ETHERNET);
    expect_injected(*up);
    EXPECT_EQ(up->packet, frame);
    answer(*up, DP_ACTION_PERMIT);
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, harness::in_v4);
    expect_injected(*up);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server), "frame");
}

// However often its hosts say that they injected a packet, some time it is enough.
TEST_F(InjectTest, APacketDoesNotGoRoundForEver) {
    ask_at({harness::in_v4});
    const Fd server = bound(name_, SOCK_DGRAM, {near(false), 6016});
    const Bytes packet = datagram(far(false), near(false), 6017, 6016, "again");
    dp_downcall d{};
    d.magic = DP_DOWNCALL_MAGIC;
    d.version = DP_LAYOUT_VERSION;
    d.kind = DP_DOWNCALL_INJECT;
    d.inject.kind = DP_INJECT_RECEIVE;
    d.inject.ifindex = nic();
    d.count = DP_INJECT_TIMES_MAX;
    down(d, packet);
    const auto up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.injected.times, std::uint32_t{DP_INJECT_TIMES_MAX});
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server), "again");
    d.count++;
    down(d, packet);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_INJECT_LOOP") == 1; }));
    EXPECT_EQ(received(server, 100), "");
}

// Of a flow that is blocked nothing passes, injected or not; its socket hears nothing of it.
TEST_F(InjectTest, APacketObeysTheFlowThatItMeets) {
    ask_at({DP_LAYER_ALE_AUTH_CONNECT_V4});
    const Fd server = bound(peer_, SOCK_DGRAM, {far(false), 6012});
    const Fd client = bound(name_, SOCK_DGRAM, {near(false), 6013});
    const Address to(far(false), 6012);
    ASSERT_EQ(sendto(client.get(), "first", 5, 0, to.get(), to.length), 5);
    const auto up = next();
    ASSERT_TRUE(up);
    dp_downcall block = head(DP_DOWNCALL_ANSWER, *up, DP_ACTION_BLOCK);
    block.flags = DP_DOWNCALL_ABSORB;
    down(block, up->packet);
    const std::uint64_t before = counted("DP_REASON_FLOW_BLOCKED");
    inject(DP_INJECT_SEND, up->packet);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_FLOW_BLOCKED") == before + 1; }));
    EXPECT_EQ(received(server, 200), "");
    EXPECT_EQ(counted("DP_REASON_REJECT_SENT"), 0u);
}

} // namespace
} // namespace sluice::datapath
