// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine.h"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/reauthorize.h"
#include "daemon/subscriptions.h"
#include "policy/edit.h"
#include "sluice/fwp.h"

namespace sluice::daemon {

namespace {

// Filters of `a` that `b` lacks. Filters never change under one id.
std::vector<const policy::Filter *> missing_in(const policy::Policy &a, const policy::Policy &b) {
    std::vector<const policy::Filter *> out;
    policy::Filters::compare(
        a.filters, b.filters,
        [&](const policy::Filter &filter) {
            if (!filter.callout.is_null() && !b.filters.contains(filter.id)) out.push_back(&filter);
        },
        [](const policy::Filter &) {});
    return out;
}

} // namespace

Engine::Engine(Core &core)
    : core_(core), policy_(policy::initial()),
      watch_(EnvironmentWatch::of_system(core.options.cgroup_root, [&core](std::uint32_t number) {
          return core.planes->interfaces(number);
      })) {}

// ---- compiling ----

// The names in it. Those of the policy that was compiled last are at hand.
const compiler::Names &Engine::names_in(const policy::Policy &policy) {
    compiler::Names gone, come;
    policy::Filters::compare(
        named_, policy.filters, [&](const auto &filter) { compiler::add_names(filter, gone); },
        [&](const auto &filter) { compiler::add_names(filter, come); });
    if (gone != compiler::Names())
        names_ = compiler::names_of(policy);
    else if (come != compiler::Names())
        names_.add(come);
    named_ = policy.filters;
    return names_;
}

Result<Plans> Engine::compile(const policy::Policy &policy) {
    Plans out;
    out.names = names_in(policy);
    for (const auto &[compartment, plane] : core_.planes->all()) {
        auto environment = watch_.look(out.names, compartment);
        auto plan = compilers_[compartment].compile(policy, policy.generation, environment);
        if (!plan) return plan.error();
        out.plans[compartment] = std::move(*plan);
        out.environments[compartment] = std::move(environment);
    }
    // Without any data plane a policy must still be one that a data plane would take.
    if (out.plans.empty())
        if (auto plan = compilers_[0].compile(policy, policy.generation, {}); !plan)
            return plan.error();
    return out;
}

Result<void> Engine::check(const policy::Policy &next) {
    auto plans = compile(next);
    if (!plans) return plans.error();
    return {};
}

Result<Plans> Engine::plan_for(std::uint32_t compartment) {
    Plans out;
    out.names = names_in(policy_);
    out.environments[compartment] = watch_.look(out.names, compartment);
    auto plan =
        compilers_[compartment].compile(policy_, policy_.generation, out.environments[compartment]);
    if (!plan) return plan.error();
    out.plans[compartment] = std::move(*plan);
    return out;
}

void Engine::kept(Plans plans) {
    for (auto &[compartment, environment] : plans.environments)
        watch_.keep(compartment, plans.names, std::move(environment));
}

// ---- putting in force ----

Result<void> Engine::publish(Plans plans) {
    if (auto r = core_.planes->publish(plans.plans); !r) return r;
    kept(std::move(plans));
    reauthorize_soon();
    return {};
}

void Engine::reauthorize_soon() {
    if (core_.planes->settled()) return core_.reauthorizer->start(policy_.generation);
    core_.loop.after(Milliseconds(2), [this] { reauthorize_soon(); });
}

// That the kernel has what was published is written down behind the answer: until then a start
// publishes it again.
void Engine::save_soon() {
    if (std::exchange(save_pending_, true)) return;
    core_.loop.after(Milliseconds(0), [this] {
        save_pending_ = false;
        core_.save_or_warn();
    });
}

Result<void> Engine::commit(policy::Policy next, std::uint64_t by,
                            const policy::Policy *last_good) {
    next.generation = policy_.generation + 1;
    auto plans = compile(next);
    if (!plans) return plans.error();
    policy::Policy old = std::exchange(policy_, std::move(next));
    if (auto r = core_.save(true, last_good); !r) {
        policy_ = std::move(old);
        return r.error();
    }
    // Before the kernel can ask about a new filter its host should know it.
    tell_hosts(old);
    if (auto r = publish(std::move(*plans)); !r) {
        go_back(std::move(old));
        return r.error();
    }
    save_soon();
    tell_of_the_change(old, by);
    return {};
}

void Engine::tell_of_the_change(const policy::Policy &old, std::uint64_t by) {
    for (const auto *filter : missing_in(old, policy_))
        core_.hosts->filter_deleted(*filter);
    for (const auto *filter : missing_in(policy_, old))
        core_.hosts->filter_committed(*filter);
    core_.subscriptions->changed(old, policy_, by);
    core_.plugins->look_at_policy();
}

void Engine::go_back(policy::Policy old) {
    const policy::Policy failed = std::exchange(policy_, std::move(old));
    keep_numbers(failed);
    // A generation names one content only: the old objects come back under a new number.
    policy_.generation = failed.generation + 1;
    tell_hosts(failed);
    if (auto plans = compile(policy_)) {
        if (auto r = publish(std::move(*plans)); !r)
            spdlog::error("could not put the old policy back: {}", r.error().text());
    }
    core_.save_or_warn();
}

void Engine::tell_hosts(const policy::Policy &old) {
    std::set<std::uint32_t> concerned;
    for (const auto &filters : {missing_in(old, policy_), missing_in(policy_, old)})
        for (const auto *filter : filters)
            if (const auto *host = core_.hosts->of_callout(filter->callout))
                concerned.insert(host->id);
    for (std::uint32_t id : concerned)
        core_.hosts->send_table(id);
}

void Engine::republish() {
    policy_.generation += 1;
    auto plans = compile(policy_);
    if (!plans) return spdlog::error("policy in force does not compile: {}", plans.error().text());
    if (auto r = core_.save(true); !r) spdlog::error("{}", r.error().text());
    if (auto r = publish(std::move(*plans)); !r) spdlog::error("publish: {}", r.error().text());
    core_.save_or_warn();
}

void Engine::republish_soon() {
    if (std::exchange(republish_pending_, true)) return;
    core_.loop.after(Milliseconds(0), [this] {
        republish_pending_ = false;
        republish();
    });
}

void Engine::look_at_environment() {
    if (!watch_.changed()) return;
    spdlog::info("a name in the policy stands for something else now: published again");
    republish();
}

// ---- numbers ----

Result<std::uint32_t> Engine::callout_id(const Guid &key, policy::Policy *open) {
    auto id = policy::callout_id(open != nullptr ? *open : policy_, key);
    if (!id || open == nullptr) return id;
    policy_.callout_ids[key] = *id;
    policy_.next_callout_id = std::max(policy_.next_callout_id, open->next_callout_id);
    return id;
}

void Engine::keep_numbers(const policy::Policy &abandoned) {
    policy_.next_filter_id = std::max(policy_.next_filter_id, abandoned.next_filter_id);
    policy_.next_callout_id = std::max(policy_.next_callout_id, abandoned.next_callout_id);
    policy_.next_provider_context_id =
        std::max(policy_.next_provider_context_id, abandoned.next_provider_context_id);
}

} // namespace sluice::daemon
