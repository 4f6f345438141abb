// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_pump.h"

#include <ctime>
#include <endian.h>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/flow_contexts.h"
#include "daemon/hold_watch.h"
#include "daemon/net_events.h"
#include "daemon/planes.h"
#include "daemon/process.h"
#include "daemon/socket_destroy.h"
#include "daemon/subscriptions.h"
#include "daemon/waiting.h"
#include "datapath/counters.h"
#include "sluice/fwp.h"

namespace sluice::daemon {

namespace {

std::int64_t clock_ns(clockid_t clock) {
    timespec t{};
    ::clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

// 4 bytes if it is IPv4's, else 16; the most significant first.
std::string address_bytes(const dp_addr &address) {
    const std::uint64_t halves[2] = {htobe64(address.hi), htobe64(address.lo)};
    const std::string all(reinterpret_cast<const char *>(halves), sizeof halves);
    const bool v4 = address.hi == 0 && address.lo >> 32 == 0xffff;
    return v4 ? all.substr(12) : all;
}

bool is_mac(dp_layer layer) {
    return layer == DP_LAYER_INBOUND_MAC_FRAME_ETHERNET ||
           layer == DP_LAYER_OUTBOUND_MAC_FRAME_ETHERNET;
}

std::uint32_t type_of(const dp_event &event) {
    if (event.type == DP_EVENT_ALLOW) return FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW;
    return is_mac(event.layer) ? FWPM_NET_EVENT_TYPE_CLASSIFY_DROP_MAC
                               : FWPM_NET_EVENT_TYPE_CLASSIFY_DROP;
}

void set_process(const dp_process &process, const std::string &exe, protocol::NetEvent &m) {
    m.set_exe(exe);
    m.set_pid(process.tgid);
    m.set_uid_known(process.tgid != 0);
    if (m.uid_known()) m.set_uid(process.uid);
}

// listen() itself cannot be refused in the kernel: the socket is ended now. Its SYNs were dropped
// meanwhile.
void end_listener(const datapath::Datapath &plane, const dp_event &event) {
    if (event.type == DP_EVENT_DROP && event.reason == DP_REASON_BIND_BLOCKED)
        return destroy_refused(plane);
    const bool v6 = event.layer == DP_LAYER_ALE_AUTH_LISTEN_V6;
    if (event.type != DP_EVENT_DROP || (!v6 && event.layer != DP_LAYER_ALE_AUTH_LISTEN_V4)) return;
    const auto ended = plane.ns().enter(
        [&] { return destroy_listener(event.flow.local, event.flow.local_port, v6); });
    if (!ended) spdlog::warn("compartment {}: {}", plane.compartment(), ended.error().text());
}

} // namespace

protocol::NetEvent net_event_of(const dp_event &event, std::uint32_t compartment,
                                std::int64_t offset_ns, const policy::Policy &policy,
                                const std::string &exe) {
    protocol::NetEvent m;
    m.set_time_ns(event.time_ns + static_cast<std::uint64_t>(offset_ns));
    m.set_type(type_of(event));
    m.set_layer(event.layer);
    m.set_filter(event.filter_id);
    if (const auto filter = policy.filters.find(event.filter_id); filter != policy.filters.end()) {
        m.set_filter_name(filter->second.name);
        m.set_sublayer(filter->second.sublayer.bytes());
    }
    if (event.type == DP_EVENT_DROP) m.set_reason(std::string(datapath::reason_name(event.reason)));
    m.set_direction(event.direction);
    m.set_ifindex(event.ifindex);
    m.set_compartment(compartment);
    m.set_reauthorize_reason(event.reauthorize_reason);
    m.set_loopback(event.condition_flags & DP_CONDITION_IS_LOOPBACK);
    set_process(event.process, exe, m);
    if (is_mac(event.layer)) return m;
    m.set_protocol(event.flow.protocol);
    m.set_local(address_bytes(event.flow.local));
    m.set_local_port(event.flow.local_port);
    if (is_operation_layer(static_cast<std::uint16_t>(event.layer))) return m; // nobody is remote
    m.set_remote(address_bytes(event.flow.remote));
    m.set_remote_port(event.flow.remote_port);
    return m;
}

void EventPump::start() {
    // Somebody who watches holds waits for each of them, and so does an application.
    constexpr Milliseconds watched{20};
    const bool hurry = core_.hold_watch->anybody();
    core_.loop.after(hurry ? std::min(watched, core_.options.events) : core_.options.events,
                     [this] {
                         round();
                         start();
                     });
}

std::uint32_t EventPump::wanted_types() const {
    // Drops are always told, since refused listeners are ended by them; a flow that was allowed and
    // holds only when somebody listens.
    std::uint32_t types = 1u << DP_EVENT_DROP;
    if (core_.net_events->collected() && core_.subscriptions->any_net_events())
        types |= 1u << DP_EVENT_ALLOW;
    if (core_.hold_watch->anybody()) types |= 1u << DP_EVENT_HOLD | 1u << DP_EVENT_HOLD_END;
    return types;
}

void EventPump::tell_types() {
    const std::uint32_t types = wanted_types();
    std::erase_if(told_, [&](const auto &t) { return core_.planes->of(t.first) == nullptr; });
    for (const auto &[compartment, plane] : core_.planes->all()) {
        if (const auto told = told_.find(compartment); told != told_.end() && told->second == types)
            continue;
        if (auto r = plane->tell(types); !r)
            spdlog::warn("compartment {}: {}", compartment, r.error().text());
        told_[compartment] = types;
    }
}

void EventPump::round() {
    const bool collected = core_.net_events->collected();
    const std::int64_t offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
    tell_types();
    for (const auto &[compartment, plane] : core_.planes->all()) {
        std::set<std::uint64_t> closed; // cookies of sockets
        plane->each_event([&, number = compartment, p = plane.get()](const dp_event &event) {
            const auto &process = event.process;
            if (event.type == DP_EVENT_HOLD || event.type == DP_EVENT_HOLD_END)
                return core_.hold_watch->event(*p, event);
            if (event.type == DP_EVENT_SOCKET_CLOSED) {
                closed.insert(event.filter_id);
                return;
            }
            end_listener(*p, event);
            if (!collected) return;
            core_.net_events->add(net_event_of(event, number, offset, core_.engine->policy(),
                                               p->exe_path(process.exe_dev, process.exe_inode)));
        });
        core_.flow_contexts->sockets_closed(*plane, closed);
    }
    core_.hold_watch->send_some();
}

} // namespace sluice::daemon
