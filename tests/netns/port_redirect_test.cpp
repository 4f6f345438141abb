// SPDX-License-Identifier: Apache-2.0
// Flows that are held at CONNECT_REDIRECT and sent to another destination: their packets are
// rewritten, and the application sees the peer that it asked for.
#include "port_fixture.h"

#include <map>

namespace sluice::datapath {
namespace {

constexpr std::uint16_t redirect_v4 = DP_LAYER_ALE_CONNECT_REDIRECT_V4;
constexpr std::uint64_t handle = std::uint64_t{7} << 32 | 3; // of the fixture's host

class RedirectTest : public PortTest {
protected:
    void SetUp() override {
        PortTest::SetUp();
        if (IsSkipped()) return;
        ASSERT_TRUE(plane_->set_redirect_handle({host_id, 3}, {.provider = {1, 2, 3}}));
    }

    static dp_addr address(const std::string &text) {
        dp_addr a{};
        std::array<std::uint8_t, 16> bytes{};
        if (inet_pton(AF_INET, text.c_str(), bytes.data() + 12) == 1)
            bytes[10] = bytes[11] = 0xff;
        else
            EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), bytes.data()), 1);
        for (int i = 0; i < 8; i++) {
            a.hi = a.hi << 8 | bytes[i];
            a.lo = a.lo << 8 | bytes[i + 8];
        }
        return a;
    }
    // The open question's callout redirects, and permits.
    void redirect(const Up &up, const std::string &to, std::uint16_t port) {
        dp_redirect_request request{};
        request.version.remote = address(to);
        request.version.remote_port = port;
        request.version.handle = handle;
        request.context_bytes = request.piece = 7;
        Bytes bytes(sizeof request + request.piece, 'c');
        std::memcpy(bytes.data(), &request, sizeof request);
        down(head(DP_DOWNCALL_REDIRECT, up), bytes);
        answer(up, DP_ACTION_PERMIT);
    }
    Fd client(int type, bool v6, const std::string &to, std::uint16_t port) {
        Fd s = bound(name_, type, {to == "127.0.0.1" || to == "::1" ? to : near(v6), 0});
        const Address peer(to, port);
        if (connect(s.get(), peer.get(), peer.length) != 0) EXPECT_EQ(errno, EINPROGRESS);
        return s;
    }
    static Fd accepted(const Fd &listener) {
        if (!ready(listener, POLLIN, 4000)) return Fd();
        return Fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
    }
    static bool is_connected(const Fd &s) {
        int error = -1;
        socklen_t length = sizeof error;
        if (!ready(s, POLLOUT, 4000)) return false;
        getsockopt(s.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        return error == 0;
    }
    // `bytes` from one to the other, and what the other read.
    static std::size_t pumped(const Fd &from, const Fd &to, std::size_t bytes) {
        const std::string block(256 << 10, 'x');
        std::array<char, 1 << 16> part{};
        std::size_t sent = 0, got = 0;
        while (got < bytes) {
            if (sent < bytes) {
                const ssize_t n =
                    send(from.get(), block.data(), std::min(block.size(), bytes - sent),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n > 0) sent += std::size_t(n);
            }
            if (!ready(to, POLLIN, 2000)) break;
            const ssize_t n = recv(to.get(), part.data(), part.size(), 0);
            if (n <= 0) break;
            got += std::size_t(n);
        }
        return got;
    }
    // Of any state; 0 entries: all have gone.
    std::vector<dp_redirect> redirections() const {
        std::vector<dp_redirect> all;
        plane_->each_redirect([&](std::uint64_t, const dp_redirect &r) {
            all.push_back(r);
            return true;
        });
        return all;
    }
    void talks(const Fd &c, const Fd &a) {
        ASSERT_EQ(send(c.get(), "question", 8, 0), 8);
        EXPECT_EQ(received(a), "question");
        ASSERT_EQ(send(a.get(), "answer", 6, 0), 6);
        EXPECT_EQ(received(c), "answer");
    }
    // A held connection to a peer that has no listener reaches a listener of this machine.
    void connects_to(const std::string &to, const std::string &peer, bool v6) {
        SCOPED_TRACE(to);
        const std::uint16_t port = ++listens_;
        const Fd listener = bound(name_, SOCK_STREAM, {to, port}, true);
        const Fd c = client(SOCK_STREAM, v6, peer, 80);
        const auto up = next();
        ASSERT_TRUE(up);
        ASSERT_EQ(up->head.layer, v6 ? 67 : 66);
        EXPECT_NE(up->head.flags & DP_UPCALL_HAS_REDIRECT, 0);
        redirect(*up, to, port);
        const Fd a = accepted(listener);
        ASSERT_TRUE(a.valid());
        EXPECT_TRUE(is_connected(c));
        talks(c, a);
        constexpr std::size_t bulk = 8 << 20;
        EXPECT_EQ(pumped(c, a, bulk), bulk);
        EXPECT_EQ(pumped(a, c, bulk), bulk);
    }

    std::uint16_t listens_ = 7000;
};

