// SPDX-License-Identifier: Apache-2.0
// What is routed through: asked about packet by packet, and injected past all layers.

#include "port_fixture.h"

namespace sluice::datapath {
namespace {

using harness::Eth;
using harness::IPv4;
using harness::IPv6;
using harness::Payload;
using harness::UDP;

constexpr std::uint16_t forward_v4 = DP_LAYER_IPFORWARD_V4, forward_v6 = DP_LAYER_IPFORWARD_V6;

class ForwardTest : public PortTest {
protected:
    void SetUp() override {
        PortTest::SetUp();
        if (IsSkipped()) return;
        far_ = "slfw-" + name_.substr(5);
        const std::string near = "ip -n " + name_ + " ", peer = "ip -n " + peer_ + " ",
                          far = "ip -n " + far_ + " ";
        for (const std::string &command :
             {"ip netns add " + far_, near + "link add nic1 type veth peer name far0 netns " + far_,
              near + "addr add 198.51.100.1/24 dev nic1",
              near + "addr add 2001:db8:2::1/64 dev nic1 nodad",
              far + "addr add 198.51.100.2/24 dev far0",
              far + "addr add 2001:db8:2::2/64 dev far0 nodad", near + "link set nic1 up",
              far + "link set far0 up", far + "route add default via 198.51.100.1",
              far + "route add default via 2001:db8:2::1", peer + "route add default via 192.0.2.1",
              peer + "route add default via 2001:db8:1::1",
              "ip netns exec " + name_ +
                  " sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"})
            ASSERT_EQ(run(command), 0) << command;
        for (const bool v6 : {false, true}) // neighbours are known before anything is asked about
            ASSERT_EQ(
                run("ip netns exec " + peer_ + " ping -c5 -i0.2 -W5 " + beyond(v6) + " >/dev/null"),
                0);
        std::string note;
        ASSERT_TRUE(plane_->attach_nic("nic1", XdpMode::automatic, note));
        std::vector<dp_addr> own;
        for (const std::uint32_t v4 : {0xC0000201u, 0xC6336401u})
            own.push_back({0, 0xFFFF00000000ull | v4});
        for (const std::uint64_t net : {1u, 2u})
            own.push_back({0x20010DB800000000ull | net << 16, 1});
        ASSERT_TRUE(plane_->set_own_addresses(own));
    }
    void TearDown() override {
        if (!far_.empty()) run("ip netns del " + far_);
        PortTest::TearDown();
    }

    static std::string guest(bool v6) { return v6 ? "2001:db8:1::2" : "192.0.2.2"; }
    static std::string beyond(bool v6) { return v6 ? "2001:db8:2::2" : "198.51.100.2"; }
    std::uint32_t index(const char *device) const {
        const Within in(name_);
        return if_nametoindex(device);
    }
    static Bytes datagram(const std::string &from, const std::string &to, const std::string &text) {
        const UDP udp{.source_port = 6100, .destination_port = 6101};
        if (from.find(':') != std::string::npos)
            return (Eth() / IPv6{.source = from, .destination = to} / udp / Payload(text)).bytes();
        return (Eth() / IPv4{.source = from, .destination = to} / udp / Payload(text)).bytes();
    }
    // A numbered injection; `asked`: bytes that are asked about.
    void forward(std::uint64_t number, const Bytes &packet, std::uint32_t ifindex = 0,
                 std::uint32_t asked = 0) {
        dp_downcall d{};
        d.magic = DP_DOWNCALL_MAGIC;
        d.version = DP_LAYOUT_VERSION;
        d.kind = DP_DOWNCALL_INJECT;
        d.inject.endpoint = number;
        d.count = asked;
        d.inject.ifindex = ifindex;
        d.inject.kind = DP_INJECT_FORWARD;
        down(d, packet);
    }
    // All before it was done: what came back until then, as number and reason.
    std::vector<std::pair<std::uint64_t, std::uint32_t>> answers() {
        std::vector<std::pair<std::uint64_t, std::uint32_t>> out;
        forward(99, {});
        while (const auto up = host_->next(2000)) {
            if (up->head.kind != DP_UPCALL_FORWARDED) continue;
            if (up->head.filter_id == 99) return out;
            out.emplace_back(up->head.filter_id, up->head.action);
            mtu_ = std::uint32_t(up->head.generation);
        }
        ADD_FAILURE() << "no answer";
        return out;
    }
    using Answers = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

