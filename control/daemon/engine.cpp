// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine.h"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "policy/edit.h"
#include "store/snapshot.h"

namespace sluice::daemon {

namespace {

// Filters of `a` that `b` lacks. Filters never change under one id.
std::vector<const policy::Filter *> missing_in(const policy::Policy &a, const policy::Policy &b) {
    std::vector<const policy::Filter *> out;
    for (const auto &[id, filter] : a.filters)
        if (!b.filters.contains(id) && !filter.callout.is_null()) out.push_back(&filter);
    return out;
}

} // namespace

Engine::Engine(Core &core) : core_(core), policy_(policy::initial()) {}

Result<compiler::Plan> Engine::plan() const {
    return compiler::compile(policy_, policy_.generation);
}

Result<void> Engine::commit(policy::Policy next) {
    next.generation = policy_.generation + 1;
    auto plan = compiler::compile(next, next.generation);
    if (!plan) return plan.error();
    policy::Policy old = std::exchange(policy_, std::move(next));
    if (auto r = core_.save(true); !r) {
        policy_ = std::move(old);
        return r.error();
    }
    // Before the kernel can ask about a new filter its host should know it.
    tell_hosts(old);
    if (auto r = core_.planes->publish(*plan); !r) {
        go_back(std::move(old));
        return r.error();
    }
    core_.save_or_warn();
    for (const auto *filter : missing_in(old, policy_))
        core_.hosts->filter_deleted(*filter);
    return {};
}

void Engine::go_back(policy::Policy old) {
    const policy::Policy failed = std::exchange(policy_, std::move(old));
    keep_numbers(failed);
    // A generation names one content only: the old objects come back under a new number.
    policy_.generation = failed.generation + 1;
    tell_hosts(failed);
    if (auto plan = compiler::compile(policy_, policy_.generation)) {
        if (auto r = core_.planes->publish(*plan); !r)
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
    auto plan = compiler::compile(policy_, policy_.generation);
    if (!plan) return spdlog::error("policy in force does not compile: {}", plan.error().text());
    if (auto r = core_.save(true); !r) spdlog::error("{}", r.error().text());
    if (auto r = core_.planes->publish(*plan); !r) spdlog::error("publish: {}", r.error().text());
    core_.save_or_warn();
}

void Engine::republish_soon() {
    if (std::exchange(republish_pending_, true)) return;
    core_.loop.after(Milliseconds(0), [this] {
        republish_pending_ = false;
        republish();
    });
}

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
}

Result<void> Engine::load(const store::State &state) {
    auto policy = store::read_policy(state);
    if (!policy) return policy.error();
    policy_ = std::move(*policy);
    return {};
}

void Engine::save(store::State &state) const {
    store::write_policy(policy_, state);
}

} // namespace sluice::daemon