TEST_F(RedirectTest, HeldConnectionsReachLocalListeners) {
    ask_at({redirect_v4, redirect_v4 + 1}, IPPROTO_TCP);
    connects_to("127.0.0.1", far(false), false);
    connects_to(near(false), far(false), false);
    connects_to("::1", far(true), true);
    connects_to(near(true), far(true), true);
    connects_to("127.0.0.1", "127.0.0.1", false);
    connects_to("::1", "::1", true);
    const auto all = redirections();
    ASSERT_EQ(all.size(), 6u);
    for (const dp_redirect &r : all) {
        EXPECT_EQ(r.way, std::uint32_t(DP_WAY_LOCAL));
        EXPECT_GE(r.record.hops, 1u) << "the test is client and proxy: more may be inferred";
        EXPECT_EQ(r.target.tgid, std::uint32_t(getpid()));
        EXPECT_EQ(r.context_bytes, 7u);
    }
    EXPECT_TRUE(eventually([&] {
        const auto now = redirections();
        return std::all_of(now.begin(), now.end(),
                           [](const dp_redirect &r) { return r.state == DP_REDIRECT_ENDED; });
    })) << "their connections are over";
}

TEST_F(RedirectTest, RulesOfTheMachineLetThemThrough) {
    ask_at({redirect_v4, redirect_v4 + 1}, IPPROTO_TCP);
    for (const char *filter : {"0", "1", "2"}) {
        SCOPED_TRACE(filter);
        for (const char *on : {"all", "nic0", "lo"})
            ASSERT_EQ(run("ip netns exec " + name_ + " sysctl -qw net.ipv4.conf." + on +
                          ".rp_filter=" + filter),
                      0);
        connects_to("127.0.0.1", far(false), false);
    }
    ASSERT_EQ(run("ip netns exec " + name_ +
                  " nft 'table inet t { chain i { type filter hook input priority 0; policy drop; "
                  "iif lo accept; ct state established,related accept; icmpv6 type "
                  "{nd-neighbor-solicit, nd-neighbor-advert} accept; }; "
                  "chain p { type filter hook prerouting priority 0; ct state invalid drop; }; "
                  "chain o { type filter hook output priority 0; ct state invalid drop; }; }'"),
              0);
    connects_to("127.0.0.1", far(false), false);
    connects_to("::1", far(true), true);
}

TEST_F(RedirectTest, AnotherMachineTakesThePlaceOfThePeer) {
    ask_at({redirect_v4, redirect_v4 + 1}, IPPROTO_TCP);
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const std::string other = v6 ? "2001:db8:1::3" : "192.0.2.3";
        ASSERT_EQ(run("ip -n " + peer_ + " addr add " + other + (v6 ? "/64" : "/24") +
                      " dev peer0" + (v6 ? " nodad" : "")),
                  0);
        const Fd listener = bound(peer_, SOCK_STREAM, {other, 7100}, true);
        const Fd c = client(SOCK_STREAM, v6, far(v6), 80);
        const auto up = next();
        ASSERT_TRUE(up);
        redirect(*up, other, 7100);
        const Fd a = accepted(listener);
        ASSERT_TRUE(a.valid());
        EXPECT_TRUE(is_connected(c));
        talks(c, a);
        constexpr std::size_t bulk = 4 << 20;
        EXPECT_EQ(pumped(c, a, bulk), bulk);
        EXPECT_EQ(pumped(a, c, bulk), bulk);
    }
}

// AUTH_CONNECT is asked next, about the new destination; late answers do not fit.
TEST_F(RedirectTest, TheNextLayerSeesTheNewDestination) {
    ask_at({redirect_v4, DP_LAYER_ALE_AUTH_CONNECT_V4}, IPPROTO_TCP);
    const Fd listener = bound(name_, SOCK_STREAM, {"127.0.0.1", 7200}, true);
    const Fd c = client(SOCK_STREAM, false, far(false), 80);
    const auto first = next();
    ASSERT_TRUE(first);
    down(head(DP_DOWNCALL_HELD, *first));
    EXPECT_TRUE(eventually([&] { return state_of(*first) == DP_FLOW_HELD; }));
    dp_redirect_request request{};
    request.version.remote = address("127.0.0.1");
    request.version.remote_port = 7200;
    request.version.handle = handle;
    Bytes bytes(sizeof request);
    std::memcpy(bytes.data(), &request, sizeof request);
    down(head(DP_DOWNCALL_REDIRECT, *first), bytes);
    down(head(DP_DOWNCALL_COMPLETE, *first, DP_ACTION_PERMIT), first->packet);
    const auto second = next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->head.layer, DP_LAYER_ALE_AUTH_CONNECT_V4);
    EXPECT_NE(second->head.condition_flags & DP_CONDITION_IS_CONNECTION_REDIRECTED, 0u);
    EXPECT_NE(second->head.flags & DP_UPCALL_HAS_REDIRECT, 0);
    EXPECT_EQ(second->head.ticket, first->head.ticket);
    const std::uint64_t stale = counted("DP_REASON_DOWNCALL_STALE");
    dp_downcall late = head(DP_DOWNCALL_ANSWER, *first, DP_ACTION_PERMIT);
    late.generation = std::uint32_t(first->head.generation);
    down(late, first->packet);
    EXPECT_TRUE(eventually([&] { return counted("DP_REASON_DOWNCALL_STALE") == stale + 1; }));
    answer(*second, DP_ACTION_PERMIT);
    const Fd a = accepted(listener);
    ASSERT_TRUE(a.valid());
    talks(c, a);
}

