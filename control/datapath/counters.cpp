// SPDX-License-Identifier: Apache-2.0
#include "datapath/counters.h"

#include <array>

#include "datapath/datapath_state.h"
#include "shared/verdict.h"

namespace sluice::datapath {
namespace {

// The words of enum dp_reason, as bpftool prints them, in its order.
constexpr std::array reason_names = {
    "DP_REASON_NONE",
    "DP_REASON_FILTER_BLOCK",
    "DP_REASON_CALLOUT_BLOCK",
    "DP_REASON_CALLOUT_UNREGISTERED",
    "DP_REASON_FLOW_BLOCKED",
    "DP_REASON_HELD",
    "DP_REASON_HOLD_QUOTA",
    "DP_REASON_HOLD_EXPIRED",
    "DP_REASON_FLOWS_FULL",
    "DP_REASON_TICKETS_FULL",
    "DP_REASON_PORT_GONE",
    "DP_REASON_PORT_FRAME_TOO_BIG",
    "DP_REASON_NO_NIC",
    "DP_REASON_TOO_MANY_HOPS",
    "DP_REASON_TRUNCATED",
    "DP_REASON_MALFORMED",
    "DP_REASON_EXT_HEADERS",
    "DP_REASON_VLAN_DEPTH",
    "DP_REASON_FRAGMENT",
    "DP_REASON_DOWNCALL_MALFORMED",
    "DP_REASON_DOWNCALL_UNKNOWN_FLOW",
    "DP_REASON_DOWNCALL_STALE",
    "DP_REASON_DOWNCALL_FOREIGN",
    "DP_REASON_DOWNCALL_MISMATCH",
    "DP_REASON_DOWNCALL_STATE",
    "DP_REASON_PORT_FOREIGN_FRAME",
    "DP_REASON_POLICY_MISSING",
    "DP_REASON_INTERNAL",
    "DP_REASON_FLOW_CREATED",
    "DP_REASON_HOLD_OPENED",
    "DP_REASON_HOLD_PERMITTED",
    "DP_REASON_HOLD_BLOCKED",
    "DP_REASON_UPCALL",
    "DP_REASON_DOWNCALL",
    "DP_REASON_REJECT_SENT",
    "DP_REASON_DISCARDED",
    "DP_REASON_VALUE_UNKNOWN",
    "DP_REASON_FRAGMENT_OVERLAP",
    "DP_REASON_LISTEN_BLOCKED",
    "DP_REASON_WORK_FULL",
    "DP_REASON_EVENTS_LOST",
    "DP_REASON_REAUTHORIZED",
    "DP_REASON_HOST_QUOTA",
    "DP_REASON_PROCESS_QUOTA",
    "DP_REASON_BIND_BLOCKED",
    "DP_REASON_INJECT_REFUSED",
    "DP_REASON_ENDS_FULL",
    "DP_REASON_NOTICES_FULL",
    "DP_REASON_HOLD_ABANDONED",
    "DP_REASON_ASK_EXPIRED",
    "DP_REASON_FLOW_ENDED",
    "DP_REASON_CONTEXT_SET",
    "DP_REASON_INJECTED",
    "DP_REASON_REDIRECTED",
    "DP_REASON_BIND_REDIRECTED",
    "DP_REASON_REDIRECT_LEARNED",
    "DP_REASON_REDIRECT_ENDED",
    "DP_REASON_REDIRECT_LOOP",
    "DP_REASON_RECORDS_SET",
    "DP_REASON_REDIRECT_CHAIN",
    "DP_REASON_REDIRECT_HANDLE",
    "DP_REASON_REDIRECT_TARGET",
    "DP_REASON_REDIRECT_ROUTE",
    "DP_REASON_REDIRECT_AGAIN",
    "DP_REASON_REDIRECTS_FULL",
    "DP_REASON_RECORDS_FORGED",
    "DP_REASON_RECORDS_FOREIGN",
    "DP_REASON_RECORDS_OLD",
    "DP_REASON_BIND_TAKEN",
    "DP_REASON_INJECT_NOT_TRANSIT",
    "DP_REASON_INJECT_NO_ROUTE",
    "DP_REASON_INJECT_TOO_BIG",
    "DP_REASON_INJECT_LOOP",
    "DP_REASON_FLOW_CACHED",
};
static_assert(reason_names.size() == DP_REASONS, "one word for each reason");

struct LayerName {
    std::uint32_t layer;
    const char *name;
};
#define LAYER(name)                                                                                \
    { DP_LAYER_##name, "DP_LAYER_" #name }
constexpr LayerName layer_names[] = {
    LAYER(INBOUND_IPPACKET_V4),
    LAYER(INBOUND_IPPACKET_V6),
    LAYER(OUTBOUND_IPPACKET_V4),
    LAYER(OUTBOUND_IPPACKET_V6),
    LAYER(IPFORWARD_V4),
    LAYER(IPFORWARD_V6),
    LAYER(INBOUND_TRANSPORT_V4),
    LAYER(INBOUND_TRANSPORT_V6),
    LAYER(OUTBOUND_TRANSPORT_V4),
    LAYER(OUTBOUND_TRANSPORT_V6),
    LAYER(INBOUND_ICMP_ERROR_V4),
    LAYER(INBOUND_ICMP_ERROR_V6),
    LAYER(OUTBOUND_ICMP_ERROR_V4),
    LAYER(OUTBOUND_ICMP_ERROR_V6),
    LAYER(DATAGRAM_DATA_V4),
    LAYER(DATAGRAM_DATA_V6),
    LAYER(ALE_RESOURCE_ASSIGNMENT_V4),
    LAYER(ALE_RESOURCE_ASSIGNMENT_V6),
    LAYER(ALE_AUTH_LISTEN_V4),
    LAYER(ALE_AUTH_LISTEN_V6),
    LAYER(ALE_AUTH_RECV_ACCEPT_V4),
    LAYER(ALE_AUTH_RECV_ACCEPT_V6),
    LAYER(ALE_AUTH_CONNECT_V4),
    LAYER(ALE_AUTH_CONNECT_V6),
    LAYER(ALE_FLOW_ESTABLISHED_V4),
    LAYER(ALE_FLOW_ESTABLISHED_V6),
    LAYER(INBOUND_MAC_FRAME_ETHERNET),
    LAYER(OUTBOUND_MAC_FRAME_ETHERNET),
    LAYER(ALE_RESOURCE_RELEASE_V4),
    LAYER(ALE_RESOURCE_RELEASE_V6),
    LAYER(ALE_ENDPOINT_CLOSURE_V4),
    LAYER(ALE_ENDPOINT_CLOSURE_V6),
    LAYER(ALE_CONNECT_REDIRECT_V4),
    LAYER(ALE_CONNECT_REDIRECT_V6),
    LAYER(ALE_BIND_REDIRECT_V4),
    LAYER(ALE_BIND_REDIRECT_V6),
};
#undef LAYER
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
    for (const std::uint64_t entry : state_->filter_hits.keys())
        for (const dp_hits &hits : state_->filter_hits.find(entry))
            for (std::uint64_t i = 0; i < DP_HITS; ++i)
                if (hits.count[i] != 0) all[entry * DP_HITS + i] += hits.count[i];
    return all;
}

} // namespace sluice::datapath
