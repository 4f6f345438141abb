// SPDX-License-Identifier: Apache-2.0
#include "daemon/client.h"

#include <cerrno>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {

namespace {
std::uint64_t next_client_id() {
    static std::uint64_t next = 1;
    return next++;
}
} // namespace

Client::Client(Loop &loop, Fd socket, Peer who, Access what)
    : id(next_client_id()), peer(std::move(who)), access(what), loop_(loop),
      channel_(std::move(socket)) {}

Client::~Client() {
    loop_.forget(channel_.fd());
}

Result<void> Client::start(OnMessage on_message, OnClosed on_closed) {
    on_message_ = std::move(on_message);
    on_closed_ = std::move(on_closed);
    return loop_.watch(channel_.fd(), EPOLLIN, [this](std::uint32_t events) { on_events(events); });
}

void Client::close() {
    if (closed_) return;
    closed_ = true;
    loop_.forget(channel_.fd());
    ::shutdown(channel_.fd(), SHUT_RDWR); // also for copies of the descriptor in other processes
    // Later, since the caller may be in the middle of using this connection or its host.
    loop_.after(std::chrono::milliseconds(0),
                [self = shared_from_this()] { self->on_closed_(self); });
}

void Client::on_events(std::uint32_t events) {
    const auto self = shared_from_this();
    if (events & EPOLLOUT) flush();
    if (!closed_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) receive_some();
}

void Client::receive_some() {
    // A few at a time: one busy peer must not keep the loop from the others.
    for (int i = 0; i < 16 && !closed_; ++i) {
        protocol::ToDaemon message;
        std::vector<Fd> fds;
        auto r = channel_.receive(message, fds);
        if (r && *r) {
            on_message_(shared_from_this(), message, fds);
            continue;
        }
        if (!r && (r.error().code == EAGAIN || r.error().code == EWOULDBLOCK)) return;
        if (!r && r.error().code != ECONNRESET)
            spdlog::warn("client {}: {}; closed", peer.pid, r.error().text());
        close();
    }
}

bool Client::try_send(const protocol::FromDaemon &message, const std::vector<int> &fds) {
    auto r = channel_.send(message, fds);
    if (r) return true;
    if (r.error().code == EAGAIN || r.error().code == EWOULDBLOCK) return false;
    if (r.error().code != EPIPE && r.error().code != ECONNRESET)
        spdlog::warn("client {}: {}; closed", peer.pid, r.error().text());
    close();
    return true;
}

void Client::enqueue(const protocol::FromDaemon &message, const std::vector<int> &fds) {
    Outgoing out{message, {}, message.ByteSizeLong()};
    for (int fd : fds)
        out.fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    queued_bytes_ += out.bytes;
    queue_.push_back(std::move(out));
    if (queue_.size() > queue_max || queued_bytes_ > queue_bytes_max) {
        spdlog::warn("client {}: does not read its messages; closed", peer.pid);
        close();
        return;
    }
    loop_.change(channel_.fd(), EPOLLIN | EPOLLOUT);
}

void Client::send(const protocol::FromDaemon &message, const std::vector<int> &fds) {
    if (closed_) return;
    if (!queue_.empty() || !try_send(message, fds)) enqueue(message, fds);
}

void Client::notice(protocol::Notice notice, const std::vector<int> &fds) {
    protocol::FromDaemon message;
    *message.mutable_notice() = std::move(notice);
    send(message, fds);
}

void Client::flush() {
    while (!closed_ && !queue_.empty()) {
        std::vector<int> fds;
        for (const auto &fd : queue_.front().fds)
            fds.push_back(fd.get());
        if (!try_send(queue_.front().message, fds)) return;
        if (closed_) return;
        queued_bytes_ -= queue_.front().bytes;
        queue_.pop_front();
    }
    if (!closed_) loop_.change(channel_.fd(), EPOLLIN);
}

void Responder::done(protocol::Reply reply, const std::vector<int> &fds) const {
    const auto to = client_.lock();
    if (!to) return;
    reply.set_id(request_);
    protocol::FromDaemon message;
    *message.mutable_reply() = std::move(reply);
    to->send(message, fds);
}

void Responder::fail(const Error &error, std::uint32_t exit_code) const {
    protocol::Reply reply;
    reply.set_status(status_of(error));
    reply.set_error(error.text());
    reply.set_exit_code(exit_code);
    done(std::move(reply));
}

std::uint32_t status_of(const Error &error) {
    if (error.ntstatus != 0) return error.ntstatus;
    switch (error.code) {
    case EPERM:
    case EACCES:
        return static_cast<std::uint32_t>(STATUS_ACCESS_DENIED);
    case ENOENT:
    case ENODEV:
        return static_cast<std::uint32_t>(STATUS_NOT_FOUND);
    case EEXIST:
        return static_cast<std::uint32_t>(STATUS_FWP_ALREADY_EXISTS);
    case EINVAL:
        return static_cast<std::uint32_t>(STATUS_INVALID_PARAMETER);
    case ENOMEM:
        return static_cast<std::uint32_t>(STATUS_NO_MEMORY);
    default:
        return static_cast<std::uint32_t>(STATUS_UNSUCCESSFUL);
    }
}

} // namespace sluice::daemon
