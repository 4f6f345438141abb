// SPDX-License-Identifier: Apache-2.0
// Binds and listens that a callout decides: the call succeeds, the host is told, the socket's
// traffic waits. The test is the host, by its ring of notices and sluiced's way down.
#include <arpa/inet.h>
#include <map>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "compiler/compile.h"
#include "datapath_fixture.h"
#include "harness/policy_builder.h"

namespace sluice::datapath {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t host = 900100;
constexpr std::uint16_t listen_v4 = 40, bind_v4 = 36;

class OperationTest : public DatapathTest {
protected:
    void SetUp() override {
        DatapathTest::SetUp();
        if (IsSkipped()) return;
        create();
        attach();
        auto port = plane_->make_port(host, 64, handover_);
        ASSERT_TRUE(port) << port.error().text();
        port_ = std::move(*port);
        dp_host record{};
        record.port_ifindex = port_->near_ifindex();
        record.alive = 1;
        record.watchdog_ns = 5'000'000'000;
        record.queue_bytes_max = 65536;
        ASSERT_TRUE(plane_->set_host(host, record));
        reader_.reset(ring_buffer__new(handover_.notices.get(), take, &notices_, nullptr));
        ASSERT_TRUE(reader_);
    }
    void TearDown() override {
        reader_.reset();
        port_.reset();
        DatapathTest::TearDown();
    }

    void ask_at(std::uint16_t layer) {
        policy::Policy p = policy::initial();
        const Guid callout = harness::new_callout(p, layer);
        filter_ = harness::add(p, harness::terminating(layer, callout));
        dp_callout record{};
        record.host = host;
        ASSERT_TRUE(plane_->set_callout(p.callouts.at(callout).id, record));
        auto plan = compiler::compile(p, 2);
        ASSERT_TRUE(plan) << plan.error().text();
        ASSERT_TRUE(plane_->publish(*plan));
    }

    // A socket of this machine, on all addresses.
    Fd socket_in(const std::string &ns, int type, std::uint16_t port, int &error) {
        Fd made;
        error = 0;
        std::thread([&] {
            const Fd there(open(("/run/netns/" + ns).c_str(), O_RDONLY));
            if (setns(there.get(), CLONE_NEWNET) != 0) return;
            made = Fd(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            const int on = 1;
            setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            sockaddr_in a = address("0.0.0.0", port);
            if (bind(made.get(), reinterpret_cast<sockaddr *>(&a), sizeof a) != 0) error = errno;
        }).join();
        return made;
    }
    static sockaddr_in address(const char *text, std::uint16_t port) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_port = htons(port);
        inet_pton(AF_INET, text, &a.sin_addr);
        return a;
    }
    // Whether the peer's connection comes about in this time.
    static bool connects(int fd, std::uint16_t port, int ms) {
        sockaddr_in a = address("192.0.2.1", port);
        (void)connect(fd, reinterpret_cast<sockaddr *>(&a), sizeof a);
        pollfd wait{fd, POLLOUT, 0};
        return poll(&wait, 1, ms) == 1 && (wait.revents & (POLLERR | POLLHUP)) == 0;
    }

    const std::vector<dp_upcall> &notices() {
        ring_buffer__consume(reader_.get());
        return notices_;
    }
    void answer(std::uint64_t ticket, dp_downcall_kind kind, std::uint32_t action) {
        dp_downcall head{};
        head.magic = DP_DOWNCALL_MAGIC;
        head.version = DP_LAYOUT_VERSION;
        head.kind = kind;
        head.flags = DP_DOWNCALL_OPERATION;
        head.ticket = ticket;
        head.filter_id = filter_;
        head.action = action;
        ASSERT_TRUE(port_->send_down(std::as_bytes(std::span(&head, 1))));
    }
    std::map<std::uint64_t, dp_operation> operations() {
        std::map<std::uint64_t, dp_operation> all;
        plane_->each_operation([&](std::uint64_t id, const dp_operation &o) {
            all[id] = o;
            return true;
        });
        return all;
    }
    bool becomes(std::uint64_t id, dp_flow_state state) {
        return eventually([&] {
            const auto all = operations();
            const auto at = all.find(id);
            return at != all.end() && at->second.state == std::uint32_t(state);
        });
    }

