// SPDX-License-Identifier: Apache-2.0
#include "fake_sluiced.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice::test {

std::string FakeSluiced::unique_path() {
    static std::atomic<int> number{0};
    return "/tmp/sluice-fake-" + std::to_string(::getpid()) + "-" + std::to_string(number++) +
           ".sock";
}

FakeSluiced::FakeSluiced(std::string path) : path_(std::move(path)) {
    ::unlink(path_.c_str());
    listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    if (::bind(listener_.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 4) != 0)
        throw std::runtime_error("fake sluiced cannot listen at " + path_);
    thread_ = std::thread([this] { run(); });
}

FakeSluiced::~FakeSluiced() {
    stop_ = true;
    ::unlink(path_.c_str());
    ::shutdown(listener_.get(), SHUT_RDWR);
    hang_up();
    thread_.join();
}

void FakeSluiced::hang_up() {
    Lock lock(mutex_);
    if (client_) ::shutdown(client_->fd(), SHUT_RDWR);
}

void FakeSluiced::run() {
    while (!stop_) {
        Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer) return;
        auto channel = std::make_shared<protocol::Channel>(std::move(peer));
        {
            Lock lock(mutex_);
            client_ = channel;
        }
        if (!stop_) serve(channel);
        Lock lock(mutex_);
        client_.reset();
        changed_.notify_all();
    }
}

void FakeSluiced::serve(const std::shared_ptr<protocol::Channel> &channel) {
    for (;;) {
        protocol::ToDaemon message;
        std::vector<Fd> fds;
        auto got = channel->receive(message, fds);
        if (!got || !*got) return;
        if (message.has_request()) {
            handle(*channel, message.request());
        } else {
            Lock lock(mutex_);
            replies_[message.notice_reply().id()] = message.notice_reply().status();
            changed_.notify_all();
        }
    }
}

void FakeSluiced::handle(protocol::Channel &channel, const protocol::Request &request) {
    Answer answer;
    {
        Lock lock(mutex_);
        requests_.push_back(request);
        answer = answer_;
    }
    protocol::FromDaemon message;
    auto &reply = *message.mutable_reply();
    reply.set_id(request.id());
    if (request.has_host_hello()) reply.mutable_host_welcome()->set_host_id(3);
    if (request.has_engine_open()) reply.set_session_id(100);
    if (request.has_filter_add()) reply.set_filter_id(1000);
    if (answer) answer(request, reply);
    send(channel, message);
}

void FakeSluiced::send(protocol::Channel &channel, const protocol::FromDaemon &message) {
    Lock lock(send_mutex_);
    (void)channel.send(message);
}

std::uint32_t FakeSluiced::notify(protocol::Notice notice) {
    std::shared_ptr<protocol::Channel> client;
    std::uint64_t id = 0;
    {
        Lock lock(mutex_);
        client = client_;
        id = ++last_notice_;
    }
    if (!client) return 0xFFFFFFFF;
    notice.set_id(id);
    protocol::FromDaemon message;
    *message.mutable_notice() = std::move(notice);
    send(*client, message);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    Lock lock(mutex_);
    while (replies_.count(id) == 0)
        if (changed_.wait_until(lock, until) == std::cv_status::timeout) return 0xFFFFFFFE;
    return replies_[id];
}

} // namespace sluice::test