TEST_F(RedirectTest, ABlockLeavesNothing) {
    ask_at({redirect_v4}, IPPROTO_TCP);
    const Fd c = client(SOCK_STREAM, false, far(false), 80);
    const auto up = next();
    ASSERT_TRUE(up);
    EXPECT_EQ(redirections().size(), 1u) << "a draft";
    answer(*up, DP_ACTION_BLOCK);
    ASSERT_TRUE(ready(c, POLLOUT, 2000));
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    EXPECT_EQ(error, ECONNREFUSED);
}

TEST_F(RedirectTest, ErrorsAboutWhatWasRewrittenReachTheApplication) {
    ask_at({redirect_v4, redirect_v4 + 1}, IPPROTO_UDP);
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const Fd c = client(SOCK_DGRAM, v6, far(v6), 7400);
        ASSERT_EQ(send(c.get(), "anyone", 6, 0), 6);
        const auto up = next();
        ASSERT_TRUE(up);
        redirect(*up, v6 ? "::1" : "127.0.0.1", 7401);
        ASSERT_TRUE(ready(c, POLLERR, 2000));
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        EXPECT_EQ(error, ECONNREFUSED) << "nobody listens there";
    }
}

// A hundred peers of one socket: the target tells them apart, and each answer is from its peer.
TEST_F(RedirectTest, EachPeerOfADatagramSocketIsAFlowOfItsOwn) {
    ask_at({redirect_v4, redirect_v4 + 1}, IPPROTO_UDP);
    for (const bool v6 : {false, true}) {
        SCOPED_TRACE(v6);
        const std::string to = v6 ? "::1" : "127.0.0.1";
        const Fd server = bound(name_, SOCK_DGRAM, {to, 7300});
        const Fd c = bound(name_, SOCK_DGRAM, {near(v6), 0});
        for (std::uint16_t i = 0; i < 100; i++) {
            const Address peer(far(v6), std::uint16_t(9000 + i));
            const std::string text = "to " + std::to_string(i);
            ASSERT_GT(sendto(c.get(), text.data(), text.size(), 0, peer.get(), peer.length), 0);
            const auto up = next();
            ASSERT_TRUE(up);
            redirect(*up, to, 7300);
        }
        std::map<std::string, std::string> seen; // text by the address that the target saw
        for (int i = 0; i < 100; i++) {
            std::array<char, 64> text{};
            Address from(to, 0);
            from.length = sizeof from.storage;
            ASSERT_TRUE(ready(server, POLLIN, 2000));
            const ssize_t n = recvfrom(server.get(), text.data(), text.size(), 0,
                                       reinterpret_cast<sockaddr *>(&from.storage), &from.length);
            ASSERT_GT(n, 0);
            seen[std::string(reinterpret_cast<char *>(&from.storage), from.length)] = text.data();
            sendto(server.get(), text.data(), std::size_t(n), 0, from.get(), from.length);
        }
        EXPECT_EQ(seen.size(), 100u);
        for (int i = 0; i < 100; i++) {
            std::array<char, 64> text{};
            Address from(to, 0);
            from.length = sizeof from.storage;
            ASSERT_TRUE(ready(c, POLLIN, 2000)) << i;
            ASSERT_GT(recvfrom(c.get(), text.data(), text.size(), 0,
                               reinterpret_cast<sockaddr *>(&from.storage), &from.length),
                      0);
            const auto port = v6 ? reinterpret_cast<const sockaddr_in6 *>(&from.storage)->sin6_port
                                 : reinterpret_cast<const sockaddr_in *>(&from.storage)->sin_port;
            EXPECT_EQ(text.data(), "to " + std::to_string(ntohs(port) - 9000));
        }
    }
}

} // namespace
} // namespace sluice::datapath
