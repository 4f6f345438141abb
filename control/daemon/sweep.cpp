// SPDX-License-Identifier: Apache-2.0
#include "daemon/sweep.h"

#include <map>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/flow_contexts.h"
#include "daemon/hold_watch.h"
#include "daemon/hosts.h"
#include "daemon/live_flows.h"
#include "daemon/planes.h"
#include "daemon/process.h"
#include "daemon/quotas.h"
#include "daemon/redirects.h"
#include "daemon/settle.h"
#include "daemon/socket_destroy.h"

namespace sluice::daemon {

namespace {

// Of one host in one round: each is told to it, and it must have time to read.
constexpr std::size_t expiries_at_once = 4096;
constexpr std::uint64_t rounds_between_device_checks = 8; // 2 s

datapath::PortDevice *port_of(const Core &core, std::uint32_t host_id, std::uint32_t compartment) {
    const auto *host = core.hosts->of(host_id);
    if (host == nullptr) return nullptr;
    const auto it = host->ports.find(compartment);
    return it == host->ports.end() ? nullptr : it->second.get();
}

// Flows of a host that has not come back yet wait for it, or for its end.
bool is_awaited(const Core &core, std::uint32_t host_id) {
    const auto *host = core.hosts->of(host_id);
    return host != nullptr && host->state == Host::State::awaited;
}

} // namespace

void Sweeper::start() {
    core_.loop.after(core_.options.sweep, [this] {
        round();
        start();
    });
}

std::uint64_t Sweeper::watchdog_ns() const {
    return static_cast<std::uint64_t>(core_.options.watchdog.count()) * 1000000;
}

void Sweeper::round() {
    core_.hosts->look_after();
    core_.engine->look_at_environment();
    const bool check_devices = ++rounds_ % rounds_between_device_checks == 0;
    const std::uint64_t began = monotonic_ns();
    for (const auto &[compartment, plane] : core_.planes->all()) {
        if (check_devices) {
            for (const std::uint32_t ifindex : plane->forget_missing_devices())
                device_gone(compartment, *plane, ifindex);
        }
        addresses(compartment, *plane);
        const auto with_packets = tickets(compartment, *plane);
        if (check_devices) uses(*plane, with_packets);
        operations(compartment, *plane);
        if (check_devices) destroy_refused(*plane);
        core_.flow_contexts->tell_ends(compartment, *plane);
        if (began >= idle_after_ns_) {
            plane->fold_flow_cache();
            flows(compartment, *plane);
        }
    }
    if (check_devices) {
        lost_namespaces_.look();
        const auto ended = [this](const auto &of) { return core_.planes->of(of.first) == nullptr; };
        std::erase_if(walked_ns_, ended);
        std::erase_if(addresses_, ended);
    }
    core_.hold_watch->look_for_ends();
    const std::uint64_t now = monotonic_ns();
    if (began >= idle_after_ns_) idle_after_ns_ = now + 9 * (now - began);
}

void Sweeper::flows(std::uint32_t compartment, datapath::Datapath &plane) {
    struct Due {
        dp_flow_key key;
        dp_flow flow;
        Fate fate;
    };
    std::map<std::uint32_t, std::vector<Due>> due; // by host: its memory is read once
    std::vector<dp_flow_key> to_cut;               // a callout has blocked them when asked again
    const std::uint64_t now = monotonic_ns(), before = std::exchange(walked_ns_[compartment], now);
    const bool watched = core_.hold_watch->anybody();
    std::set<std::uint64_t> redirected;
    plane.each_flow([&](const dp_flow_key &key, const dp_flow &flow) {
        if (flow.redirect != 0) redirected.insert(flow.redirect);
        if (watched) core_.hold_watch->met(plane, waiting_of(compartment, key, flow));
        if (flow.state == DP_FLOW_BLOCKED && (flow.flags & DP_FLOW_TO_CUT) != 0)
            to_cut.push_back(key);
        const Fate fate = fate_of(flow, key.protocol, now, before, watchdog_ns());
        if (fate != Fate::keep && !(is_open(flow) && is_awaited(core_, flow.host)))
            due[flow.host].push_back({key, flow, fate});
        return true;
    });
    core_.redirects->look(compartment, plane, redirected);
    for (const auto &key : to_cut)
        cut_if_blocked(plane, key);
    for (const auto &[host, flows_of_host] : due) {
        Settler settler(plane, port_of(core_, host, compartment));
        std::size_t expired = 0;
        for (const auto &[key, flow, fate] : flows_of_host) {
            if (fate == Fate::expire && ++expired <= expiries_at_once)
                settler.flow(key, flow, DP_DOWNCALL_EXPIRED);
            if (fate == Fate::drain) settler.drain(key, flow);
            if (fate == Fate::remove) plane.delete_flow(key);
        }
    }
}

// What waits there ends as its filter says: it could not go on. A refusal cannot go back by a
// device that is not there either.
void Sweeper::device_gone(std::uint32_t compartment, datapath::Datapath &plane,
                          std::uint32_t ifindex) {
    std::map<std::uint32_t, std::vector<std::pair<dp_flow_key, dp_flow>>> open; // by host
    plane.each_flow([&](const dp_flow_key &key, const dp_flow &flow) {
        if (flow.ifindex == ifindex && is_open(flow)) open[flow.host].emplace_back(key, flow);
        return true;
    });
    for (const auto &[host, flows_of_host] : open) {
        Settler settler(plane, port_of(core_, host, compartment));
        for (const auto &[key, flow] : flows_of_host) {
            settler.flow(key, flow, DP_DOWNCALL_ABANDONED);
            const bool refused = flow_answer(key, flow, DP_DOWNCALL_ABANDONED, 0).action ==
                                 std::uint32_t{DP_ACTION_BLOCK};
            if (refused && key.protocol == IPPROTO_TCP && flow.direction == DP_DIRECTION_OUTBOUND)
                (void)plane.ns().enter([&] { return destroy_connection(key, 0); });
        }
    }
}

// Which destinations of redirections are local ones.
static void tell_addresses(datapath::Datapath &plane, const AddressWatch &watch) {
    if (auto told = plane.set_own_addresses(watch.all()); !told)
        spdlog::warn("{}", told.error().text());
}

void Sweeper::addresses(std::uint32_t compartment, datapath::Datapath &plane) {
    auto &watch = addresses_[compartment];
    if (!watch) {
        auto made = AddressWatch::of(plane);
        if (!made) return spdlog::warn("compartment {}: {}", compartment, made.error().text());
        watch = std::move(*made);
        return tell_addresses(plane, *watch);
    }
    const auto changed = watch->look();
    if (changed.empty()) return;
    tell_addresses(plane, *watch);
    judge_flows_of(plane, changed);
}

void Sweeper::operations(std::uint32_t compartment, datapath::Datapath &plane) {
    const std::uint64_t now = monotonic_ns();
    const bool watched = core_.hold_watch->anybody();
    std::map<std::uint32_t, std::vector<std::pair<std::uint64_t, dp_operation>>> due; // by host
    plane.each_operation([&](std::uint64_t id, const dp_operation &operation) {
        if (watched) core_.hold_watch->met(plane, waiting_of(compartment, id, operation));
        if (fate_of(operation, now, watchdog_ns()) != Fate::keep &&
            !is_awaited(core_, operation.host))
            due[operation.host].emplace_back(id, operation);
        return true;
    });
    for (const auto &[host, operations_of_host] : due) {
        Settler settler(plane, port_of(core_, host, compartment));
        for (const auto &[id, operation] : operations_of_host)
            if (fate_of(operation, now, watchdog_ns()) == Fate::remove)
                plane.delete_operation(id);
            else
                settler.operation(id, operation, DP_DOWNCALL_EXPIRED);
    }
}

void Sweeper::uses(datapath::Datapath &plane, const std::set<std::uint32_t> &with_packets) {
    std::vector<dp_use_key> spent;
    plane.each_use([&](const dp_use_key &key, const dp_use &use) {
        if (key.start_ns == 0 && key.id & DP_USE_PACKETS) {
            if (!with_packets.contains(static_cast<std::uint32_t>(key.id))) spent.push_back(key);
            return true;
        }
        if (use.holds != 0 || use.bytes != 0) return true;
        const bool lives = key.start_ns == 0
                               ? core_.hosts->of(static_cast<std::uint32_t>(key.id)) != nullptr
                               : is_running(static_cast<pid_t>(key.id), key.start_ns);
        if (is_spent(key, use, lives)) spent.push_back(key);
        return true;
    });
    for (const auto &key : spent)
        plane.delete_use(key);
}

std::set<std::uint32_t> Sweeper::tickets(std::uint32_t compartment, datapath::Datapath &plane) {
    const std::uint64_t now = monotonic_ns();
    std::map<std::uint32_t, std::vector<std::pair<std::uint64_t, dp_ticket>>> due; // by host
    std::set<std::uint32_t> hosts;
    plane.each_ticket([&](std::uint64_t number, const dp_ticket &ticket) {
        hosts.insert(ticket.host);
        if (now > ticket.asked_ns && now - ticket.asked_ns > watchdog_ns())
            due[ticket.host].emplace_back(number, ticket);
        return true;
    });
    for (const auto &[host, tickets_of_host] : due) {
        Settler settler(plane, port_of(core_, host, compartment));
        for (const auto &[number, ticket] : tickets_of_host) {
            settler.ticket(number, ticket, DP_DOWNCALL_EXPIRED);
            // Twice over its time: the answer that was sent for it did not take.
            if (now - ticket.asked_ns > 2 * watchdog_ns()) plane.delete_ticket(number);
        }
    }
    return hosts;
}

} // namespace sluice::daemon
