// SPDX-License-Identifier: Apache-2.0
#include "daemon/settle.h"

#include <cstring>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

namespace sluice::daemon {

namespace {

constexpr std::uint64_t second_ns = 1000000000ull;
constexpr std::uint64_t established_idle_ns = 5ull * 24 * 3600 * second_ns;
constexpr std::uint64_t unanswered_idle_ns = 120 * second_ns; // as long as a SYN may be tried
constexpr std::uint64_t settle_patience_ns =
    2 * second_ns; // after this an entry that would not be settled goes

bool past(std::uint64_t since_ns, std::uint64_t limit_ns, std::uint64_t now_ns) {
    return now_ns > since_ns && now_ns - since_ns > limit_ns;
}

std::uint64_t tcp_idle_limit(const dp_flow &flow) {
    const std::uint32_t both = DP_FLOW_FIN_LOCAL | DP_FLOW_FIN_REMOTE;
    if ((flow.flags & DP_FLOW_RST) || (flow.flags & both) == both) return DP_CLOSED_LINGER_NS;
    // No socket of this machine says that it has given up.
    if ((flow.flags & DP_FLOW_PASSES) != 0 && (flow.flags & DP_FLOW_REPLIED) == 0)
        return unanswered_idle_ns;
    return established_idle_ns;
}

Fate idle_fate(const dp_flow &flow, std::uint8_t protocol, std::uint64_t now) {
    std::uint64_t limit = protocol == IPPROTO_TCP ? tcp_idle_limit(flow) : DP_UDP_IDLE_NS;
    if (flow.state == DP_FLOW_BLOCKED) limit = DP_BLOCKED_LINGER_NS;
    return past(flow.seen_ns, limit, now) ? Fate::remove : Fate::keep;
}

// As bpf/lib/outcome.h.
std::uint32_t action_of(const dp_eval &eval, dp_downcall_flag why, std::uint32_t host_outcome) {
    std::uint32_t outcome = DP_OUTCOME_UNREGISTERED;
    if (why == DP_DOWNCALL_EXPIRED) {
        outcome = host_outcome;
        if (eval.row_flags & DP_ROW_OUTCOME_NEXT) outcome = DP_OUTCOME_NEXT;
        if (eval.row_flags & DP_ROW_OUTCOME_PERMIT) outcome = DP_OUTCOME_PERMIT;
        if (eval.row_flags & DP_ROW_OUTCOME_BLOCK) outcome = DP_OUTCOME_BLOCK;
    }
    if (outcome == DP_OUTCOME_NEXT) return DP_ACTION_NEXT;
    if (outcome == DP_OUTCOME_UNREGISTERED)
        return eval.row_flags & DP_ROW_PERMIT_IF_UNREGISTERED ? DP_ACTION_PERMIT : DP_ACTION_BLOCK;
    return outcome == DP_OUTCOME_PERMIT ? DP_ACTION_PERMIT : DP_ACTION_BLOCK;
}

dp_downcall answer(const dp_eval &eval, dp_downcall_flag why, std::uint32_t host_outcome) {
    dp_downcall head{};
    head.magic = DP_DOWNCALL_MAGIC;
    head.version = DP_LAYOUT_VERSION;
    head.kind = DP_DOWNCALL_ANSWER;
    head.flags = why;
    head.filter_id = eval.asked_id;
    head.generation = static_cast<__u32>(eval.generation);
    head.action = action_of(eval, why, host_outcome);
    // A permit is the filter's own: soft unless the filter clears the right.
    if (head.action != DP_ACTION_BLOCK && !(eval.row_flags & DP_ROW_CLEAR_ACTION_RIGHT))
        head.rights = DP_RIGHT_ACTION_WRITE;
    return head;
}

bool is_open(std::uint32_t state) {
    return state == DP_FLOW_ASKED || state == DP_FLOW_HELD || state == DP_FLOW_DRAINING;
}

} // namespace

bool is_open(const dp_flow &flow) {
    return is_open(flow.state);
}

bool is_open(const dp_operation &operation) {
    return is_open(operation.state);
}

const dp_eval &question_of(const dp_flow &flow) {
    return (flow.flags & DP_FLOW_ESTABLISHING) != 0 ? flow.hop : flow.eval;
}

Fate fate_of(const dp_flow &flow, std::uint8_t protocol, std::uint64_t now, std::uint64_t before,
             std::uint64_t watchdog) {
    switch (flow.state) {
    case DP_FLOW_ASKED:
        if (past(flow.asked_ns, watchdog + settle_patience_ns, before)) return Fate::remove;
        return past(flow.asked_ns, watchdog, now) ? Fate::expire : Fate::keep;
    case DP_FLOW_HELD:
        if (flow.deadline_ns == 0) return Fate::keep;
        if (past(flow.deadline_ns, settle_patience_ns, before)) return Fate::remove;
        return now > flow.deadline_ns ? Fate::expire : Fate::keep;
    case DP_FLOW_DRAINING:
        return past(std::max(flow.asked_ns, flow.seen_ns), watchdog, now) ? Fate::drain
                                                                          : Fate::keep;
    case DP_FLOW_PERMITTED:
    case DP_FLOW_BLOCKED:
        return idle_fate(flow, protocol, now);
    case DP_FLOW_COMPLETED:
        return now > flow.deadline_ns ? Fate::remove : Fate::keep;
    default:
        return past(flow.created_ns, watchdog + settle_patience_ns, now) ? Fate::remove
                                                                         : Fate::keep;
    }
}

Fate fate_of(const dp_operation &operation, std::uint64_t now, std::uint64_t watchdog) {
    switch (operation.state) {
    case DP_FLOW_ASKED:
        return past(operation.asked_ns, watchdog, now) ? Fate::expire : Fate::keep;
    case DP_FLOW_HELD:
        return operation.deadline_ns != 0 && now > operation.deadline_ns ? Fate::expire
                                                                         : Fate::keep;
    case DP_FLOW_DRAINING:
        return past(operation.deadline_ns, watchdog, now) ? Fate::remove : Fate::keep;
    case DP_FLOW_PERMITTED:
        return Fate::remove;
    default:
        return Fate::keep;
    }
}

dp_downcall flow_answer(const dp_flow_key &key, const dp_flow &flow, dp_downcall_flag why,
                        std::uint32_t host_outcome) {
    dp_downcall head = answer(question_of(flow), why, host_outcome);
    if ((flow.flags & DP_FLOW_ESTABLISHING) == 0)
        head.generation = static_cast<__u32>(dp_question_number(flow.eval.generation, flow.round));
    if (flow.state == DP_FLOW_HELD) head.kind = DP_DOWNCALL_COMPLETE;
    head.ticket = flow.ticket;
    head.key = key;
    return head;
}

dp_downcall ticket_answer(std::uint64_t number, const dp_ticket &ticket, dp_downcall_flag why,
                          std::uint32_t host_outcome) {
    dp_downcall head = answer(ticket.eval, why, host_outcome);
    head.ticket = number;
    return head;
}

std::uint32_t Settler::outcome_of(std::uint32_t host) const {
    const auto record = plane_.host(host);
    return record ? record->outcome : std::uint32_t{DP_OUTCOME_UNREGISTERED};
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

void Settler::flow(const dp_flow_key &key, const dp_flow &flow, dp_downcall_flag why) {
    if (port_ == nullptr) return plane_.delete_flow(key);
    if (flow.state != DP_FLOW_DRAINING) {
        std::span<const std::byte> packet;
        if (const auto *frames = frames_of(flow.ticket))
            for (const auto &frame : *frames)
                if (frame.kind == DP_UPCALL_CLASSIFY &&
                    std::memcmp(&frame.key, &key, sizeof key) == 0)
                    packet = packet_of(frame);
        const dp_downcall head = flow_answer(key, flow, why, outcome_of(flow.host));
        send(head, packet);
        // A host that lives hears that its question is over, and has the queue in its own hands.
        if (why == DP_DOWNCALL_EXPIRED || head.action == DP_ACTION_BLOCK) return;
    }
    release_queued(key, flow);
}

void Settler::release_queued(const dp_flow_key &key, const dp_flow &flow) {
    const auto *frames = frames_of(flow.ticket);
    if (frames == nullptr) return;
    dp_downcall head = flow_answer(key, flow, DP_DOWNCALL_ABANDONED, 0);
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
    dp_downcall head = flow_answer(key, flow, DP_DOWNCALL_ABANDONED, 0);
    head.kind = DP_DOWNCALL_DISCARD;
    head.count = flow.up > flow.down ? flow.up - flow.down : 0;
    send(head, {});
}

void Settler::ticket(std::uint64_t number, const dp_ticket &ticket, dp_downcall_flag why) {
    if (port_ == nullptr) return plane_.delete_ticket(number);
    std::span<const std::byte> packet;
    if (const auto *frames = frames_of(number)) packet = packet_of(frames->front());
    send(ticket_answer(number, ticket, why, outcome_of(ticket.host)), packet);
}

// Without a port nothing that waited can come back, and the kernel decides by itself.
void Settler::operation(std::uint64_t id, const dp_operation &operation, dp_downcall_flag why) {
    if (port_ == nullptr) {
        if (auto r = plane_.abandon_operation(id); !r)
            spdlog::warn("operation {}: {}", id, r.error().text());
        return;
    }
    dp_downcall head = answer(operation.eval, why, outcome_of(operation.host));
    head.flags |= DP_DOWNCALL_OPERATION;
    if (operation.state == DP_FLOW_HELD) head.kind = DP_DOWNCALL_COMPLETE;
    head.ticket = id;
    send(head, {});
    if (why != DP_DOWNCALL_EXPIRED && head.action != DP_ACTION_BLOCK) release_waiting(head);
}

void Settler::release_waiting(dp_downcall head) {
    const auto *frames = frames_of(head.ticket);
    if (frames == nullptr) return;
    head.kind = DP_DOWNCALL_RELEASE;
    for (const auto &frame : *frames) {
        if (frame.kind != DP_UPCALL_QUEUED || frame.answered) continue;
        head.inject.ifindex = frame.ifindex;
        head.inject.kind =
            frame.direction == DP_DIRECTION_INBOUND ? DP_INJECT_RECEIVE : DP_INJECT_SEND;
        send(head, packet_of(frame));
    }
}

std::size_t Settler::operations_of(std::uint32_t host) {
    std::vector<std::pair<std::uint64_t, dp_operation>> open;
    plane_.each_operation([&](std::uint64_t id, const dp_operation &o) {
        if (o.host == host && (o.state == DP_FLOW_ASKED || o.state == DP_FLOW_HELD))
            open.emplace_back(id, o);
        return true;
    });
    for (const auto &[id, o] : open)
        operation(id, o, DP_DOWNCALL_ABANDONED);
    return open.size();
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
        flow(key, f, DP_DOWNCALL_ABANDONED);
    for (const auto &[number, t] : tickets)
        ticket(number, t, DP_DOWNCALL_ABANDONED);
    return flows.size() + tickets.size() + operations_of(host);
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
    port_ = nullptr;
    operations_of(host);
}

} // namespace sluice::daemon
