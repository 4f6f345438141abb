// SPDX-License-Identifier: Apache-2.0
// What a peer begins is held at TC ingress: first packets, those that follow, and every way in
// which the question ends.
#include "port_fixture.h"

namespace sluice::datapath {
namespace {

using namespace std::chrono_literals;

class InboundTest : public PortTest {
protected:
    // A listener here, and a client at the peer that has begun to connect.
    void begin_tcp(bool v6, std::uint16_t port) {
        listener_ = bound(name_, SOCK_STREAM, {near(v6), port}, true);
        client_ = bound(peer_, SOCK_STREAM, {far(v6), 0});
        const Address to(near(v6), port);
        ASSERT_EQ(connect(client_.get(), to.get(), to.length), -1);
        ASSERT_EQ(errno, EINPROGRESS);
    }
    void begin_udp(bool v6, std::uint16_t port) {
        server_ = bound(name_, SOCK_DGRAM, {near(v6), port});
        client_ = bound(peer_, SOCK_DGRAM, {far(v6), 0});
        const Address to(near(v6), port);
        ASSERT_EQ(connect(client_.get(), to.get(), to.length), 0);
    }
    void say(const char *text) { ASSERT_GT(send(client_.get(), text, std::strlen(text), 0), 0); }
    bool connected() {
        int error = -1;
        socklen_t length = sizeof error;
        if (!ready(client_, POLLOUT, 4000)) return false;
        getsockopt(client_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        return error == 0;
    }
    std::uint64_t cookie(const Fd &s) {
        std::uint64_t value = 0;
        socklen_t length = sizeof value;
        getsockopt(s.get(), SOL_SOCKET, SO_COOKIE, &value, &length);
        return value;
    }
    Fd listener_, server_, client_;
};

TEST_F(InboundTest, ASynIsHeldAndItsRetransmissionsJoin) {
    ask_at({accept_v4, accept_v4 + DP_LAYER_V6});
    std::uint16_t port = 5000;
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const std::uint64_t held = counted("DP_REASON_HELD"),
                            permitted = counted("DP_REASON_HOLD_PERMITTED");
        begin_tcp(v6, ++port);
        const auto up = next();
        ASSERT_TRUE(up);
        EXPECT_EQ(up->head.kind, DP_UPCALL_CLASSIFY);
        EXPECT_EQ(up->head.layer, v6 ? 46 : 44);
        EXPECT_EQ(up->head.direction, DP_DIRECTION_INBOUND);
        EXPECT_EQ(up->head.flags & DP_UPCALL_MAY_PEND, DP_UPCALL_MAY_PEND);
        EXPECT_EQ(up->head.key.local_port, port);
        EXPECT_EQ(up->head.flow, up->head.ticket);
        EXPECT_EQ(up->head.process.tgid, std::uint32_t(getpid()));
        EXPECT_EQ(up->head.parent, cookie(listener_));
        EXPECT_EQ(up->head.injected.host, 0u);
        down(head(DP_DOWNCALL_HELD, *up));
        EXPECT_TRUE(eventually([&] { return counted("DP_REASON_HELD") > held; })) << "sent again";
        EXPECT_FALSE(next(100)) << "one question";
        EXPECT_EQ(state_of(*up), DP_FLOW_HELD);
        down(head(DP_DOWNCALL_COMPLETE, *up, DP_ACTION_PERMIT), up->packet);
        EXPECT_TRUE(connected());
        EXPECT_EQ(state_of(*up), DP_FLOW_PERMITTED);
        EXPECT_EQ(counted("DP_REASON_HOLD_PERMITTED"), permitted + 1);
        const Fd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK));
        ASSERT_TRUE(accepted.valid());
        say("hello");
        EXPECT_EQ(received(accepted), "hello");
        EXPECT_EQ(plane_->flow(up->head.key)->cookie, cookie(accepted))
            << "known from the SYN-ACK on";
    }
}

TEST_F(InboundTest, ABlockIsSilentAndKept) {
    ask_at({accept_v4});
    begin_tcp(false, 5001);
    const auto up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_BLOCK);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_FLOW_BLOCKED") > 0; })) << "sent again";
    EXPECT_FALSE(ready(client_, POLLOUT | POLLERR, 10)) << "nobody has told the peer";
    EXPECT_EQ(state_of(*up), DP_FLOW_BLOCKED);
    EXPECT_EQ(counted("DP_REASON_REJECT_SENT"), 0u);
    EXPECT_FALSE(next(10));
}

TEST_F(InboundTest, DatagramsQueueAndComeInOrder) {
    ask_at({accept_v4, accept_v4 + DP_LAYER_V6});
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        begin_udp(v6, 5002);
        for (const char *text : {"one", "two", "three"})
            say(text);
        std::vector<Up> ups;
        for (int i = 0; i < 3; ++i) {
            auto up = next();
            ASSERT_TRUE(up) << i;
            EXPECT_EQ(up->head.kind, i == 0 ? DP_UPCALL_CLASSIFY : DP_UPCALL_QUEUED);
            EXPECT_EQ(up->head.endpoint, cookie(server_));
            ups.push_back(*up);
        }
        down(head(DP_DOWNCALL_HELD, ups[0]));
        EXPECT_EQ(received(server_, 300), "");
        down(head(DP_DOWNCALL_COMPLETE, ups[0], DP_ACTION_PERMIT), ups[0].packet);
        down(head(DP_DOWNCALL_RELEASE, ups[1]), ups[1].packet);
        down(head(DP_DOWNCALL_RELEASE, ups[2]), ups[2].packet);
        EXPECT_EQ(received(server_), "one");
        EXPECT_EQ(received(server_), "two");
        EXPECT_EQ(received(server_), "three");
        say("four");
        EXPECT_EQ(received(server_), "four");
        EXPECT_FALSE(next(50)) << "authorised";
    }
}

