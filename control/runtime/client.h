// SPDX-License-Identifier: Apache-2.0
// The connection to sluiced: one reader thread, requests from any thread, and a new attempt every
// 200 ms while sluiced is away. Requests wait until the connection was restored (registrations and
// sessions told again).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/fd.h"
#include "core/result.h"
#include "protocol/channel.h"
#include "protocol/sluice.pb.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

class ClientHandler {
public:
    virtual ~ClientHandler() = default;
    // All on the reader thread; they must not wait for a request.
    virtual std::vector<int>
    hello(protocol::HostHello &hello) = 0; // descriptors stay the handler's
    virtual void welcomed(const protocol::HostWelcome &welcome, std::uint64_t connection) = 0;
    virtual void notice(const protocol::Notice &notice, std::vector<Fd> fds) = 0;
    virtual void lost() = 0;
};

class Client {
public:
    // first: a connection that was made already, under the credentials that the process had then.
    Client(std::string path, ClientHandler &handler, Fd first = {})
        : path_(std::move(path)), handler_(handler), first_(std::move(first)) {}
    ~Client() { stop(); }

    void start() EXCLUDES(mutex_); // makes the first attempt before it returns
    void stop() EXCLUDES(mutex_);
    // Attempts now if there is no connection; the error says why there is none, with an API status.
    Result<void> connect_now() EXCLUDES(mutex_);
    // The number of the connection that is in use, 0 if there is none; waits for one that is being
    // restored.
    std::uint64_t connection() EXCLUDES(mutex_);
    // restoring: part of what makes the connection usable, so it does not wait for that.
    Result<protocol::Reply> request(protocol::Request request, bool restoring = false)
        EXCLUDES(mutex_);
    void restored(std::uint64_t connection) EXCLUDES(mutex_);
    void reply(std::uint64_t notice_id, std::uint32_t status) EXCLUDES(mutex_);

private:
    struct Waiting {
        bool done = false;
        bool lost = false;
        protocol::Reply reply;
    };
    using Link = std::shared_ptr<protocol::Channel>;

    void run() EXCLUDES(mutex_);
    void attempt_and_read() EXCLUDES(mutex_);
    Result<protocol::Channel> connect();
    Result<Link> greet() EXCLUDES(mutex_);
    void attempted(Error *error) EXCLUDES(mutex_);
    void read(protocol::Channel &channel) EXCLUDES(mutex_);
    void deliver(const protocol::Reply &reply) EXCLUDES(mutex_);
    Result<void> send(const protocol::ToDaemon &message, const std::vector<int> &fds = {})
        EXCLUDES(send_mutex_);

    const std::string path_;
    ClientHandler &handler_;
    Fd first_; // the reader's
    mutable Mutex mutex_;
    Mutex send_mutex_; // taken after mutex_ was released
    Condition changed_;
    std::thread reader_;
    Link link_ GUARDED_BY(mutex_);
    bool started_ GUARDED_BY(mutex_) = false;
    bool stopping_ GUARDED_BY(mutex_) = false;
    bool ready_ GUARDED_BY(mutex_) = false;
    bool wanted_ GUARDED_BY(mutex_) = false; // someone waits for an attempt
    std::uint64_t attempts_ GUARDED_BY(mutex_) = 0;
    std::uint64_t connection_ GUARDED_BY(mutex_) = 0;
    std::uint64_t last_id_ GUARDED_BY(mutex_) = 0;
    std::uint32_t refusal_ GUARDED_BY(mutex_) = 0;
    std::string refusal_text_ GUARDED_BY(mutex_);
    std::map<std::uint64_t, Waiting *> waiting_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
