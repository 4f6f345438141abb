// SPDX-License-Identifier: Apache-2.0
#include "fwp/instance.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

#include "runtime/log.h"

namespace sluice::fwp {

namespace {

int inherited_connection() {
    const char *text = std::getenv("SLUICE_CONTROL_FD");
    if (!text) return -1;
    int fd = -1;
    const std::string_view digits = text;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    const bool whole = error == std::errc{} && end == digits.data() + digits.size();
    ::unsetenv("SLUICE_CONTROL_FD");
    return whole ? fd : -1;
}

// SLUICE_BUSY_POLL_US, up to a second; what is no such number is said once and ignored.
std::chrono::microseconds busy_of_environment() {
    constexpr unsigned longest = 1000000;
    const char *text = std::getenv("SLUICE_BUSY_POLL_US");
    if (!text || !*text) return {};
    unsigned value = 0;
    const std::string_view digits = text;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc{} && end == digits.data() + digits.size() && value <= longest)
        return std::chrono::microseconds(value);
    runtime::log().warn("SLUICE_BUSY_POLL_US={}: not a number from 0 to {}, ignored", text,
                        longest);
    return {};
}

runtime::Engine::Options options_of_environment() {
    const char *socket = std::getenv("SLUICE_SOCKET");
    const char *name = std::getenv("SLUICE_HOST_NAME");
    runtime::Engine::Options options;
    options.socket = socket && *socket ? socket : protocol::default_socket;
    options.name = name && *name ? name : program_invocation_short_name;
    options.on_shutdown = [] { ::kill(::getpid(), SIGTERM); };
    options.connection = inherited_connection();
    options.busy = busy_of_environment();
    return options;
}

} // namespace

runtime::Engine &engine() {
    static auto *const instance = [] {
        auto *made = new runtime::Engine(options_of_environment());
        constexpr auto tell = [] {
            if (const std::string text = engine().counters().text(); !text.empty())
                runtime::log().debug("run time: {}", text);
        };
        std::atexit(tell);
        std::at_quick_exit(tell); // sluice-host
        return made;
    }();
    return *instance;
}

} // namespace sluice::fwp
