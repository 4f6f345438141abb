// SPDX-License-Identifier: Apache-2.0
#include "policy/always.h"

#include <algorithm>
#include <netinet/in.h>

#include <sluice/fwp.h>

#include "policy/check.h"
#include "policy/edit.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

Condition equals(const char *field, Scalar value) {
    return {table_key(field), FWP_MATCH_EQUAL, Value(std::move(value))};
}

Result<std::vector<Condition>> conditions_of(const Filter &asked, const HeldTraffic &traffic) {
    const bool ports = traffic.protocol == IPPROTO_TCP || traffic.protocol == IPPROTO_UDP;
    const Condition program = equals("FWPM_CONDITION_ALE_APP_ID", Text{traffic.program});
    const Condition protocol = equals("FWPM_CONDITION_IP_PROTOCOL", traffic.protocol);
    const Condition remote = equals("FWPM_CONDITION_IP_REMOTE_ADDRESS", traffic.remote_address);
    const Condition own_port = equals("FWPM_CONDITION_IP_LOCAL_PORT", traffic.local_port);
    std::vector<Condition> out{program};
    switch (asked.layer) {
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
        out.insert(out.end(), {protocol, remote});
        if (ports) out.push_back(equals("FWPM_CONDITION_IP_REMOTE_PORT", traffic.remote_port));
        return out;
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
        out.insert(out.end(), {protocol, remote});
        if (ports) out.push_back(own_port);
        return out;
    case FWPS_LAYER_ALE_AUTH_LISTEN_V4:
    case FWPS_LAYER_ALE_AUTH_LISTEN_V6:
        out.push_back(own_port);
        return out;
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
        out.push_back(protocol);
        if (ports && traffic.local_port != 0) out.push_back(own_port); // else not chosen yet
        return out;
    default:
        return refuse(STATUS_FWP_INCOMPATIBLE_LAYER, "there is no filter for always at the layer",
                      layer_name(asked.layer));
    }
}

void mix(std::uint64_t &hash, std::string_view bytes) {
    for (const char c : bytes)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    hash = (hash ^ bytes.size()) * 0x100000001b3ull;
}

// Of the question, not of the answer to it.
Guid key_of(const Filter &asked, const HeldTraffic &traffic) {
    std::string remote;
    if (const auto *v4 = std::get_if<std::uint32_t>(&traffic.remote_address))
        remote.assign(reinterpret_cast<const char *>(v4), sizeof *v4);
    if (const auto *v6 = std::get_if<Bytes16>(&traffic.remote_address))
        remote.assign(v6->begin(), v6->end());
    const bool out = asked.layer == FWPS_LAYER_ALE_AUTH_CONNECT_V4 ||
                     asked.layer == FWPS_LAYER_ALE_AUTH_CONNECT_V6;
    const std::string rest = std::to_string(asked.layer) + "/" + std::to_string(traffic.protocol) +
                             "/" + std::to_string(out ? traffic.remote_port : traffic.local_port);
    const std::string sublayer = asked.sublayer.bytes();
    std::uint64_t halves[2] = {0xcbf29ce484222325ull, 0x84222325cbf29ce4ull};
    for (std::uint64_t &half : halves)
        for (const std::string_view part :
             std::initializer_list<std::string_view>{traffic.program, remote, rest, sublayer})
            mix(half, part);
    return *Guid::from_bytes({reinterpret_cast<const char *>(halves), sizeof halves});
}

bool may_be_persistent(const Policy &policy, const Filter &asked) {
    const auto sublayer = policy.sublayers.find(asked.sublayer);
    if (sublayer == policy.sublayers.end()) return false;
    const Lifetime its = lifetime(sublayer->second);
    return its == Lifetime::persistent || its == Lifetime::built_in;
}

} // namespace

Result<Filter> always_filter(const Policy &policy, const Filter &asked, const HeldTraffic &traffic,
                             std::uint32_t action) {
    if (traffic.program.empty())
        return Error(0, "its program is not known, so there can be no filter for it");
    auto conditions = conditions_of(asked, traffic);
    if (!conditions) return conditions.error();
    Filter filter;
    filter.key = key_of(asked, traffic);
    filter.name = std::string("always ") + (action == FWP_ACTION_PERMIT ? "permit " : "block ") +
                  traffic.program.substr(traffic.program.find_last_of('/') + 1);
    filter.description =
        "by `sluice hold`, before filter " + std::to_string(asked.id) + " '" + asked.name + "'";
    filter.flags = may_be_persistent(policy, asked) ? FWPM_FILTER_FLAG_PERSISTENT : 0;
    filter.layer = asked.layer;
    filter.sublayer = asked.sublayer;
    const std::uint64_t above =
        asked.effective_weight + (asked.effective_weight != ~std::uint64_t{0} ? 1 : 0);
    filter.weight = Scalar(above);
    filter.conditions = std::move(*conditions);
    filter.action = action;
    return filter;
}

Result<bool> add_always(Policy &policy, Filter filter) {
    const auto there = policy.filters.find_key(filter.key);
    if (there != policy.filters.end()) {
        const Filter &old = there->second;
        if (old.action == filter.action && old.weight == filter.weight) return false;
        policy.filters.erase(there);
    }
    const auto id = add_filter(policy, std::move(filter));
    if (!id) return id.error();
    return true;
}

} // namespace sluice::policy
