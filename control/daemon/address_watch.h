// SPDX-License-Identifier: Apache-2.0
// Addresses that come to or leave the interfaces of one namespace: flows with them as their local
// address are then judged again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "core/result.h"
#include "datapath/datapath.h"
#include "datapath/netlink.h"

namespace sluice::daemon {

using Addresses = std::vector<datapath::netlink::Address>;

class AddressWatch {
public:
    struct Sources {
        std::function<bool()> stirred; // something may have changed since the last call
        std::function<Result<Addresses>()> list;
    };
    // Of the namespace of a data plane.
    static Result<std::unique_ptr<AddressWatch>> of(const datapath::Datapath &plane);
    // The first look is made here.
    explicit AddressWatch(Sources sources);

    struct Order {
        bool operator()(const dp_addr &a, const dp_addr &b) const {
            return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
        }
    };
    using Changed = std::set<dp_addr, Order>;
    // Those that are on other interfaces than at the last look, or on none any more. New life times
    // of an address are no change.
    Changed look();
    [[nodiscard]] std::vector<dp_addr> all() const; // as of the last look

private:
    using ByAddress = std::map<dp_addr, std::set<std::uint32_t>, Order>;
    bool read(ByAddress &now) const;
    Sources sources_;
    ByAddress known_;
};

// What the kernel has to judge again where these addresses are local; connections that are blocked
// now are cut.
void judge_flows_of(datapath::Datapath &plane, const AddressWatch::Changed &changed);

} // namespace sluice::daemon