    std::string far_;
    std::uint32_t mtu_ = 0;
};

TEST_F(ForwardTest, EachPacketIsAskedAboutWithBothInterfaces) {
    ask_at({forward_v4, forward_v6}, IPPROTO_UDP);
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const Fd server = bound(far_, SOCK_DGRAM, {beyond(v6), 6101});
        const Fd client = bound(peer_, SOCK_DGRAM, {guest(v6), 6100});
        const Address to(beyond(v6), 6101);
        for (const auto action : {DP_ACTION_PERMIT, DP_ACTION_BLOCK, DP_ACTION_PERMIT}) {
            ASSERT_EQ(sendto(client.get(), "text", 4, 0, to.get(), to.length), 4);
            const auto up = next();
            ASSERT_TRUE(up);
            EXPECT_EQ(up->head.layer, v6 ? forward_v6 : forward_v4);
            EXPECT_EQ(up->head.arrival, index("nic0"));
            EXPECT_EQ(up->head.ifindex, index("nic1"));
            EXPECT_EQ(up->head.arrival_type, up->head.interface_type);
            EXPECT_NE(up->head.arrival_type, 0);
            EXPECT_EQ(up->head.key.local_port, 6100);
            EXPECT_EQ(up->head.key.remote_port, 6101);
            answer(*up, action);
            EXPECT_EQ(received(server, action == DP_ACTION_PERMIT ? 1500 : 200),
                      action == DP_ACTION_PERMIT ? "text" : "");
        }
    }
    EXPECT_EQ(counted("DP_REASON_CALLOUT_BLOCK"), 2u);
}

// A sublayer's callout permits, the next sublayer's is asked; behind the layer comes the MAC layer.
TEST_F(ForwardTest, WhatIsPermittedMeetsTheNextCalloutAndTheNextLayer) {
    ask_at({forward_v4}, IPPROTO_UDP); // the host is known from now on
    for (const bool blocks_behind : {false, true}) {
        SCOPED_TRACE(blocks_behind);
        policy::Policy p = policy::initial();
        for (const std::uint16_t weight : {2, 1}) {
            const Guid callout = harness::new_callout(p, forward_v4);
            harness::add(p,
                         harness::unknown(forward_v4, callout)
                             .in(harness::new_sublayer(p, weight))
                             .when(harness::equal(harness::protocol, std::uint8_t{IPPROTO_UDP})));
            ASSERT_TRUE(
                plane_->set_callout(p.callouts.at(callout).id, dp_callout{.host = host_id}));
        }
        if (blocks_behind) harness::add(p, harness::block(DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET));
        auto plan = compiler::compile(p, ++generation_, {});
        ASSERT_TRUE(plan && plane_->publish(*plan));

        const Fd server = bound(far_, SOCK_DGRAM, {beyond(false), 6101});
        const Fd client = bound(peer_, SOCK_DGRAM, {guest(false), 6100});
        const Address to(beyond(false), 6101);
        ASSERT_EQ(sendto(client.get(), "text", 4, 0, to.get(), to.length), 4);
        const auto first = next();
        ASSERT_TRUE(first);
        dp_downcall permits = head(DP_DOWNCALL_ANSWER, *first, DP_ACTION_PERMIT);
        permits.rights = DP_RIGHT_ACTION_WRITE;
        down(permits, first->packet);
        const auto second = next();
        ASSERT_TRUE(second);
        EXPECT_NE(second->head.filter_id, first->head.filter_id);
        EXPECT_EQ(second->head.action, std::uint32_t{DP_ACTION_PERMIT});
        EXPECT_EQ(second->head.arrival, index("nic0"));
        answer(*second, DP_ACTION_PERMIT);
        EXPECT_EQ(received(server, blocks_behind ? 300 : 1500), blocks_behind ? "" : "text");
        const std::uint64_t stale = counted("DP_REASON_DOWNCALL_STALE");
        answer(*second, DP_ACTION_PERMIT);
        EXPECT_TRUE(eventually([&] { return counted("DP_REASON_DOWNCALL_STALE") == stale + 1; }));
        EXPECT_EQ(received(server, 100), "") << "once";
    }
}

TEST_F(ForwardTest, WhatIsInjectedPassesAllLayers) {
    ask_at({forward_v4, forward_v6});
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const Fd server = bound(far_, SOCK_DGRAM, {beyond(v6), 6101});
        ASSERT_EQ(run("ip -n " + name_ + " neigh flush dev nic1"), 0);
        for (const std::uint32_t by : {0u, index("nic1")})
            for (const char *text : {"unresolved", "resolved"}) {
                forward(1, datagram(guest(v6), beyond(v6), text), by);
                EXPECT_EQ(received(server, 4000), text) << by;
            }
        EXPECT_EQ(answers(), Answers{});
    }
    EXPECT_EQ(counted("DP_REASON_INJECTED"), 8u);
    EXPECT_EQ(counted("DP_REASON_UPCALL"), 0u) << "nobody is asked";
}

