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

void DaemonClient::ask(protocol::Request request, const OnReply &on_reply,
                       const std::vector<int> &fds) {
    protocol::ToDaemon message;
    request.set_id(next_id_++);
    *message.mutable_request() = std::move(request);
    if (auto r = channel_.send(message, fds); !r) throw Failure{exit_unreachable, r.error().text()};
    for (;;) {
        protocol::FromDaemon answer;
        std::vector<Fd> ignored;
        auto r = channel_.receive(answer, ignored);
        if (!r) throw Failure{exit_unreachable, r.error().text()};
        if (!*r) throw Failure{exit_unreachable, "sluiced closed the connection"};
        if (!answer.has_reply() || answer.reply().id() != message.request().id()) continue;
        const auto &reply = answer.reply();
        if (reply.status() != 0 || reply.exit_code() != 0)
            throw Failure{reply.exit_code() != 0 ? static_cast<int>(reply.exit_code())
                                                 : exit_refused,
                          reply.error()};
        on_reply(reply);
        if (!reply.more()) return;
    }
}

protocol::Reply DaemonClient::ask(protocol::Request request, const std::vector<int> &fds) {
    protocol::Reply last;
    ask(
        std::move(request), [&](const protocol::Reply &reply) { last = reply; }, fds);
    return last;
}

} // namespace sluice::cli
