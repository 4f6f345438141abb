// SPDX-License-Identifier: Apache-2.0
#include "runtime/downcall.h"

#include <cstring>

namespace sluice::runtime {

namespace {

dp_downcall make(dp_downcall_kind kind, const Upcall &upcall, const Answer &answer,
                 std::uint32_t count) {
    dp_downcall d{};
    d.magic = DP_DOWNCALL_MAGIC;
    d.version = DP_LAYOUT_VERSION;
    d.kind = static_cast<__u8>(kind);
    d.flags = static_cast<__u16>((answer.absorb ? DP_DOWNCALL_ABSORB : 0) |
                                 (answer.close ? DP_DOWNCALL_CLOSE : 0) |
                                 (upcall.of_operation() ? DP_DOWNCALL_OPERATION : 0));
    d.ticket = upcall.header.ticket;
    d.filter_id = upcall.header.filter_id;
    d.action = answer.action;
    d.rights = answer.rights;
    d.count = count;
    d.generation = static_cast<__u32>(upcall.header.generation);
    d.contexts_set = answer.contexts;
    if (upcall.at_flow()) d.key = upcall.header.key;
    if (kind == DP_DOWNCALL_RELEASE && upcall.of_operation()) { // there is no flow to say it
        d.inject.ifindex = upcall.header.ifindex;
        d.inject.kind =
            upcall.header.direction == DP_DIRECTION_INBOUND ? DP_INJECT_RECEIVE : DP_INJECT_SEND;
    }
    return d;
}

bool send_alone(xsk::PortIo &port, const dp_downcall &d) {
    auto frame = port.allocate();
    if (!frame || !frame->set_bounds(0, sizeof d)) return false;
    std::memcpy(frame->bytes().data(), &d, sizeof d);
    return port.send(*std::move(frame));
}

} // namespace

bool send_with_packet(xsk::PortIo &port, dp_downcall_kind kind, const Upcall &upcall,
                      const Answer &answer, xsk::Frame frame) {
    static_assert(sizeof(dp_downcall) <= sizeof(dp_upcall));
    if (!frame) return false;
    const std::uint32_t shift =
        upcall.packet_offset - static_cast<std::uint32_t>(sizeof(dp_downcall));
    const auto length = static_cast<std::uint32_t>(frame.bytes().size()) - shift;
    if (!frame.set_bounds(frame.offset() + shift, length)) return false;
    const dp_downcall d = make(kind, upcall, answer, 0);
    std::memcpy(frame.bytes().data(), &d, sizeof d);
    return port.send(std::move(frame));
}

bool send_bare(xsk::PortIo &port, dp_downcall_kind kind, const Upcall &upcall, const Answer &answer,
               std::uint32_t count) {
    return send_alone(port, make(kind, upcall, answer, count));
}

bool send_contexts(xsk::PortIo &port, const ContextOrder &order) {
    dp_downcall d{};
    d.magic = DP_DOWNCALL_MAGIC;
    d.version = DP_LAYOUT_VERSION;
    d.kind = DP_DOWNCALL_CONTEXT;
    d.ticket = order.ticket;
    d.filter_id = order.number;
    d.key = order.flow;
    d.contexts_set = order.set;
    d.contexts_clear = order.clear;
    return send_alone(port, d);
}

} // namespace sluice::runtime
