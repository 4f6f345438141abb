// SPDX-License-Identifier: Apache-2.0
// The writer's turn: at most one session changes the policy at a time, the others wait in order and
// for so long as each is willing to.
#pragma once

#include <cstdint>
#include <functional>
#include <list>

#include "daemon/loop.h"

namespace sluice::daemon {

class WriterTurn {
public:
    using Granted = std::function<void(bool)>; // false: the wait was over

    explicit WriterTurn(Loop &loop) : loop_(loop) {}
    void take(std::uint64_t session, std::chrono::milliseconds wait, Granted granted);
    void give_back(std::uint64_t session);
    void
    forget(std::uint64_t session); // gives back and waits no longer; its callbacks are not called
    [[nodiscard]] std::uint64_t holder() const { return holder_; }

private:
    struct Waiting {
        std::uint64_t session;
        Loop::TimerId timer;
        Granted granted;
    };
    void next();

    Loop &loop_;
    std::uint64_t holder_ = 0;
    std::list<Waiting> waiting_;
};

} // namespace sluice::daemon
