// SPDX-License-Identifier: Apache-2.0
// What sluiced can be told on its command line, with the limits that it lives by.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice::daemon {

using Milliseconds = std::chrono::milliseconds;

struct Options {
    std::string socket = "/run/sluice/control.sock";
    std::string state = "/run/sluice/state";
    std::string pin_root = "/sys/fs/bpf/sluice";
    std::string host_program;    // sluice-host; empty: looked for beside sluiced
    std::uint32_t frames = 4096; // UMEM chunks of a port
    Milliseconds watchdog{5000}; // an upcall unanswered for longer ends as its filter says
    Milliseconds linger{2000};   // a dynamic session survives its connection for this long
    Milliseconds sweep{250};
    Milliseconds reclaim{
        10000}; // after a start: hosts and sessions of before must be back within this
    Milliseconds notify{5000};    // a host's answer to a filter notification
    Milliseconds txn_wait{15000}; // for the writer's turn, unless the session says otherwise
    std::uint32_t queue_bytes_max = 64 * 1024; // behind one held packet
    bool verbose = false;
};

} // namespace sluice::daemon
