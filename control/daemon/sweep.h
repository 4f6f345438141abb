// SPDX-License-Identifier: Apache-2.0
// The regular round: hosts that stopped, flows past their time, tickets, devices that went.
#pragma once

#include <map>
#include <set>

#include "daemon/address_watch.h"
#include "daemon/options.h"
#include "daemon/plane_end.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

struct Core;

class Sweeper {
public:
    explicit Sweeper(Core &core) : core_(core), lost_namespaces_(core) {}
    void start();

private:
    void round();
    void flows(std::uint32_t compartment, datapath::Datapath &plane);
    void addresses(std::uint32_t compartment, datapath::Datapath &plane);
    void operations(std::uint32_t compartment, datapath::Datapath &plane);
    void device_gone(std::uint32_t compartment, datapath::Datapath &plane, std::uint32_t ifindex);
    // Takes away those of hosts and processes that have ended, and what is counted of packets of
    // hosts that have none out.
    void uses(datapath::Datapath &plane, const std::set<std::uint32_t> &with_packets);
    std::set<std::uint32_t> tickets(std::uint32_t compartment,
                                    datapath::Datapath &plane); // whose are out
    [[nodiscard]] std::uint64_t watchdog_ns() const;

    Core &core_;
    LostNamespaces lost_namespaces_;
    std::uint64_t rounds_ = 0;
    std::map<std::uint32_t, std::uint64_t> walked_ns_; // by compartment: when its flows were read
    std::map<std::uint32_t, std::unique_ptr<AddressWatch>> addresses_;
    std::uint64_t idle_after_ns_ =
        0; // the walk over all flows may take a tenth of the thread's time, not more
};

} // namespace sluice::daemon
