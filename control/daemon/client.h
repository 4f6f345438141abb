// SPDX-License-Identifier: Apache-2.0
// One connection of the control socket. Never blocks: what the peer does not take at once is
// queued, and a peer that lets the queue grow is cut off.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/loop.h"
#include "daemon/options.h"
#include "daemon/rights.h"
#include "protocol/channel.h"
#include "protocol/sluice.pb.h"

namespace sluice::daemon {

class Client : public std::enable_shared_from_this<Client> {
public:
    using OnMessage = std::function<void(const std::shared_ptr<Client> &, protocol::ToDaemon &,
                                         std::vector<Fd> &)>;
    using OnClosed = std::function<void(const std::shared_ptr<Client> &)>;

    static constexpr std::size_t queue_max = 1024; // messages
    static constexpr std::size_t queue_bytes_max = 16 * 1024 * 1024;

    Client(Loop &loop, Fd socket, Peer peer, Access access);
    ~Client();
    Result<void> start(OnMessage on_message, OnClosed on_closed);
    void send(const protocol::FromDaemon &message, const std::vector<int> &fds = {});
    void notice(protocol::Notice notice, const std::vector<int> &fds = {});
    // It reads too slowly for what may be left out.
    [[nodiscard]] bool is_behind() const { return queue_.size() > queue_max / 2; }
    void close(); // on_closed follows from the loop

    const std::uint64_t id;
    const Peer peer;
    const Access access;
    std::uint32_t host = 0; // after HostHello
    bool trusted = false;   // named a session key that was accepted from one who may change

private:
    struct Outgoing {
        protocol::FromDaemon message;
        std::vector<Fd> fds;
        std::size_t bytes;
    };
    void on_events(std::uint32_t events);
    void receive_some();
    void flush();
    bool try_send(const protocol::FromDaemon &message,
                  const std::vector<int> &fds); // false: queue it
    void enqueue(const protocol::FromDaemon &message, const std::vector<int> &fds);

    Loop &loop_;
    protocol::Channel channel_;
    OnMessage on_message_;
    OnClosed on_closed_;
    std::deque<Outgoing> queue_;
    std::size_t queued_bytes_ = 0;
    bool closed_ = false;
};

// The right and duty to answer one request, now or later. A client that is gone takes no answer.
class Responder {
public:
    Responder(const std::shared_ptr<Client> &client, std::uint64_t request)
        : client_(client), request_(request) {}
    void done(protocol::Reply reply = {}, const std::vector<int> &fds = {}) const;
    void fail(const Error &error, std::uint32_t exit_code = 1) const;
    [[nodiscard]] std::shared_ptr<Client> client() const { return client_.lock(); }

private:
    std::weak_ptr<Client> client_;
    std::uint64_t request_;
};

std::uint32_t status_of(const Error &error); // NTSTATUS for a reply

} // namespace sluice::daemon
