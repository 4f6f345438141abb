// SPDX-License-Identifier: Apache-2.0
#include "runtime/holds.h"

#include <algorithm>
#include <random>

#include "runtime/instead.h"

namespace sluice::runtime {

namespace {

// Handles are spread and odd numbers above any small mistake, never addresses. Each process begins
// elsewhere among 2^40 of them, so that the context of one is no number of another's.
constexpr std::uintptr_t handle_step = 0x10;
std::uintptr_t first_handle() {
    std::random_device random;
    return (std::uintptr_t{random()} << 16 | 0x10000) + (random() & 0xFFF0) + 1;
}

thread_local Holds::Asking *asking = nullptr;

// Of the frames of a port, what may be kept: holds leave a quarter, queued packets an eighth.
bool room_for_hold(const PortLink &port) {
    return port.kept < port.io->frames() / 4 * 3;
}
bool room_for_packet(const PortLink &port) {
    return port.kept < port.io->frames() / 8 * 7;
}

} // namespace

Answer outcome_without_callout(const FilterObject &filter) {
    if (filter.action() == FWP_ACTION_CALLOUT_INSPECTION)
        return {DP_ACTION_CONTINUE, DP_RIGHT_ACTION_WRITE};
    return filter.permit_if_unregistered() ? soft_permit() : Answer{};
}

Holds::Asking::Asking(HANDLE completion, bool layer_can_pend)
    : completion_(completion), layer_can_pend_(layer_can_pend), outer_(asking) {
    asking = this;
}
Holds::Asking::~Asking() {
    asking = outer_;
}

std::shared_ptr<Hold> Holds::begin(std::shared_ptr<PortLink> port, Upcall upcall,
                                   std::shared_ptr<FilterObject> filter, xsk::Frame frame) {
    std::shared_ptr<Hold> hold;
    if (upcall.of_operation()) hold = open_for(*port, upcall);
    const bool expected = hold != nullptr;
    if (!expected) hold = std::make_shared<Hold>();
    const dp_upcall &h = upcall.header;
    const bool can_pend = upcall.can_pend();
    hold->may_pend = (can_pend || upcall.redirects() || upcall.binds()) &&
                     (h.flags & DP_UPCALL_MAY_PEND) &&
                     !(h.condition_flags & DP_CONDITION_IS_REAUTHORIZE);
    hold->filter = std::move(filter);
    {
        Lock own(hold->mutex);
        hold->begun = true;
        if (!expected) {
            hold->port = std::move(port);
            hold->upcall = std::move(upcall);
            hold->first = SharedFrame(std::move(frame), hold->port);
        }
    }
    if (can_pend) {
        Lock lock(mutex_);
        last_handle_ = last_handle_ ? last_handle_ + handle_step : first_handle();
        hold->completion = last_handle_;
        completions_.emplace(hold->completion, hold);
    }
    if (!expected) enter_port(hold);
    return hold;
}

void Holds::expect(const std::shared_ptr<PortLink> &port, Upcall upcall) {
    auto hold = std::make_shared<Hold>();
    hold->port = port;
    hold->upcall = std::move(upcall);
    enter_port(hold);
}

void Holds::enter_port(const std::shared_ptr<Hold> &hold) {
    PortLink &port = *hold->port;
    std::shared_ptr<Hold> old;
    if (hold->upcall.at_flow()) {
        Lock lock(port.mutex);
        old = std::exchange(port.flows[hold->upcall.header.key], hold);
    } else if (hold->upcall.of_operation()) {
        Lock lock(port.mutex);
        old = std::exchange(port.operations[hold->upcall.header.ticket], hold);
    }
    // The kernel asks anew, so it gave the older packet up.
    if (old) {
        ++counters_.holds_superseded;
        drop(old);
    }
}

std::shared_ptr<Hold> Holds::open_for(PortLink &port, const Upcall &upcall) {
    Lock lock(port.mutex);
    if (upcall.of_operation()) {
        const auto at = port.operations.find(upcall.header.ticket);
        return at == port.operations.end() ? nullptr : at->second;
    }
    const auto at = port.flows.find(upcall.header.key);
    return at == port.flows.end() ? nullptr : at->second;
}

NTSTATUS Holds::pend(HANDLE completion, HANDLE *context) {
    if (!context) return STATUS_FWP_NULL_POINTER;
    std::shared_ptr<Hold> hold;
    {
        Lock lock(mutex_);
        const auto at = completions_.find(reinterpret_cast<std::uintptr_t>(completion));
        if (at != completions_.end()) hold = at->second;
    }
    if (!hold) {
        const bool cannot = asking && (!asking->layer_can_pend_ ||
                                       (completion && completion == asking->completion_));
        return cannot ? STATUS_FWP_CANNOT_PEND : STATUS_FWP_NULL_POINTER;
    }
    return suspend(hold, context);
}

NTSTATUS Holds::suspend(const std::shared_ptr<Hold> &hold, HANDLE *context) {
    if (!hold->may_pend) return STATUS_FWP_CANNOT_PEND;
    Lock own(hold->mutex);
    if (hold->pended) return STATUS_FWP_CANNOT_PEND;
    if (hold->state == Hold::State::done || hold->port->io->closed())
        return STATUS_FWP_TCPIP_NOT_READY;
    if (!room_for_hold(*hold->port)) return STATUS_INSUFFICIENT_RESOURCES;
    Lock lock(mutex_);
    last_handle_ = last_handle_ ? last_handle_ + handle_step : first_handle();
    hold->context = last_handle_;
    contexts_.emplace(hold->context, hold);
    hold->pended = true;
    ++hold->counted;
    ++hold->port->kept;
    ++counters_.holds;
    *context = reinterpret_cast<HANDLE>(hold->context);
    return STATUS_SUCCESS;
}

void Holds::classify_returned(Hold &hold, const Answer &answer, bool absorbing_block,
                              xsk::Frame instead) {
    if (hold.completion) {
        Lock lock(mutex_);
        completions_.erase(hold.completion);
    }
    Lock own(hold.mutex);
    hold.in_classify = false;
    if (instead && hold.state != Hold::State::done && !hold.pended) {
        count_sent(send_instead(*hold.port->io, hold.upcall, answer, std::move(instead)));
        hold.first.reset();
        close(hold);
        return;
    }
    if (instead) count_sent(hold.port->io->send(std::move(instead)));
    if (hold.state == Hold::State::done) {
        if (!hold.reading) hold.first.reset();
        return;
    }
    if (!hold.pended) {
        finish(hold, DP_DOWNCALL_ANSWER, answer);
        return;
    }
    if (!absorbing_block) ++counters_.pend_mismatches;
    hold.state = Hold::State::held;
    // Of a flow one frame says both, pended and completed.
    if (!hold.early || hold.upcall.of_operation()) {
        Answer held{DP_ACTION_NONE, 0};
        held.contexts = answer.contexts;
        count_sent(send_bare(*hold.port->io, DP_DOWNCALL_HELD, hold.upcall, held));
    }
    if (!hold.early) return;
    hold.early->contexts |= answer.contexts;
    finish(hold, DP_DOWNCALL_COMPLETE, *hold.early);
}

std::shared_ptr<Hold> Holds::consume(HANDLE context) {
    Lock lock(mutex_);
    const auto at = contexts_.find(reinterpret_cast<std::uintptr_t>(context));
    if (at == contexts_.end()) {
        ++counters_.stale_completions;
        return nullptr;
    }
    auto hold = std::move(at->second);
    contexts_.erase(at);
    return hold;
}

std::span<std::byte> Holds::begin_reading(Hold &hold) {
    Lock own(hold.mutex);
    hold.reading = true;
    return hold.first ? hold.first.bytes().subspan(hold.upcall.packet_offset)
                      : std::span<std::byte>{};
}

std::shared_ptr<PacketMemory> Holds::memory_of(Hold &hold) {
    Lock own(hold.mutex);
    return hold.first.memory();
}

void Holds::resolve(Hold &hold, const Answer &answer) {
    Lock own(hold.mutex);
    hold.reading = false;
    if (hold.state == Hold::State::done) {
        if (!hold.in_classify) hold.first.reset();
        return;
    }
    // Who closed it injects next, also while the classify has not returned.
    if (hold.in_classify && !answer.close) {
        hold.early = answer;
        return;
    }
    finish(hold, DP_DOWNCALL_COMPLETE, answer);
}

// The first packet goes along unless it is to be flushed: the kernel needs it to send it, or to
// build the RST or ICMP that tells the application. A TCP SYN is the stack's own and never flushed,
// unless the callout injects its clone. Operations have no packet, and what queued behind them was
// never the callout's.
void Holds::finish(Hold &hold, dp_downcall_kind kind, const Answer &said) {
    const bool completes = kind == DP_DOWNCALL_COMPLETE;
    const bool operation = hold.upcall.of_operation();
    const bool keep = hold.upcall.is_tcp() || hold.upcall.redirects() ||
                      (hold.upcall.header.flags & DP_UPCALL_KEEP_DATA);
    const bool flush = completes && !operation && (said.close || !keep);
    auto &io = *hold.port->io;
    const Answer answer = redirect(hold, said);
    if (operation || answer.close || (flush && !answer.blocks())) {
        count_sent(send_bare(io, kind, hold.upcall, answer));
        if (!hold.in_classify) hold.first.reset();
    } else {
        count_sent(send_with_packet(io, kind, hold.upcall, answer, std::move(hold.first)));
    }
    if (completes) ++counters_.holds_completed;
    release_queue(hold, answer, flush);
    close(hold);
}

// A redirection goes before the answer that it stands by. What could not be told is not permitted.
Answer Holds::redirect(const Hold &hold, const Answer &said) {
    if (!said.redirection) return said;
    const Redirection &to = *said.redirection;
    if (to.context) redirect_contexts_.keep(to.key, to.context);
    if (send_redirection(*hold.port->io, hold.upcall, to)) {
        ++counters_.redirects;
        return said;
    }
    count_sent(false);
    if (to.context) redirect_contexts_.drop(to.key, to.context);
    return {};
}

void Holds::release_queue(Hold &hold, const Answer &answer, bool flush) {
    auto &io = *hold.port->io;
    const auto count = static_cast<std::uint32_t>(hold.queued.size());
    if (count == 0) return;
    if (flush || answer.blocks()) {
        hold.queued.clear();
        counters_.discarded += count;
        count_sent(send_bare(io, DP_DOWNCALL_DISCARD, hold.upcall, answer, count));
        return;
    }
    for (auto &q : hold.queued)
        count_sent(send_with_packet(io, DP_DOWNCALL_RELEASE, q.upcall, answer, std::move(q.frame)));
    counters_.released += count;
    hold.queued.clear();
}

// After everything was sent: who no longer finds the flow may send behind it.
void Holds::close(Hold &hold) {
    hold.state = Hold::State::done;
    hold.port->kept -= std::exchange(hold.counted, 0);
    PortLink &port = *hold.port;
    Lock lock(port.mutex);
    if (hold.upcall.of_operation()) {
        const auto at = port.operations.find(hold.upcall.header.ticket);
        if (at != port.operations.end() && at->second.get() == &hold) port.operations.erase(at);
    } else if (hold.upcall.at_flow()) {
        const auto at = port.flows.find(hold.upcall.header.key);
        if (at != port.flows.end() && at->second.get() == &hold) port.flows.erase(at);
    }
}

void Holds::queue(PortLink &port, Upcall upcall, xsk::Frame frame) {
    ++counters_.queued;
    const std::shared_ptr<Hold> hold = open_for(port, upcall);
    if (hold) {
        Lock own(hold->mutex);
        if (hold->state != Hold::State::done && room_for_packet(port)) {
            ++hold->counted;
            ++port.kept;
            hold->queued.push_back({std::move(upcall), std::move(frame)});
            return;
        }
        if (hold->state != Hold::State::done) {
            frame.reset();
            ++counters_.discarded;
            count_sent(send_bare(*port.io, DP_DOWNCALL_DISCARD, upcall, {}, 1));
            return;
        }
    }
    // Draining. Should the flow be blocked meanwhile, the kernel refuses this and counts it.
    ++counters_.released;
    count_sent(
        send_with_packet(*port.io, DP_DOWNCALL_RELEASE, upcall, soft_permit(), std::move(frame)));
}

std::size_t Holds::open() const {
    Lock lock(mutex_);
    return contexts_.size();
}

} // namespace sluice::runtime
