// SPDX-License-Identifier: Apache-2.0
#include "daemon/live_flows.h"

#include <memory>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

#include "daemon/planes.h"
#include "daemon/socket_destroy.h"

namespace sluice::daemon {

namespace {

Judged judge(datapath::Datapath &plane, const dp_flow_key &key, std::uint32_t due = 0) {
    const auto result = plane.judge(key, due);
    if (!result) return Judged::left; // its next packet is judged all the same
    if (*result == DP_JUDGE_BLOCK) return Judged::blocked;
    return *result == DP_JUDGE_ASK ? Judged::left : Judged::permitted;
}

// Datagrams have no connection to cut: what is sent from now on is refused.
Result<void> cut(datapath::Datapath &plane, const dp_flow_key &key) {
    if (key.protocol != IPPROTO_TCP) return {};
    const auto flow = plane.flow(key);
    return plane.ns().enter([&] { return destroy_connection(key, flow ? flow->ifindex : 0); });
}

// Nothing is left to cut: its next packet, should there be one, is judged by the kernel.
bool is_over(const dp_flow &flow) {
    constexpr auto both = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE;
    return (flow.flags & DP_FLOW_RST) != 0 || (flow.flags & both) == both;
}

bool look(const datapath::Datapath &plane, datapath::Datapath::FlowPlace &place,
          std::uint64_t generation, std::vector<dp_flow_key> &older) {
    return plane.some_flows(place, [&](const dp_flow_key &key, const dp_flow &flow) {
        const bool old =
            flow.state == DP_FLOW_PERMITTED && flow.generation < generation && !is_over(flow);
        // one whose packet was judged before this got to it
        const bool to_cut = flow.state == DP_FLOW_BLOCKED && (flow.flags & DP_FLOW_TO_CUT) != 0;
        if (old || to_cut) older.push_back(key);
        return true;
    });
}

} // namespace

std::vector<LiveFlows> live_flows(const Planes &planes) {
    std::vector<LiveFlows> out;
    for (const auto &[compartment, owned] : planes.all()) {
        auto *plane = owned.get(); // ends with forget() before it ends itself
        auto place = std::make_shared<datapath::Datapath::FlowPlace>();
        out.push_back({.compartment = compartment,
                       .look =
                           [plane, place](std::uint64_t generation, auto &older) {
                               return look(*plane, *place, generation, older);
                           },
                       .judge = [plane](const dp_flow_key &key) { return judge(*plane, key); },
                       .cut = [plane](const dp_flow_key &key) { return cut(*plane, key); }});
    }
    return out;
}

void cut_if_blocked(datapath::Datapath &plane, const dp_flow_key &key, std::uint32_t due) {
    if (judge(plane, key, due) != Judged::blocked) return;
    if (auto done = cut(plane, key); !done)
        spdlog::warn("cut a blocked connection: {}", done.error().text());
}

} // namespace sluice::daemon
