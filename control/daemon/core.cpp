// SPDX-License-Identifier: Apache-2.0
#include "daemon/core.h"

#include <spdlog/spdlog.h>

#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/sessions.h"
#include "daemon/sweep.h"

namespace sluice::daemon {

Core::Core(Options given, Loop &events)
    : options(std::move(given)), loop(events), rights(RightsRules::of_system()),
      file(options.state), notices(loop), turn(loop), planes(std::make_unique<Planes>(*this)),
      engine(std::make_unique<Engine>(*this)), hosts(std::make_unique<Hosts>(*this)),
      sessions(std::make_unique<Sessions>(*this)), plugins(std::make_unique<Plugins>(*this)),
      sweeper(std::make_unique<Sweeper>(*this)) {}

Core::~Core() {
    // The daemon ends, the data plane stays: so do the ports, for their hosts go on.
    for (const auto &[id, host] : hosts->all())
        for (const auto &[compartment, port] : host->ports)
            port->release();
}

Result<void> Core::save(bool publishing) {
    store::State state;
    engine->save(state);
    state.set_publishing(publishing);
    planes->save(state);
    hosts->save(state);
    sessions->save(state);
    plugins->save(state);
    return file.write(state);
}

void Core::save_or_warn() {
    if (auto r = save(); !r) spdlog::error("{}", r.error().text());
}

Result<void> Core::restore() {
    auto read = file.read();
    if (!read) return read.error();
    const auto &state = *read;
    if (state) {
        if (auto r = engine->load(*state); !r)
            return Error(0, "state file " + file.path() + ": " + r.error().text() +
                                ": move it away to start with an empty policy");
        planes->load(*state);
        hosts->load(*state);
        sessions->load(*state);
        plugins->load(*state);
    }
    if (auto r = planes->adopt_pinned(); !r) return r;
    // What is pinned is in force as it is, unless it may differ from what the state says.
    if (!planes->all().empty() && (!state || state->publishing())) engine->republish();
    save_or_warn();
    hosts->await_return();
    sessions->await_return();
    plugins->await_return();
    return {};
}

} // namespace sluice::daemon
