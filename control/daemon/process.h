// SPDX-License-Identifier: Apache-2.0
// What /proc tells about a process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

#include "core/fd.h"

namespace sluice::daemon {

struct ProcessStat {
    char state = '?';              // R S D T t Z ...
    std::uint64_t start_ticks = 0; // since boot, in clock ticks
};
std::optional<ProcessStat> parse_process_stat(const std::string &text);
std::optional<ProcessStat> process_stat(pid_t pid);
Fd open_pidfd(pid_t pid);
std::string capabilities_of(pid_t pid); // CapEff, hexadecimal without leading zeros; empty: unknown
std::optional<uid_t> user_of(pid_t pid); // now, which may differ from when it connected
// Whether the process that began at start_ns (boot clock) is still there.
bool is_running(pid_t pid, std::uint64_t start_ns);
// Path of the executable if `pid` is still the process that began at start_ns (boot clock).
std::string executable_of(pid_t pid, std::uint64_t start_ns);

} // namespace sluice::daemon
