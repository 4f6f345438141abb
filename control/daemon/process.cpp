// SPDX-License-Identifier: Apache-2.0
#include "daemon/process.h"

#include <climits>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/files.h"

namespace sluice::daemon {

namespace {
std::string proc_path(pid_t pid, const char *name) {
    return "/proc/" + std::to_string(pid) + "/" + name;
}
} // namespace

std::optional<ProcessStat> parse_process_stat(const std::string &text) {
    // The name may contain anything, also ") ": fields are counted from the last parenthesis.
    const auto close = text.rfind(')');
    if (close == std::string::npos) return std::nullopt;
    std::istringstream fields(text.substr(close + 1));
    ProcessStat stat;
    if (!(fields >> stat.state)) return std::nullopt;
    std::string skipped;
    for (int field = 4; field < 22; ++field)
        if (!(fields >> skipped)) return std::nullopt;
    if (!(fields >> stat.start_ticks)) return std::nullopt;
    return stat;
}

std::optional<ProcessStat> process_stat(pid_t pid) {
    return parse_process_stat(text_of_file(proc_path(pid, "stat")));
}

Fd open_pidfd(pid_t pid) {
    return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

std::string capabilities_of(pid_t pid) {
    std::ifstream file(proc_path(pid, "status"));
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("CapEff:")) continue;
        const auto digits = line.find_first_of("123456789abcdef", 7);
        return digits == std::string::npos ? "0" : line.substr(digits);
    }
    return {};
}

std::optional<uid_t> user_of(pid_t pid) {
    std::ifstream file(proc_path(pid, "status"));
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("Uid:"))
            return static_cast<uid_t>(std::strtoul(line.c_str() + 4, nullptr, 10));
    return std::nullopt;
}

bool is_running(pid_t pid, std::uint64_t start_ns) {
    const auto stat = process_stat(pid);
    const auto ticks_a_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    return stat && stat->start_ticks == start_ns / (1000000000ull / ticks_a_second);
}

std::string executable_of(pid_t pid, std::uint64_t start_ns) {
    if (!is_running(pid, start_ns)) return {};
    char path[PATH_MAX];
    const ssize_t n = ::readlink(proc_path(pid, "exe").c_str(), path, sizeof path);
    return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

} // namespace sluice::daemon
