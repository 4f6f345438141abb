// SPDX-License-Identifier: Apache-2.0
#include "runtime/holds.h"

namespace sluice::runtime {

namespace {

// Handles are spread and odd numbers above any small mistake, never addresses.
constexpr std::uintptr_t handle_first = 0x10001, handle_step = 0x10;
constexpr Answer soft_permit{DP_ACTION_PERMIT, DP_RIGHT_ACTION_WRITE, false};

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
        return {DP_ACTION_CONTINUE, DP_RIGHT_ACTION_WRITE, false};
    return filter.permit_if_unregistered() ? soft_permit : Answer{};
}

std::shared_ptr<Hold> Holds::begin(std::shared_ptr<PortLink> port, Upcall upcall,
                                   std::shared_ptr<FilterObject> filter, xsk::Frame frame) {
    auto hold = std::make_shared<Hold>();
    const dp_upcall &h = upcall.header;
    hold->may_pend = upcall.at_flow() && (h.flags & DP_UPCALL_MAY_PEND) &&
                     !(h.condition_flags & DP_CONDITION_IS_REAUTHORIZE);
    hold->port = std::move(port);
    hold->upcall = std::move(upcall);
    hold->filter = std::move(filter);
    {
        Lock own(hold->mutex);
        hold->first = SharedFrame(std::move(frame), hold->port);
    }
    {
        Lock lock(mutex_);
        last_handle_ = last_handle_ ? last_handle_ + handle_step : handle_first;
        hold->completion = last_handle_;
        completions_.emplace(hold->completion, hold);
    }
    if (!hold->upcall.at_flow()) return hold;
    std::shared_ptr<Hold> old;
    {
        Lock lock(hold->port->mutex);
        auto &slot = hold->port->flows[hold->upcall.header.key];
        old = std::exchange(slot, hold);
    }
    // The kernel asks about the flow anew, so it gave the older packet up.
    if (old) {
        ++counters_.holds_superseded;
        drop(old);
    }
    return hold;
}

NTSTATUS Holds::pend(HANDLE completion, HANDLE *context) {
    if (!completion || !context) return STATUS_FWP_NULL_POINTER;
    std::shared_ptr<Hold> hold;
    {
        Lock lock(mutex_);
        const auto at = completions_.find(reinterpret_cast<std::uintptr_t>(completion));
        if (at == completions_.end()) return STATUS_FWP_NULL_POINTER;
        hold = at->second;
    }
    if (!hold->may_pend) return STATUS_FWP_CANNOT_PEND;
    Lock own(hold->mutex);
    if (hold->pended) return STATUS_FWP_CANNOT_PEND;
    if (hold->state == Hold::State::done || hold->port->io->closed())
        return STATUS_FWP_TCPIP_NOT_READY;
    if (!room_for_hold(*hold->port)) return STATUS_INSUFFICIENT_RESOURCES;
    Lock lock(mutex_);
    last_handle_ += handle_step;
    hold->context = last_handle_;
    contexts_.emplace(hold->context, hold);
    hold->pended = true;
    ++hold->counted;
    ++hold->port->kept;
    ++counters_.holds;
    *context = reinterpret_cast<HANDLE>(hold->context);
    return STATUS_SUCCESS;
}

void Holds::classify_returned(Hold &hold, const Answer &answer, bool absorbing_block) {
    {
        Lock lock(mutex_);
        completions_.erase(hold.completion);
    }
    Lock own(hold.mutex);
    hold.in_classify = false;
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
    if (hold.early) { // one frame says both: pended, and completed
        finish(hold, DP_DOWNCALL_COMPLETE, *hold.early);
        return;
    }
    count_sent(
        send_bare(*hold.port->io, DP_DOWNCALL_HELD, hold.upcall, {DP_ACTION_NONE, 0, false}));
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
    if (hold.in_classify) {
        hold.early = answer;
        return;
    }
    finish(hold, DP_DOWNCALL_COMPLETE, answer);
}

// The first packet goes along unless it is to be flushed: the kernel needs it to send it, or to
// build the RST or ICMP that tells the application. A TCP SYN is the stack's own and never flushed.
void Holds::finish(Hold &hold, dp_downcall_kind kind, const Answer &answer) {
    const bool completes = kind == DP_DOWNCALL_COMPLETE;
    const bool keep = hold.upcall.is_tcp() || (hold.upcall.header.flags & DP_UPCALL_KEEP_DATA);
    const bool flush = completes && !keep;
    auto &io = *hold.port->io;
    if (flush && !answer.blocks()) {
        count_sent(send_bare(io, kind, hold.upcall, answer));
        hold.first.reset();
    } else {
        count_sent(send_with_packet(io, kind, hold.upcall, answer, std::move(hold.first)));
    }
    if (completes) ++counters_.holds_completed;
    release_queue(hold, answer, flush);
    close(hold);
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
    if (!hold.upcall.at_flow()) return;
    Lock lock(hold.port->mutex);
    const auto at = hold.port->flows.find(hold.upcall.header.key);
    if (at != hold.port->flows.end() && at->second.get() == &hold) hold.port->flows.erase(at);
}

void Holds::queue(PortLink &port, Upcall upcall, xsk::Frame frame) {
    ++counters_.queued;
    std::shared_ptr<Hold> hold;
    {
        Lock lock(port.mutex);
        const auto at = port.flows.find(upcall.header.key);
        if (at != port.flows.end()) hold = at->second;
    }
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
        send_with_packet(*port.io, DP_DOWNCALL_RELEASE, upcall, soft_permit, std::move(frame)));
}

