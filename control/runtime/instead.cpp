// SPDX-License-Identifier: Apache-2.0
#include "runtime/instead.h"

#include <cstring>

#include "runtime/injection_frame.h"

namespace sluice::runtime {

namespace {

dp_downcall head_of(const xsk::Frame &frame) {
    dp_downcall d;
    std::memcpy(&d, frame.bytes().data(), sizeof d);
    return d;
}

void set_head(xsk::Frame &frame, const dp_downcall &d) {
    std::memcpy(frame.bytes().data(), &d, sizeof d);
}

// Those whose packets a host injects where they go on.
bool injects_back(std::uint16_t layer, std::uint16_t kind) {
    switch (layer) {
    case DP_LAYER_INBOUND_IPPACKET_V4:
    case DP_LAYER_INBOUND_IPPACKET_V6:
    case DP_LAYER_INBOUND_TRANSPORT_V4:
    case DP_LAYER_INBOUND_TRANSPORT_V6:
        return kind == DP_INJECT_RECEIVE;
    case DP_LAYER_OUTBOUND_IPPACKET_V4:
    case DP_LAYER_OUTBOUND_IPPACKET_V6:
    case DP_LAYER_OUTBOUND_TRANSPORT_V4:
    case DP_LAYER_OUTBOUND_TRANSPORT_V6:
        return kind == DP_INJECT_SEND;
    default:
        return false;
    }
}

// All that filters look at: not the class, the number, the hop limit and the sums.
bool same_headers(std::span<const std::byte> a, std::span<const std::byte> b, std::size_t header,
                  std::size_t ports) {
    constexpr std::byte version{0xF0}, dont_fragment{0x40};
    const std::size_t all = header + ports;
    if (a.size() < all || b.size() < all || header < 20) return false;
    const bool v6 = (a[0] & version) == std::byte{0x60};
    const auto counts = [&](std::size_t i) {
        if (v6) return i >= 4 && i != 7;
        return i == 0 || (i != 1 && (i < 4 || i > 6) && i != 8 && i != 10 && i != 11);
    };
    if ((a[0] & version) != (b[0] & version)) return false;
    if (!v6 && (a[6] & ~dont_fragment) != (b[6] & ~dont_fragment)) return false;
    for (std::size_t i = 0; i < all; ++i)
        if (counts(i) && a[i] != b[i]) return false;
    return true;
}

} // namespace

bool stands_alone(const Upcall &question) {
    return (question.header.flags & DP_UPCALL_ALONE) && !question.at_flow() &&
           !question.of_operation();
}

std::optional<Upcall> asked_again(const Upcall &question, std::span<const std::byte> asked,
                                  const xsk::Frame &frame, std::uint32_t host) {
    constexpr std::uint8_t icmp = 1, icmp6 = 58;
    const dp_upcall &was = question.header;
    const auto bytes = frame.bytes();
    if (bytes.size() < before_packet || asked.size() < was.ip_offset) return std::nullopt;
    const dp_downcall d = head_of(frame);
    if (d.kind != DP_DOWNCALL_INJECT || !injects_back(was.layer, d.inject.kind) ||
        d.count > DP_INJECT_TIMES_MAX || (d.inject.ifindex && d.inject.ifindex != was.ifindex))
        return std::nullopt;
    const auto ip = asked.subspan(was.ip_offset);
    const std::size_t least = ip.empty() || (ip[0] & std::byte{0xF0}) == std::byte{0x60} ? 40 : 20;
    const std::size_t header = was.l4_offset > was.ip_offset ? was.l4_offset - was.ip_offset : 0;
    const bool type_and_code = was.key.protocol == icmp || was.key.protocol == icmp6;
    if (!same_headers(ip, bytes.subspan(before_packet), header ? header : least,
                      !header         ? 0
                      : type_and_code ? 2
                                      : 4))
        return std::nullopt;
    Upcall out;
    out.header = was;
    out.header.ticket = 0;
    out.header.ip_offset = ethernet_header;
    out.header.l4_offset = static_cast<__u16>(header ? ethernet_header + header : 0);
    dp_injected &by = out.header.injected;
    by = {host,
          d.inject.handle,
          d.inject.previous,
          static_cast<__u16>(d.count),
          d.inject.previous_host,
          d.inject.context};
    out.packet_offset = before_frame;
    return out;
}

void answer_ahead(const Upcall &again, const Answer &answer, xsk::Frame &frame) {
    const dp_upcall &h = again.header;
    dp_downcall d = head_of(frame);
    d.ahead = {};
    d.ahead.filter_id = h.filter_id;
    d.ahead.action = answer.action;
    d.ahead.rights = static_cast<__u16>(answer.rights);
    d.ahead.running_action = h.action;
    d.ahead.running_rights = h.rights;
    d.ahead.flags = answer.absorb ? DP_DOWNCALL_ABSORB : 0;
    d.ahead.ifindex = h.ifindex;
    d.ahead.generation = static_cast<__u32>(h.generation);
    d.contexts_set |= answer.contexts;
    set_head(frame, d);
}

bool send_instead(xsk::PortIo &port, const Upcall &question, const Answer &answer,
                  xsk::Frame frame) {
    dp_downcall d = head_of(frame);
    d.kind = DP_DOWNCALL_INSTEAD;
    d.flags = DP_DOWNCALL_ABSORB;
    d.ticket = question.header.ticket;
    d.filter_id = question.header.filter_id;
    d.action = answer.action;
    d.rights = answer.rights;
    d.generation = static_cast<__u32>(question.header.generation);
    d.contexts_set |= answer.contexts;
    set_head(frame, d);
    return port.send(std::move(frame));
}

} // namespace sluice::runtime
