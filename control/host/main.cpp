// SPDX-License-Identifier: Apache-2.0
// sluice-host PLUGIN.so... | --built-in ask: runs callout plugins. The order matters: connect while
// we still have the rights that sluiced asks for, give them up, and only then let foreign code in.
//
// Exit codes: 0 ended by a signal or by sluiced, 1 a plugin was refused, 2 usage, 4 privileges
// could not be dropped.
#include <csignal>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "host/ask.h"
#include "host/plugin.h"
#include "host/privileges.h"
#include "protocol/channel.h"

namespace {

constexpr int refused = 1, usage = 2, permission = 4;

struct Options {
    std::vector<std::string> plugins;
    std::string built_in, user, name, socket;
    unsigned busy_poll = 0;
};

// 0 to go on, else the exit code is code - 1.
int read_options(int argc, char **argv, Options &options) {
    CLI::App app("Runs Sluice callout plugins.", "sluice-host");
    auto *plugins = app.add_option("PLUGIN", options.plugins, "shared objects with DriverEntry");
    app.add_option("--built-in", options.built_in, "a callout of our own: ask")
        ->check(CLI::IsMember({"ask"}))
        ->excludes(plugins);
    app.add_option("--user", options.user, "user to become once connected");
    app.add_option("--name", options.name,
                   "name in 'sluice host list' (default: of the first plugin)");
    app.add_option("--socket", options.socket, "control socket of sluiced");
    app.add_option(
           "--busy-poll", options.busy_poll,
           "microseconds to look for the next packet before sleeping: lower latency for a CPU")
        ->check(CLI::Range(0u, 1000000u));
    app.set_version_flag("--version", SLUICE_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &e) {
        return app.exit(e) == 0 ? 1 : usage + 1;
    }
    if (options.plugins.empty() && options.built_in.empty()) {
        std::fputs("sluice-host: a plugin is needed, or --built-in\n", stderr);
        return usage + 1;
    }
    if (const char *socket = std::getenv("SLUICE_SOCKET"); options.socket.empty() && socket)
        options.socket = socket;
    if (options.socket.empty()) options.socket = sluice::protocol::default_socket;
    if (options.name.empty() && options.plugins.empty()) options.name = options.built_in;
    if (options.name.empty()) {
        const auto &file = options.plugins.front();
        const std::string base = file.substr(file.find_last_of('/') + 1);
        options.name = base.substr(0, base.rfind('.'));
    }
    return 0;
}

// sluiced takes the credentials of the process that connected, at that moment. libsluice goes on
// with the descriptor.
void connect_first(const Options &options) {
    ::setenv("SLUICE_SOCKET", options.socket.c_str(), 1);
    ::setenv("SLUICE_HOST_NAME", options.name.c_str(), 1);
    if (options.busy_poll != 0)
        ::setenv("SLUICE_BUSY_POLL_US", std::to_string(options.busy_poll).c_str(), 1);
    auto channel = sluice::protocol::Channel::connect(options.socket);
    if (!channel) {
        spdlog::warn("{}; trying again in the background", channel.error().text());
        return;
    }
    static const auto kept =
        *std::move(channel); // the descriptor is libsluice's from here on: never closed by us
    ::setenv("SLUICE_CONTROL_FD", std::to_string(kept.fd()).c_str(), 1);
}

// A plugin whose DriverEntry needs sluiced, which is not there, is tried again until it is. False:
// told to end.
bool wait_for_sluiced(const sigset_t &signals) {
    constexpr timespec pause{0, 250'000'000};
    return sigtimedwait(&signals, nullptr, &pause) < 0;
}

sluice::Result<std::unique_ptr<sluice::host::Plugin>> load(const std::string &file,
                                                           const sigset_t &signals) {
    bool told = false;
    while (true) {
        auto plugin = sluice::host::Plugin::load(file);
        const bool alone = !plugin && plugin.error().ntstatus ==
                                          static_cast<std::uint32_t>(STATUS_CONNECTION_REFUSED);
        if (!alone) return plugin;
        if (!std::exchange(told, true))
            spdlog::warn("{}; waiting for sluiced", plugin.error().text());
        if (!wait_for_sluiced(signals)) return plugin;
    }
}

int run(const Options &options, const sigset_t &signals) {
    std::vector<std::unique_ptr<sluice::host::Plugin>> plugins;
    auto wanted = options.plugins;
    if (!options.built_in.empty()) wanted.push_back(options.built_in);
    for (const auto &what : wanted) {
        auto plugin = options.built_in.empty()
                          ? load(what, signals)
                          : sluice::host::Plugin::load(what, sluice::host::ask_entry);
        if (!plugin) {
            spdlog::error("{}", plugin.error().text());
            return refused;
        }
        spdlog::info("plugin {} is running", (*plugin)->name());
        plugins.push_back(*std::move(plugin));
    }
    int signal = 0;
    sigwait(&signals, &signal);
    spdlog::info("unloading");
    while (!plugins.empty())
        plugins.pop_back(); // in reverse order
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    spdlog::set_default_logger(spdlog::stderr_color_mt("sluice-host"));
    Options options;
    if (const int code = read_options(argc, argv, options)) return code - 1;

    // Before any thread: libsluice's inherit the mask, so that the signals are ours to wait for.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    connect_first(options);
    if (auto dropped = sluice::host::drop_privileges(options.user); !dropped) {
        spdlog::error("{}", dropped.error().text());
        return permission;
    }
    (void)FwpsCalloutUnregisterById0(
        0); // has no effect but to start libsluice, so that the host is known without a callout
    const int code = run(options, signals);
    std::fflush(nullptr);
    // Threads of libsluice and of plugins may still run: nothing is torn down under them.
    std::quick_exit(code);
}
