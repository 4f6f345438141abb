// SPDX-License-Identifier: Apache-2.0
#include "model_kernel.h"

#include <algorithm>

#include "sluice/fwp.h"

namespace sluice::test {

namespace {

constexpr std::size_t serial_at = 14 + 20 + 8; // behind Ethernet, IPv4 and UDP

bool is_open(dp_flow_state state) {
    return state == DP_FLOW_ASKED || state == DP_FLOW_HELD;
}

} // namespace

std::uint64_t ModelKernel::serial_in(const std::string &packet) {
    std::uint64_t serial = 0;
    if (packet.size() >= serial_at + sizeof serial)
        std::memcpy(&serial, packet.data() + serial_at, sizeof serial);
    return serial;
}

std::string ModelKernel::next_packet() {
    std::string packet(serial_at + sizeof last_serial_, '\0');
    packet[14] = 0x45;
    packet[17] = static_cast<char>(packet.size() - 14);
    packet[23] = 17;
    ++last_serial_;
    std::memcpy(packet.data() + serial_at, &last_serial_, sizeof last_serial_);
    return packet;
}

dp_upcall ModelKernel::upcall(std::uint16_t index, const Flow &flow, std::uint8_t kind) const {
    dp_upcall u{};
    u.kind = kind;
    u.ticket = u.flow = flow.ticket;
    u.generation = flow.generation;
    u.filter_id = flow.filter;
    u.compartment = 1;
    u.layer = static_cast<__u16>(flow.inbound ? FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4
                                              : FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    u.direction = flow.inbound ? DP_DIRECTION_INBOUND : DP_DIRECTION_OUTBOUND;
    u.flags = static_cast<__u8>((flow.may_pend ? DP_UPCALL_MAY_PEND : 0) |
                                (flow.keeps ? DP_UPCALL_KEEP_DATA : 0));
    if (flow.reauthorize) u.condition_flags = DP_CONDITION_IS_REAUTHORIZE;
    if (flow.clone) u.injected.host = 5;
    u.action = DP_ACTION_NONE;
    u.rights = DP_RIGHT_ACTION_WRITE;
    u.ip_offset = 14;
    u.l4_offset = 34;
    u.key.protocol = flow.tcp ? 6 : 17;
    u.key.local_port = index;
    u.key.remote_port = 53;
    u.key.local = {0, 0xFFFF0A000001ull};
    u.key.remote = {0, 0xFFFF0A000002ull};
    return u;
}

// ---- what happens in the kernel ----

void ModelKernel::begin(std::uint16_t index, Flow &flow) {
    flow = {};
    flow.ticket = ++last_ticket_;
    flow.inbound = chance(30);
    flow.keeps = chance(70);
    flow.tcp = chance(20);
    flow.may_pend = true;
    flow.filter = filters_[random_() % filters_.size()];
    flow.up = 1;
    ask(index, flow, next_packet());
}

std::uint64_t ModelKernel::filter_behind(std::uint64_t filter) const {
    const auto at = std::find(filters_.begin(), filters_.end(), filter);
    return at + 1 == filters_.end() ? filters_.front() : at[1];
}

// The flow's filter is set; whatever there was of an older question is closed.
void ModelKernel::ask(std::uint16_t index, Flow &flow, std::string packet) {
    flow.state = DP_FLOW_ASKED;
    flow.generation = generation_;
    ++counts_.asked;
    ++counts_.sent_up;
    flow.first = std::move(packet);
    flow.lost = !port_->inject(upcall(index, flow, DP_UPCALL_CLASSIFY), flow.first);
}

void ModelKernel::packet(std::uint16_t index) {
    Lock lock(mutex_);
    Flow &flow = flows_[index];
    switch (flow.state) {
    case DP_FLOW_NONE:
        return begin(index, flow);
    case DP_FLOW_ASKED:
    case DP_FLOW_HELD:
    case DP_FLOW_DRAINING: {
        if (flow.tcp || flow.up - flow.down > 8) return; // sent again; the quota
        ++flow.up;
        ++counts_.sent_up;
        (void)port_->inject(upcall(index, flow, DP_UPCALL_QUEUED), next_packet());
        return;
    }
    case DP_FLOW_PERMITTED:
        if (flow.generation == generation_) return;
        flow.reauthorize = true;
        flow.may_pend = flow.clone = false;
        flow.disturbed = true;
        flow.up = 1;
        flow.down = 0;
        return ask(index, flow, next_packet());
    default:
        return; // BLOCKED, COMPLETED: dropped
    }
}

void ModelKernel::close(Flow &flow, dp_flow_state to, std::uint32_t settled, std::uint64_t &how) {
    ++(flow.held                    ? how
       : &how == &counts_.expired   ? counts_.watchdog
       : &how == &counts_.abandoned ? counts_.ended_asked
                                    : counts_.answered);
    flow.held = false;
    flow.down += std::min(settled, flow.up - flow.down);
    flow.state = to == DP_FLOW_PERMITTED && flow.down != flow.up ? DP_FLOW_DRAINING : to;
}

void ModelKernel::tell_over(std::uint16_t index, const Flow &flow, bool permit) {
    dp_upcall over = upcall(index, flow, DP_UPCALL_OVER);
    over.ip_offset = over.l4_offset = 0;
    over.action = permit ? DP_ACTION_PERMIT : DP_ACTION_BLOCK;
    port_->notify(over);
}

void ModelKernel::expire(std::uint16_t index, bool permit) {
    Lock lock(mutex_);
    Flow &flow = flows_[index];
    if (!is_open(flow.state)) return;
    flow.disturbed = true;
    const bool next = chance(20);
    tell_over(index, flow, permit && !next);
    const auto to = next ? DP_FLOW_ASKED : permit ? DP_FLOW_PERMITTED : DP_FLOW_BLOCKED;
    close(flow, to, next ? 0 : 1, counts_.expired);
    if (next) {
        flow.filter = filter_behind(flow.filter);
        ask(index, flow, flow.first);
    } else if (permit) {
        deliver(flow, flow.first, "deadline"); // out of the memory that sluiced keeps
    }
}

void ModelKernel::end(std::uint16_t index) {
    Lock lock(mutex_);
    Flow &flow = flows_[index];
    if (flow.state == DP_FLOW_NONE) return;
    if (is_open(flow.state)) {
        tell_over(index, flow, false);
        close(flow, DP_FLOW_BLOCKED, 0, counts_.abandoned);
    }
    if (flow.contexts) {
        dp_upcall ended = upcall(index, flow, DP_UPCALL_END);
        ended.ip_offset = ended.l4_offset = 0;
        port_->notify(ended);
    }
    flow = {};
}

void ModelKernel::inject_clone(std::uint16_t index) {
    Lock lock(mutex_);
    Flow &flow = flows_[index];
    if (flow.state != DP_FLOW_COMPLETED) return;
    flow.may_pend = false;
    flow.clone = true;
    flow.disturbed = true; // what was queued and not read before stands behind it now
    flow.up = 1;
    flow.down = 0;
    ask(index, flow, next_packet());
}

void ModelKernel::publish() {
    Lock lock(mutex_);
    ++generation_;
}

// ---- what the host sends ----

void ModelKernel::apply(const Sent &sent) {
    Lock lock(mutex_);
    const dp_downcall &d = sent.header;
    if (d.kind == DP_DOWNCALL_CONTEXT) return context(sent);
    const std::uint16_t index = d.key.local_port;
    Flow &flow = flows_[index];
    EXPECT_LE(d.ticket, last_ticket_);
    if (flow.state == DP_FLOW_NONE || flow.ticket != d.ticket) {
        ++counts_.late; // its end was told, or is in the ring
        return;
    }
    if (d.kind <= DP_DOWNCALL_COMPLETE && d.generation != static_cast<__u32>(flow.generation))
        return refuse(flow, sent, "answer to an older question");
    switch (d.kind) {
    case DP_DOWNCALL_HELD:
        if (flow.state != DP_FLOW_ASKED || !flow.may_pend || d.filter_id != flow.filter)
            return refuse(flow, sent, "HELD of what is not asked");
        flow.state = DP_FLOW_HELD;
        flow.held = true;
        flow.contexts |= d.contexts_set;
        ++counts_.opened;
        return;
    case DP_DOWNCALL_ANSWER:
    case DP_DOWNCALL_COMPLETE:
        return answered(index, flow, sent);
    case DP_DOWNCALL_RELEASE:
        return released(flow, sent);
    case DP_DOWNCALL_DISCARD:
        return settle(flow, d.count);
    default:
        ADD_FAILURE() << "downcall of kind " << int(d.kind);
    }
}

void ModelKernel::answered(std::uint16_t index, Flow &flow, const Sent &sent) {
    const dp_downcall &d = sent.header;
    const bool completes = d.kind == DP_DOWNCALL_COMPLETE;
    if (!is_open(flow.state) || d.filter_id != flow.filter)
        return refuse(flow, sent, "answer to what is not open");
    if (!completes && flow.state == DP_FLOW_HELD)
        return refuse(flow, sent, "a hold is completed, not answered");
    if (completes && flow.state == DP_FLOW_ASKED) {
        if (!flow.may_pend) return refuse(flow, sent, "completed what may not be pended");
        flow.held = true; // before its classify returned
        ++counts_.opened;
    }
    flow.contexts |= d.contexts_set;
    if (d.flags & DP_DOWNCALL_CLOSE) return closed(flow, sent);
    decide(index, flow, sent);
}

void ModelKernel::decide(std::uint16_t index, Flow &flow, const Sent &sent) {
    const bool permit = sent.header.action != DP_ACTION_BLOCK;
    if (permit && !sent.packet.empty() && !flow.reauthorize && chance(policy_.next_callout)) {
        close(flow, DP_FLOW_ASKED, 0, counts_.permitted);
        flow.filter = filter_behind(flow.filter);
        flow.disturbed = true; // what is queued comes down too early
        return ask(index, flow, sent.packet);
    }
    if (!permit || chance(policy_.later_block)) {
        flow.disturbed |= permit;
        return close(flow, DP_FLOW_BLOCKED, 0, counts_.blocked);
    }
    close(flow, DP_FLOW_PERMITTED, 1, counts_.permitted);
    if (!sent.packet.empty()) deliver(flow, sent.packet, "answer");
}

void ModelKernel::closed(Flow &flow, const Sent &sent) {
    EXPECT_TRUE(flow.inbound && !flow.keeps && sent.packet.empty());
    close(flow, DP_FLOW_COMPLETED, 1, counts_.permitted);
}

void ModelKernel::released(Flow &flow, const Sent &sent) {
    if (flow.state == DP_FLOW_BLOCKED || flow.state == DP_FLOW_COMPLETED) {
        ++counts_.late; // read when its hold had ended: the host does not know how
        return;
    }
    if (sent.packet.empty() || flow.up == flow.down ||
        (flow.state != DP_FLOW_DRAINING && flow.state != DP_FLOW_PERMITTED))
        return refuse(flow, sent, "release of what does not drain");
    settle(flow, 1);
    deliver(flow, sent.packet, "release");
}

void ModelKernel::settle(Flow &flow, std::uint32_t count) {
    flow.down += std::min(count, flow.up - flow.down);
    if (flow.state == DP_FLOW_DRAINING && flow.up == flow.down) flow.state = DP_FLOW_PERMITTED;
}

void ModelKernel::deliver(Flow &flow, const std::string &packet, const char *how) {
    const std::uint64_t serial = serial_in(packet);
    EXPECT_TRUE(delivered_.insert(serial).second)
        << "packet " << serial << " goes on twice: " << how;
    // What came up before the flow was asked about again may come down late.
    EXPECT_TRUE(serial > flow.last_delivered || flow.disturbed)
        << "packet " << serial << " goes on behind " << flow.last_delivered << ": " << how;
    flow.last_delivered = serial;
    ++counts_.delivered;
}

void ModelKernel::context(const Sent &sent) {
    const dp_downcall &d = sent.header;
    Flow &flow = flows_[d.key.local_port];
    const bool there = flow.state != DP_FLOW_NONE && flow.ticket == d.ticket;
    if (there) flow.contexts = (flow.contexts | d.contexts_set) & ~d.contexts_clear;
    if (d.filter_id == 0) return;
    dp_upcall word{};
    word.kind = DP_UPCALL_ACK;
    word.filter_id = d.filter_id;
    word.action = there ? 1 : 0;
    (void)port_->inject(word, {});
}

void ModelKernel::refuse(const Flow &flow, const Sent &sent, const char *why) {
    ++counts_.late;
    EXPECT_TRUE(flow.disturbed) << why << ": kind " << int(sent.header.kind) << " flags "
                                << sent.header.flags << " for ticket " << flow.ticket
                                << " in state " << flow.state;
}

// ---- what tests ask ----

bool ModelKernel::may_pend(std::uint64_t ticket) {
    Lock lock(mutex_);
    for (const auto &[index, flow] : flows_)
        if (flow.ticket == ticket) return flow.may_pend;
    return true; // it is over
}

bool ModelKernel::decided_without_host(std::uint64_t ticket) {
    Lock lock(mutex_);
    for (const auto &[index, flow] : flows_)
        if (flow.ticket == ticket) return flow.disturbed;
    return true;
}

std::uint64_t ModelKernel::ticket_of(std::uint16_t index) {
    Lock lock(mutex_);
    return flows_[index].ticket;
}

std::size_t ModelKernel::open() {
    Lock lock(mutex_);
    std::size_t n = 0;
    for (const auto &[index, flow] : flows_)
        n += is_open(flow.state) && !flow.lost;
    return n;
}

std::string ModelKernel::text_of_open() {
    Lock lock(mutex_);
    std::string text = "questions that nobody ended:";
    for (const auto &[index, flow] : flows_) {
        if (!is_open(flow.state) || flow.lost) continue;
        text += " ticket " + std::to_string(flow.ticket) + " of filter " +
                std::to_string(flow.filter) + " generation " + std::to_string(flow.generation) +
                (flow.state == DP_FLOW_HELD ? " held" : " asked") +
                (flow.reauthorize ? " again" : "") + (flow.clone ? " for a clone" : "");
    }
    return text;
}

ModelKernel::Counts ModelKernel::counts() {
    Lock lock(mutex_);
    return counts_;
}

} // namespace sluice::test
