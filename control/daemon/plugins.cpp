// SPDX-License-Identifier: Apache-2.0
#include "daemon/plugins.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <pwd.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/process.h"
#include "policy/built_in.h"

extern char **environ;

namespace sluice::daemon {

namespace {

constexpr Milliseconds settle{300}; // after its hello: DriverEntry without a callout counts as done
constexpr Milliseconds start_limit{8000};
constexpr Milliseconds term_after{3000}, kill_after{2000};

struct SpawnAttributes {
    posix_spawnattr_t attributes;
    SpawnAttributes() {
        posix_spawnattr_init(&attributes);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        // sluiced blocks the signals that it reads from a descriptor; its children must not. A
        // group of its own keeps the terminal's Ctrl-C for sluiced.
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETPGROUP);
    }
    ~SpawnAttributes() { posix_spawnattr_destroy(&attributes); }
    SpawnAttributes(const SpawnAttributes &) = delete;
    SpawnAttributes &operator=(const SpawnAttributes &) = delete;
};

Result<pid_t> spawn(const std::vector<std::string> &words) {
    std::vector<char *> argv;
    for (const auto &word : words)
        argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    const SpawnAttributes spawn;
    pid_t pid = 0;
    const int error =
        ::posix_spawnp(&pid, argv[0], nullptr, &spawn.attributes, argv.data(), environ);
    if (error != 0) return Error(error, "start", words[0]);
    return pid;
}

std::string how_it_ended(pid_t pid) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return "ended";
    if (info.si_code == CLD_EXITED) return "ended with status " + std::to_string(info.si_status);
    return "was ended by signal " + std::to_string(info.si_status);
}

} // namespace

Milliseconds BackOff::next(Milliseconds lived) {
    if (lived > std::chrono::minutes(1)) delay_ = Milliseconds(0);
    delay_ = delay_.count() == 0 ? Milliseconds(500) : std::min(delay_ * 2, Milliseconds(30000));
    return delay_;
}

const char *word_of(Plugin::State state) {
    constexpr const char *words[] = {"starting", "running", "waiting", "stopping", "awaited"};
    return words[static_cast<int>(state)];
}

std::string Plugins::host_program() const {
    if (!core_.options.host_program.empty()) return core_.options.host_program;
    std::error_code error;
    const auto own = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    // Installed: bin and sbin are neighbours. In a build tree each program has its folder.
    for (const char *place :
         {"sluice-host", "../bin/sluice-host", "../libexec/sluice-host", "../host/sluice-host"})
        if (std::filesystem::exists(own / place, error)) return (own / place).lexically_normal();
    return "sluice-host";
}

void Plugins::load_plugin(const protocol::PluginLoad &message, const Responder &to) {
    const std::filesystem::path file(message.file());
    std::string name = message.name().empty() ? file.stem().string() : message.name();
    std::error_code error;
    if (plugins_.contains(name))
        return to.fail(Error(0, "a plugin '" + name + "' is loaded already"));
    if (!file.is_absolute() || !std::filesystem::is_regular_file(file, error))
        return to.fail(Error(0, "no plugin file '" + message.file() + "'"));
    if (!message.user().empty() && ::getpwnam(message.user().c_str()) == nullptr)
        return to.fail(Error(0, "no user '" + message.user() + "'"));
    auto plugin = std::make_unique<Plugin>();
    plugin->name = name;
    plugin->file = message.file();
    plugin->user = message.user();
    plugin->loading = to;
    Plugin &entry = *(plugins_[name] = std::move(plugin));
    if (auto r = start(entry); !r) {
        to.fail(r.error());
        plugins_.erase(name);
        return;
    }
    core_.save_or_warn();
}

