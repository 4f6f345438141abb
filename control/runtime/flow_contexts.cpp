// SPDX-License-Identifier: Apache-2.0
#include "runtime/flow_contexts.h"

#include <algorithm>

#include "runtime/pace.h"

namespace sluice::runtime {

namespace {

using namespace std::chrono_literals;

constexpr auto acknowledgement_limit = 1s;
// Most flows that are short have ended by then, and told so.
constexpr auto confirm_after = 500ms;
// So many questions are out at a time: their answers need frames, and so does traffic.
constexpr std::size_t confirm_at_once = 16;
// Flows without contexts whose keys are kept, so that a context can be attached to them later.
constexpr std::size_t seen_max = 65536;

bool has_flow(std::uint16_t layer) {
    switch (layer) {
    case FWPS_LAYER_INBOUND_TRANSPORT_V4:
    case FWPS_LAYER_INBOUND_TRANSPORT_V6:
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V4:
    case FWPS_LAYER_OUTBOUND_TRANSPORT_V6:
    case FWPS_LAYER_STREAM_V4:
    case FWPS_LAYER_STREAM_V6:
    case FWPS_LAYER_STREAM_PACKET_V4:
    case FWPS_LAYER_STREAM_PACKET_V6:
    case FWPS_LAYER_DATAGRAM_DATA_V4:
    case FWPS_LAYER_DATAGRAM_DATA_V6:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4:
    case FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V4:
    case FWPS_LAYER_ALE_AUTH_CONNECT_V6:
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4:
    case FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6:
        return true;
    default:
        return false;
    }
}

thread_local FlowContexts::Visit *visiting = nullptr;

} // namespace

std::uint64_t FlowContexts::Flow::bits() const {
    std::uint64_t all = 0;
    for (const auto &c : contexts)
        all |= c.bit;
    return all;
}

bool FlowContexts::Flow::runs(std::uint32_t callout) const {
    return std::find(running.begin(), running.end(), callout) != running.end();
}

// ---- a classify ----

FlowContexts::Visit::Visit(FlowContexts &contexts, const std::shared_ptr<PortLink> &port,
                           const Upcall &upcall, const CalloutEntry &callout)
    : contexts_(contexts), outer_(visiting), callout_(callout.id) {
    visiting = this;
    const dp_upcall &h = upcall.header;
    if (h.flow == 0 || !has_flow(h.layer)) return;
    if (contexts.interested_ > 0) {
        flow_ = upcall.flow_handle();
        std::vector<Context> ended;
        {
            Lock lock(contexts.mutex_);
            Flow &flow = contexts.meet(port, upcall, ended);
            flow.running.push_back(callout_);
            running_ = true;
            const Context *context = contexts.find(flow, h.layer, callout_);
            value_ = context ? context->value : 0;
        }
        contexts.deliver(ended);
    }
    passes_over_ = value_ == 0 && (callout.flags & FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW);
}

FlowContexts::Visit::~Visit() {
    visiting = outer_;
    returned();
    contexts_.deliver(ended_);
}

std::uint64_t FlowContexts::Visit::returned() {
    if (!std::exchange(running_, false)) return 0;
    Lock lock(contexts_.mutex_);
    const auto at = contexts_.flows_.find(flow_);
    if (at == contexts_.flows_.end()) return 0;
    Flow &flow = at->second;
    flow.running.erase(std::find(flow.running.begin(), flow.running.end(), callout_));
    if (!flow.runs(callout_)) {
        const auto mine =
            std::stable_partition(flow.doomed.begin(), flow.doomed.end(),
                                  [&](const auto &c) { return c.callout != callout_; });
        ended_.insert(ended_.end(), mine, flow.doomed.end());
        flow.doomed.erase(mine, flow.doomed.end());
    }
    const std::uint64_t carried = carried_ & flow.bits() & ~flow.announced;
    flow.announced |= carried;
    if (carried && !flow.ended) {
        contexts_.carried_.push_back({flow_, Clock::now() + confirm_after, 0});
        ++contexts_.unconfirmed_;
    }
    contexts_.forget_if_idle(at);
    return carried;
}

FlowContexts::Flow &FlowContexts::meet(const std::shared_ptr<PortLink> &port, const Upcall &upcall,
                                       std::vector<Context> &ended) {
    const std::uint64_t handle = upcall.flow_handle();
    auto [at, fresh] = flows_.try_emplace(handle);
    Flow &flow = at->second;
    // A port that came anew: what was known of the flow ended with the old one.
    if (!fresh && flow.port != port) {
        for (const auto &c : flow.contexts)
            (flow.runs(c.callout) ? flow.doomed : ended).push_back(c);
        flow.contexts.clear();
        flow.announced = 0;
    }
    flow.port = port;
    if (!fresh) return flow;
    flow.key = upcall.header.key;
    flow.ticket = upcall.header.flow;
    flow.remembered = true;
    seen_.push_back(handle);
    while (seen_.size() > seen_max) {
        const auto oldest = flows_.find(seen_.front());
        seen_.pop_front();
        if (oldest == flows_.end()) continue;
        oldest->second.remembered = false;
        if (oldest != at) forget_if_idle(oldest);
    }
    return flow;
}

void FlowContexts::forget_if_idle(Flows::iterator at) {
    const Flow &flow = at->second;
    const bool wanted = flow.remembered && !flow.ended;
    if (!wanted && flow.contexts.empty() && flow.doomed.empty() && flow.running.empty())
        flows_.erase(at);
}

FlowContexts::Context *FlowContexts::find(Flow &flow, std::uint16_t layer, std::uint32_t callout) {
    for (auto &c : flow.contexts)
        if (c.layer == layer && c.callout == callout) return &c;
    return nullptr;
}

// ---- what callouts ask for ----

NTSTATUS FlowContexts::associate(std::uint64_t handle, std::uint16_t layer, std::uint32_t callout,
                                 std::uint64_t value) {
    if (value == 0 || !has_flow(layer)) return STATUS_INVALID_PARAMETER;
    const auto call = callouts_.enter(callout);
    if (!call) return STATUS_FWP_CALLOUT_NOT_FOUND;
    if (!(*call)->has_flow_delete) return STATUS_INVALID_PARAMETER;
    const std::uint32_t slot = (*call)->slot;
    if (slot == 0 || slot > DP_CONTEXT_SLOTS) return STATUS_INSUFFICIENT_RESOURCES;
    Lock lock(mutex_);
    if (retired_.count(callout) != 0) return STATUS_FWP_CALLOUT_NOT_FOUND;
    const auto at = flows_.find(handle);
    if (at == flows_.end() || at->second.ended) return STATUS_NOT_FOUND;
    Flow &flow = at->second;
    if (find(flow, layer, callout)) return STATUS_OBJECT_NAME_EXISTS;
    if (flow.port->io->closed()) return STATUS_FWP_TCPIP_NOT_READY;
    const std::uint64_t bit = std::uint64_t{1} << (slot - 1);
    const Context context{layer, callout, value, bit, ++last_serial_};
    flow.contexts.push_back(context);
    ++outstanding_[callout];
    ++counters_.contexts_made;
    if (flow.announced & bit) return STATUS_SUCCESS;
    for (Visit *v = visiting; v; v = v->outer_) {
        if (v->flow_ != handle || !v->running_) continue;
        v->carried_ |= bit;
        return STATUS_SUCCESS;
    }
    return announce(handle, context, lock);
}

// Down to the kernel, and the wait for its word. Ends of the flow that come meanwhile are no
// failure: the context was there, and flowDeleteFn has been told.
NTSTATUS FlowContexts::announce(std::uint64_t handle, const Context &context, Lock &lock) {
    Waiter waiter;
    const std::uint64_t number = ++last_number_;
    Flow &flow = flows_.at(handle);
    flow.announced |= context.bit;
    if (tell(flow, context.bit, 0, number)) {
        waiting_[number] = &waiter;
        Pace::give_way_here();
        const auto until = Clock::now() + acknowledgement_limit;
        while (!waiter.done)
            if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
        waiting_.erase(number);
        if (waiter.there) return STATUS_SUCCESS;
    }
    const auto at = flows_.find(handle);
    if (at == flows_.end()) return STATUS_SUCCESS;
    auto &contexts = at->second.contexts;
    const auto mine = std::find_if(contexts.begin(), contexts.end(),
                                   [&](const auto &c) { return c.serial == context.serial; });
    if (mine == contexts.end()) return STATUS_SUCCESS;
    contexts.erase(mine);
    --outstanding_[context.callout];
    --counters_.contexts_made;
    clear_bits(at->second);
    forget_if_idle(at);
    return waiter.done ? STATUS_NOT_FOUND : STATUS_FWP_TCPIP_NOT_READY;
}

bool FlowContexts::tell(Flow &flow, std::uint64_t set, std::uint64_t clear, std::uint64_t number) {
    const bool sent = send_contexts(*flow.port->io, {flow.key, flow.ticket, set, clear, number});
    counters_.sends_failed += sent ? 0 : 1;
    return sent;
}

// Bits that nobody needs any more. Not waited for: a bit too many costs an upcall that is passed
// over.
void FlowContexts::clear_bits(Flow &flow) {
    const std::uint64_t unused = flow.announced & ~flow.bits();
    if (unused == 0) return;
    flow.announced &= ~unused;
    tell(flow, 0, unused, 0);
}

NTSTATUS FlowContexts::remove(std::uint64_t handle, std::uint16_t layer, std::uint32_t callout) {
    std::vector<Context> ended;
    {
        Lock lock(mutex_);
        const auto at = flows_.find(handle);
        if (at == flows_.end()) return STATUS_UNSUCCESSFUL;
        Flow &flow = at->second;
        Context *context = find(flow, layer, callout);
        if (!context) return STATUS_UNSUCCESSFUL;
        const bool later = flow.runs(callout);
        (later ? flow.doomed : ended).push_back(*context);
        flow.contexts.erase(flow.contexts.begin() + (context - flow.contexts.data()));
        clear_bits(flow);
        forget_if_idle(at);
        if (later) return STATUS_PENDING;
    }
    deliver(ended);
    return STATUS_SUCCESS;
}

// ---- ends ----

void FlowContexts::end(Flows::iterator at, std::vector<Context> &ended) {
    Flow &flow = at->second;
    for (const auto &c : flow.contexts)
        (flow.runs(c.callout) ? flow.doomed : ended).push_back(c);
    flow.contexts.clear();
    flow.announced = 0;
    flow.ended = true;
    forget_if_idle(at);
}

void FlowContexts::flow_ended(std::uint64_t handle) {
    std::vector<Context> ended;
    {
        Lock lock(mutex_);
        const auto at = flows_.find(handle);
        if (at == flows_.end()) return;
        end(at, ended);
        changed_.notify_all();
    }
    deliver(ended);
}

void FlowContexts::port_ended(const PortLink &port) {
    std::vector<Context> ended;
    {
        Lock lock(mutex_);
        for (auto at = flows_.begin(); at != flows_.end();) {
            const auto next = std::next(at);
            if (at->second.port.get() == &port) end(at, ended);
            at = next;
        }
        changed_.notify_all();
    }
    deliver(ended);
}

void FlowContexts::deliver(const std::vector<Context> &ended) {
    for (const auto &context : ended) {
        // It cannot have been unregistered: it is busy until this is over.
        if (const auto call = callouts_.enter(context.callout)) {
            try {
                std::visit(
                    [&](const auto &c) {
                        c.flowDeleteFn(context.layer, context.callout, context.value);
                    },
                    (*call)->spec);
            } catch (...) {
                ++counters_.callout_exceptions;
            }
            ++counters_.contexts_deleted;
        }
        Lock lock(mutex_);
        --outstanding_[context.callout];
    }
}

// ---- the kernel's word ----

void FlowContexts::acknowledged(std::uint64_t number, bool there) {
    std::uint64_t gone = 0;
    {
        Lock lock(mutex_);
        if (const auto at = waiting_.find(number); at != waiting_.end()) {
            *at->second = {true, there};
            changed_.notify_all();
        }
        const auto at = asked_.find(number);
        if (at == asked_.end()) return;
        if (!there) gone = at->second;
        asked_.erase(at);
    }
    if (gone) flow_ended(gone);
}

void FlowContexts::confirm(Clock::time_point now) {
    if (unconfirmed_ == 0) return;
    Lock lock(mutex_);
    for (auto *queue : {&repeated_, &carried_}) {
        const bool fresh = queue == &carried_;
        while (!queue->empty() && queue->front().when <= now) {
            if (fresh && asked_.size() >= confirm_at_once) return; // an answer wakes us
            const Carried next = queue->front();
            queue->pop_front();
            --unconfirmed_;
            if (!fresh && asked_.erase(next.number) == 0) continue; // was answered
            ask(next, now);
        }
    }
}

void FlowContexts::ask(Carried question, Clock::time_point now) {
    const auto at = flows_.find(question.flow);
    if (at == flows_.end() || at->second.ended || at->second.bits() == 0) return;
    if (question.number == 0) question.number = ++last_number_;
    question.when = now + acknowledgement_limit;
    asked_[question.number] = question.flow;
    tell(at->second, at->second.announced, 0, question.number);
    repeated_.push_back(question);
    ++unconfirmed_;
}

// ---- registrations ----

bool FlowContexts::retire(std::uint32_t callout) {
    Lock lock(mutex_);
    const auto at = outstanding_.find(callout);
    if (at != outstanding_.end() && at->second > 0) return false;
    retired_.insert(callout);
    return true;
}

void FlowContexts::reopen(std::uint32_t callout) {
    Lock lock(mutex_);
    retired_.erase(callout);
}

void FlowContexts::closed(std::uint32_t callout) {
    Lock lock(mutex_);
    retired_.erase(callout);
    outstanding_.erase(callout);
}

void FlowContexts::remove_all(std::uint32_t callout) {
    std::vector<std::pair<std::uint64_t, std::uint16_t>> all;
    {
        Lock lock(mutex_);
        for (const auto &[handle, flow] : flows_)
            for (const auto &c : flow.contexts)
                if (c.callout == callout) all.emplace_back(handle, c.layer);
    }
    for (const auto &[handle, layer] : all)
        (void)remove(handle, layer, callout);
}

std::size_t FlowContexts::count() const {
    Lock lock(mutex_);
    std::size_t n = 0;
    for (const auto &[callout, outstanding] : outstanding_)
        n += outstanding;
    return n;
}

} // namespace sluice::runtime
