// SPDX-License-Identifier: Apache-2.0
// Redirections as people see them.
#include <algorithm>
#include <sstream>

#include "core/guid.h"
#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/holds.h"
#include "daemon/lists.h"
#include "daemon/planes.h"

namespace sluice::daemon {

namespace {

constexpr std::size_t page = 32; // entries of a reply: each may have seven hops

const char *state_of(std::uint32_t state) {
    if (state == DP_REDIRECT_DRAFT) return "asked";
    return state == DP_REDIRECT_LIVE ? "live" : "ended";
}

const char *way_of(std::uint32_t way) {
    switch (way) {
    case DP_WAY_SOCKET:
        return "kernel";
    case DP_WAY_LOCAL:
        return "held";
    case DP_WAY_REMOTE:
        return "remote";
    case DP_WAY_FORWARD:
        return "forwarded";
    case DP_WAY_BIND:
        return "bind";
    default:
        return ""; // not chosen yet
    }
}

bool is_known(const dp_addr &address, std::uint16_t port) {
    return (address.hi | address.lo) != 0 || port != 0;
}

std::string known_address(const dp_addr &address, std::uint16_t port) {
    return is_known(address, port) ? address_text(address, port) : std::string();
}

// In whose name: a provider, or what a filter without one says of itself.
std::string provider_name(const policy::Policy &policy, const Guid &key, std::uint64_t filter) {
    if (const auto known = policy.providers.find(key); known != policy.providers.end())
        return known->second.name;
    const auto context = policy.provider_contexts.find(key);
    if (context == policy.provider_contexts.end()) return {};
    const auto named = policy.filters.find(filter);
    return named != policy.filters.end() ? named->second.name : context->second.name;
}

void add_hop(Core &core, const datapath::Datapath &plane, const dp_redirect_hop &hop,
             protocol::Redirect &m) {
    auto &h = *m.add_hops();
    const std::string bytes(reinterpret_cast<const char *>(hop.provider), sizeof hop.provider);
    h.set_provider(bytes);
    h.set_provider_name(
        provider_name(core.engine->policy(), *Guid::from_bytes(bytes), hop.filter_id));
    h.set_from(known_address(hop.from, hop.from_port));
    h.set_to(known_address(hop.to, hop.to_port));
    h.set_filter(hop.filter_id);
    if (hop.redirect != 0) h.set_redirect(hold_id(plane.compartment(), hop.redirect));
    h.set_pid(hop.process.tgid);
    h.set_exe(program_of(plane, hop.process));
    h.set_uid(hop.process.uid);
    h.set_cgroup(hop.process.cgroup);
    h.set_host(static_cast<std::uint32_t>(hop.handle >> 32));
    h.set_handle(static_cast<std::uint32_t>(hop.handle));
    h.set_target_pid(hop.target_pid);
}

protocol::Redirect redirect_message(Core &core, const datapath::Datapath &plane, std::uint64_t id,
                                    const dp_redirect &redirect) {
    const std::uint64_t now = monotonic_ns();
    protocol::Redirect m;
    m.set_id(hold_id(plane.compartment(), id));
    m.set_state(state_of(redirect.state));
    m.set_way(way_of(redirect.way));
    m.set_protocol(protocol_text(redirect.app.protocol));
    m.set_compartment(plane.compartment());
    m.set_age_ms(now > redirect.created_ns ? (now - redirect.created_ns) / 1000000 : 0);
    m.set_client(known_address(redirect.app.local, redirect.app.local_port));
    m.set_original(known_address(redirect.app.remote, redirect.app.remote_port));
    const auto last = std::min<std::size_t>(redirect.versions, std::size(redirect.version));
    if (last != 0)
        m.set_target(known_address(redirect.version[last - 1].remote,
                                   redirect.version[last - 1].remote_port));
    m.set_target_pid(redirect.target.tgid);
    m.set_target_exe(program_of(plane, redirect.target));
    m.set_context_bytes(redirect.context_bytes);
    const auto hops = std::min<std::size_t>(redirect.record.hops, DP_RECORD_HOPS_MAX);
    for (std::size_t i = 0; i < hops; ++i)
        add_hop(core, plane, redirect.record.hop[i], m);
    return m;
}

// A number is an id; another word is a part of what a line shows.
bool is_wanted(const protocol::Redirect &m, const std::string &word) {
    if (word.empty()) return true;
    if (std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return std::to_string(m.id()) == word;
    std::ostringstream line;
    line << m.state() << ' ' << m.way() << ' ' << m.protocol() << ' ' << m.client() << ' '
         << m.original() << ' ' << m.target() << ' ' << m.target_exe();
    for (const auto &hop : m.hops())
        line << ' ' << hop.provider_name() << ' ' << hop.exe();
    return line.str().find(word) != std::string::npos;
}

} // namespace

void redirect_list(Core &core, const protocol::ListGet &message, const Responder &to) {
    std::vector<protocol::Redirect> all;
    for (const auto &[compartment, plane] : core.planes->all())
        plane->each_redirect([&](std::uint64_t id, const dp_redirect &redirect) {
            auto m = redirect_message(core, *plane, id, redirect);
            if (is_wanted(m, message.filter())) all.push_back(std::move(m));
            return true;
        });
    std::sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.id() < b.id(); });
    const auto add = [](protocol::Reply &reply, const protocol::Redirect *entry) {
        auto *list = reply.mutable_redirects();
        if (entry != nullptr) *list->add_redirects() = *entry;
    };
    send_pages(all, to, add, page);
}

} // namespace sluice::daemon