    static int take(void *into, void *data, std::size_t bytes) {
        if (bytes < sizeof(dp_upcall)) return 0;
        dp_upcall up;
        std::memcpy(&up, data, sizeof up);
        static_cast<std::vector<dp_upcall> *>(into)->push_back(up);
        return 0;
    }
    struct Free {
        void operator()(ring_buffer *r) const { ring_buffer__free(r); }
    };
    PortHandover handover_;
    std::unique_ptr<PortDevice> port_;
    std::unique_ptr<ring_buffer, Free> reader_;
    std::vector<dp_upcall> notices_;
    std::uint64_t filter_ = 0;
};

TEST_F(OperationTest, AListenThatIsHeldLetsNobodyInUntilItIsPermitted) {
    ask_at(listen_v4);
    int error = 0;
    const Fd listener = socket_in(name_, SOCK_STREAM, 7000, error);
    ASSERT_EQ(error, 0);
    ASSERT_EQ(listen(listener.get(), 8), 0) << "the call returns";
    ASSERT_EQ(listen(listener.get(), 9), 0);
    ASSERT_EQ(notices().size(), 1u) << "listen() again is no second event";
    const dp_upcall up = notices_[0];
    EXPECT_EQ(up.kind, DP_UPCALL_CLASSIFY);
    EXPECT_EQ(up.layer, listen_v4);
    EXPECT_EQ(up.flags & DP_UPCALL_OPERATION, DP_UPCALL_OPERATION);
    EXPECT_EQ(up.flags & DP_UPCALL_MAY_PEND, DP_UPCALL_MAY_PEND);
    EXPECT_EQ(up.key.local_port, 7000);
    EXPECT_EQ(up.key.protocol, IPPROTO_TCP);
    EXPECT_EQ(up.process.tgid, std::uint32_t(getpid()));
    EXPECT_NE(up.endpoint, 0u);
    answer(up.ticket, DP_DOWNCALL_HELD, 0);
    ASSERT_TRUE(becomes(up.ticket, DP_FLOW_HELD));
    const Fd client = socket_in(peer_, SOCK_STREAM, 0, error);
    EXPECT_FALSE(connects(client.get(), 7000, 700));
    EXPECT_EQ(operations().at(up.ticket).up, 1u) << "one SYN waits";
    EXPECT_NE(operations().at(up.ticket).use_bytes, 0u);
    answer(up.ticket, DP_DOWNCALL_COMPLETE, DP_ACTION_PERMIT);
    ASSERT_TRUE(becomes(up.ticket, DP_FLOW_DRAINING));
    EXPECT_TRUE(connects(client.get(), 7000, 5000)) << "its next SYN passes";
    EXPECT_EQ(packets(*plane_, "DP_REASON_HOLD_OPENED"), 1u);
    EXPECT_EQ(packets(*plane_, "DP_REASON_HOLD_PERMITTED"), 1u);
}

TEST_F(OperationTest, ABindThatIsRefusedStopsTheSocketsTraffic) {
    ask_at(bind_v4);
    int error = 0;
    const Fd bound = socket_in(name_, SOCK_DGRAM, 7001, error);
    ASSERT_EQ(error, 0);
    ASSERT_EQ(notices().size(), 1u);
    EXPECT_EQ(notices_[0].layer, bind_v4);
    EXPECT_EQ(notices_[0].key.local_port, 7001);
    answer(notices_[0].ticket, DP_DOWNCALL_ANSWER, DP_ACTION_BLOCK);
    ASSERT_TRUE(becomes(notices_[0].ticket, DP_FLOW_BLOCKED));
    sockaddr_in to = address("192.0.2.2", 9);
    EXPECT_EQ(sendto(bound.get(), "x", 1, 0, reinterpret_cast<sockaddr *>(&to), sizeof to), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_GE(packets(*plane_, "DP_REASON_BIND_BLOCKED"), 1u);
    EXPECT_EQ(packets(*plane_, "DP_REASON_HOLD_OPENED"), 0u) << "it was not held";
}

TEST_F(OperationTest, AClosedSocketAbandonsWhatItHadOpen) {
    ask_at(bind_v4);
    int error = 0;
    {
        const Fd bound = socket_in(name_, SOCK_DGRAM, 0, error);
        ASSERT_EQ(error, 0);
        ASSERT_EQ(notices().size(), 1u);
        EXPECT_NE(notices_[0].key.local_port, 0) << "the port that was chosen";
        answer(notices_[0].ticket, DP_DOWNCALL_HELD, 0);
        ASSERT_TRUE(becomes(notices_[0].ticket, DP_FLOW_HELD));
    }
    EXPECT_TRUE(eventually([&] { return operations().empty(); }));
    EXPECT_EQ(packets(*plane_, "DP_REASON_HOLD_ABANDONED"), 1u);
    answer(notices_[0].ticket, DP_DOWNCALL_COMPLETE, DP_ACTION_PERMIT);
    EXPECT_TRUE(eventually([&] { return packets(*plane_, "DP_REASON_DOWNCALL_STALE") == 1; }));
}

TEST_F(OperationTest, AHostThatIsGoneLeavesItsOutcome) {
    ask_at(bind_v4);
    int error = 0;
    const Fd bound = socket_in(name_, SOCK_DGRAM, 0, error);
    ASSERT_EQ(notices().size(), 1u);
    const std::uint64_t id = notices_[0].ticket;
    auto done = plane_->abandon_operation(id);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(*done);
    EXPECT_TRUE(becomes(id, DP_FLOW_BLOCKED)) << "as if unregistered";
    EXPECT_FALSE(*plane_->abandon_operation(id)) << "once";
}

} // namespace
} // namespace sluice::datapath
