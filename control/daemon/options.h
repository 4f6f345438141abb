// SPDX-License-Identifier: Apache-2.0
// What sluiced can be told on its command line, with the limits that it lives by.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "policy/policy.h"
#include "shared/cache.h"

namespace sluice::daemon {

using Milliseconds = std::chrono::milliseconds;

struct Options {
    std::string socket = "/run/sluice/control.sock";
    std::string state = "/run/sluice/state";
    std::string database = "/var/lib/sluice/policy.db"; // what is persistent
    std::string pin_root = "/sys/fs/bpf/sluice";
    std::string cgroup_root;     // cgroup2; empty: found in mountinfo
    std::string host_program;    // sluice-host; empty: looked for beside sluiced
    std::uint32_t frames = 8192; // UMEM chunks of a port: 32 MiB; a hold keeps one
    // Of a namespace: those that there can be, and those whose packets pass by one look-up.
    std::uint32_t flows_max = DP_FLOWS_MAX;
    std::uint32_t cached_flows = DP_CACHE_SETS * DP_CACHED_IN_SET;
    Milliseconds watchdog{5000}; // an upcall unanswered for longer ends as its filter says
    Milliseconds linger{2000};   // a dynamic session survives its connection for this long
    Milliseconds sweep{250};
    Milliseconds reclaim{
        10000}; // after a start: hosts and sessions of before must be back within this
    Milliseconds acknowledge{1000}; // a host's, of its new filter table
    // For the writer's turn and for a host's answer to a notification, unless the session says
    // otherwise.
    Milliseconds txn_wait{15000};
    Milliseconds txn_hold{3600000}; // a transaction that may write is aborted after this
    Milliseconds events{100};       // between two looks at what the kernel dropped and allowed
    Milliseconds slice{20};         // work that is done in pieces leaves the thread after this
    policy::HoldOptions hold;       // where neither filter nor host says otherwise
    std::uint32_t queue_bytes_max = 64 * 1024; // behind one held packet
    // Of what waits for one host in one namespace; 0: by the frames of its port, see quotas.h.
    std::uint32_t holds_max = 0, process_holds_max = 0;
    std::uint64_t hold_bytes_max = 0, process_hold_bytes_max = 0;
    bool verbose = false;
};

} // namespace sluice::daemon