bool Holds::order(std::uint32_t compartment, std::uint64_t ticket, std::uint32_t action) {
    const bool sensible = action == DP_ACTION_PERMIT || action == DP_ACTION_BLOCK;
    std::shared_ptr<Hold> hold;
    if (sensible) {
        Lock lock(mutex_);
        for (auto at = contexts_.begin(); at != contexts_.end(); ++at) {
            const Hold &h = *at->second;
            if (h.port->compartment != compartment || h.upcall.header.ticket != ticket) continue;
            hold = at->second;
            contexts_.erase(at);
            break;
        }
    }
    if (!hold) {
        ++counters_.stale_orders;
        return false;
    }
    ++counters_.holds_ordered;
    resolve(*hold, action == DP_ACTION_PERMIT ? soft_permit : Answer{});
    return true;
}

void Holds::end_callout(std::uint32_t callout_id) {
    std::vector<std::shared_ptr<Hold>> ended;
    {
        Lock lock(mutex_);
        for (auto at = contexts_.begin(); at != contexts_.end();) {
            if (at->second->filter->callout_id() == callout_id) {
                ended.push_back(std::move(at->second));
                at = contexts_.erase(at);
            } else {
                ++at;
            }
        }
    }
    for (const auto &hold : ended) {
        ++counters_.holds_dropped;
        resolve(*hold, outcome_without_callout(*hold->filter));
    }
}

void Holds::drop(const std::shared_ptr<Hold> &hold) {
    std::vector<Hold::Queued> queued;
    SharedFrame first;
    Lock own(hold->mutex);
    if (hold->state == Hold::State::done) return;
    if (!hold->in_classify && !hold->reading) first = std::move(hold->first);
    queued.swap(hold->queued);
    close(*hold);
    Lock lock(mutex_);
    contexts_.erase(hold->context);
}

void Holds::drop_port(PortLink &port) {
    std::vector<std::shared_ptr<Hold>> all;
    {
        Lock lock(port.mutex);
        for (const auto &[key, hold] : port.flows)
            all.push_back(hold);
    }
    for (const auto &hold : all) {
        ++counters_.holds_dropped;
        drop(hold);
    }
}

std::size_t Holds::open() const {
    Lock lock(mutex_);
    return contexts_.size();
}

} // namespace sluice::runtime
