// SPDX-License-Identifier: Apache-2.0
#include "fake_sluiced.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sluice/fwp.h"

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

namespace {

// One object of the kind that was asked for, named as it was asked for.
void objects(protocol::ObjectKind kind, const std::string &key, std::uint64_t id,
             protocol::Objects &out) {
    const auto named = [&](auto &object) {
        object.set_key(key.empty() ? std::string(16, 'o') : key);
        object.set_name("object");
    };
    switch (kind) {
    case protocol::PROVIDER:
        return named(*out.add_providers());
    case protocol::PROVIDER_CONTEXT:
        out.add_provider_contexts()->set_id(id);
        return named(*out.mutable_provider_contexts(0));
    case protocol::SUBLAYER:
        return named(*out.add_sublayers());
    case protocol::CALLOUT:
        return named(*out.add_callouts());
    default:
        out.add_filters()->set_id(id);
        return named(*out.mutable_filters(0));
    }
}

// What sluiced would answer if it had whatever is asked for.
void by_default(const protocol::Request &request, protocol::Reply &reply) {
    if (request.has_host_hello()) reply.mutable_host_welcome()->set_host_id(3);
    if (request.has_engine_open()) reply.set_session_id(100);
    if (request.has_filter_add()) reply.set_filter_id(1000);
    if (request.has_provider_context_add()) reply.set_provider_context_id(2000);
    if (request.has_subscribe()) reply.set_subscription_id(request.id());
    if (request.has_engine_option_get())
        reply.mutable_engine_option()->mutable_value()->set_type(FWP_UINT32);
    if (request.has_session_enum()) reply.mutable_sessions()->add_sessions()->set_pid(1);
    if (request.has_net_event_enum()) reply.mutable_net_events()->add_events()->set_id(1);
    if (const auto &get = request.object_get(); request.has_object_get())
        objects(get.kind(), get.key(), get.id(), *reply.mutable_objects());
    if (const auto &all = request.object_enum(); request.has_object_enum())
        objects(all.kind(), {}, 1, *reply.mutable_objects());
}

} // namespace

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
    by_default(request, reply);
    if (answer) answer(request, reply);
    send(channel, message);
}

void FakeSluiced::send(protocol::Channel &channel, const protocol::FromDaemon &message) {
    Lock lock(send_mutex_);
    (void)channel.send(message);
}

void FakeSluiced::tell(const protocol::FromDaemon &message) {
    std::shared_ptr<protocol::Channel> client;
    {
        Lock lock(mutex_);
        client = client_;
    }
    if (client) send(*client, message);
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
