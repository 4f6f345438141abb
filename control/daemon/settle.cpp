// SPDX-License-Identifier: Apache-2.0
#include "daemon/settle.h"

#include <cstring>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

namespace sluice::daemon {

namespace {

constexpr std::uint64_t second_ns = 1000000000ull;
constexpr std::uint64_t established_idle_ns = 5ull * 24 * 3600 * second_ns;
constexpr std::uint64_t settle_patience_ns =
    2 * second_ns; // after this an entry that would not be settled goes

bool past(std::uint64_t since_ns, std::uint64_t limit_ns, std::uint64_t now_ns) {
    return now_ns > since_ns && now_ns - since_ns > limit_ns;
}

std::uint64_t tcp_idle_limit(const dp_flow &flow) {
    const std::uint32_t both = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE;
    if ((flow.flags & DP_FLOW_RST) || (flow.flags & both) == both) return DP_CLOSED_LINGER_NS;
    return established_idle_ns;
}

Fate idle_fate(const dp_flow &flow, std::uint8_t protocol, std::uint64_t now) {
    std::uint64_t limit = protocol == IPPROTO_TCP ? tcp_idle_limit(flow) : DP_UDP_IDLE_NS;
    if (flow.state == DP_FLOW_BLOCKED) limit = DP_BLOCKED_LINGER_NS;
    return past(flow.seen_ns, limit, now) ? Fate::remove : Fate::keep;
}

} // namespace

bool is_open(const dp_flow &flow) {
    return flow.state == DP_FLOW_ASKED || flow.state == DP_FLOW_HELD ||
           flow.state == DP_FLOW_DRAINING;
}

Fate fate_of(const dp_flow &flow, std::uint8_t protocol, std::uint64_t now,
             std::uint64_t watchdog) {
    switch (flow.state) {
    case DP_FLOW_ASKED:
        if (past(flow.asked_ns, watchdog + settle_patience_ns, now)) return Fate::remove;
        return past(flow.asked_ns, watchdog, now) ? Fate::expire : Fate::keep;
    case DP_FLOW_HELD:
        if (flow.deadline_ns == 0) return Fate::keep;
        if (past(flow.deadline_ns, settle_patience_ns, now)) return Fate::remove;
        return now > flow.deadline_ns ? Fate::expire : Fate::keep;
    case DP_FLOW_DRAINING:
        return past(std::max(flow.asked_ns, flow.seen_ns), watchdog, now) ? Fate::drain
                                                                          : Fate::keep;
    case DP_FLOW_PERMITTED:
    case DP_FLOW_BLOCKED:
        return idle_fate(flow, protocol, now);
    default:
        return past(flow.created_ns, watchdog + settle_patience_ns, now) ? Fate::remove
                                                                         : Fate::keep;
    }
}

dp_downcall flow_answer(const dp_flow_key &key, const dp_flow &flow, bool expired) {
    const bool permit = flow.flags & DP_FLOW_PERMIT_ON_LOSS;
    // A permit by PERMIT_IF_CALLOUT_UNREGISTERED is the filter's own: soft unless the filter clears
    // the right.
    const bool soft = permit && !(flow.eval.row_flags & DP_ROW_CLEAR_ACTION_RIGHT);
    dp_downcall head{};
    head.magic = DP_DOWNCALL_MAGIC;
    head.version = DP_LAYOUT_VERSION;
    head.kind = flow.state == DP_FLOW_HELD ? DP_DOWNCALL_COMPLETE : DP_DOWNCALL_ANSWER;
    head.flags = expired ? DP_DOWNCALL_EXPIRED : 0;
    head.ticket = flow.ticket;
    head.filter_id = flow.eval.asked_id;
    head.action = permit ? DP_ACTION_PERMIT : DP_ACTION_BLOCK;
    head.rights = soft ? DP_RIGHT_ACTION_WRITE : 0;
    head.key = key;
    return head;
}

dp_downcall ticket_answer(std::uint64_t number, const dp_ticket &ticket, bool expired) {
    const bool soft = ticket.permit_on_loss && !(ticket.eval.row_flags & DP_ROW_CLEAR_ACTION_RIGHT);
    dp_downcall head{};
    head.magic = DP_DOWNCALL_MAGIC;
    head.version = DP_LAYOUT_VERSION;
    head.kind = DP_DOWNCALL_ANSWER;
    head.flags = expired ? DP_DOWNCALL_EXPIRED : 0;
    head.ticket = number;
    head.filter_id = ticket.eval.asked_id;
    head.action = ticket.permit_on_loss ? DP_ACTION_PERMIT : DP_ACTION_BLOCK;
    head.rights = soft ? DP_RIGHT_ACTION_WRITE : 0;
    return head;
}

const std::vector<FoundFrame> *Settler::frames_of(std::uint64_t ticket) {
    if (!index_) index_ = index_frames(port_->umem().bytes());
    const auto it = index_->find(ticket);
    return it == index_->end() ? nullptr : &it->second;
}

std::span<const std::byte> Settler::packet_of(const FoundFrame &frame) const {
    return std::span<const std::byte>(port_->umem().bytes())
        .subspan(frame.packet_offset, frame.packet_bytes);
}

void Settler::send(const dp_downcall &head, std::span<const std::byte> packet) {
    if (auto r = port_->send_down(downcall_frame(head, packet)); !r)
        spdlog::warn("port of host {}: {}", port_->host(), r.error().text());
}

void Settler::flow(const dp_flow_key &key, const dp_flow &flow, bool expired) {
    if (port_ == nullptr) return plane_.delete_flow(key);
    if (flow.state != DP_FLOW_DRAINING) {
        std::span<const std::byte> packet;
        if (const auto *frames = frames_of(flow.ticket))
            for (const auto &frame : *frames)
                if (frame.kind == DP_UPCALL_CLASSIFY &&
                    std::memcmp(&frame.key, &key, sizeof key) == 0)
                    packet = packet_of(frame);
        const dp_downcall head = flow_answer(key, flow, expired);
        send(head, packet);
        if (head.action != DP_ACTION_PERMIT) return;
    }
    release_queued(key, flow);
}

void Settler::release_queued(const dp_flow_key &key, const dp_flow &flow) {
    const auto *frames = frames_of(flow.ticket);
    if (frames == nullptr) return;
    dp_downcall head = flow_answer(key, flow, false);
    head.kind = DP_DOWNCALL_RELEASE;
    for (const auto &frame : *frames) {
        // What its host had begun to send may be on its way: losing a datagram is allowed, doubling
        // it is not.
        if (frame.kind != DP_UPCALL_QUEUED || frame.answered) continue;
        if (std::memcmp(&frame.key, &key, sizeof key) == 0) send(head, packet_of(frame));
    }
}

void Settler::drain(const dp_flow_key &key, const dp_flow &flow) {
    if (port_ == nullptr) return plane_.delete_flow(key);
    dp_downcall head = flow_answer(key, flow, false);
    head.kind = DP_DOWNCALL_DISCARD;
    head.count = flow.up > flow.down ? flow.up - flow.down : 0;
    send(head, {});
}

void Settler::ticket(std::uint64_t number, const dp_ticket &ticket, bool expired) {
    if (port_ == nullptr) return plane_.delete_ticket(number);
    std::span<const std::byte> packet;
    if (const auto *frames = frames_of(number)) packet = packet_of(frames->front());
    send(ticket_answer(number, ticket, expired), packet);
}

std::size_t Settler::all_of(std::uint32_t host) {
    std::vector<std::pair<dp_flow_key, dp_flow>> flows;
    plane_.each_flow([&](const dp_flow_key &key, const dp_flow &f) {
        if (f.host == host && is_open(f)) flows.emplace_back(key, f);
        return true;
    });
    std::vector<std::pair<std::uint64_t, dp_ticket>> tickets;
    plane_.each_ticket([&](std::uint64_t number, const dp_ticket &t) {
        if (t.host == host) tickets.emplace_back(number, t);
        return true;
    });
    for (const auto &[key, f] : flows)
        flow(key, f, false);
    for (const auto &[number, t] : tickets)
        ticket(number, t, false);
    return flows.size() + tickets.size();
}

void Settler::clear(std::uint32_t host) {
    std::vector<std::pair<dp_flow_key, dp_flow>> flows;
    plane_.each_flow([&](const dp_flow_key &key, const dp_flow &f) {
        if (f.host == host && is_open(f)) flows.emplace_back(key, f);
        return true;
    });
    for (const auto &[key, f] : flows) {
        // Draining means permitted: the missing packets are given up. Others are judged anew by
        // their next packet.
        if (f.state == DP_FLOW_DRAINING && port_ != nullptr)
            drain(key, f);
        else
            plane_.delete_flow(key);
    }
    std::vector<std::uint64_t> tickets;
    plane_.each_ticket([&](std::uint64_t number, const dp_ticket &t) {
        if (t.host == host) tickets.push_back(number);
        return true;
    });
    for (std::uint64_t number : tickets)
        plane_.delete_ticket(number);
}

} // namespace sluice::daemon
