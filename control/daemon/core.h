// SPDX-License-Identifier: Apache-2.0
// The parts of sluiced that know each other, in one place. Each part is a class of its own file;
// they meet here, on one thread, and only here. Requests (requests_*.cpp) act on a Core.
#pragma once

#include <memory>
#include <optional>

#include "daemon/notices.h"
#include "daemon/options.h"
#include "daemon/rights.h"
#include "daemon/turn.h"
#include "store/store.h"

namespace sluice::daemon {

class Engine;
class EventPump;
class FlowContexts;
class HoldWatch;
class Hosts;
class NetEvents;
class Planes;
class Plugins;
class PolicyApplier;
class Reauthorizer;
class Redirects;
class Sessions;
class Subscriptions;
class Sweeper;

struct Core {
    Core(Options options, Loop &loop);
    ~Core();

    Options options;
    Loop &loop;
    RightsRules rights;
    std::optional<store::Store> store; // from restore() on
    Notices notices;
    WriterTurn turn;
    std::uint64_t started_ns = monotonic_ns();
    std::unique_ptr<Planes> planes;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Hosts> hosts;
    std::unique_ptr<FlowContexts> flow_contexts;
    std::unique_ptr<HoldWatch> hold_watch;
    std::unique_ptr<Redirects> redirects;
    std::unique_ptr<Sessions> sessions;
    std::unique_ptr<Plugins> plugins;
    std::unique_ptr<Subscriptions> subscriptions;
    std::unique_ptr<NetEvents> net_events;
    std::unique_ptr<PolicyApplier> policy_files;
    std::unique_ptr<Reauthorizer> reauthorizer;
    std::unique_ptr<Sweeper> sweeper;
    std::unique_ptr<EventPump> events;

    Result<void> restore(); // opens the store, reads it and takes over what is pinned
    // last_good: the policy whose file objects a rollback brings back from now on, if it is
    // another.
    Result<void> save(bool publishing = false, const policy::Policy *last_good = nullptr);
    void note_boot_nics(); // what `sluice boot` is to load: what is loaded now
    void save_or_warn();   // where there is nobody to tell
};

} // namespace sluice::daemon
