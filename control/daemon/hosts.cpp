// SPDX-License-Identifier: Apache-2.0
#include "daemon/hosts.h"

#include <algorithm>
#include <cerrno>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/planes.h"
#include "daemon/plugins.h"
#include "daemon/process.h"
#include "daemon/sessions.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

constexpr std::uint32_t keep_pended_data_flag = 0x80000000u; // SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA

protocol::Reply welcome(std::uint32_t id, bool kept) {
    protocol::Reply reply;
    reply.mutable_host_welcome()->set_host_id(id);
    reply.mutable_host_welcome()->set_ports_kept(kept);
    return reply;
}

} // namespace

const char *word_of(Host::State state) {
    switch (state) {
    case Host::State::awaited:
        return "awaited";
    case Host::State::live:
        return "live";
    default:
        return "ending";
    }
}

Host *Hosts::of(std::uint32_t id) const {
    const auto it = hosts_.find(id);
    return it == hosts_.end() ? nullptr : it->second.get();
}

Host *Hosts::of_callout(const Guid &key) const {
    for (const auto &[id, host] : hosts_)
        if (host->state == Host::State::live && host->callouts.contains(key)) return host.get();
    return nullptr;
}

Host *Hosts::of_pid(pid_t pid) const {
    for (const auto &[id, host] : hosts_)
        if (host->state == Host::State::live && host->peer.pid == pid) return host.get();
    return nullptr;
}

// ---- arrival ----

void Hosts::hello(const protocol::HostHello &hello, std::vector<Fd> fds, const Responder &to) {
    const auto client = to.client();
    const auto key = Guid::from_bytes(hello.session_key());
    if (!client || client->host != 0 || !key || key->is_null())
        return to.fail(
            Error(EINVAL, "host hello needs a session key of 16 bytes, once a connection"));
    if (client->access != Access::change && !knows(*key))
        return to.fail(Error(EACCES, "host '" + hello.name() + "' of uid " +
                                         std::to_string(client->peer.uid) +
                                         " is not allowed to connect"),
                       4);
    const auto same = std::find_if(hosts_.begin(), hosts_.end(), [&](const auto &h) {
        return h.second->key == *key && h.second->state != Host::State::ending;
    });
    Host *host = nullptr;
    bool kept = false;
    if (same != hosts_.end() && same->second->state == Host::State::awaited &&
        take_back(*same->second, hello, fds)) {
        host = same->second.get();
        kept = true;
    } else {
        if (same != hosts_.end()) end(same->first, "it connected anew");
        host = &enter(next_id_++, *key);
    }
    if (auto r = bring_to_life(*host, hello, client); !r) {
        const std::uint32_t id = host->id;
        to.fail(r.error());
        return end(id, r.error().text());
    }
    core_.save_or_warn();
    to.done(welcome(host->id, kept));
    if (auto r = make_ports(*host, client); !r) return end(host->id, r.error().text());
    core_.plugins->host_arrived(*host);
    spdlog::info("host {} '{}' (pid {}, uid {}){}", host->id, host->name, host->peer.pid,
                 host->peer.uid, kept ? " is back with its ports" : " connected");
}

bool Hosts::knows(const Guid &key) const {
    if (std::find(known_keys_.begin(), known_keys_.end(), key) != known_keys_.end()) return true;
    return std::any_of(hosts_.begin(), hosts_.end(),
                       [&](const auto &h) { return h.second->key == key; });
}

Host &Hosts::enter(std::uint32_t id, const Guid &key) {
    auto host = std::make_unique<Host>();
    host->id = id;
    host->key = key;
    return *(hosts_[id] = std::move(host));
}

Result<void> Hosts::bring_to_life(Host &host, const protocol::HostHello &hello,
                                  const std::shared_ptr<Client> &client) {
    host.peer = client->peer;
    host.name = hello.name().empty() ? "host" + std::to_string(host.id) : hello.name();
    host.client = client;
    host.state = Host::State::live;
    client->host = host.id;
    client->trusted = true;
    host.pidfd = open_pidfd(host.peer.pid);
    host.start_ticks = process_stat(host.peer.pid).value_or(ProcessStat{}).start_ticks;
    if (!host.pidfd) return Error(errno, "watch host process", std::to_string(host.peer.pid));
    return core_.loop.watch(host.pidfd.get(), EPOLLIN,
                            [this, id = host.id](std::uint32_t) { end(id, "its process ended"); });
}

