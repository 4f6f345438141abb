// SPDX-License-Identifier: Apache-2.0
// The command line's end of the control channel: one request, its replies.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "core/result.h"
#include "protocol/channel.h"
#include "protocol/sluice.pb.h"

namespace sluice::cli {

// Exit codes that scripts may rely on.
enum Exit : int {
    exit_done = 0,
    exit_refused = 1,
    exit_usage = 2,
    exit_unreachable = 3,
    exit_permission = 4,
    exit_aborted = 5
};

struct Failure {
    int exit_code;
    std::string text;
    bool whole = false; // lines of its own, with their places; else one line
};

class DaemonClient {
public:
    // Throws Failure, as everything here does: the commands read better for it, and main is the
    // only catcher.
    explicit DaemonClient(const std::string &socket);
    using OnReply = std::function<void(const protocol::Reply &)>;
    void ask(protocol::Request request, const OnReply &on_reply, const std::vector<int> &fds = {});
    protocol::Reply ask(protocol::Request request,
                        const std::vector<int> &fds = {}); // for requests with one reply

    // Messages that are one request; the last is answered, and so is one that is refused. on_sent:
    // after each, with its number. Pieces stay as they are but for their numbers.
    protocol::Reply ask_in_pieces(std::vector<protocol::Request> &pieces,
                                  const std::function<void(std::size_t)> &on_sent);
    // Waits for what sluiced sends by itself after a subscription.
    protocol::Notice next_notice();
    // The same without waiting: the descriptor says when receive_notice() finds something.
    [[nodiscard]] int fd() const { return channel_.fd(); }
    void receive_notice();
    std::optional<protocol::Notice> take_notice(); // of those that were received

private:
    void send(const protocol::ToDaemon &message, const std::vector<int> &fds = {});
    protocol::FromDaemon receive();
    void await_replies(std::uint64_t id, const OnReply &on_reply);

    std::deque<protocol::Notice> notices_; // that came while a reply was awaited
    protocol::Channel channel_;
    std::uint64_t next_id_ = 1;
};

} // namespace sluice::cli
