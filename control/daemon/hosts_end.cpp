// SPDX-License-Identifier: Apache-2.0
// A host that ends, in the order of ARCHITECTURE.md: nothing more goes up, its callouts count as
// unregistered, what it held is decided as the filters say, and at the next tick its ports go.
#include <algorithm>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/flow_contexts.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/process.h"
#include "daemon/redirects.h"
#include "daemon/settle.h"

namespace sluice::daemon {

namespace {

constexpr std::size_t known_keys_max = 1024;
constexpr Milliseconds grace{250}; // for what was sent down to arrive, before its port goes

datapath::PortDevice *port_in(const Host &host, std::uint32_t compartment) {
    const auto it = host.ports.find(compartment);
    return it == host.ports.end() ? nullptr : it->second.get();
}

} // namespace

void Hosts::set_alive(const Host &host, bool alive) {
    for (const auto &[compartment, plane] : core_.planes->all()) {
        auto record = plane->host(host.id);
        if (!record) continue;
        record->alive = alive ? 1 : 0;
        if (auto r = plane->set_host(host.id, *record); !r)
            spdlog::error("host {} in compartment {}: {}", host.id, compartment, r.error().text());
    }
}

void Hosts::clear_callouts(std::uint32_t host) {
    // By what the kernel says: callouts of a host of before a restart are written down nowhere
    // else.
    for (const auto &[compartment, plane] : core_.planes->all()) {
        for (const auto &[key, id] : core_.engine->policy().callout_ids) {
            auto record = plane->callout(id);
            if (!record || record->host != host) continue;
            record->host = record->flags = record->local_id = 0;
            if (auto r = plane->set_callout(id, *record); !r)
                spdlog::error("callout {} in compartment {}: {}", key.text(), compartment,
                              r.error().text());
        }
    }
}

void Hosts::end(std::uint32_t id, const std::string &why) {
    Host *host = of(id);
    if (host == nullptr || host->state == Host::State::ending) return;
    spdlog::info("host {} '{}' ends: {}", id, host->name, why);
    host->state = Host::State::ending;
    if (host->pidfd) core_.loop.forget(host->pidfd.get());
    set_alive(*host, false);
    core_.flow_contexts->host_ended(id);
    core_.redirects->host_ended(id);
    clear_callouts(id);
    core_.engine->republish();
    std::size_t settled = 0;
    for (const auto &[compartment, plane] : core_.planes->all())
        settled += Settler(*plane, port_in(*host, compartment)).all_of(id);
    if (settled != 0)
        spdlog::info("host {}: {} open decisions ended as their filters say", id, settled);
    if (const auto client = host->client.lock()) {
        core_.notices.client_gone(client->id);
        client->close();
    }
    core_.plugins->host_ended(*host);
    core_.loop.after(grace, [this, id] { bury(id); });
}

void Hosts::bury(std::uint32_t id) {
    Host *host = of(id);
    if (host == nullptr) return;
    for (const auto &[compartment, plane] : core_.planes->all()) {
        Settler(*plane, port_in(*host, compartment)).clear(id);
        const auto record = plane->host(id);
        if (record) plane->delete_port(record->port_ifindex);
        if (auto r = plane->delete_host(id); !r && record)
            spdlog::warn("host {}: {}", id, r.error().text());
    }
    remember(host->key);
    hosts_.erase(id); // and its devices
    core_.save_or_warn();
}

void Hosts::remember(const Guid &key) {
    if (std::find(known_keys_.begin(), known_keys_.end(), key) == known_keys_.end())
        known_keys_.push_back(key);
    if (known_keys_.size() > known_keys_max) known_keys_.erase(known_keys_.begin());
}

void Hosts::plane_ending(std::uint32_t compartment) {
    auto *plane = core_.planes->of(compartment);
    if (plane == nullptr) return;
    for (const auto &[id, host] : hosts_) {
        Settler(*plane, port_in(*host, compartment)).all_of(id);
        const auto client = host->client.lock();
        if (!client || port_in(*host, compartment) == nullptr) continue;
        protocol::Notice notice;
        notice.mutable_port_detach()->set_compartment(compartment);
        client->notice(std::move(notice));
    }
}

void Hosts::forget_ports(std::uint32_t compartment) {
    for (const auto &[id, host] : hosts_)
        host->ports.erase(compartment);
}

void Hosts::look_after() {
    std::vector<std::uint32_t> over;
    for (const auto &[id, host] : hosts_) {
        if (host->state == Host::State::ending || host->peer.pid == 0) continue;
        const auto stat = process_stat(host->peer.pid);
        const bool gone = !stat || stat->start_ticks != host->start_ticks || stat->state == 'Z' ||
                          stat->state == 'X';
        // An awaited one that is stopped may still come back in time.
        const bool halted =
            stat && host->state == Host::State::live && (stat->state == 'T' || stat->state == 't');
        if (gone || halted) over.push_back(id);
        if (halted && !gone) stopped_[id] = {host->name, host->peer, host->start_ticks};
    }
    for (std::uint32_t id : over)
        end(id, stopped_.contains(id) ? "its process is stopped" : "its process is gone");
    std::erase_if(stopped_, [](const auto &host) {
        const auto stat = process_stat(host.second.peer.pid);
        return !stat || stat->start_ticks != host.second.start_ticks ||
               (stat->state != 'T' && stat->state != 't');
    });
}

void Hosts::load(const store::State &state) {
    next_id_ = std::max(1u, state.next_host_id());
    for (const auto &h : state.hosts()) {
        const auto key = Guid::from_bytes(h.key());
        if (!key) continue;
        if (h.ended()) {
            remember(*key);
            continue;
        }
        Host &host = enter(h.id(), *key);
        host.name = h.name();
        host.peer.pid = static_cast<pid_t>(h.pid());
        host.peer.uid = h.uid();
        host.start_ticks = h.start_ticks();
        host.state = Host::State::awaited;
    }
}

void Hosts::save(store::State &state) const {
    state.set_next_host_id(next_id_);
    for (const auto &key : known_keys_) {
        auto *h = state.add_hosts();
        h->set_key(key.bytes());
        h->set_ended(true);
    }
    for (const auto &[id, host] : hosts_) {
        auto *h = state.add_hosts();
        h->set_id(id);
        h->set_key(host->key.bytes());
        h->set_name(host->name);
        h->set_pid(static_cast<std::uint32_t>(host->peer.pid));
        h->set_uid(host->peer.uid);
        h->set_start_ticks(host->start_ticks);
    }
}

void Hosts::await_return() {
    core_.loop.after(core_.options.reclaim, [this] {
        std::vector<std::uint32_t> missing;
        for (const auto &[id, host] : hosts_)
            if (host->state == Host::State::awaited) missing.push_back(id);
        for (std::uint32_t id : missing)
            end(id, "it did not come back");
    });
}

} // namespace sluice::daemon