bool Hosts::take_back(Host &host, const protocol::HostHello &hello, std::vector<Fd> &fds) {
    if (hello.ports_size() == 0 || fds.size() != 2 * static_cast<std::size_t>(hello.ports_size()))
        return false;
    std::map<std::uint32_t, std::unique_ptr<datapath::PortDevice>> ports;
    bool all = true;
    for (int i = 0; i < hello.ports_size() && all; ++i) {
        auto *plane = core_.planes->of(hello.ports(i).compartment());
        auto far = datapath::NetNs::from_fd(std::move(fds[2 * i + 1]));
        all = hello.ports(i).host_id() == host.id && plane != nullptr && far;
        if (!all) break;
        auto port = plane->adopt_port(host.id, std::move(fds[2 * i]), std::move(*far));
        if (!port) spdlog::warn("port of host {}: {}", host.id, port.error().text());
        all = port.has_value();
        if (all) ports[hello.ports(i).compartment()] = std::move(*port);
    }
    host.ports = std::move(ports); // also when one failed: those here still give their held packets
    return all;
}

Result<void> Hosts::make_ports(Host &host, const std::shared_ptr<Client> &client) {
    for (const auto &[compartment, plane] : core_.planes->all())
        if (!host.ports.contains(compartment))
            if (auto r = make_port(host, compartment, client); !r) return r;
    return {};
}

Result<void> Hosts::make_port(Host &host, std::uint32_t compartment,
                              const std::shared_ptr<Client> &client) {
    auto *plane = core_.planes->of(compartment);
    datapath::PortHandover handover;
    auto port = plane->make_port(host.id, core_.options.frames, handover);
    if (!port) return port.error();
    dp_host record{};
    record.port_ifindex = (*port)->near_ifindex();
    record.alive = 1;
    record.watchdog_ns = static_cast<std::uint64_t>(core_.options.watchdog.count()) * 1000000;
    record.queue_bytes_max = core_.options.queue_bytes_max;
    if (auto r = plane->set_host(host.id, record); !r) return r;
    protocol::Notice notice;
    auto *attach = notice.mutable_port_attach();
    attach->set_compartment(compartment);
    attach->set_host_id(host.id);
    attach->set_ifindex(handover.far_ifindex);
    attach->set_frames(handover.frames);
    attach->set_ring(handover.ring);
    client->notice(std::move(notice),
                   {handover.xsk.get(), (*port)->umem().fd(), (*port)->far().fd()});
    host.ports[compartment] = std::move(*port);
    return {};
}

void Hosts::plane_made(std::uint32_t compartment) {
    for (const auto &[id, host] : hosts_) {
        const auto client = host->client.lock();
        if (host->state != Host::State::live || !client) continue;
        if (auto r = make_port(*host, compartment, client); !r)
            spdlog::error("no port for host {} in compartment {}: {}", id, compartment,
                          r.error().text());
        for (const auto &[key, registered] : host->callouts)
            set_callout(key, host.get());
    }
}

// ---- callouts ----

void Hosts::register_callout(Host &host, const protocol::CalloutRegister &message,
                             const Responder &to) {
    const auto key = Guid::from_bytes(message.key());
    if (!key || key->is_null()) return to.fail(Error(EINVAL, "callout key is not a GUID"));
    if (const auto *other = of_callout(*key))
        return to.fail(Error::status(static_cast<std::uint32_t>(STATUS_FWP_ALREADY_EXISTS),
                                     "callout is registered by host " + std::to_string(other->id),
                                     key->text()));
    auto id = core_.engine->callout_id(*key, core_.sessions->open_policy());
    if (!id) return to.fail(id.error());
    host.callouts[*key] = {message.local_id(), message.flags(), message.version(),
                           message.has_flow_delete()};
    core_.save_or_warn();
    const auto &filters = core_.engine->policy().filters;
    const bool named = std::any_of(filters.begin(), filters.end(),
                                   [&](const auto &f) { return f.second.callout == *key; });
    if (named) send_table(host.id); // before the kernel begins to ask
    set_callout(*key, &host);
    if (named) core_.engine->republish_soon();
    protocol::Reply reply;
    reply.set_callout_id(*id);
    to.done(std::move(reply));
    core_.plugins->callout_registered(host);
}

