// SPDX-License-Identifier: Apache-2.0
#include "runtime/downcall.h"

#include <algorithm>
#include <cstring>

namespace sluice::runtime {

namespace {

dp_downcall make(dp_downcall_kind kind, const Upcall &upcall, const Answer &answer,
                 std::uint32_t count) {
    dp_downcall d = downcall_of(kind);
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

bool send_alone(xsk::PortIo &port, const dp_downcall &d, std::span<const std::byte> body = {}) {
    auto frame = port.allocate();
    const auto length = static_cast<std::uint32_t>(sizeof d + body.size());
    if (!frame || !frame->set_bounds(0, length)) return false;
    std::memcpy(frame->bytes().data(), &d, sizeof d);
    std::copy(body.begin(), body.end(), frame->bytes().begin() + sizeof d);
    return port.send(*std::move(frame));
}

} // namespace

dp_downcall downcall_of(dp_downcall_kind kind) {
    dp_downcall d{};
    d.magic = DP_DOWNCALL_MAGIC;
    d.version = DP_LAYOUT_VERSION;
    d.kind = static_cast<__u8>(kind);
    return d;
}

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

bool send_redirection(xsk::PortIo &port, const Upcall &upcall, const Redirection &redirection) {
    const dp_downcall d = make(DP_DOWNCALL_REDIRECT, upcall, Answer{DP_ACTION_NONE, 0}, 0);
    dp_redirect_request request = redirection.request;
    const auto *context = redirection.context
                              ? static_cast<const std::byte *>(redirection.context->memory.get())
                              : nullptr;
    std::array<std::byte, sizeof request + DP_REDIRECT_PIECE> body;
    std::uint32_t sent = 0;
    do {
        request.context_offset = sent;
        request.piece = std::min<std::uint32_t>(request.context_bytes - sent, DP_REDIRECT_PIECE);
        std::memcpy(body.data(), &request, sizeof request);
        std::copy_n(context + sent, request.piece, body.begin() + sizeof request);
        if (!send_alone(port, d, std::span(body).first(sizeof request + request.piece)))
            return false;
        sent += request.piece;
    } while (sent < request.context_bytes);
    return true;
}

bool send_contexts(xsk::PortIo &port, const ContextOrder &order) {
    dp_downcall d = downcall_of(DP_DOWNCALL_CONTEXT);
    d.ticket = order.ticket;
    d.filter_id = order.number;
    d.key = order.flow;
    d.contexts_set = order.set;
    d.contexts_clear = order.clear;
    return send_alone(port, d);
}

} // namespace sluice::runtime
