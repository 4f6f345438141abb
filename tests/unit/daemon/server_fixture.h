// SPDX-License-Identifier: Apache-2.0
// A whole daemon in this process, without any data plane: clients, sessions, hosts, lists.
#pragma once

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
class Caller {
public:
    Caller(Loop &loop, const std::string &socket)
        : loop_(&loop), channel_(std::move(*protocol::Channel::connect(socket))) {}

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
    std::optional<protocol::Reply> reply(int ms = 2000) {
        while (auto message = next(ms)) {
            if (message->has_reply()) return message->reply();
            notices.push_back(message->notice());
        }
        return std::nullopt;
    }
    protocol::Reply ask(protocol::Request request) {
        send(std::move(request));
        return reply().value_or(protocol::Reply());
    }
    std::optional<protocol::FromDaemon> next(int ms) {
        const std::uint64_t until = monotonic_ns() + static_cast<std::uint64_t>(ms) * 1000000;
        while (monotonic_ns() < until) {
            loop_->turn(Milliseconds(1));
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
    Loop *loop_;
    protocol::Channel channel_;
    std::uint64_t id_ = 0;
};

class Server : public testing::Test {
protected:
    Server() {
        // In memory: what a test waits for is not the disk.
        char pattern[] = "/dev/shm/sluice-daemon-XXXXXX";
        directory = ::mkdtemp(pattern);
        options.socket = directory / "sock";
        options.state = directory / "state";
        options.database = directory / "policy.db";
        options.pin_root = directory / "pins";
        options.linger = Milliseconds(50);
        options.acknowledge = Milliseconds(100);
        options.txn_wait = Milliseconds(300);
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
    // With a loop of its own, as a new process has: callers of before are no good any more.
    void restart() {
        daemon.reset();
        loop = std::move(*Loop::make());
        start();
    }
    Caller caller() { return {*loop, options.socket}; }
    void let_pass(int ms) {
        const std::uint64_t until = monotonic_ns() + static_cast<std::uint64_t>(ms) * 1000000;
        while (monotonic_ns() < until)
            loop->turn(Milliseconds(2));
    }

    std::unique_ptr<Loop> loop = std::move(*Loop::make());
    std::filesystem::path directory;
    Options options;
    std::unique_ptr<Daemon> daemon;
};

inline std::uint32_t word(NTSTATUS status) {
    return static_cast<std::uint32_t>(status);
}

inline protocol::Request filter(std::uint64_t session = 0, const Guid &callout = {}) {
    protocol::Request r;
    auto *f = r.mutable_filter_add();
    f->set_session(session);
    f->set_name("test");
    f->set_layer(48);
    f->set_action(callout.is_null() ? FWP_ACTION_BLOCK : FWP_ACTION_CALLOUT_TERMINATING);
    if (!callout.is_null()) f->set_callout(callout.bytes());
    return r;
}

inline protocol::Request open(bool dynamic, const Guid &key = Guid::random(),
                              std::uint32_t wait_ms = 100) {
    protocol::Request r;
    r.mutable_engine_open()->set_dynamic(dynamic);
    r.mutable_engine_open()->set_session_key(key.bytes());
    r.mutable_engine_open()->set_txn_wait_ms(wait_ms);
    return r;
}

inline protocol::Request transaction(int verb, std::uint64_t session, bool read_only = false) {
    protocol::Request r;
    if (verb == 'b') {
        r.mutable_transaction_begin()->set_session(session);
        r.mutable_transaction_begin()->set_read_only(read_only);
    }
    if (verb == 'c') r.mutable_transaction_commit()->set_session(session);
    if (verb == 'a') r.mutable_transaction_abort()->set_session(session);
    return r;
}

inline protocol::Request hello(const Guid &key = Guid::random()) {
    protocol::Request r;
    r.mutable_host_hello()->set_session_key(key.bytes());
    r.mutable_host_hello()->set_name("tester");
    return r;
}

inline protocol::Request registration(const Guid &key, std::uint32_t local_id = 100) {
    protocol::Request r;
    r.mutable_callout_register()->set_key(key.bytes());
    r.mutable_callout_register()->set_local_id(local_id);
    return r;
}

inline protocol::Request callout_object(const Guid &key) {
    protocol::Request r;
    r.mutable_callout_add()->set_key(key.bytes());
    r.mutable_callout_add()->set_name("callout");
    r.mutable_callout_add()->set_layer(48);
    return r;
}

inline int filters(Caller &c) {
    protocol::Request r;
    r.mutable_filter_list();
    return c.ask(r).filters().filters_size();
}

} // namespace sluice::daemon