void Hosts::unregister_callout(Host &host, const protocol::CalloutUnregister &message,
                               const Responder &to) {
    const auto key = Guid::from_bytes(message.key());
    const auto it = key ? host.callouts.find(*key) : host.callouts.end();
    if (it == host.callouts.end())
        return to.fail(Error::status(static_cast<std::uint32_t>(STATUS_FWP_CALLOUT_NOT_FOUND),
                                     "host " + std::to_string(host.id) + " has no such callout"));
    set_callout(*key, nullptr);
    host.callouts.erase(it);
    send_table(host.id);
    core_.engine->republish_soon();
    to.done();
}

void Hosts::set_callout(const Guid &key, const Host *host) {
    const auto &ids = core_.engine->policy().callout_ids;
    const auto id = ids.find(key);
    if (id == ids.end()) return;
    for (const auto &[compartment, plane] : core_.planes->all()) {
        dp_callout record = plane->callout(id->second).value_or(dp_callout{}); // keeps its counter
        record.host = host != nullptr ? host->id : 0;
        record.local_id = host != nullptr ? host->callouts.at(key).local_id : 0;
        const bool keep = host != nullptr && (host->callouts.at(key).flags & keep_pended_data_flag);
        record.flags = keep ? DP_CALLOUT_KEEP_PENDED_DATA : 0;
        if (auto r = plane->set_callout(id->second, record); !r)
            spdlog::error("callout {} in compartment {}: {}", key.text(), compartment,
                          r.error().text());
    }
}

protocol::Filter Hosts::filter_message(const policy::Filter &filter,
                                       const policy::Policy &policy) const {
    auto m = store::to_message(filter);
    m.set_layer_name(store::layer_name(filter.layer));
    m.set_lifetime(filter.owner != 0 ? "dynamic" : "static");
    if (const auto s = policy.sublayers.find(filter.sublayer); s != policy.sublayers.end()) {
        m.set_sublayer_weight(s->second.weight);
        m.set_sublayer_name(s->second.name);
    }
    if (filter.callout.is_null()) return m;
    if (const auto id = policy.callout_ids.find(filter.callout); id != policy.callout_ids.end())
        m.set_callout_id(id->second);
    if (const auto c = policy.callouts.find(filter.callout); c != policy.callouts.end())
        m.set_callout_name(c->second.name);
    if (const auto *host = of_callout(filter.callout))
        m.set_callout_local_id(host->callouts.at(filter.callout).local_id);
    return m;
}

void Hosts::send_table(std::uint32_t id) {
    const auto *host = of(id);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client) return;
    protocol::Notice notice;
    notice.mutable_filter_table()->set_generation(core_.engine->policy().generation);
    for (const auto &[filter_id, filter] : core_.engine->policy().filters) {
        if (!host->callouts.contains(filter.callout)) continue;
        if (notice.filter_table().filters_size() == static_cast<int>(protocol::list_page)) {
            notice.mutable_filter_table()->set_more(true);
            client->notice(notice);
            notice.mutable_filter_table()->clear_filters();
            notice.mutable_filter_table()->set_more(false);
        }
        *notice.mutable_filter_table()->add_filters() =
            filter_message(filter, core_.engine->policy());
    }
    client->notice(std::move(notice));
}

void Hosts::filter_deleted(const policy::Filter &filter) {
    const auto *host = of_callout(filter.callout);
    const auto client = host != nullptr ? host->client.lock() : nullptr;
    if (!client) return;
    protocol::Notice notice;
    notice.mutable_filter_notify()->set_type(protocol::FilterNotify::DELETE);
    notice.mutable_filter_notify()->set_callout_key(filter.callout.bytes());
    *notice.mutable_filter_notify()->mutable_filter() =
        filter_message(filter, core_.engine->policy());
    client->notice(std::move(notice));
}

} // namespace sluice::daemon
