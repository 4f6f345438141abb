// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_client.h"

#include <cerrno>

namespace sluice::cli {

namespace {

protocol::Channel connected(const std::string &socket) {
    auto channel = protocol::Channel::connect(socket);
    if (channel) return std::move(*channel);
    const Error &error = channel.error();
    if (error.code == EACCES || error.code == EPERM) throw Failure{exit_permission, error.text()};
    throw Failure{exit_unreachable, "sluiced is not reachable: " + error.text()};
}

} // namespace

DaemonClient::DaemonClient(const std::string &socket) : channel_(connected(socket)) {}

void DaemonClient::send(const protocol::ToDaemon &message, const std::vector<int> &fds) {
    if (auto r = channel_.send(message, fds); !r) throw Failure{exit_unreachable, r.error().text()};
}

protocol::FromDaemon DaemonClient::receive() {
    protocol::FromDaemon answer;
    std::vector<Fd> ignored;
    auto r = channel_.receive(answer, ignored);
    if (!r) throw Failure{exit_unreachable, r.error().text()};
    if (!*r) throw Failure{exit_unreachable, "sluiced closed the connection"};
    return answer;
}

void DaemonClient::await_replies(std::uint64_t id, const OnReply &on_reply) {
    for (;;) {
        auto answer = receive();
        if (answer.has_notice()) notices_.push_back(std::move(*answer.mutable_notice()));
        if (!answer.has_reply() || answer.reply().id() != id) continue;
        const auto &reply = answer.reply();
        if (reply.status() != 0 || reply.exit_code() != 0)
            throw Failure{reply.exit_code() != 0 ? static_cast<int>(reply.exit_code())
                                                 : exit_refused,
                          reply.error()};
        on_reply(reply);
        if (!reply.more()) return;
    }
}

void DaemonClient::ask(protocol::Request request, const OnReply &on_reply,
                       const std::vector<int> &fds) {
    protocol::ToDaemon message;
    request.set_id(next_id_++);
    *message.mutable_request() = std::move(request);
    send(message, fds);
    await_replies(message.request().id(), on_reply);
}

protocol::Reply DaemonClient::ask_in_pieces(std::vector<protocol::Request> &pieces,
                                            const std::function<void(std::size_t)> &on_sent) {
    const std::uint64_t id = next_id_++;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        protocol::ToDaemon message;
        pieces[i].set_id(id);
        message.mutable_request()->Swap(&pieces[i]);
        send(message);
        message.mutable_request()->Swap(&pieces[i]);
        on_sent(i);
    }
    protocol::Reply last;
    await_replies(id, [&](const protocol::Reply &reply) { last.MergeFrom(reply); });
    return last;
}

protocol::Notice DaemonClient::next_notice() {
    while (notices_.empty())
        receive_notice();
    return *take_notice();
}

void DaemonClient::receive_notice() {
    auto answer = receive();
    if (answer.has_notice()) notices_.push_back(std::move(*answer.mutable_notice()));
}

std::optional<protocol::Notice> DaemonClient::take_notice() {
    if (notices_.empty()) return std::nullopt;
    protocol::Notice first = std::move(notices_.front());
    notices_.pop_front();
    return first;
}

protocol::Reply DaemonClient::ask(protocol::Request request, const std::vector<int> &fds) {
    protocol::Reply last;
    ask(
        std::move(request), [&](const protocol::Reply &reply) { last.MergeFrom(reply); }, fds);
    return last;
}

} // namespace sluice::cli
