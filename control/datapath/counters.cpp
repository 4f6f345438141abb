// SPDX-License-Identifier: Apache-2.0
#include "datapath/counters.h"

#include <array>

#include "datapath/datapath_state.h"
#include "shared/verdict.h"

namespace sluice::datapath {
namespace {

// In the order of enum dp_reason.
constexpr std::array reason_names = {
    "none", "filter_block", "callout_block", "callout_unregistered", "flow_blocked", "held",
    "hold_quota", "hold_expired", "flows_full", "tickets_full", "port_gone", "port_frame_too_big",
    "no_nic", "too_many_hops", "truncated", "malformed", "ext_headers", "vlan_depth", "fragment",
    "downcall_malformed", "downcall_unknown_flow", "downcall_stale", "downcall_foreign",
    "downcall_mismatch", "downcall_state", "port_foreign_frame", "policy_missing", "internal",
    "flow_created", "hold_opened", "hold_permitted", "hold_blocked", "upcall", "downcall",
    "reject_sent", "discarded",
};
static_assert(reason_names.size() == DP_REASONS, "one word for each reason");

struct LayerName {
    std::uint32_t layer;
    const char *name;
};
constexpr LayerName layer_names[] = {
    {DP_LAYER_INBOUND_IPPACKET_V4, "inbound_ippacket_v4"},
    {DP_LAYER_INBOUND_IPPACKET_V6, "inbound_ippacket_v6"},
    {DP_LAYER_ALE_AUTH_CONNECT_V4, "ale_auth_connect_v4"},
    {DP_LAYER_ALE_AUTH_CONNECT_V6, "ale_auth_connect_v6"},
};
constexpr const char *slot_names[] = {"permit", "block", "callout"};

template <typename Count>
Counter sum(const PerCpuMap<std::uint32_t, Count> &map, std::uint32_t index, const char *group,
            std::string name) {
    Counter counter{group, std::move(name)};
    for (const Count &count : map.find(index)) {
        counter.packets += count.packets;
        counter.bytes += count.bytes;
    }
    return counter;
}

} // namespace

std::string_view reason_name(std::uint32_t reason) {
    return reason < reason_names.size() ? reason_names[reason] : std::string_view();
}

std::string_view layer_name(std::uint32_t layer) {
    for (const LayerName &entry : layer_names)
        if (entry.layer == layer) return entry.name;
    return {};
}

std::vector<Counter> Datapath::counters() const {
    std::vector<Counter> all;
    for (std::uint32_t i = DP_REASON_NONE + 1; i < DP_REASONS; i++)
        all.push_back(sum(state_->reasons, i, "reason", reason_names[i]));
    for (const LayerName &entry : layer_names)
        for (std::uint32_t slot = 0; slot < std::size(slot_names); slot++)
            all.push_back(sum(state_->layers, entry.layer * DP_LAYER_SLOTS + slot, "layer",
                              std::string(entry.name) + "." + slot_names[slot]));
    return all;
}

std::map<std::uint64_t, std::uint64_t> Datapath::filter_hits() const {
    std::map<std::uint64_t, std::uint64_t> all;
    for (const std::uint64_t id : state_->filter_hits.keys()) {
        std::uint64_t hits = 0;
        for (const std::uint64_t count : state_->filter_hits.find(id)) hits += count;
        all.emplace(id, hits);
    }
    return all;
}

} // namespace sluice::datapath
