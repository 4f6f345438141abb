// SPDX-License-Identifier: Apache-2.0
// The layers that ask about every packet of this machine's own traffic, by tickets.
#include <netinet/udp.h>

#include "port_fixture.h"

namespace sluice::datapath {
namespace {

class PacketTest : public PortTest {
protected:
    static constexpr std::uint16_t out_port = 6200, in_port = 6201;

    void open(bool v6) {
        server_ = bound(peer_, SOCK_DGRAM, {far(v6), in_port});
        client_ = bound(name_, SOCK_DGRAM, {near(v6), out_port});
    }
    void send(bool inbound, bool v6, const std::string &text) {
        const Address to(inbound ? near(v6) : far(v6), inbound ? out_port : in_port);
        const Fd &from = inbound ? server_ : client_;
        ASSERT_EQ(sendto(from.get(), text.data(), text.size(), 0, to.get(), to.length),
                  static_cast<ssize_t>(text.size()));
    }
    std::string arrived(bool inbound, int ms = 1500) {
        return received(inbound ? client_ : server_, ms);
    }

    Fd server_, client_;
};

TEST_F(PacketTest, EachPacketIsAskedAboutAndObeysItsAnswer) {
    for (const std::uint16_t v4 : {DP_LAYER_OUTBOUND_TRANSPORT_V4, DP_LAYER_OUTBOUND_IPPACKET_V4,
                                   DP_LAYER_INBOUND_TRANSPORT_V4})
        for (const bool v6 : {false, true}) {
            const auto layer = static_cast<std::uint16_t>(v4 + (v6 ? DP_LAYER_V6 : 0));
            const bool inbound = v4 == DP_LAYER_INBOUND_TRANSPORT_V4;
            SCOPED_TRACE(layer);
            ask_at({layer}, IPPROTO_UDP);
            open(v6);
            for (const auto action : {DP_ACTION_PERMIT, DP_ACTION_BLOCK, DP_ACTION_PERMIT}) {
                send(inbound, v6, "text");
                const auto up = next();
                ASSERT_TRUE(up);
                EXPECT_EQ(up->head.layer, layer);
                EXPECT_EQ(up->head.direction, inbound);
                EXPECT_EQ(up->head.ifindex, nic());
                EXPECT_EQ(up->head.key.local_port, out_port);
                EXPECT_EQ(up->head.key.remote_port, in_port);
                answer(*up, action);
                EXPECT_EQ(arrived(inbound, action == DP_ACTION_PERMIT ? 1500 : 200),
                          action == DP_ACTION_PERMIT ? "text" : "");
            }
        }
}

// Each of its segments carries the question; each answer counts once.
TEST_F(PacketTest, ASuperPacketIsAnsweredSegmentBySegment) {
    ask_at({DP_LAYER_OUTBOUND_TRANSPORT_V4}, IPPROTO_UDP);
    open(false);
    const int size = 10;
    ASSERT_EQ(setsockopt(client_.get(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size), 0);
    send(false, false, "first     second    third");
    std::vector<Up> ups;
    for (int i = 0; i < 3; ++i) {
        auto up = next();
        ASSERT_TRUE(up);
        EXPECT_TRUE(ups.empty() || up->head.ticket == ups[0].head.ticket);
        ups.push_back(std::move(*up));
    }
    answer(ups[0], DP_ACTION_PERMIT);
    answer(ups[1], DP_ACTION_BLOCK);
    answer(ups[2], DP_ACTION_PERMIT);
    EXPECT_EQ(arrived(false), "first     ");
    EXPECT_EQ(arrived(false), "third");
    answer(ups[1], DP_ACTION_PERMIT);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_DOWNCALL_STALE") == 1; }));
    EXPECT_EQ(arrived(false, 100), "");
}

TEST_F(PacketTest, ThePacketThatComesBackIsTheOneThatWasAskedAbout) {
    ask_at({DP_LAYER_OUTBOUND_TRANSPORT_V4}, IPPROTO_UDP);
    open(false);
    send(false, false, "text");
    const auto up = next();
    ASSERT_TRUE(up);
    Up other = *up;
    other.packet[14 + 19] ^= 1; // to somebody else
    answer(other, DP_ACTION_PERMIT);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_DOWNCALL_MISMATCH") == 1; }));
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(arrived(false), "text");
}

// The layer behind the one that permitted asks next, about the same packet.
TEST_F(PacketTest, TheLayersAskOneAfterTheOther) {
    const std::vector<std::uint16_t> out{DP_LAYER_ALE_AUTH_CONNECT_V4, DP_LAYER_DATAGRAM_DATA_V4,
                                         DP_LAYER_OUTBOUND_TRANSPORT_V4,
                                         DP_LAYER_OUTBOUND_IPPACKET_V4};
    const std::vector<std::uint16_t> in{DP_LAYER_INBOUND_IPPACKET_V4, DP_LAYER_INBOUND_TRANSPORT_V4,
                                        DP_LAYER_DATAGRAM_DATA_V4};
    auto all = out;
    all.insert(all.end(), in.begin(), in.begin() + 2);
    ask_at(all, IPPROTO_UDP);
    open(false);
    for (const bool inbound : {false, true}) {
        send(inbound, false, "text");
        std::uint64_t flow = 0;
        for (const std::uint16_t layer : inbound ? in : out) {
            const auto up = next();
            ASSERT_TRUE(up) << layer;
            EXPECT_EQ(up->head.layer, layer);
            if (layer == DP_LAYER_ALE_AUTH_CONNECT_V4) flow = up->head.flow;
            if (layer == DP_LAYER_OUTBOUND_TRANSPORT_V4) EXPECT_EQ(up->head.flow, flow);
            answer(*up, DP_ACTION_PERMIT);
        }
        EXPECT_EQ(arrived(inbound), "text");
    }
}

// What its way takes: of the device, or less where the route says so.
TEST_F(PacketTest, OutboundPacketsKnowTheMtuOfTheirWay) {
    ask_at({DP_LAYER_OUTBOUND_IPPACKET_V4, DP_LAYER_OUTBOUND_IPPACKET_V6,
            DP_LAYER_OUTBOUND_TRANSPORT_V4},
           IPPROTO_UDP);
    const auto mtu_at = [&](bool v6) {
        send(false, v6, "text");
        auto up = next();
        if (up && up->head.layer == DP_LAYER_OUTBOUND_TRANSPORT_V4) {
            EXPECT_EQ(up->head.path_mtu, 0u) << "no metadata of that layer";
            answer(*up, DP_ACTION_PERMIT);
            up = next();
        }
        if (!up) return 0u;
        answer(*up, DP_ACTION_PERMIT);
        EXPECT_EQ(arrived(false), "text");
        return up->head.path_mtu;
    };
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        open(v6);
        EXPECT_EQ(mtu_at(v6), 1500u);
        ASSERT_EQ(run("ip -n " + name_ + " route add " + far(v6) + " dev nic0 mtu lock 1300"), 0);
        EXPECT_EQ(mtu_at(v6), 1300u);
    }
}

// A transport callout is to let pass what RECV_ACCEPT has not judged yet.
TEST_F(PacketTest, InboundTransportTellsWhatAleHasStillToJudge) {
    ask_at({DP_LAYER_INBOUND_TRANSPORT_V4}, IPPROTO_UDP);
    open(false);
    const auto follows = [&](const char *what) {
        send(true, false, "text");
        const auto up = next();
        EXPECT_TRUE(up) << what;
        if (!up) return false;
        EXPECT_EQ(up->head.layer, DP_LAYER_INBOUND_TRANSPORT_V4) << what;
        answer(*up, DP_ACTION_PERMIT);
        if (up->head.flags & DP_UPCALL_ALE_FOLLOWS) {
            const auto accept = next();
            EXPECT_TRUE(accept && accept->head.layer == DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4) << what;
            if (accept) answer(*accept, DP_ACTION_PERMIT);
        }
        EXPECT_EQ(arrived(true), "text") << what;
        return (up->head.flags & DP_UPCALL_ALE_FOLLOWS) != 0;
    };
    EXPECT_FALSE(follows("RECV_ACCEPT has no filters"));
    ask_at({DP_LAYER_INBOUND_TRANSPORT_V4, DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4}, IPPROTO_UDP);
    EXPECT_TRUE(follows("the first packet"));
    EXPECT_FALSE(follows("the second one"));
    ask_at({DP_LAYER_INBOUND_TRANSPORT_V4, DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4}, IPPROTO_UDP);
    EXPECT_TRUE(follows("under a newer policy"));
}

TEST_F(PacketTest, AnIcmpErrorIsAskedAboutWhereItLeavesAndArrives) {
    ask_at({DP_LAYER_OUTBOUND_ICMP_ERROR_V4, DP_LAYER_INBOUND_ICMP_ERROR_V4});
    const Fd there = bound(peer_, SOCK_DGRAM, {far(false), in_port});
    const Fd here = bound(name_, SOCK_DGRAM, {near(false), out_port});
    for (const bool inbound : {false, true}) { // who hears that the other's port 6300 is closed
        const Fd &who = inbound ? here : there;
        const Address to(inbound ? far(false) : near(false), 6300);
        ASSERT_EQ(connect(who.get(), to.get(), to.length), 0);
        for (const auto action : {DP_ACTION_BLOCK, DP_ACTION_PERMIT}) {
            ASSERT_EQ(::send(who.get(), "x", 1, 0), 1);
            const auto up = host_->next(2000);
            ASSERT_TRUE(up);
            EXPECT_EQ(up->head.layer,
                      inbound ? DP_LAYER_INBOUND_ICMP_ERROR_V4 : DP_LAYER_OUTBOUND_ICMP_ERROR_V4);
            EXPECT_EQ(up->head.key.local_port, 3) << "type";
            answer(*up, action);
            const bool heard = ready(who, POLLERR, action == DP_ACTION_PERMIT ? 1500 : 200);
            EXPECT_EQ(heard, action == DP_ACTION_PERMIT);
        }
    }
}

} // namespace
} // namespace sluice::datapath
