// SPDX-License-Identifier: Apache-2.0
// A whole daemon in this process, without any data plane: clients, sessions, hosts, lists.
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/hosts.h"
#include "protocol/channel.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {
namespace {

class Caller {
public:
    Caller(Loop &loop, const std::string &socket)
        : loop_(loop), channel_(std::move(*protocol::Channel::connect(socket))) {}

    std::uint64_t send(protocol::Request request) {
        protocol::ToDaemon message;
        request.set_id(++id_);
        *message.mutable_request() = std::move(request);
        EXPECT_TRUE(channel_.send(message));
        return id_;
    }
    void answer(std::uint64_t notice, std::uint32_t status) {
        protocol::ToDaemon message;
        message.mutable_notice_reply()->set_id(notice);
        message.mutable_notice_reply()->set_status(status);
        EXPECT_TRUE(channel_.send(message));
    }
    // Lets the daemon work until a reply is there; notices that come before it are kept.
    std::optional<protocol::Reply> reply(int milliseconds = 2000) {
        while (auto message = next(milliseconds)) {
            if (message->has_reply()) return message->reply();
            notices.push_back(message->notice());
        }
        return std::nullopt;
    }
    protocol::Reply ask(protocol::Request request) {
        send(std::move(request));
        return reply().value_or(protocol::Reply());
    }
    std::optional<protocol::FromDaemon> next(int milliseconds) {
        const std::uint64_t until =
            monotonic_ns() + static_cast<std::uint64_t>(milliseconds) * 1000000;
        while (monotonic_ns() < until) {
            loop_.turn(Milliseconds(1));
            char byte = 0;
            if (::recv(channel_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) continue;
            protocol::FromDaemon message;
            std::vector<Fd> fds;
            auto r = channel_.receive(message, fds);
            if (!r || !*r) return std::nullopt;
            return message;
        }
        return std::nullopt;
    }
    std::vector<protocol::Notice> notices;

private:
    Loop &loop_;
    protocol::Channel channel_;
    std::uint64_t id_ = 0;
};

class Server : public testing::Test {
protected:
    Server() {
        char pattern[] = "/tmp/sluice-daemon-XXXXXX";
        directory = ::mkdtemp(pattern);
        options.socket = directory / "sock";
        options.state = directory / "state";
        options.pin_root = directory / "pins";
        options.linger = Milliseconds(50);
        options.notify = Milliseconds(100);
        start();
    }
    ~Server() override {
        daemon.reset();
        std::filesystem::remove_all(directory);
    }
    void start() {
        auto started = Daemon::start(options, *loop);
        ASSERT_TRUE(started) << started.error().text();
        daemon = std::move(*started);
    }
    Caller caller() { return {*loop, options.socket}; }
    void let_pass(int milliseconds) {
        const std::uint64_t until =
            monotonic_ns() + static_cast<std::uint64_t>(milliseconds) * 1000000;
        while (monotonic_ns() < until)
            loop->turn(Milliseconds(2));
    }