TEST_F(ForwardTest, WhatCannotBeDoneComesBackWithItsReason) {
    ask_at({});
    const Fd server = bound(far_, SOCK_DGRAM, {beyond(false), 6101});
    ASSERT_EQ(run("ip -n " + name_ + " link add other type veth peer name another && ip -n " +
                  name_ + " link set another up && ip -n " + name_ +
                  " addr add 203.0.113.1/24 dev other && ip -n " + name_ + " link set other up"),
              0);
    const std::string in = guest(false), out = beyond(false);
    forward(1, datagram("192.0.2.1", out, "from here"));
    forward(2, datagram(in, "198.51.100.1", "to here"));
    forward(3, datagram(in, "224.0.0.5", "to a group"));
    forward(4, datagram("127.0.0.1", out, "from loopback"));
    forward(5, datagram("0.0.0.0", out, "from nobody"));
    forward(6, datagram(in, "192.0.2.255", "to all"));
    forward(7, datagram(in, "8.8.8.8", "nowhere"));
    forward(8, datagram(in, out, "by another way"), index("nic0"));
    forward(9, datagram(in, out, "by none"), 4711);
    forward(10, datagram(in, "203.0.113.9", "by a device that is not loaded"));
    Bytes cut = datagram(in, out, "cut");
    cut.resize(cut.size() - 20);
    forward(11, cut);
    forward(12, datagram(guest(true), "2001:db8:2::1", "to here"));
    const Answers wanted{{1, DP_REASON_INJECT_NOT_TRANSIT}, {2, DP_REASON_INJECT_NOT_TRANSIT},
                         {3, DP_REASON_INJECT_NOT_TRANSIT}, {4, DP_REASON_INJECT_NOT_TRANSIT},
                         {5, DP_REASON_INJECT_NOT_TRANSIT}, {6, DP_REASON_INJECT_NO_ROUTE},
                         {7, DP_REASON_INJECT_NO_ROUTE},    {8, DP_REASON_INJECT_NO_ROUTE},
                         {9, DP_REASON_INJECT_NO_ROUTE},    {10, DP_REASON_NO_NIC},
                         {11, DP_REASON_INJECT_REFUSED},    {12, DP_REASON_INJECT_NOT_TRANSIT}};
    EXPECT_EQ(answers(), wanted);
    EXPECT_EQ(received(server, 100), "");
    EXPECT_EQ(counted("DP_REASON_INJECTED"), 0u);
}

TEST_F(ForwardTest, TheMtuOfTheWayIsTold) {
    ask_at({});
    ASSERT_EQ(run("ip -n " + name_ + " link set nic1 mtu 1280"), 0);
    const Fd server = bound(far_, SOCK_DGRAM, {beyond(false), 6101});
    for (const bool v6 : {false, true})
        for (const std::uint32_t by : {0u, index("nic1")}) {
            SCOPED_TRACE(std::to_string(v6) + " " + std::to_string(by));
            const Bytes fits = datagram(guest(v6), beyond(v6), std::string(v6 ? 1232 : 1252, 'x'));
            const Bytes more = datagram(guest(v6), beyond(v6), std::string(v6 ? 1233 : 1253, 'x'));
            forward(1, fits, by);
            EXPECT_EQ(answers(), Answers{});
            forward(2, more, by);
            EXPECT_EQ(answers(), (Answers{{2, DP_REASON_INJECT_TOO_BIG}}));
            EXPECT_EQ(mtu_, 1280u);
            forward(3, datagram(guest(v6), beyond(v6), "asks"), by, 60000);
            EXPECT_EQ(answers(), (Answers{{3, DP_REASON_INJECT_TOO_BIG}}));
            EXPECT_EQ(mtu_, 1280u);
        }
    // More than a frame holds, though the way would take it.
    ASSERT_EQ(run("ip -n " + name_ + " link set nic1 mtu 9000"), 0);
    forward(4, datagram(guest(false), beyond(false), "asks"), 0, 8000);
    EXPECT_EQ(answers(), (Answers{{4, DP_REASON_INJECT_TOO_BIG}}));
    EXPECT_EQ(mtu_, std::uint32_t(DP_INJECT_BYTES));
    EXPECT_EQ(received(server), std::string(1252, 'x').substr(0, 256));
}

} // namespace
} // namespace sluice::datapath
