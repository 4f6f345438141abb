// SPDX-License-Identifier: Apache-2.0
// sluiced as a thread: speaks the protocol at a socket of its own, remembers requests, answers as
// told.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "protocol/channel.h"
#include "protocol/sluice.pb.h"
#include "xsk/mutex.h"

namespace sluice::test {

class FakeSluiced {
public:
    using Answer = std::function<void(const protocol::Request &, protocol::Reply &)>;
    explicit FakeSluiced(std::string path);
    ~FakeSluiced();

    // Runs for each request but the hello; the default is status 0. To be set while no request is
    // on its way.
    void on_request(Answer answer) {
        Lock lock(mutex_);
        answer_ = std::move(answer);
    }
    std::vector<protocol::Request> requests() {
        Lock lock(mutex_);
        return requests_;
    }
    std::size_t count(protocol::Request::BodyCase kind) {
        std::size_t n = 0;
        for (const auto &r : requests())
            n += r.body_case() == kind;
        return n;
    }
    // Sends a notice to the host and waits for its reply.
    std::uint32_t notify(protocol::Notice notice);
    // Sends this and waits for nothing; also from inside on_request's function.
    void tell(const protocol::FromDaemon &message);
    void tell(const protocol::Notice &notice) {
        protocol::FromDaemon message;
        *message.mutable_notice() = notice;
        tell(message);
    }
    void hang_up();

    static std::string unique_path();

private:
    void run();
    void serve(const std::shared_ptr<protocol::Channel> &channel);
    void handle(protocol::Channel &channel, const protocol::Request &request);
    void send(protocol::Channel &channel, const protocol::FromDaemon &message);

    const std::string path_;
    Fd listener_;
    std::atomic<bool> stop_{false};
    Mutex mutex_;
    Mutex send_mutex_;
    Condition changed_;
    Answer answer_ GUARDED_BY(mutex_);
    std::vector<protocol::Request> requests_ GUARDED_BY(mutex_);
    std::shared_ptr<protocol::Channel> client_ GUARDED_BY(mutex_);
    std::map<std::uint64_t, std::uint32_t> replies_ GUARDED_BY(mutex_);
    std::uint64_t last_notice_ GUARDED_BY(mutex_) = 0;
    std::thread thread_;
};

} // namespace sluice::test
