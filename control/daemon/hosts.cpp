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
#include "daemon/quotas.h"
#include "daemon/redirects.h"
#include "daemon/sessions.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

protocol::Reply welcome(std::uint32_t id, bool kept) {
    protocol::Reply reply;
    reply.mutable_host_welcome()->set_host_id(id);
    reply.mutable_host_welcome()->set_ports_kept(kept);
    return reply;
}

// What the kernel does about its holds where the filter says nothing.
void fill_hold(dp_host &record, const policy::HoldOptions &own, const policy::HoldOptions &all) {
    const std::uint32_t ms = own.deadline_ms != 0 ? own.deadline_ms : all.deadline_ms;
    record.hold_deadline_ns = ms == DP_HOLD_FOREVER ? 0 : std::uint64_t{ms} * 1000000;
    const auto outcome = own.outcome != policy::Outcome::host_default ? own.outcome : all.outcome;
    static_assert(static_cast<int>(policy::Outcome::next_filter) == DP_OUTCOME_NEXT);
    record.outcome = static_cast<std::uint32_t>(outcome);
}

} // namespace

const char *word_of(const Host &host) {
    switch (host.state) {
    case Host::State::awaited:
        return "awaited";
    case Host::State::live:
        return host.hung || host.behind ? "hung" : "live";
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
    if (kept) core_.redirects->host_returned(host->id);
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
    fill_quotas(record, core_.options);
    fill_hold(record, host.hold, core_.options.hold);
    if (auto r = plane->set_host(host.id, record); !r) return r;
    protocol::Notice notice;
    auto *attach = notice.mutable_port_attach();
    attach->set_compartment(compartment);
    attach->set_host_id(host.id);
    attach->set_ifindex(handover.far_ifindex);
    attach->set_frames(handover.frames);
    attach->set_ring(handover.ring);
    attach->set_notices(DP_NOTICES_BYTES);
    client->notice(std::move(notice), {handover.xsk.get(), (*port)->umem().fd(),
                                       (*port)->far().fd(), handover.notices.get()});
    host.ports[compartment] = std::move(*port);
    return {};
}

void Hosts::set_hold_defaults(Host &host, const protocol::HostDefaults &message,
                              const Responder &to) {
    const auto hold = store::from_message(message.hold());
    if (!hold) return to.fail(hold.error());
    for (const auto &[compartment, plane] : core_.planes->all()) {
        auto record = plane->host(host.id);
        if (!record) continue;
        fill_hold(*record, *hold, core_.options.hold);
        if (auto r = plane->set_host(host.id, *record); !r) return to.fail(r.error());
    }
    host.hold = *hold;
    to.done();
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
    core_.redirects->plane_made(compartment);
}

} // namespace sluice::daemon
