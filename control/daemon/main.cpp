// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <csignal>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "daemon/boot_time.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "policy/hold_words.h"

using namespace sluice::daemon;

namespace {

void add_quotas(CLI::App &app, Options &options) {
    app.add_option("--holds-max", options.holds_max,
                   "connections, binds and listens that may wait for one host in one namespace "
                   "(three quarters of --frames)");
    app.add_option("--process-holds-max", options.process_holds_max,
                   "of them those of one process (a quarter of --holds-max)");
    app.add_option("--hold-bytes-max", options.hold_bytes_max,
                   "bytes of their packets (three quarters of the port's memory)");
    app.add_option("--process-hold-bytes-max", options.process_hold_bytes_max,
                   "of them those of one process (a quarter of --hold-bytes-max)");
}

template <typename Read, typename Value>
void add_word(CLI::App &app, const char *name, Read read, Value &value, const char *help) {
    app.add_option_function<std::string>(
        name,
        [read, &value, name](const std::string &word) {
            auto known = read(word);
            if (!known) throw CLI::ValidationError(name, known.error().text());
            value = *known;
        },
        help);
}

void add_hold_options(CLI::App &app, Options &options) {
    add_word(app, "--hold-deadline", sluice::policy::deadline_of, options.hold.deadline_ms,
             "of holds whose filter and host name none: 30s, 5m, none (none)");
    add_word(app, "--hold-outcome", sluice::policy::outcome_of, options.hold.outcome,
             "of what is not decided in time: block, permit, next (as if nobody had registered)");
}

void add_options(CLI::App &app, Options &options) {
    const auto milliseconds = [&app](const char *name, Milliseconds &value, const char *help) {
        app.add_option_function<std::uint32_t>(
               name, [&value](std::uint32_t ms) { value = Milliseconds(ms); }, help)
            ->type_name("MS");
    };
    app.add_option("--socket", options.socket, "control socket")->capture_default_str();
    app.add_option("--state", options.state, "state file (beside the socket)");
    app.add_option("--database", options.database, "persistent objects (beside the socket)");
    app.add_option("--pin-root", options.pin_root, "where pins are")->capture_default_str();
    app.add_option("--host-program", options.host_program, "sluice-host (beside sluiced)");
    app.add_option("--frames", options.frames, "frames of a port")
        ->check(CLI::Range(64, 65536))
        ->capture_default_str();
    app.add_option("--flows-max", options.flows_max, "flows of a namespace")
        ->check(CLI::Range(1024u, 16777216u))
        ->capture_default_str();
    app.add_option(
           "--cached-flows", options.cached_flows,
           "of a namespace, whose packets pass by one look-up: 16 MiB hold 229376; it is made "
           "a power of two of sets of seven")
        ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{DP_CACHE_SETS_MAX} * DP_CACHED_IN_SET))
        ->capture_default_str();
    milliseconds("--watchdog-ms", options.watchdog, "an unanswered upcall ends after this (5000)");
    milliseconds("--linger-ms", options.linger,
                 "a dynamic session outlives its connection by this (2000)");
    milliseconds("--txn-hold-ms", options.txn_hold,
                 "a transaction that may write is aborted after this, 0: never (3600000)");
    milliseconds("--sweep-ms", options.sweep, "time between rounds (250)");
    milliseconds("--reclaim-ms", options.reclaim,
                 "after a start, hosts and sessions must be back within this (10000)");
    add_quotas(app, options);
    add_hold_options(app, options);
    app.add_flag("-v,--verbose", options.verbose, "say more");
    app.set_version_flag("--version", SLUICE_VERSION);
}

} // namespace

int main(int argc, char **argv) {
    Options options;
    bool boot = false;
    std::vector<std::string> nics;
    CLI::App app("sluiced: owns Sluice's policy, programs and maps; hosts and `sluice` talk to it");
    add_options(app, options);
    app.add_flag("--boot", boot, "pin the store's boot-time filters and end, for `sluice boot`");
    app.add_option("--nic", nics, "with --boot: load this interface, not those of the store");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    // A socket elsewhere is another instance: it keeps its state there too.
    if (app.count("--socket") != 0) {
        const auto beside = options.socket.substr(0, options.socket.find_last_of('/') + 1);
        if (app.count("--state") == 0) options.state = beside + "state";
        if (app.count("--database") == 0) options.database = beside + "policy.db";
    }
    spdlog::set_default_logger(spdlog::stderr_color_mt("sluiced"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e sluiced %l: %v");
    spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
    ::signal(SIGPIPE, SIG_IGN);
    if (boot) return pin_boot_time(options, nics);

    auto loop = Loop::make();
    if (!loop) {
        spdlog::error("{}", loop.error().text());
        return 1;
    }
    auto daemon = Daemon::start(options, **loop);
    if (!daemon) {
        spdlog::error("{}", daemon.error().text());
        return 1;
    }
    spdlog::info("ready: {}", options.socket);
    notify_service_manager("READY=1");
    return (*loop)->run();
}
