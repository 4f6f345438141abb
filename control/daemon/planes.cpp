// SPDX-License-Identifier: Apache-2.0
#include "daemon/planes.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/look_up.h"
#include "daemon/reauthorize.h"

namespace sluice::daemon {

using datapath::Datapath;
using datapath::NetNs;

Datapath *Planes::of(std::uint32_t compartment) const {
    const auto it = planes_.find(compartment);
    return it == planes_.end() ? nullptr : it->second.get();
}

Datapath *Planes::of_inode(std::uint64_t inode) const {
    for (const auto &[compartment, plane] : planes_)
        if (plane->ns().inode() == inode) return plane.get();
    return nullptr;
}

std::uint32_t Planes::compartment_of(std::uint64_t inode) {
    if (auto own = NetNs::current(); own && own->inode() == inode) return 1;
    const auto it = numbers_.find(inode);
    if (it != numbers_.end()) return it->second;
    return numbers_[inode] = next_++;
}

Datapath::Options Planes::options_for(std::uint32_t compartment) const {
    Datapath::Options options;
    options.compartment = compartment;
    options.pin_root = core_.options.pin_root;
    options.flows_max = core_.options.flows_max;
    options.cache_sets =
        std::bit_ceil((core_.options.cached_flows + DP_CACHED_IN_SET - 1) / DP_CACHED_IN_SET);
    return options;
}

Result<Datapath *> Planes::obtain(NetNs ns, const std::string &cgroup, bool &made) {
    made = false;
    if (auto *plane = of_inode(ns.inode())) return plane;
    const std::uint32_t compartment = compartment_of(ns.inode());
    auto options = options_for(compartment);
    options.cgroup_root = cgroup;
    being_made_ = &ns;
    auto plans = core_.engine->plan_for(compartment);
    being_made_ = nullptr;
    if (!plans) return plans.error();
    auto plane = Datapath::create(std::move(ns), options, plans->plans.at(compartment));
    if (!plane) return plane.error();
    core_.engine->kept(std::move(*plans));
    made = true;
    return (planes_[compartment] = std::move(*plane)).get();
}

Result<void> Planes::remove(std::uint32_t compartment) {
    auto *plane = of(compartment);
    if (plane == nullptr) return {};
    // The inode may be given to another namespace later; the number may not.
    numbers_.erase(plane->ns().inode());
    core_.engine->forget(compartment);
    core_.reauthorizer->forget(compartment);
    auto r = plane->remove();
    planes_.erase(compartment);
    return r;
}

Result<void> Planes::publish(const std::map<std::uint32_t, compiler::Plan> &plans) {
    for (const auto &[compartment, plan] : plans)
        if (auto *plane = of(compartment))
            if (auto r = plane->publish(plan); !r) return r.error();
    return {};
}

bool Planes::settled() const {
    return std::all_of(planes_.begin(), planes_.end(),
                       [](const auto &plane) { return plane.second->settled(); });
}

std::vector<compiler::Interface> Planes::interfaces(std::uint32_t compartment) const {
    std::vector<compiler::Interface> out;
    const auto *plane = of(compartment);
    const NetNs *ns = plane != nullptr ? &plane->ns() : being_made_;
    if (ns == nullptr) return out;
    const auto r = ns->enter([&]() -> Result<void> {
        auto links = datapath::netlink::links();
        if (!links) return links.error();
        for (const auto &link : *links)
            out.push_back(interface_of(link));
        return {};
    });
    if (!r) spdlog::warn("compartment {}: {}", compartment, r.error().text());
    return out;
}

void Planes::load(const store::State &state) {
    for (const auto &c : state.compartments())
        numbers_[c.netns_inode()] = c.number();
    next_ = std::max(2u, state.next_compartment());
}

void Planes::save(store::State &state) const {
    for (const auto &[inode, number] : numbers_) {
        auto *c = state.add_compartments();
        c->set_number(number);
        c->set_netns_inode(inode);
    }
    state.set_next_compartment(next_);
}

Result<void> Planes::adopt(NetNs ns) {
    const std::uint32_t compartment = compartment_of(ns.inode());
    auto plane = Datapath::adopt(std::move(ns), options_for(compartment));
    if (!plane) return plane.error();
    spdlog::info("compartment {}: took over {} ({} NICs)", compartment, (*plane)->pin_dir(),
                 (*plane)->nics().size());
    planes_[compartment] = std::move(*plane);
    return {};
}

Result<void> Planes::adopt_pinned() {
    for (std::uint64_t inode : Datapath::pinned(core_.options.pin_root)) {
        auto ns = NetNs::find(inode);
        if (!ns && ns.error().code != ENOENT) return ns.error();
        if (!ns) {
            spdlog::info("namespace {} is gone: its pins are swept", inode);
            Datapath::sweep(core_.options.pin_root, inode);
            numbers_.erase(inode);
            continue;
        }
        if (auto r = adopt(std::move(*ns)); !r) return r.error();
    }
    return {};
}

} // namespace sluice::daemon