Result<void> Plugins::start(Plugin &plugin) {
    std::vector<std::string> words{host_program(), "--socket", core_.options.socket, "--name",
                                   plugin.name};
    if (!plugin.user.empty()) words.insert(words.end(), {"--user", plugin.user});
    if (plugin.file.empty())
        words.insert(words.end(), {"--built-in", policy::ask_word});
    else
        words.push_back(plugin.file);
    auto pid = spawn(words);
    if (!pid) return pid.error();
    plugin.pid = *pid;
    plugin.state = Plugin::State::starting;
    plugin.started_ns = monotonic_ns();
    spdlog::info("plugin '{}' started (pid {})", plugin.name, plugin.pid);
    core_.loop.cancel(plugin.timer);
    plugin.timer = core_.loop.after(start_limit, [this, name = plugin.name] {
        const auto it = plugins_.find(name);
        if (it == plugins_.end() || it->second->state != Plugin::State::starting) return;
        spdlog::warn("plugin '{}' did not connect in time", name);
        ::kill(it->second->pid, SIGKILL);
    });
    return watch(plugin);
}

Result<void> Plugins::watch(Plugin &plugin) {
    plugin.start_ticks = process_stat(plugin.pid).value_or(ProcessStat{}).start_ticks;
    plugin.pidfd = open_pidfd(plugin.pid);
    if (!plugin.pidfd) return Error(errno, "watch process of plugin", plugin.name);
    return core_.loop.watch(plugin.pidfd.get(), EPOLLIN,
                            [this, name = plugin.name](std::uint32_t) { process_ended(name); });
}

Plugin *Plugins::of_pid(pid_t pid) const {
    for (const auto &[name, plugin] : plugins_)
        if (pid != 0 && plugin->pid == pid) return plugin.get();
    return nullptr;
}

void Plugins::host_arrived(const Host &host) {
    Plugin *plugin = of_pid(host.peer.pid);
    if (plugin == nullptr || plugin->state == Plugin::State::stopping) return;
    core_.loop.cancel(plugin->timer);
    if (plugin->state == Plugin::State::awaited) return runs(*plugin);
    plugin->timer = core_.loop.after(settle, [this, name = plugin->name] {
        const auto it = plugins_.find(name);
        if (it != plugins_.end() && it->second->state == Plugin::State::starting) runs(*it->second);
    });
}

void Plugins::callout_registered(const Host &host) {
    // The next registration may still fail: DriverEntry is done when the time after the last one
    // has passed.
    Plugin *plugin = of_pid(host.peer.pid);
    if (plugin != nullptr && plugin->state == Plugin::State::starting) host_arrived(host);
    tell_who_waits_for_ask();
}

void Plugins::runs(Plugin &plugin) {
    plugin.state = Plugin::State::running;
    if (plugin.loading) std::exchange(plugin.loading, std::nullopt)->done();
    core_.save_or_warn();
}

void Plugins::host_ended(const Host &host) {
    // A stopped process would wait for ever with nobody to serve it: it makes room for a fresh one.
    const auto stat = process_stat(host.peer.pid);
    Plugin *plugin = of_pid(host.peer.pid);
    if (plugin != nullptr && stat && (stat->state == 'T' || stat->state == 't'))
        ::kill(plugin->pid, SIGKILL);
}

void Plugins::process_ended(const std::string &name) {
    const auto it = plugins_.find(name);
    if (it == plugins_.end()) return;
    Plugin &plugin = *it->second;
    const std::string how = how_it_ended(plugin.pid);
    core_.loop.forget(plugin.pidfd.get());
    core_.loop.cancel(plugin.timer);
    if (const auto *host = core_.hosts->of_pid(plugin.pid))
        core_.hosts->end(host->id, "its process ended");
    plugin.pidfd.reset();
    plugin.pid = 0;
    const bool was_stopped = plugin.state == Plugin::State::stopping;
    if (was_stopped || plugin.loading) {
        if (plugin.loading)
            plugin.loading->fail(Error(0, "plugin '" + name + "' " + how +
                                              " while it was loaded; its log says why"));
        if (plugin.unloading) plugin.unloading->done();
        spdlog::info("plugin '{}' {}", name, how);
        plugins_.erase(it);
        return core_.save_or_warn();
    }
    const auto delay =
        plugin.back_off.next(Milliseconds((monotonic_ns() - plugin.started_ns) / 1000000));
    spdlog::warn("plugin '{}' {}; started again in {} ms", name, how, delay.count());
    start_later(plugin, delay);
}

