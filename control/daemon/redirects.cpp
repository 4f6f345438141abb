// SPDX-License-Identifier: Apache-2.0
#include "daemon/redirects.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include "core/guid.h"
#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/planes.h"
#include "daemon/socket_look.h"

namespace sluice::daemon {

namespace {

constexpr Milliseconds return_grace{5000}; // for a host to name its handles again
constexpr int ids_of_a_notice = 1024;

dp_handle handle_of(const Guid &provider) {
    dp_handle handle{};
    const std::string bytes = provider.bytes();
    std::memcpy(handle.provider, bytes.data(), sizeof handle.provider);
    return handle;
}

bool is_past(std::uint64_t since_ns, std::uint64_t limit_ns, std::uint64_t now_ns) {
    return now_ns > since_ns && now_ns - since_ns > limit_ns;
}

// The socket itself was connected or bound elsewhere: it may rest for as long as it is open.
bool is_of_socket(const dp_redirect &redirect) {
    if (redirect.cookie == 0) return false;
    if (redirect.way == DP_WAY_BIND) return redirect.state != DP_REDIRECT_ENDED; // a draft as well
    return redirect.state == DP_REDIRECT_LIVE && redirect.way == DP_WAY_SOCKET;
}

// Its socket is open. What a listener has accepted has the listener's port, and needs the entry
// when that is closed.
bool is_needed(const dp_redirect &redirect, const OpenSockets &open) {
    return open.cookies.contains(redirect.cookie) ||
           (redirect.way == DP_WAY_BIND && redirect.app.protocol == IPPROTO_TCP &&
            open.ports.contains({redirect.app.protocol, redirect.app.local_port}));
}

} // namespace

RedirectFate fate_of(const dp_redirect &redirect, std::uint64_t now, std::uint64_t without_since) {
    if (redirect.state == DP_REDIRECT_ENDED)
        return is_past(redirect.ended_ns, DP_RECORD_GRACE_NS, now) ? RedirectFate::remove
                                                                   : RedirectFate::keep;
    const bool over = without_since != 0 && is_past(without_since, DP_UDP_IDLE_NS, now);
    if (!over) return RedirectFate::keep;
    return redirect.state == DP_REDIRECT_LIVE ? RedirectFate::end : RedirectFate::remove;
}

std::set<std::uint32_t> hosts_of(const dp_redirect &redirect) {
    std::set<std::uint32_t> hosts;
    const auto count = std::min<std::size_t>(redirect.versions, std::size(redirect.version));
    for (std::size_t i = 0; i < count; ++i)
        if (redirect.version[i].handle != 0)
            hosts.insert(static_cast<std::uint32_t>(redirect.version[i].handle >> 32));
    return hosts;
}

// ---- handles ----

void Redirects::create(Host &host, const protocol::RedirectHandle &message, const Responder &to) {
    const auto provider = Guid::from_bytes(message.provider());
    if (message.number() == 0 || !provider)
        return to.fail(Error(EINVAL, "a redirect handle has a number other than 0, and the key of "
                                     "a provider"));
    for (const auto &[compartment, plane] : core_.planes->all()) {
        auto entered =
            plane->set_redirect_handle({host.id, message.number()}, handle_of(*provider));
        if (entered) continue;
        for (const auto &[other, undone] : core_.planes->all())
            (void)undone->delete_redirect_handle({host.id, message.number()});
        return to.fail(entered.error());
    }
    host.redirect_handles[message.number()] = *provider;
    to.done();
}

void Redirects::destroy(Host &host, const protocol::RedirectHandle &message, const Responder &to) {
    if (host.redirect_handles.erase(message.number()) == 0)
        return to.fail(Error(ENOENT,
                             "no redirect handle " + std::to_string(message.number()) + " of host",
                             std::to_string(host.id)));
    for (const auto &[compartment, plane] : core_.planes->all())
        if (auto gone = plane->delete_redirect_handle({host.id, message.number()}); !gone)
            return to.fail(gone.error());
    to.done();
}

void Redirects::plane_made(std::uint32_t compartment) {
    auto *plane = core_.planes->of(compartment);
    if (plane == nullptr) return;
    for (const auto &[id, host] : core_.hosts->all())
        for (const auto &[number, provider] : host->redirect_handles)
            if (auto r = plane->set_redirect_handle({id, number}, handle_of(provider)); !r)
                spdlog::error("redirect handle {} of host {} in compartment {}: {}", number, id,
                              compartment, r.error().text());
}

void Redirects::host_ended(std::uint32_t host) {
    if (auto *ended = core_.hosts->of(host)) ended->redirect_handles.clear();
    for (const auto &[compartment, plane] : core_.planes->all())
        plane->forget_redirect_handles([&](const dp_handle_key &key) { return key.host == host; });
}

void Redirects::host_returned(std::uint32_t id) {
    core_.loop.after(return_grace, [this, id] {
        const auto *host = core_.hosts->of(id);
        if (host == nullptr || host->state != Host::State::live) return; // its end sees to them
        for (const auto &[compartment, plane] : core_.planes->all())
            plane->forget_redirect_handles([&](const dp_handle_key &key) {
                return key.host == id && !host->redirect_handles.contains(key.number);
            });
    });
}

// ---- the sweep ----

// Since when each redirection that is not over is without a flow. What rests in an open socket is
// there all the same: looked up once it is due, and then due again no sooner.
void Redirects::note_missing(const datapath::Datapath &plane, const std::set<std::uint64_t> &flows,
                             std::map<std::uint64_t, std::uint64_t> &missing) {
    const std::uint64_t now = monotonic_ns();
    std::map<std::uint64_t, std::uint64_t> still;
    std::map<std::uint64_t, dp_redirect> due;
    std::set<std::uint8_t> protocols;
    plane.each_redirect([&](std::uint64_t id, const dp_redirect &redirect) {
        if (redirect.state == DP_REDIRECT_ENDED || flows.contains(id)) return true;
        const auto known = missing.find(id);
        still[id] = known != missing.end() ? known->second : now;
        if (fate_of(redirect, now, still[id]) == RedirectFate::keep || !is_of_socket(redirect))
            return true;
        due[id] = redirect;
        protocols.insert(redirect.app.protocol);
        return true;
    });
    missing = std::move(still);
    if (due.empty()) return;
    const auto open = open_sockets(plane, protocols);
    for (const auto &[id, redirect] : due)
        if (!open || is_needed(redirect, *open)) missing[id] = now; // unknown: it is not cut short
}

void Redirects::look(std::uint32_t compartment, datapath::Datapath &plane,
                     const std::set<std::uint64_t> &flows) {
    auto &missing = missing_[compartment];
    note_missing(plane, flows, missing);
    const std::uint64_t now = monotonic_ns();
    std::vector<std::pair<std::uint64_t, dp_redirect>> over;
    Ids to_end;
    plane.each_redirect([&](std::uint64_t id, const dp_redirect &redirect) {
        const auto since = missing.find(id);
        const auto fate = fate_of(redirect, now, since != missing.end() ? since->second : 0);
        if (fate == RedirectFate::end) to_end.push_back(id);
        if (fate == RedirectFate::remove && !is_awaited(hosts_of(redirect)))
            over.emplace_back(id, redirect);
        return over.size() < std::size_t{16} * ids_of_a_notice; // the rest in the next round
    });
    for (const std::uint64_t id : to_end)
        plane.end_redirect(id, now);
    std::map<std::uint32_t, Ids> ended; // by host
    for (const auto &[id, redirect] : over) {
        plane.delete_redirect(id, redirect);
        for (const std::uint32_t host : hosts_of(redirect))
            ended[host].push_back(id);
    }
    tell(compartment, ended);
    learned(plane);
    std::erase_if(missing_, [&](const auto &of) { return core_.planes->of(of.first) == nullptr; });
}

// One that has not come back yet hears of it then.
bool Redirects::is_awaited(const std::set<std::uint32_t> &hosts) const {
    return std::any_of(hosts.begin(), hosts.end(), [this](std::uint32_t id) {
        const auto *host = core_.hosts->of(id);
        return host != nullptr && host->state == Host::State::awaited;
    });
}

void Redirects::tell(std::uint32_t compartment, const std::map<std::uint32_t, Ids> &ended) {
    for (const auto &[id, redirects] : ended) {
        const auto *host = core_.hosts->of(id);
        const auto client = host != nullptr ? host->client.lock() : nullptr;
        if (!client) continue; // its contexts went with it
        for (std::size_t at = 0; at < redirects.size(); at += ids_of_a_notice) {
            protocol::Notice notice;
            notice.mutable_redirects_ended()->set_compartment(compartment);
            for (std::size_t i = at; i < redirects.size() && i < at + ids_of_a_notice; ++i)
                notice.mutable_redirects_ended()->add_redirects(redirects[i]);
            client->notice(std::move(notice));
        }
    }
}

// The kernel passes over what is too old; this makes the room free.
void Redirects::learned(datapath::Datapath &plane) const {
    const std::uint64_t now = monotonic_ns(), generation = core_.engine->policy().generation;
    std::vector<std::pair<dp_learned_key, dp_learned>> spent;
    plane.each_learned([&](const dp_learned_key &key, const dp_learned &value) {
        if (value.until_ns <= now || value.generation != generation) spent.emplace_back(key, value);
        return true;
    });
    for (const auto &[key, value] : spent)
        plane.delete_learned(key, value);
}

} // namespace sluice::daemon
