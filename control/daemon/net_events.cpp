// SPDX-License-Identifier: Apache-2.0
#include "daemon/net_events.h"

#include <arpa/inet.h>
#include <vector>

#include "daemon/lists.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::daemon {

void NetEvents::add(protocol::NetEvent event) {
    if (!collected_) return;
    event.set_id(next_++);
    if (event.text().empty()) event.set_text(text_of(event));
    if (kept_.size() == kept_max) kept_.pop_front();
    kept_.push_back(std::move(event));
    tell_(kept_.back());
}

void NetEvents::collect(bool yes) {
    collected_ = yes;
    if (!yes) kept_.clear();
}

Result<std::vector<protocol::NetEvent>>
NetEvents::find(const protocol::NetEventEnum &wanted) const {
    if (!collected_)
        return policy::refuse(STATUS_FWP_NET_EVENTS_DISABLED, "net events are not collected");
    std::vector<protocol::NetEvent> out;
    for (const auto &event : kept_) {
        if (wanted.id() != 0 && event.id() != wanted.id()) continue;
        if (event.time_ns() < wanted.from_ns()) continue;
        if (wanted.to_ns() != 0 && event.time_ns() > wanted.to_ns()) continue;
        out.push_back(event);
    }
    return out;
}

namespace {

// Of 4 or 16 bytes, the most significant first.
std::string endpoint(const std::string &address, std::uint32_t port) {
    char text[INET6_ADDRSTRLEN] = {};
    const bool v6 = address.size() == 16;
    if (address.size() != 4 && !v6) return "?";
    ::inet_ntop(v6 ? AF_INET6 : AF_INET, address.data(), text, sizeof text);
    const std::string host = v6 ? "[" + std::string(text) + "]" : text;
    return host + ":" + std::to_string(port);
}

} // namespace

std::string text_of(const protocol::NetEvent &e) {
    std::string out = e.type() == FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW ? "allowed " : "dropped ";
    out += protocol_text(static_cast<std::uint8_t>(e.protocol())) + " ";
    const bool inbound = e.direction() == DP_DIRECTION_INBOUND;
    const std::string local = endpoint(e.local(), e.local_port());
    const std::string remote = endpoint(e.remote(), e.remote_port());
    out += inbound ? remote + " -> " + local : local + " -> " + remote;
    out += " at " + store::layer_name(static_cast<std::uint16_t>(e.layer()));
    if (e.filter() != 0) out += " by filter " + std::to_string(e.filter());
    if (!e.filter_name().empty()) out += " '" + e.filter_name() + "'";
    if (!e.reason().empty()) out += ": " + e.reason();
    if (!e.exe().empty()) out += " (" + e.exe() + ")";
    return out;
}

} // namespace sluice::daemon
