// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include <cerrno>
#include <csignal>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "daemon/event_pump.h"
#include "daemon/instance.h"
#include "daemon/requests.h"
#include "daemon/sweep.h"

namespace sluice::daemon {

Result<std::unique_ptr<Daemon>> Daemon::start(Options options, Loop &loop) {
    std::unique_ptr<Daemon> self(new Daemon(loop));
    auto lock = take_lock(options.socket);
    if (!lock) return lock.error();
    self->lock_ = std::move(*lock);
    self->socket_path_ = options.socket;
    self->core_ = std::make_unique<Core>(std::move(options), loop);
    if (auto r = self->watch_signals(); !r) return r.error();
    if (auto r = self->core_->restore(); !r) return r.error();
    auto listener = listen_at(self->socket_path_);
    if (!listener) return listener.error();
    self->listener_ = std::move(*listener);
    auto r = loop.watch(self->listener_.get(), EPOLLIN,
                        [d = self.get()](std::uint32_t) { d->accept_clients(); });
    if (!r) return r.error();
    self->core_->sweeper->start();
    self->core_->events->start();
    return self;
}

Daemon::~Daemon() {
    if (listener_) {
        loop_.forget(listener_.get());
        ::unlink(socket_path_.c_str());
    }
    if (signals_) loop_.forget(signals_.get());
    clients_.clear();
}

Result<void> Daemon::watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return Error(errno, "watch signals");
    return loop_.watch(signals_.get(), EPOLLIN, [this](std::uint32_t) {
        spdlog::info("asked to end; the data plane stays in force");
        notify_service_manager("STOPPING=1");
        loop_.stop(0);
    });
}

void Daemon::accept_clients() {
    for (;;) {
        Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
            return spdlog::error("accept on control socket: {}", std::strerror(errno));
        }
        auto peer = peer_of(socket.get());
        if (!peer) {
            spdlog::warn("{}", peer.error().text());
            continue;
        }
        const Access access = access_of(*peer, core_->rights);
        auto client = std::make_shared<Client>(loop_, std::move(socket), std::move(*peer), access);
        auto r = client->start(
            [this](const auto &c, auto &message, auto &fds) { handle(*core_, c, message, fds); },
            [this](const auto &c) {
                clients_.erase(c->id);
                client_gone(*core_, c);
            });
        if (r) clients_[client->id] = client;
    }
}

} // namespace sluice::daemon
