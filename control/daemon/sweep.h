// SPDX-License-Identifier: Apache-2.0
// The regular round: hosts that stopped, flows past their time, tickets, devices that went.
#pragma once

#include "daemon/options.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

struct Core;

class Sweeper {
public:
    explicit Sweeper(Core &core) : core_(core) {}
    void start();

private:
    void round();
    void flows(std::uint32_t compartment, datapath::Datapath &plane);
    void operations(std::uint32_t compartment, datapath::Datapath &plane);
    void uses(datapath::Datapath &plane); // of hosts and processes that have ended
    void tickets(std::uint32_t compartment, datapath::Datapath &plane);
    [[nodiscard]] std::uint64_t watchdog_ns() const;

    Core &core_;
    std::uint64_t rounds_ = 0;
    std::uint64_t idle_after_ns_ =
        0; // the walk over all flows may take a tenth of the thread's time, not more
};

} // namespace sluice::daemon
