// SPDX-License-Identifier: Apache-2.0
// The event loop: descriptors and timers. One thread; handlers may watch, forget and start timers,
// also for themselves.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "core/fd.h"
#include "core/result.h"

namespace sluice::daemon {

std::uint64_t monotonic_ns(); // the clock of bpf_ktime_get_ns

class Loop {
public:
    using Handler = std::function<void(std::uint32_t events)>;
    using TimerId = std::uint64_t;

    static Result<std::unique_ptr<Loop>> make();

    Result<void> watch(int fd, std::uint32_t events, Handler handler);
    void change(int fd, std::uint32_t events);
    void forget(int fd); // before the descriptor is closed

    TimerId after(std::chrono::milliseconds delay, std::function<void()> work);
    void cancel(TimerId id); // unknown or spent ids are fine

    int run(); // until stop(); returns its code
    void stop(int code);
    // One round: waits at most `wait`, then calls what is due. For run() and tests.
    void turn(std::chrono::milliseconds wait);

private:
    struct Watch {
        int fd;
        std::shared_ptr<Handler> handler;
    };
    explicit Loop(Fd epoll) : epoll_(std::move(epoll)) {}
    void run_timers();
    [[nodiscard]] int next_timeout_ms(std::chrono::milliseconds wait) const;

    Fd epoll_;
    // Events carry a token, not the descriptor: its number may belong to another file by the time
    // they are handled.
    std::map<std::uint64_t, Watch> watches_;
    std::map<int, std::uint64_t> tokens_;
    std::map<std::pair<std::uint64_t, TimerId>, std::function<void()>> timers_; // by due time
    std::map<TimerId, std::uint64_t> due_;
    std::uint64_t next_token_ = 1;
    TimerId next_timer_ = 1;
    bool stopped_ = false;
    int code_ = 0;
};

} // namespace sluice::daemon
