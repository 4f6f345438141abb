// SPDX-License-Identifier: Apache-2.0
// The parts of sluiced that know each other, in one place. Each part is a class of its own file;
// they meet here, on one thread, and only here. Requests (requests_*.cpp) act on a Core.
#pragma once

#include <memory>

#include "daemon/notices.h"
#include "daemon/options.h"
#include "daemon/rights.h"
#include "daemon/turn.h"
#include "store/state_file.h"

namespace sluice::daemon {

class Engine;
class Hosts;
class Planes;
class Plugins;
class Sessions;
class Sweeper;

struct Core {
    Core(Options options, Loop &loop);
    ~Core();

    Options options;
    Loop &loop;
    RightsRules rights;
    store::StateFile file;
    Notices notices;
    WriterTurn turn;
    std::uint64_t started_ns = monotonic_ns();
    std::unique_ptr<Planes> planes;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Hosts> hosts;
    std::unique_ptr<Sessions> sessions;
    std::unique_ptr<Plugins> plugins;
    std::unique_ptr<Sweeper> sweeper;

    Result<void> restore(); // reads the state and takes over what is pinned
    Result<void> save(bool publishing = false);
    void save_or_warn(); // where there is nobody to tell
};

} // namespace sluice::daemon
