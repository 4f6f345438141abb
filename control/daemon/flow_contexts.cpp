// SPDX-License-Identifier: Apache-2.0
#include "daemon/flow_contexts.h"

#include <cerrno>
#include <map>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/socket_destroy.h"

namespace sluice::daemon {

namespace {

constexpr std::uint64_t kernel_tells_ns = 250'000'000; // an end that is younger may be on its way
constexpr int ends_of_a_notice = 1024;

std::uint64_t bit(std::uint32_t slot) {
    return std::uint64_t{1} << (slot - 1);
}

} // namespace

void FlowContexts::load() {
    for (const auto &[compartment, plane] : core_.planes->all()) {
        for (const auto &[key, id] : core_.engine->policy().callout_ids) {
            const auto record = plane->callout(id);
            if (record && record->slot != 0) slots_.learn(id, record->slot, record->host != 0);
        }
    }
}

std::uint32_t FlowContexts::registered(std::uint32_t callout, bool has_flow_delete) {
    if (!has_flow_delete) return 0;
    const auto given = slots_.give(callout);
    if (given.slot == 0)
        spdlog::warn("callout {}: all {} slots for contexts are in use, it can have none", callout,
                     DP_CONTEXT_SLOTS);
    if (given.taken_from == 0) return given.slot;
    for (const auto &[compartment, plane] : core_.planes->all()) {
        auto record = plane->callout(given.taken_from);
        if (!record) continue;
        record->slot = 0;
        if (auto r = plane->set_callout(given.taken_from, *record); !r)
            spdlog::error("callout {} in compartment {}: {}", given.taken_from, compartment,
                          r.error().text());
    }
    forget(bit(given.slot));
    return given.slot;
}

void FlowContexts::unregistered(std::uint32_t callout) {
    slots_.release(callout);
    publish();
}

// A live host by what it registered, also while it is behind with its filters; one that is awaited
// by what the kernel says.
std::uint32_t FlowContexts::owner(std::uint32_t callout) const {
    for (const auto &[key, id] : core_.engine->policy().callout_ids) {
        if (id != callout) continue;
        const auto *host = core_.hosts->of_callout(key);
        if (host != nullptr) return host->id;
    }
    for (const auto &[compartment, plane] : core_.planes->all()) {
        const auto record = plane->callout(callout);
        const auto *host = record ? core_.hosts->of(record->host) : nullptr;
        if (host != nullptr && host->state == Host::State::awaited) return host->id;
    }
    return 0;
}

void FlowContexts::publish() {
    std::map<std::uint32_t, std::uint64_t> of_host;
    std::map<std::uint32_t, dp_context_slot> table;
    for (std::uint32_t slot = 1; slot <= DP_CONTEXT_SLOTS; ++slot) {
        const auto callout = slots_.callout_of(slot);
        table[slot] = {callout ? owner(*callout) : 0, callout.value_or(0), 0};
        of_host[table[slot].host] |= bit(slot);
    }
    for (const auto &[compartment, plane] : core_.planes->all()) {
        for (auto &[slot, entry] : table) {
            entry.slots = entry.host != 0 ? of_host[entry.host] : 0;
            if (auto r = plane->set_context_slot(slot, entry); !r)
                spdlog::error("slot {} in compartment {}: {}", slot, compartment, r.error().text());
        }
    }
}

void FlowContexts::host_ended(std::uint32_t host) {
    std::uint64_t slots = 0;
    for (std::uint32_t slot = 1; slot <= DP_CONTEXT_SLOTS; ++slot) {
        const auto callout = slots_.callout_of(slot);
        for (const auto &[compartment, plane] : core_.planes->all()) {
            const auto record = callout ? plane->callout(*callout) : std::nullopt;
            if (!record || record->host != host) continue;
            slots_.release(*callout);
            slots |= bit(slot);
        }
    }
    publish();
    if (slots != 0) forget(slots);
}

void FlowContexts::forget(std::uint64_t slots) {
    for (const auto &[compartment, plane] : core_.planes->all()) {
        std::vector<dp_flow_key> having;
        plane->each_flow([&](const dp_flow_key &key, const dp_flow &flow) {
            if ((flow.contexts & slots) != 0) having.push_back(key);
            return true;
        });
        for (const auto &key : having)
            plane->forget_contexts(key, slots);
    }
}

void FlowContexts::tell_ends(std::uint32_t compartment, datapath::Datapath &plane) {
    std::map<std::uint32_t, std::vector<std::uint64_t>> ends; // by host
    std::vector<std::uint64_t> done;
    const std::uint64_t now = monotonic_ns();
    plane.each_ended([&](std::uint64_t flow, const dp_ended &end) {
        if (now < end.ended_ns + kernel_tells_ns) return true;
        std::set<std::uint32_t> hosts;
        bool wait = false;
        for (std::uint32_t slot = 1; slot <= DP_CONTEXT_SLOTS; ++slot) {
            const auto callout =
                (end.contexts & bit(slot)) != 0 ? slots_.callout_of(slot) : std::nullopt;
            const auto *host = callout ? core_.hosts->of(owner(*callout)) : nullptr;
            if (host == nullptr) continue;
            // One that has not come back yet hears of it then; one that is slow, later.
            const auto client = host->client.lock();
            wait |= !client || client->is_behind();
            hosts.insert(host->id);
        }
        if (wait) return true;
        for (const std::uint32_t host : hosts)
            ends[host].push_back(flow);
        done.push_back(flow);
        return done.size() < 16 * ends_of_a_notice; // the rest in the next round
    });
    for (const auto &[id, flows] : ends) {
        const auto client = core_.hosts->of(id)->client.lock();
        for (std::size_t at = 0; at < flows.size(); at += ends_of_a_notice) {
            protocol::Notice notice;
            notice.mutable_flows_ended()->set_compartment(compartment);
            for (std::size_t i = at; i < flows.size() && i < at + ends_of_a_notice; ++i)
                notice.mutable_flows_ended()->add_flows(flows[i]);
            client->notice(std::move(notice));
        }
    }
    for (const std::uint64_t flow : done)
        plane.delete_ended(flow);
}

void FlowContexts::sockets_closed(datapath::Datapath &plane,
                                  const std::set<std::uint64_t> &cookies) {
    if (cookies.empty()) return;
    std::vector<dp_flow_key> over;
    plane.each_flow([&](const dp_flow_key &key, const dp_flow &flow) {
        if (flow.contexts != 0 && cookies.contains(flow.cookie)) over.push_back(key);
        return true;
    });
    for (const auto &key : over)
        plane.delete_flow(key);
}

void FlowContexts::flow_end(const protocol::FlowEnd &request, const Responder &to) {
    auto *plane = core_.planes->of(request.compartment());
    if (plane == nullptr)
        return to.fail(
            Error(ENOENT, "no data plane in compartment " + std::to_string(request.compartment())));
    std::optional<dp_flow_key> found;
    dp_flow flow{};
    plane->each_flow([&](const dp_flow_key &key, const dp_flow &f) {
        if (f.ticket != request.flow()) return true;
        found = key;
        flow = f;
        return false;
    });
    if (!found) return to.fail(Error(ENOENT, "no flow " + std::to_string(request.flow())));
    if (found->protocol == IPPROTO_TCP) {
        const auto cut =
            plane->ns().enter([&] { return destroy_connection(*found, flow.ifindex); });
        if (!cut) return to.fail(cut.error());
    }
    plane->delete_flow(*found);
    to.done();
}

} // namespace sluice::daemon
