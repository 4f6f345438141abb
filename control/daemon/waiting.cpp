// SPDX-License-Identifier: Apache-2.0
#include "daemon/waiting.h"

#include "daemon/lists.h"
#include "daemon/settle.h"

namespace sluice::daemon {

namespace {

std::uint16_t layer_of_question(const dp_flow &flow) {
    if ((flow.flags & DP_FLOW_ESTABLISHING) == 0) return flow.layer;
    const bool v4 = flow.layer == DP_LAYER_ALE_AUTH_CONNECT_V4 ||
                    flow.layer == DP_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    return v4 ? DP_LAYER_ALE_FLOW_ESTABLISHED_V4 : DP_LAYER_ALE_FLOW_ESTABLISHED_V6;
}

} // namespace

std::uint64_t Waiting::id() const {
    return hold_id(compartment, ticket);
}

bool is_operation_layer(std::uint16_t layer) {
    switch (layer) {
    case DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V4:
    case DP_LAYER_ALE_RESOURCE_ASSIGNMENT_V6:
    case DP_LAYER_ALE_AUTH_LISTEN_V4:
    case DP_LAYER_ALE_AUTH_LISTEN_V6:
        return true;
    default:
        return false;
    }
}

Waiting waiting_of(std::uint32_t compartment, const dp_flow_key &key, const dp_flow &flow) {
    return {.compartment = compartment,
            .ticket = flow.ticket,
            .key = key,
            .state = flow.state,
            .layer = layer_of_question(flow),
            .host = flow.host,
            .asked_ns = flow.asked_ns,
            .deadline_ns = flow.deadline_ns,
            .filter = question_of(flow).asked_id,
            .process = flow.process,
            .packets = flow.packets,
            .bytes = flow.bytes};
}

Waiting waiting_of(std::uint32_t compartment, std::uint64_t ticket, const dp_operation &operation) {
    Waiting w{.compartment = compartment,
              .ticket = ticket,
              .operation = true,
              .state = operation.state,
              .layer = operation.layer,
              .host = operation.host,
              .asked_ns = operation.asked_ns,
              .deadline_ns = operation.deadline_ns,
              .filter = operation.eval.asked_id,
              .process = operation.process,
              .packets = operation.up - operation.down,
              .bytes = operation.queue_bytes};
    w.key.local = operation.address;
    w.key.local_port = operation.port;
    w.key.protocol = static_cast<std::uint8_t>(operation.key.number[DP_SLOT_PROTOCOL]);
    return w;
}

void each_waiting(const datapath::Datapath &plane,
                  const std::function<bool(const Waiting &)> &visit) {
    bool on = true;
    plane.each_flow([&](const dp_flow_key &key, const dp_flow &flow) {
        return on = !is_open(flow) || visit(waiting_of(plane.compartment(), key, flow));
    });
    if (!on) return;
    plane.each_operation([&](std::uint64_t ticket, const dp_operation &operation) {
        return !is_open(operation) || visit(waiting_of(plane.compartment(), ticket, operation));
    });
}

} // namespace sluice::daemon
