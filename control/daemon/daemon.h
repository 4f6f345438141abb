// SPDX-License-Identifier: Apache-2.0
// sluiced: the lock, the socket, the signals, and a Core between them.
#pragma once

#include <map>

#include "daemon/core.h"

namespace sluice::daemon {

class Daemon {
public:
    // Takes the lock, restores the state, listens. An error is one clear line for the person who
    // started it.
    static Result<std::unique_ptr<Daemon>> start(Options options, Loop &loop);
    ~Daemon();
    [[nodiscard]] Core &core() { return *core_; }

private:
    explicit Daemon(Loop &loop) : loop_(loop) {}
    void accept_clients();
    Result<void> watch_signals();

    Loop &loop_;
    Fd lock_, listener_, signals_;
    std::string socket_path_;
    std::unique_ptr<Core> core_;
    std::map<std::uint64_t, std::shared_ptr<Client>> clients_;
};

} // namespace sluice::daemon