TEST_F(InboundTest, AnEchoIsAskedAbout) {
    ask_at({accept_v4, accept_v4 + DP_LAYER_V6});
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        int result = -1;
        std::thread ping([&] {
            result = run("ip netns exec " + peer_ + " ping -c 1 -W 4 " + near(v6) + " >/dev/null");
        });
        const auto up = next();
        if (up) {
            EXPECT_EQ(up->head.layer, v6 ? 46 : 44);
            down(head(DP_DOWNCALL_HELD, *up));
            std::this_thread::sleep_for(200ms);
            down(head(DP_DOWNCALL_COMPLETE, *up, DP_ACTION_PERMIT), up->packet);
        }
        ping.join();
        EXPECT_TRUE(up);
        EXPECT_EQ(result, 0);
    }
}

TEST_F(InboundTest, WhatIsAskedOnLoIsDeliveredThere) {
    ask_at({accept_v4});
    server_ = bound(name_, SOCK_DGRAM, {"127.0.0.1", 5003});
    client_ = bound(name_, SOCK_DGRAM, {"127.0.0.1", 0});
    const Address to("127.0.0.1", 5003);
    ASSERT_EQ(connect(client_.get(), to.get(), to.length), 0);
    say("local");
    const auto up = next();
    ASSERT_TRUE(up);
    EXPECT_NE(up->head.condition_flags & DP_CONDITION_IS_LOOPBACK, 0u);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server_), "local");
}

// INBOUND_IPPACKET asks first; the packet goes on at the port, where RECV_ACCEPT asks.
TEST_F(InboundTest, APacketGoesOnBehindTheLayerThatAnswered) {
    ask_at({harness::in_v4, accept_v4});
    begin_tcp(false, 5004);
    auto up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, harness::in_v4);
    answer(*up, DP_ACTION_PERMIT);
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, accept_v4);
    EXPECT_EQ(up->head.parent, cookie(listener_));
    answer(*up, DP_ACTION_PERMIT);
    up = next(); // the handshake's end
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, harness::in_v4);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_TRUE(connected());
    EXPECT_TRUE(eventually([&] { return accept(listener_.get(), nullptr, nullptr) >= 0; }));
}

TEST_F(InboundTest, ASocketOfOneInterfaceIsFoundBehindThePort) {
    ask_at({harness::in_v4, accept_v4});
    begin_udp(false, 5005);
    ASSERT_EQ(setsockopt(server_.get(), SOL_SOCKET, SO_BINDTODEVICE, "nic0", 5), 0);
    say("bound");
    auto up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_PERMIT);
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, accept_v4);
    EXPECT_EQ(up->head.endpoint, cookie(server_));
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server_), "bound");
}

TEST_F(InboundTest, ANewerPolicyAsksByTheNextPacketOfEitherDirection) {
    begin_udp(false, 5006);
    ask_at({});
    say("before");
    EXPECT_EQ(received(server_), "before");
    ask_at({accept_v4});
    say("again"); // inbound
    auto up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.direction, DP_DIRECTION_INBOUND);
    EXPECT_EQ(up->head.flags & DP_UPCALL_MAY_PEND, 0);
    down(head(DP_DOWNCALL_HELD, *up));
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_DOWNCALL_STATE") == 1; }));
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(server_), "again");
    ask_at({accept_v4});
    Address from(far(false), 0);
    ASSERT_EQ(getsockname(client_.get(), reinterpret_cast<sockaddr *>(&from.storage), &from.length),
              0);
    ASSERT_EQ(sendto(server_.get(), "reply", 5, 0, from.get(), from.length), 5); // outbound
    up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->head.layer, accept_v4);
    EXPECT_EQ(up->head.direction, DP_DIRECTION_OUTBOUND);
    answer(*up, DP_ACTION_PERMIT);
    EXPECT_EQ(received(client_), "reply");
    ask_at({accept_v4});
    say("refused");
    up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_BLOCK);
    EXPECT_EQ(received(server_, 300), "");
    EXPECT_EQ(state_of(*up), DP_FLOW_BLOCKED);
}

TEST_F(InboundTest, ABlockedConnectionWaitsToBeCut) {
    ask_at({});
    begin_tcp(false, 5007);
    ASSERT_TRUE(connected());
    ask_at({accept_v4});
    say("more");
    const auto up = next();
    ASSERT_TRUE(up);
    answer(*up, DP_ACTION_BLOCK);
    EXPECT_TRUE(eventually([&] { return state_of(*up) == DP_FLOW_BLOCKED; }));
    const std::uint32_t flags = plane_->flow(up->head.key)->flags;
    EXPECT_EQ(flags & (DP_FLOW_REVOKED | DP_FLOW_TO_CUT),
              std::uint32_t(DP_FLOW_REVOKED | DP_FLOW_TO_CUT));
    EXPECT_EQ(counted("DP_REASON_REJECT_SENT"), 0u) << "our end alone would not tell the peer";
    const auto judged = plane_->judge(up->head.key);
    ASSERT_TRUE(judged);
    EXPECT_EQ(*judged, DP_JUDGE_BLOCK) << "sluiced's to cut";
}

} // namespace
} // namespace sluice::datapath
