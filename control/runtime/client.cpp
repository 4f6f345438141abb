// SPDX-License-Identifier: Apache-2.0
#include "runtime/client.h"

#include <cerrno>
#include <chrono>
#include <sys/socket.h>

#include "runtime/threads.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

namespace {

constexpr std::chrono::milliseconds retry_after{200};
constexpr std::chrono::seconds attempt_limit{5};
constexpr std::uint64_t hello_id = 1;

Error unreachable(const std::string &path) {
    return Error::status(std::uint32_t(STATUS_CONNECTION_REFUSED), "reach sluiced at", path);
}

} // namespace

void Client::start() {
    {
        Lock lock(mutex_);
        if (started_) return;
        started_ = true;
        reader_ = std::thread([this] { run(); });
    }
    (void)connect_now();
}

void Client::stop() {
    {
        Lock lock(mutex_);
        stopping_ = true;
        if (link_) ::shutdown(link_->fd(), SHUT_RDWR);
    }
    changed_.notify_all();
    if (reader_.joinable()) reader_.join();
}

std::uint64_t Client::connection() {
    Lock lock(mutex_);
    while (link_ && !ready_ && !stopping_)
        changed_.wait(lock);
    return link_ && ready_ ? connection_ : 0;
}

Result<void> Client::connect_now() {
    const auto until = std::chrono::steady_clock::now() + attempt_limit;
    Lock lock(mutex_);
    if (!started_ || stopping_) return unreachable(path_);
    const std::uint64_t before = attempts_;
    if (!link_) {
        wanted_ = true;
        changed_.notify_all();
    }
    while (!stopping_ && !(link_ && ready_) && (link_ || attempts_ == before))
        if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
    if (link_ && ready_) return {};
    if (refusal_) return Error::status(refusal_, refusal_text_);
    return unreachable(path_);
}

void Client::run() {
    block_signals();
    for (;;) {
        attempt_and_read();
        const auto until = std::chrono::steady_clock::now() + retry_after;
        Lock lock(mutex_);
        while (!stopping_ && !wanted_)
            if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
        if (stopping_) return;
        wanted_ = false;
    }
}

void Client::attempt_and_read() {
    auto link = greet();
    if (!link) {
        attempted(&link.error());
        return;
    }
    read(**link);
    {
        Lock lock(mutex_);
        link_.reset();
        ready_ = false;
        for (auto &[id, waiting] : waiting_)
            waiting->lost = true;
        waiting_.clear();
    }
    changed_.notify_all();
    handler_.lost();
}

void Client::attempted(Error *error) {
    Lock lock(mutex_);
    ++attempts_;
    refusal_ = error ? error->ntstatus : 0;
    refusal_text_ = error ? error->text() : std::string();
    changed_.notify_all();
}

Result<protocol::Channel> Client::connect() {
    if (first_) return protocol::Channel(std::move(first_));
    return protocol::Channel::connect(path_);
}

// Hello and welcome. sluiced sends nothing else before the welcome.
Result<Client::Link> Client::greet() {
    auto channel = connect();
    if (!channel) return channel.error();
    auto link = std::make_shared<protocol::Channel>(*std::move(channel));
    protocol::ToDaemon message;
    message.mutable_request()->set_id(hello_id);
    const auto fds = handler_.hello(*message.mutable_request()->mutable_host_hello());
    if (auto sent = link->send(message, fds); !sent) return sent.error();
    {
        Lock lock(mutex_);
        if (stopping_) return Error(ECANCELED, "connect to sluiced");
        link_ = link; // so that stop() can end the wait for the welcome
        last_id_ = hello_id;
    }
    protocol::FromDaemon answer;
    std::vector<Fd> received;
    auto got = link->receive(answer, received);
    Error failure(ECONNRESET, "greet sluiced at", path_);
    if (!got) failure = got.error();
    const bool greeted = got && *got && answer.has_reply() && answer.reply().id() == hello_id;
    if (greeted && answer.reply().status() == 0 && answer.reply().has_host_welcome()) {
        std::uint64_t connection = 0;
        {
            Lock lock(mutex_);
            connection = ++connection_;
        }
        handler_.welcomed(answer.reply().host_welcome(), connection);
        attempted(nullptr);
        return link;
    }
    if (greeted && answer.reply().status() != 0)
        failure = Error::status(answer.reply().status(), answer.reply().error());
    Lock lock(mutex_);
    link_.reset();
    return failure;
}

void Client::read(protocol::Channel &channel) {
    for (;;) {
        protocol::FromDaemon message;
        std::vector<Fd> fds;
        auto got = channel.receive(message, fds);
        // What cannot be read may have been anything: begin anew rather than miss an order.
        if (!got || !*got) return;
        if (message.has_reply())
            deliver(message.reply());
        else if (message.has_notice())
            handler_.notice(message.notice(), std::move(fds));
    }
}

void Client::deliver(const protocol::Reply &reply) {
    Lock lock(mutex_);
    const auto at = waiting_.find(reply.id());
    if (at == waiting_.end()) return;
    // Lists come in pieces, and put together they are one reply.
    at->second->reply.MergeFrom(reply);
    if (reply.more()) return;
    at->second->reply.set_more(false);
    at->second->done = true;
    waiting_.erase(at);
    changed_.notify_all();
}

void Client::restored(std::uint64_t connection) {
    Lock lock(mutex_);
    if (connection == connection_ && link_) ready_ = true;
    changed_.notify_all();
}

Result<void> Client::send(const protocol::ToDaemon &message, const std::vector<int> &fds) {
    Link link;
    {
        Lock lock(mutex_);
        link = link_;
    }
    if (!link) return unreachable(path_);
    Lock lock(send_mutex_);
    return link->send(message, fds);
}

Result<protocol::Reply> Client::request(protocol::Request request, bool restoring) {
    Waiting waiting;
    std::uint64_t id = 0;
    {
        Lock lock(mutex_);
        while (link_ && !ready_ && !restoring && !stopping_)
            changed_.wait(lock);
        if (!link_) return unreachable(path_);
        id = ++last_id_;
        waiting_[id] = &waiting;
    }
    protocol::ToDaemon message;
    *message.mutable_request() = std::move(request);
    message.mutable_request()->set_id(id);
    auto sent = send(message);
    Lock lock(mutex_);
    if (!sent) {
        waiting_.erase(id);
        return sent.error().ntstatus ? sent.error() : unreachable(path_);
    }
    // No limit of its own: sluiced answers each request in bounded time, and its end ends the wait.
    while (!waiting.done && !waiting.lost)
        changed_.wait(lock);
    if (waiting.lost) return unreachable(path_);
    return std::move(waiting.reply);
}

void Client::reply(std::uint64_t notice_id, std::uint32_t status) {
    if (notice_id == 0) return;
    protocol::ToDaemon message;
    message.mutable_notice_reply()->set_id(notice_id);
    message.mutable_notice_reply()->set_status(status);
    (void)send(message); // a connection that broke has no one to tell
}

} // namespace sluice::runtime