void Plugins::start_later(Plugin &plugin, Milliseconds delay) {
    plugin.state = Plugin::State::waiting;
    plugin.timer =
        core_.loop.after(delay, [this, &plugin] { // the timer goes before the plugin does
            ++plugin.restarts;
            if (auto r = start(plugin); r)
                return;
            else
                spdlog::error("{}", r.error().text());
            start_later(plugin, plugin.back_off.next(Milliseconds(0)));
        });
}

void Plugins::unload_plugin(const std::string &name, const Responder &to) {
    const auto it = plugins_.find(name);
    if (it == plugins_.end()) return to.fail(Error(0, "no plugin '" + name + "' is loaded"));
    Plugin &plugin = *it->second;
    if (plugin.state == Plugin::State::stopping)
        return to.fail(Error(0, "plugin '" + name + "' is being unloaded"));
    if (plugin.file.empty() && policy_names_ask())
        return to.fail(Error(0, "filters name the callout 'ask', which '" + name + "' runs"));
    core_.loop.cancel(plugin.timer);
    if (plugin.pid == 0) {
        plugins_.erase(it);
        core_.save_or_warn();
        return to.done();
    }
    plugin.state = Plugin::State::stopping;
    plugin.unloading = to;
    const auto *host = core_.hosts->of_pid(plugin.pid);
    if (const auto client = host != nullptr ? host->client.lock() : nullptr) {
        protocol::Notice notice;
        notice.mutable_shutdown();
        client->notice(std::move(notice));
    }
    // The timer is cancelled with the end of the process, so the pid is still its.
    plugin.timer = core_.loop.after(term_after, [this, &plugin] {
        ::kill(plugin.pid, SIGTERM);
        plugin.timer = core_.loop.after(kill_after, [&plugin] { ::kill(plugin.pid, SIGKILL); });
    });
}

// ---- state ----

void Plugins::load(const store::State &state) {
    for (const auto &record : state.plugins()) {
        auto plugin = std::make_unique<Plugin>();
        plugin->name = record.name();
        plugin->file = record.file();
        plugin->user = record.user();
        plugin->pid = static_cast<pid_t>(record.pid());
        plugin->start_ticks = record.start_ticks();
        plugin->state = Plugin::State::awaited;
        plugins_[plugin->name] = std::move(plugin);
    }
}

void Plugins::save(store::State &state) const {
    for (const auto &[name, plugin] : plugins_) {
        auto *record = state.add_plugins();
        record->set_name(name);
        record->set_file(plugin->file);
        record->set_user(plugin->user);
        record->set_pid(static_cast<std::uint32_t>(plugin->pid));
        record->set_start_ticks(plugin->start_ticks);
    }
}

void Plugins::reclaim_or_start(Plugin &plugin) {
    const auto stat = plugin.pid != 0 ? process_stat(plugin.pid) : std::nullopt;
    const bool alive = stat && stat->start_ticks == plugin.start_ticks && stat->state != 'Z';
    if (!alive) {
        plugin.pid = 0;
        return start_later(plugin, Milliseconds(0));
    }
    if (auto r = watch(plugin); !r) return start_later(plugin, Milliseconds(0));
    plugin.timer = core_.loop.after(core_.options.reclaim, [&plugin] {
        spdlog::warn("plugin '{}' (pid {}) did not come back", plugin.name, plugin.pid);
        ::kill(plugin.pid, SIGKILL); // watched: its end starts it anew
    });
}

void Plugins::await_return() {
    for (const auto &[name, plugin] : plugins_)
        reclaim_or_start(*plugin);
}

} // namespace sluice::daemon
