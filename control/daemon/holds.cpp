// SPDX-License-Identifier: Apache-2.0
// Holds as people see them.
#include <arpa/inet.h>
#include <netinet/in.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/hosts.h"
#include "daemon/holds.h"
#include "daemon/lists.h"
#include "daemon/planes.h"
#include "daemon/process.h"
#include "store/wire.h"

namespace sluice::daemon {

namespace {

constexpr std::uint64_t v4_mapped_prefix = 0xffffull << 32;

const char *state_word(std::uint32_t state) {
    if (state == DP_FLOW_ASKED) return "asked";
    return state == DP_FLOW_HELD ? "held" : "draining";
}

std::string callout_word(const policy::Policy &policy, std::uint64_t filter_id) {
    const auto filter = policy.filters.find(filter_id);
    if (filter == policy.filters.end()) return {};
    const auto callout = policy.callouts.find(filter->second.callout);
    return callout != policy.callouts.end() ? callout->second.name : filter->second.callout.text();
}

void set_process(const datapath::Datapath &plane, const dp_process &process, protocol::Hold &m) {
    m.set_pid(process.tgid);
    m.set_exe(program_of(plane, process));
    m.set_uid(process.uid);
    m.set_cgroup(process.cgroup);
}

// A bind or listen has no peer.
void set_ends(const dp_flow_key &key, bool peer, protocol::Hold &m) {
    m.set_protocol(protocol_text(key.protocol));
    m.set_local(address_text(key.local, key.local_port));
    if (peer) m.set_remote(address_text(key.remote, key.remote_port));
}

} // namespace

std::string program_of(const datapath::Datapath &plane, const dp_process &process) {
    if (process.exe_inode != 0)
        if (auto path = plane.exe_path(process.exe_dev, process.exe_inode); !path.empty())
            return path;
    return process.tgid != 0 ? executable_of(static_cast<pid_t>(process.tgid), process.start_ns)
                             : std::string();
}

protocol::Hold hold_message(Core &core, const datapath::Datapath &plane, const dp_event &event) {
    protocol::Hold m;
    m.set_id(hold_id(plane.compartment(), event.generation));
    m.set_state("held");
    m.set_layer(store::layer_name(static_cast<std::uint16_t>(event.layer)));
    m.set_filter(event.filter_id);
    m.set_callout(callout_word(core.engine->policy(), event.filter_id));
    m.set_deadline_ms(-1);
    m.set_compartment(plane.compartment());
    set_process(plane, event.process, m);
    set_ends(event.flow, !is_operation_layer(static_cast<std::uint16_t>(event.layer)), m);
    return m;
}

protocol::Hold hold_message(Core &core, const datapath::Datapath &plane, const Waiting &hold) {
    const std::uint64_t now = monotonic_ns();
    protocol::Hold m;
    m.set_id(hold.id());
    m.set_state(state_word(hold.state));
    m.set_layer(store::layer_name(hold.layer));
    m.set_filter(hold.filter);
    m.set_callout(callout_word(core.engine->policy(), hold.filter));
    m.set_host(hold.host);
    m.set_age_ms(now > hold.asked_ns ? (now - hold.asked_ns) / 1000000 : 0);
    m.set_deadline_ms(-1);
    if (hold.deadline_ns != 0)
        m.set_deadline_ms(hold.deadline_ns > now
                              ? static_cast<std::int64_t>((hold.deadline_ns - now) / 1000000)
                              : 0);
    m.set_compartment(plane.compartment());
    set_process(plane, hold.process, m);
    set_ends(hold.key, !hold.operation, m);
    m.set_packets(hold.packets);
    m.set_bytes(hold.bytes);
    return m;
}

std::string address_text(const dp_addr &address, std::uint16_t port) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.hi == 0 && (address.lo & ~0xffffffffull) == v4_mapped_prefix) {
        const std::uint32_t v4 = htonl(static_cast<std::uint32_t>(address.lo));
        ::inet_ntop(AF_INET, &v4, text, sizeof text);
        return std::string(text) + ":" + std::to_string(port);
    }
    const std::uint64_t halves[2] = {htobe64(address.hi), htobe64(address.lo)};
    ::inet_ntop(AF_INET6, halves, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(port);
}

std::string protocol_text(std::uint8_t protocol) {
    switch (protocol) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_ICMPV6:
        return "icmpv6";
    default:
        return std::to_string(protocol);
    }
}

void hold_list(Core &core, const Responder &to) {
    std::vector<protocol::Hold> all;
    for (const auto &[compartment, plane] : core.planes->all())
        each_waiting(*plane, [&, p = plane.get()](const Waiting &hold) {
            all.push_back(hold_message(core, *p, hold));
            return true;
        });
    std::sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.id() < b.id(); });
    send_pages(all, to, [](protocol::Reply &reply, const protocol::Hold *entry) {
        auto *list = reply.mutable_holds();
        if (entry != nullptr) *list->add_holds() = *entry;
    });
}

} // namespace sluice::daemon
