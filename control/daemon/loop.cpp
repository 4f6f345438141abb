// SPDX-License-Identifier: Apache-2.0
#include "daemon/loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <time.h>

namespace sluice::daemon {

std::uint64_t monotonic_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1000000000ull +
           static_cast<std::uint64_t>(t.tv_nsec);
}

Result<std::unique_ptr<Loop>> Loop::make() {
    Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return Error(errno, "make event loop");
    return std::unique_ptr<Loop>(new Loop(std::move(epoll)));
}

Result<void> Loop::watch(int fd, std::uint32_t events, Handler handler) {
    const std::uint64_t token = next_token_++;
    epoll_event event{};
    event.events = events;
    event.data.u64 = token;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        return Error(errno, "watch descriptor");
    watches_[token] = {fd, std::make_shared<Handler>(std::move(handler))};
    tokens_[fd] = token;
    return {};
}

void Loop::change(int fd, std::uint32_t events) {
    const auto it = tokens_.find(fd);
    if (it == tokens_.end()) return;
    epoll_event event{};
    event.events = events;
    event.data.u64 = it->second;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::forget(int fd) {
    const auto it = tokens_.find(fd);
    if (it == tokens_.end()) return;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    watches_.erase(it->second);
    tokens_.erase(it);
}

Loop::TimerId Loop::after(std::chrono::milliseconds delay, std::function<void()> work) {
    const TimerId id = next_timer_++;
    const std::uint64_t due =
        monotonic_ns() + static_cast<std::uint64_t>(delay.count()) * 1000000ull;
    timers_[{due, id}] = std::move(work);
    due_[id] = due;
    return id;
}

void Loop::cancel(TimerId id) {
    const auto it = due_.find(id);
    if (it == due_.end()) return;
    timers_.erase({it->second, id});
    due_.erase(it);
}

int Loop::run() {
    while (!stopped_)
        turn(std::chrono::hours(1));
    return code_;
}

void Loop::stop(int code) {
    stopped_ = true;
    code_ = code;
}

int Loop::next_timeout_ms(std::chrono::milliseconds wait) const {
    if (timers_.empty()) return static_cast<int>(wait.count());
    const std::uint64_t now = monotonic_ns();
    const std::uint64_t due = timers_.begin()->first.first;
    if (due <= now) return 0;
    const auto until = static_cast<std::int64_t>((due - now + 999999) / 1000000);
    return static_cast<int>(std::min<std::int64_t>(until, wait.count()));
}

void Loop::run_timers() {
    // Only what was due when the round began, so that timers of 0 ms cannot starve the descriptors.
    const std::uint64_t now = monotonic_ns();
    const TimerId last = next_timer_;
    while (!timers_.empty() && timers_.begin()->first.first <= now &&
           timers_.begin()->first.second < last) {
        auto work = std::move(timers_.begin()->second);
        due_.erase(timers_.begin()->first.second);
        timers_.erase(timers_.begin());
        work();
    }
}

void Loop::turn(std::chrono::milliseconds wait) {
    std::array<epoll_event, 32> events{};
    const int n = ::epoll_wait(epoll_.get(), events.data(), events.size(), next_timeout_ms(wait));
    for (int i = 0; i < n; ++i) {
        const auto it = watches_.find(events[i].data.u64);
        if (it == watches_.end()) continue; // forgotten by an earlier handler of this round
        const auto handler = it->second.handler;
        (*handler)(events[i].events);
    }
    run_timers();
}

} // namespace sluice::daemon