    std::unique_ptr<Loop> loop = std::move(*Loop::make());
    std::filesystem::path directory;
    Options options;
    std::unique_ptr<Daemon> daemon;
};

std::uint32_t word(NTSTATUS status) {
    return static_cast<std::uint32_t>(status);
}

protocol::Request filter(std::uint64_t session = 0, const Guid &callout = {}) {
    protocol::Request r;
    auto *f = r.mutable_filter_add();
    f->set_session(session);
    f->set_name("test");
    f->set_layer(48);
    f->set_action(callout.is_null() ? FWP_ACTION_BLOCK : FWP_ACTION_CALLOUT_TERMINATING);
    if (!callout.is_null()) f->set_callout(callout.bytes());
    return r;
}

protocol::Request open(bool dynamic, const Guid &key = Guid::random(),
                       std::uint32_t wait_ms = 100) {
    protocol::Request r;
    r.mutable_engine_open()->set_dynamic(dynamic);
    r.mutable_engine_open()->set_session_key(key.bytes());
    r.mutable_engine_open()->set_txn_wait_ms(wait_ms);
    return r;
}

protocol::Request transaction(int verb, std::uint64_t session, bool read_only = false) {
    protocol::Request r;
    if (verb == 'b') {
        r.mutable_transaction_begin()->set_session(session);
        r.mutable_transaction_begin()->set_read_only(read_only);
    }
    if (verb == 'c') r.mutable_transaction_commit()->set_session(session);
    if (verb == 'a') r.mutable_transaction_abort()->set_session(session);
    return r;
}

protocol::Request hello(const Guid &key = Guid::random()) {
    protocol::Request r;
    r.mutable_host_hello()->set_session_key(key.bytes());
    r.mutable_host_hello()->set_name("tester");
    return r;
}

protocol::Request registration(const Guid &key, std::uint32_t local_id = 100) {
    protocol::Request r;
    r.mutable_callout_register()->set_key(key.bytes());
    r.mutable_callout_register()->set_local_id(local_id);
    return r;
}

protocol::Request callout_object(const Guid &key) {
    protocol::Request r;
    r.mutable_callout_add()->set_key(key.bytes());
    r.mutable_callout_add()->set_name("callout");
    r.mutable_callout_add()->set_layer(48);
    return r;
}

int filters(Caller &c) {
    protocol::Request r;
    r.mutable_filter_list();
    return c.ask(r).filters().filters_size();
}

TEST_F(Server, RefusesASecondInstance) {
    auto other = Loop::make();
    auto second = Daemon::start(options, **other);
    ASSERT_FALSE(second);
    EXPECT_NE(
        second.error().text().find("another sluiced (pid " + std::to_string(::getpid()) + ")"),
        std::string::npos);
}

TEST_F(Server, RefusesToStartOverADamagedState) {
    daemon.reset();
    { Fd(::open(options.state.c_str(), O_WRONLY | O_TRUNC)); }
    auto r = Daemon::start(options, *loop);
    ASSERT_FALSE(r);
    EXPECT_NE(r.error().text().find(options.state), std::string::npos);
}

TEST_F(Server, SendsListsInPages) {
    auto c = caller();
    const std::uint64_t session = c.ask(open(false)).session_id();
    c.ask(transaction('b', session));
    for (int i = 0; i < 450; ++i)
        ASSERT_EQ(c.ask(filter(session)).status(), 0u);
    ASSERT_EQ(c.ask(transaction('c', session)).status(), 0u);
    protocol::Request r;
    r.mutable_filter_list();
    c.send(r);
    std::vector<int> sizes;
    for (auto reply = c.reply(); reply; reply = c.reply()) {
        sizes.push_back(reply->filters().filters_size());
        if (!reply->more()) break;
    }
    EXPECT_EQ(sizes, (std::vector<int>{200, 200, 50}));
}

TEST_F(Server, ATransactionIsWholeOrNothing) {
    auto c = caller();
    const std::uint64_t s = c.ask(open(false)).session_id();
    EXPECT_EQ(c.ask(transaction('c', s)).status(), word(STATUS_FWP_NO_TXN_IN_PROGRESS));
    c.ask(transaction('b', s));
    EXPECT_EQ(c.ask(transaction('b', s)).status(), word(STATUS_FWP_TXN_IN_PROGRESS));
    const auto first = c.ask(filter(s)).filter_id();
    EXPECT_EQ(filters(c), 0);
    c.ask(transaction('a', s));
    EXPECT_EQ(filters(c), 0);
    EXPECT_GT(c.ask(filter(s)).filter_id(), first)
        << "an id of an aborted transaction was given again";
    EXPECT_EQ(filters(c), 1);
    c.ask(transaction('b', s, true));
    EXPECT_EQ(c.ask(filter(s)).status(), word(STATUS_FWP_INCOMPATIBLE_TXN));
}

TEST_F(Server, WritersWaitForEachOtherAsLongAsTheySaid) {
    auto a = caller(), b = caller();
    const std::uint64_t first = a.ask(open(false)).session_id(),
                        second = b.ask(open(false)).session_id();
    a.ask(transaction('b', first));
    EXPECT_EQ(b.ask(transaction('b', second)).status(), word(STATUS_FWP_TIMEOUT));
    b.send(filter(second));
    EXPECT_FALSE(b.reply(30));
    a.ask(transaction('c', first));
    EXPECT_EQ(b.reply()->status(), 0u);
}

TEST_F(Server, ASessionBelongsToItsConnection) {
    auto a = caller(), b = caller();
    const std::uint64_t s = a.ask(open(false)).session_id();
    EXPECT_EQ(b.ask(transaction('b', s)).status(), word(STATUS_INVALID_HANDLE));
}

TEST_F(Server, ObjectsOfADynamicSessionOutliveItsConnectionByTheLinger) {
    const Guid key = Guid::random();
    auto watcher = caller();
    {
        auto c = caller();
        const auto s = c.ask(open(true, key)).session_id();
        ASSERT_EQ(c.ask(filter(s)).status(), 0u);
    }
    EXPECT_EQ(filters(watcher), 1);
    {
        auto again = caller();
        ASSERT_EQ(again.ask(open(true, key)).status(), 0u);
        let_pass(120);
        EXPECT_EQ(filters(watcher), 1) << "the session was taken over";
    }
    let_pass(120);
    EXPECT_EQ(filters(watcher), 0);
}

TEST_F(Server, StaticObjectsSurviveARestart) {
    {
        auto c = caller();
        ASSERT_EQ(c.ask(filter()).status(), 0u);
    }
    daemon.reset();
    start();
    auto c = caller();
    EXPECT_EQ(filters(c), 1);
}

TEST_F(Server, ACalloutHasOneHostAtATime) {
    const Guid key = Guid::random();
    auto a = caller(), b = caller();
    EXPECT_EQ(a.ask(registration(key)).status(), word(STATUS_INVALID_PARAMETER)) << "no host yet";
    EXPECT_NE(a.ask(hello()).host_welcome().host_id(), b.ask(hello()).host_welcome().host_id());
    const auto id = a.ask(registration(key)).callout_id();
    EXPECT_NE(id, 0u);
    EXPECT_EQ(a.ask(registration(key)).status(), word(STATUS_FWP_ALREADY_EXISTS));
    EXPECT_EQ(b.ask(registration(key)).status(), word(STATUS_FWP_ALREADY_EXISTS));
    protocol::Request gone;
    gone.mutable_callout_unregister()->set_key(key.bytes());
    EXPECT_EQ(a.ask(gone).status(), 0u);
    EXPECT_EQ(a.ask(gone).status(), word(STATUS_FWP_CALLOUT_NOT_FOUND));
    EXPECT_EQ(b.ask(registration(key)).callout_id(), id) << "a key keeps its run-time id";
}

TEST_F(Server, AFilterWaitsForItsCalloutsHost) {
    const Guid key = Guid::random();
    auto host = caller(), c = caller();
    host.ask(hello());
    host.ask(registration(key, 77));
    ASSERT_EQ(c.ask(callout_object(key)).status(), 0u);
    c.send(filter(0, key));
    EXPECT_FALSE(c.reply(20));
    const auto notice = host.next(500)->notice();
    ASSERT_TRUE(notice.has_filter_notify());
    EXPECT_EQ(notice.filter_notify().filter().callout_local_id(), 77u);
    host.answer(notice.id(), 0);
    const auto added = c.reply();
    ASSERT_TRUE(added);
    EXPECT_EQ(added->status(), 0u) << added->error();
    const auto table = host.next(500);
    ASSERT_TRUE(table && table->notice().has_filter_table());
    EXPECT_EQ(table->notice().filter_table().filters_size(), 1);
    EXPECT_EQ(table->notice().filter_table().filters(0).id(), added->filter_id());
}

TEST_F(Server, AFilterThatItsHostRefusesOrDoesNotAnswerIsNotAdded) {
    const Guid key = Guid::random();
    auto host = caller(), c = caller();
    host.ask(hello());
    host.ask(registration(key));
    c.ask(callout_object(key));
    c.send(filter(0, key));
    host.answer(host.next(500)->notice().id(), 5);
    EXPECT_EQ(c.reply()->status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED));
    EXPECT_EQ(c.ask(filter(0, key)).status(), word(STATUS_FWP_CALLOUT_NOTIFICATION_FAILED))
        << "no answer in time";
    EXPECT_EQ(filters(c), 0);
}

TEST_F(Server, AHostThatGoesLeavesItsCalloutUnregistered) {
    const Guid key = Guid::random();
    auto c = caller();
    c.ask(callout_object(key));
    protocol::Request list;
    list.mutable_callout_list();
    {
        auto host = caller();
        host.ask(hello());
        host.ask(registration(key));
        EXPECT_TRUE(c.ask(list).callouts().callouts(0).registered());
    }
    let_pass(20);
    EXPECT_FALSE(c.ask(list).callouts().callouts(0).registered());
    let_pass(300);
    EXPECT_TRUE(daemon->core().hosts->all().empty());
}

TEST_F(Server, DecidesNoHoldThatIsNotThere) {
    auto c = caller();
    protocol::Request r;
    r.mutable_hold_decide()->set_id(12345);
    r.mutable_hold_decide()->set_action(FWP_ACTION_PERMIT);
    const auto reply = c.ask(r);
    EXPECT_EQ(reply.error(), "no hold 12345");
    EXPECT_EQ(reply.exit_code(), 1u);
}

} // namespace
} // namespace sluice::daemon
