// SPDX-License-Identifier: Apache-2.0
// The host of the built-in callout `ask`: a plugin without a file, started when a filter names it.
#include <pwd.h>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/plugins.h"
#include "policy/built_in.h"

namespace sluice::daemon {

namespace {

constexpr const char *ask_plugin = "sluice-ask"; // no file's name, in all likelihood
constexpr Milliseconds patience{8000};

} // namespace

bool Plugins::ask_answers() const {
    const auto all = policy::ask_callouts();
    return std::all_of(all.begin(), all.end(), [this](const auto &callout) {
        return core_.hosts->of_callout(callout.key) != nullptr;
    });
}

void Plugins::start_ask() {
    if (plugins_.contains(ask_plugin)) return;
    auto plugin = std::make_unique<Plugin>();
    plugin->name = ask_plugin;
    // It needs nothing that another user has not.
    if (::geteuid() == 0 && ::getpwnam("nobody") != nullptr) plugin->user = "nobody";
    Plugin &entry = *(plugins_[ask_plugin] = std::move(plugin));
    if (auto r = start(entry); !r) {
        spdlog::error("the host of the callout 'ask': {}", r.error().text());
        start_later(entry, entry.back_off.next(Milliseconds(0)));
    }
    core_.save_or_warn();
}

void Plugins::need_ask(std::function<void(Result<void>)> then) {
    if (ask_answers()) return then({});
    start_ask();
    const std::uint64_t number = next_waiting_++;
    const auto timer = core_.loop.after(patience, [this, number] {
        auto late = std::move(waiting_.at(number).then);
        waiting_.erase(number);
        late(Error(0, "the host of the built-in callout 'ask' did not start: see `sluice plugin "
                      "list` and sluiced's log"));
    });
    waiting_[number] = {timer, std::move(then)};
}

void Plugins::tell_who_waits_for_ask() {
    if (waiting_.empty() || !ask_answers()) return;
    for (auto &[number, waiting] : std::exchange(waiting_, {})) {
        core_.loop.cancel(waiting.timer);
        waiting.then({});
    }
}

// Costs what differs from the policy that was looked at last.
bool Plugins::policy_names_ask() {
    const auto &now = core_.engine->policy().filters;
    const auto count = [this](const policy::Filter &filter, int one) {
        if (policy::is_ask_callout(filter.callout)) filters_that_ask_ += one;
    };
    policy::Filters::compare(
        seen_, now, [&](const auto &filter) { count(filter, -1); },
        [&](const auto &filter) { count(filter, 1); });
    seen_ = now;
    return filters_that_ask_ != 0;
}

void Plugins::look_at_policy() {
    if (policy_names_ask()) start_ask();
}

} // namespace sluice::daemon
