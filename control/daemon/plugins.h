// SPDX-License-Identifier: Apache-2.0
// Plugins: sluice-host processes that sluiced starts, watches and starts again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/client.h"
#include "store/state.pb.h"

namespace sluice::daemon {

struct Core;
struct Host;

// 0.5 s, doubling to 30 s; back to the start after a minute of life.
class BackOff {
public:
    Milliseconds next(Milliseconds lived);

private:
    Milliseconds delay_{0};
};

struct Plugin {
    enum class State { starting, running, waiting, stopping, awaited };
    std::string name, file, user; // file: empty for the built-in callout `ask`
    State state = State::starting;
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::uint64_t started_ns = 0;
    Fd pidfd;
    std::uint32_t restarts = 0;
    BackOff back_off;
    Loop::TimerId timer = 0;
    std::optional<Responder> loading;   // answered when it runs or fails
    std::optional<Responder> unloading; // answered when it is gone
};
const char *word_of(Plugin::State state);

class Plugins {
public:
    explicit Plugins(Core &core) : core_(core) {}
    void load_plugin(const protocol::PluginLoad &message, const Responder &to);
    void unload_plugin(const std::string &name, const Responder &to);
    [[nodiscard]] const std::map<std::string, std::unique_ptr<Plugin>> &all() const {
        return plugins_;
    }

    // Calls then() once the callouts of `ask` have their host, which is started if need be.
    void need_ask(std::function<void(Result<void>)> then);
    void look_at_policy(); // a filter may name `ask`

    void host_arrived(const Host &host);
    void callout_registered(const Host &host);
    void host_ended(const Host &host);

    void load(const store::State &state);
    void save(store::State &state) const;
    void await_return();

private:
    Result<void> start(Plugin &plugin);
    Result<void> watch(Plugin &plugin);
    void process_ended(const std::string &name);
    void runs(Plugin &plugin);
    void start_later(Plugin &plugin, Milliseconds delay);
    void reclaim_or_start(Plugin &plugin);
    Plugin *of_pid(pid_t pid) const;
    [[nodiscard]] bool ask_answers() const;
    void start_ask();
    [[nodiscard]] bool policy_names_ask();
    void tell_who_waits_for_ask();
    [[nodiscard]] std::string host_program() const;

    Core &core_;
    std::map<std::string, std::unique_ptr<Plugin>> plugins_;
    struct Waiting {
        Loop::TimerId timer = 0;
        std::function<void(Result<void>)> then;
    };
    std::map<std::uint64_t, Waiting> waiting_; // for `ask`
    std::uint64_t next_waiting_ = 1;
    policy::Filters seen_; // of the policy that was looked at last
    int filters_that_ask_ = 0;
};

} // namespace sluice::daemon
