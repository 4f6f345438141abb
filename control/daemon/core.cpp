// SPDX-License-Identifier: Apache-2.0
#include "daemon/core.h"

#include <spdlog/spdlog.h>

#include "daemon/engine.h"
#include "daemon/event_pump.h"
#include "daemon/flow_contexts.h"
#include "daemon/hold_watch.h"
#include "daemon/hosts.h"
#include "daemon/live_flows.h"
#include "daemon/net_events.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/policy_apply.h"
#include "daemon/policy_file.h"
#include "daemon/reauthorize.h"
#include "daemon/redirects.h"
#include "daemon/sessions.h"
#include "daemon/subscriptions.h"
#include "daemon/sweep.h"

namespace sluice::daemon {

Core::Core(Options given, Loop &turns)
    : options(std::move(given)), loop(turns), rights(RightsRules::of_system()), notices(loop),
      turn(loop), planes(std::make_unique<Planes>(*this)), engine(std::make_unique<Engine>(*this)),
      hosts(std::make_unique<Hosts>(*this)), flow_contexts(std::make_unique<FlowContexts>(*this)),
      hold_watch(std::make_unique<HoldWatch>(*this)), redirects(std::make_unique<Redirects>(*this)),
      sessions(std::make_unique<Sessions>(*this)), plugins(std::make_unique<Plugins>(*this)),
      subscriptions(std::make_unique<Subscriptions>()),
      net_events(std::make_unique<NetEvents>(
          [this](const protocol::NetEvent &event) { subscriptions->net_event(event); })),
      policy_files(std::make_unique<PolicyApplier>(*this)),
      reauthorizer(std::make_unique<Reauthorizer>(loop, options.slice,
                                                  [this] { return live_flows(*planes); })),
      sweeper(std::make_unique<Sweeper>(*this)), events(std::make_unique<EventPump>(*this)) {}

Core::~Core() {
    // The daemon ends, the data plane stays: so do the ports, for their hosts go on.
    for (const auto &[id, host] : hosts->all())
        for (const auto &[compartment, port] : host->ports)
            port->release();
}

Result<void> Core::save(bool publishing, const policy::Policy *last_good) {
    store::State state;
    state.set_publishing(publishing);
    planes->save(state);
    hosts->save(state);
    sessions->save(state);
    plugins->save(state);
    policy_files->save(state);
    if (last_good == nullptr) return store->commit(engine->policy(), std::move(state));
    const std::string document = file_document(*last_good);
    return store->commit(engine->policy(), std::move(state), &document);
}

void Core::save_or_warn() {
    if (auto r = save(); !r) spdlog::error("{}", r.error().text());
}

void Core::note_boot_nics() {
    std::vector<std::string> names;
    if (const auto *own = planes->of(1))
        for (const auto &nic : own->nics())
            names.push_back(nic.name);
    if (auto r = store->set_boot_nics(std::move(names)); !r) spdlog::error("{}", r.error().text());
}

Result<void> Core::restore() {
    auto opened = store::Store::open({.database = options.database, .state = options.state});
    if (!opened) return opened.error();
    store.emplace(std::move(*opened));
    auto policy = store->load();
    if (!policy) return policy.error();
    engine->load(std::move(*policy));
    const auto state = store->state();
    policy_files->load(state ? &*state : nullptr, store->last_good());
    if (state) {
        planes->load(*state);
        hosts->load(*state);
        sessions->load(*state);
        plugins->load(*state);
    }
    if (auto r = planes->adopt_pinned(); !r) return r;
    flow_contexts->load();
    // What is pinned is in force as it is, unless it may differ from what the store says, or names
    // may stand for something else by now.
    const bool named = compiler::names_of(engine->policy()) != compiler::Names();
    if (!planes->all().empty() && (named || !state || state->publishing())) engine->republish();
    save_or_warn();
    hosts->await_return();
    sessions->await_return();
    plugins->await_return();
    plugins->look_at_policy();
    return {};
}

} // namespace sluice::daemon
