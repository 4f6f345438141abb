// SPDX-License-Identifier: Apache-2.0
#include "daemon/lists.h"

#include <set>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/process.h"
#include "daemon/routes.h"
#include "daemon/settle.h"
#include "daemon/waiting.h"
#include "policy/edit.h"
#include "store/wire.h"

namespace sluice::daemon {

void nic_list(Core &core, const Responder &to) {
    std::vector<protocol::Nic> all;
    for (const auto &[compartment, plane] : core.planes->all()) {
        for (const auto &nic : plane->nics()) {
            auto &m = all.emplace_back();
            m.set_name(nic.name);
            m.set_index(nic.ifindex);
            m.set_mode(nic.mode);
            m.set_attach(nic.attach);
            for (const auto &program : nic.programs)
                m.add_programs(program);
            m.set_compartment(compartment);
        }
    }
    send_pages(all, to, [](protocol::Reply &reply, const protocol::Nic *entry) {
        auto *list = reply.mutable_nics();
        if (entry != nullptr) *list->add_nics() = *entry;
    });
}

void plugin_list(Core &core, const Responder &to) {
    std::vector<protocol::Plugin> all;
    for (const auto &[name, plugin] : core.plugins->all()) {
        auto &m = all.emplace_back();
        m.set_name(name);
        m.set_file(plugin->file.empty() ? "(built-in)" : plugin->file);
        m.set_user(plugin->user);
        m.set_pid(static_cast<std::uint32_t>(plugin->pid));
        m.set_state(word_of(plugin->state));
        m.set_restarts(plugin->restarts);
    }
    send_pages(all, to, [](protocol::Reply &reply, const protocol::Plugin *entry) {
        auto *list = reply.mutable_plugins();
        if (entry != nullptr) *list->add_plugins() = *entry;
    });
}

void host_list(Core &core, const Responder &to) {
    std::map<std::uint32_t, std::uint32_t> holds;
    for (const auto &[compartment, plane] : core.planes->all())
        each_waiting(*plane, [&](const Waiting &hold) {
            ++holds[hold.host];
            return true;
        });
    std::vector<protocol::Host> all;
    for (const auto &[id, host] : core.hosts->all()) {
        auto &m = all.emplace_back();
        m.set_id(id);
        m.set_name(host->name);
        m.set_pid(static_cast<std::uint32_t>(host->peer.pid));
        m.set_uid(user_of(host->peer.pid).value_or(host->peer.uid));
        m.set_capabilities(capabilities_of(host->peer.pid));
        m.set_callouts(static_cast<std::uint32_t>(host->callouts.size()));
        m.set_holds(holds[id]);
        for (const auto &[compartment, plane] : core.planes->all())
            if (const auto record = plane->host(id))
                m.set_upcalls_total(m.upcalls_total() + record->upcalls_total);
        m.set_state(word_of(*host));
    }
    for (const auto &[id, host] : core.hosts->stopped()) {
        if (core.hosts->of(id) != nullptr) continue; // still ending
        auto &m = all.emplace_back();
        m.set_id(id);
        m.set_name(host.name);
        m.set_pid(static_cast<std::uint32_t>(host.peer.pid));
        m.set_uid(user_of(host.peer.pid).value_or(host.peer.uid));
        m.set_capabilities(capabilities_of(host.peer.pid));
        m.set_state("stopped");
    }
    send_pages(all, to, [](protocol::Reply &reply, const protocol::Host *entry) {
        auto *list = reply.mutable_hosts();
        if (entry != nullptr) *list->add_hosts() = *entry;
    });
}

namespace {

// A callout acts at the layer of its management object and wherever a filter names it.
std::set<std::uint16_t> layers_of(const policy::Policy &policy, const Guid &key) {
    std::set<std::uint16_t> layers;
    if (const auto c = policy.callouts.find(key); c != policy.callouts.end())
        layers.insert(c->second.layer);
    for (const auto &[id, filter] : policy.filters)
        if (filter.callout == key) layers.insert(filter.layer);
    return layers;
}

protocol::CalloutInfo callout_info(Core &core, const Guid &key, std::uint32_t id) {
    const auto &policy = core.engine->policy();
    protocol::CalloutInfo m;
    m.set_key(key.bytes());
    m.set_id(id);
    if (const auto c = policy.callouts.find(key); c != policy.callouts.end())
        m.set_name(c->second.name);
    for (const std::uint16_t layer : layers_of(policy, key))
        m.add_layers(store::layer_name(layer));
    if (const auto *host = core.hosts->of_callout(key)) {
        m.set_host(host->id);
        m.set_registered(!host->behind);
        m.set_flags(host->callouts.at(key).flags);
        m.set_local_id(host->callouts.at(key).local_id);
    }
    for (const auto &[compartment, plane] : core.planes->all())
        if (const auto record = plane->callout(id))
            m.set_classify_total(m.classify_total() + record->classify_total);
    return m;
}

} // namespace

void callout_list(Core &core, const Responder &to) {
    const auto &policy = core.engine->policy();
    std::vector<protocol::CalloutInfo> all;
    for (const auto &[key, id] : policy.callout_ids) {
        auto info = callout_info(core, key, id);
        // A key that was used once keeps its id for ever; it is a callout while something stands
        // for it.
        if (info.registered() || policy.callouts.contains(key) || info.layers_size() != 0)
            all.push_back(std::move(info));
    }
    send_pages(all, to, [](protocol::Reply &reply, const protocol::CalloutInfo *entry) {
        auto *list = reply.mutable_callouts();
        if (entry != nullptr) *list->add_callouts() = *entry;
    });
}

void filter_list(Core &core, const Responder &to) {
    std::map<std::uint64_t, std::uint64_t> hits;
    for (const auto &[compartment, plane] : core.planes->all())
        for (const auto &[id, count] : plane->filter_hits())
            hits[id] += count;
    std::vector<const policy::Filter *> all;
    for (const auto &[id, filter] : core.engine->policy().filters)
        all.push_back(&filter);
    send_pages(all, to, [&](protocol::Reply &reply, const policy::Filter *const *entry) {
        auto *list = reply.mutable_filters();
        if (entry == nullptr) return;
        auto m = core.hosts->filter_message(**entry, core.engine->policy());
        m.set_hits(hits[(*entry)->id]);
        *list->add_filters() = std::move(m);
    });
}

void sublayer_list(Core &core, const Responder &to) {
    std::vector<const policy::SubLayer *> all;
    for (const auto &[key, sublayer] : core.engine->policy().sublayers)
        all.push_back(&sublayer);
    send_pages(all, to, [](protocol::Reply &reply, const policy::SubLayer *const *entry) {
        auto *list = reply.mutable_sublayers();
        if (entry == nullptr) return;
        auto m = store::to_message(**entry);
        m.set_lifetime(policy::lifetime_name(policy::lifetime(**entry)));
        *list->add_sublayers() = std::move(m);
    });
}

void stats_get(Core &core, const Responder &to) {
    std::vector<protocol::Counter> all;
    for (const auto &[compartment, plane] : core.planes->all()) {
        for (const auto &counter : plane->counters()) {
            auto &m = all.emplace_back();
            m.set_name(counter.name);
            m.set_group(counter.group);
            m.set_packets(counter.packets);
            m.set_bytes(counter.bytes);
            m.set_compartment(compartment);
        }
    }
    send_pages(all, to, [](protocol::Reply &reply, const protocol::Counter *entry) {
        auto *list = reply.mutable_stats();
        if (entry != nullptr) *list->add_counters() = *entry;
    });
}

namespace {

// Hosts that do not do what they should, and plugins that do not stay up.
void warn_of_hosts(Core &core, protocol::StatusInfo &m) {
    const auto called = [](std::uint32_t id, const std::string &name, pid_t pid) {
        return "host " + std::to_string(id) + " '" + name + "' (pid " + std::to_string(pid) + ") ";
    };
    for (const auto &[id, host] : core.hosts->all())
        if (std::string(word_of(*host)) == "hung")
            m.add_warnings(called(id, host->name, host->peer.pid) +
                           "is hung: it left a notification unanswered");
    for (const auto &[id, host] : core.hosts->stopped())
        m.add_warnings(called(id, host.name, host.peer.pid) +
                       "is stopped: its callouts count as unregistered");
    for (const auto &[name, plugin] : core.plugins->all())
        if (plugin->state == Plugin::State::waiting ||
            (plugin->state == Plugin::State::starting && plugin->restarts != 0))
            m.add_warnings("plugin '" + name + "' does not run: started again " +
                           std::to_string(plugin->restarts) + " times so far");
}

} // namespace

void status_get(Core &core, const Responder &to) {
    protocol::Reply reply;
    auto *m = reply.mutable_status_info();
    m->set_version(SLUICE_VERSION);
    m->set_pid(static_cast<std::uint32_t>(::getpid()));
    m->set_uptime_ms((monotonic_ns() - core.started_ns) / 1000000);
    m->set_generation(core.engine->policy().generation);
    m->set_filters(static_cast<std::uint32_t>(core.engine->policy().filters.size()));
    m->set_hosts(static_cast<std::uint32_t>(core.hosts->all().size()));
    m->set_layout(DP_LAYOUT_VERSION);
    m->set_pins(core.options.pin_root);
    for (const auto &[compartment, plane] : core.planes->all()) {
        m->set_nics(m->nics() + static_cast<std::uint32_t>(plane->nics().size()));
        each_waiting(*plane, [&](const Waiting &) {
            m->set_holds(m->holds() + 1);
            return true;
        });
        for (const auto &name : routed_without(*plane))
            m->add_warnings("compartment " + std::to_string(compartment) + ": routes lead over " +
                            name + ", which carries no Sluice");
    }
    warn_of_hosts(core, *m);
    to.done(std::move(reply));
}

} // namespace sluice::daemon
