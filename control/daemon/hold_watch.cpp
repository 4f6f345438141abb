// SPDX-License-Identifier: Apache-2.0
#include "daemon/hold_watch.h"

#include <spdlog/spdlog.h>
#include <utility>
#include <vector>

#include "daemon/core.h"
#include "daemon/event_pump.h"
#include "daemon/holds.h"
#include "daemon/lists.h"
#include "daemon/planes.h"

namespace sluice::daemon {

namespace {

constexpr std::size_t pending_max = 1u << 18; // a watcher that is further behind does not read

// The hold that an event tells of, if it is still open.
std::optional<Waiting> now_held(const datapath::Datapath &plane, const dp_event &event) {
    if (const auto operation = plane.operation(event.generation))
        return operation->state == DP_FLOW_HELD
                   ? std::optional(waiting_of(plane.compartment(), event.generation, *operation))
                   : std::nullopt;
    const auto flow = plane.flow(event.flow);
    if (!flow || flow->ticket != event.generation || flow->state != DP_FLOW_HELD)
        return std::nullopt;
    return waiting_of(plane.compartment(), event.flow, *flow);
}

} // namespace

const char *result_of(enum dp_reason reason) {
    switch (reason) {
    case DP_REASON_HOLD_PERMITTED:
        return "permitted";
    case DP_REASON_HOLD_BLOCKED:
        return "blocked";
    case DP_REASON_HOLD_EXPIRED:
        return "expired";
    default:
        return "abandoned";
    }
}

const char *result_of(const dp_flow *flow) {
    if (flow == nullptr || flow->reason == DP_REASON_HOLD_ABANDONED) return "abandoned";
    if (flow->flags & DP_FLOW_EXPIRED) return "expired";
    return flow->state == DP_FLOW_BLOCKED ? "blocked" : "permitted";
}

const char *result_of(const dp_operation *operation) {
    if (operation == nullptr) return "abandoned";
    return operation->state == DP_FLOW_BLOCKED ? "blocked" : "permitted";
}

void HoldWatch::add(const protocol::HoldWatch &message, const Responder &to) {
    const auto client = to.client();
    if (!client) return;
    const bool first = watchers_.empty();
    Watcher &watcher = watchers_[client->id];
    watcher.client = client;
    watcher.from = ~std::uint64_t{0}; // what is met now is no news
    core_.events->tell_types(); // from here on the kernel tells, so that nothing falls between
    if (first) meet_all();
    watcher.from = message.existing() ? 0 : next_serial_;
    std::vector<protocol::Hold> existing;
    if (message.existing())
        for (const auto &[id, open] : open_)
            existing.push_back(*open.hold);
    send_pages(existing, to, [](protocol::Reply &reply, const protocol::Hold *entry) {
        auto *list = reply.mutable_holds();
        if (entry != nullptr) *list->add_holds() = *entry;
    });
}

void HoldWatch::client_gone(std::uint64_t client) {
    if (watchers_.erase(client) != 0 && watchers_.empty()) open_.clear();
}

void HoldWatch::meet_all() {
    for (const auto &[compartment, plane] : core_.planes->all())
        each_waiting(*plane, [this, p = plane.get()](const Waiting &hold) {
            met(*p, hold);
            return true;
        });
}

void HoldWatch::met(const datapath::Datapath &plane, const Waiting &hold) {
    if (watchers_.empty() || hold.state != DP_FLOW_HELD) return;
    const auto known = open_.find(hold.id());
    if (known != open_.end()) {
        if (known->second.waiting.filter == hold.filter) return;
        ended(known, "permitted"); // so that the next filter's callout was asked
    }
    opened(
        {std::make_shared<protocol::Hold>(hold_message(core_, plane, hold)), hold, monotonic_ns()});
}

void HoldWatch::event(const datapath::Datapath &plane, const dp_event &event) {
    if (watchers_.empty()) return;
    const auto known = open_.find(hold_id(plane.compartment(), event.generation));
    if (event.type == DP_EVENT_HOLD_END) {
        if (known != open_.end()) ended(known, result_of(event.reason));
        return;
    }
    if (const auto held = now_held(plane, event)) return met(plane, *held);
    // The hold has ended since and its end comes next: the event itself has to do.
    if (known != open_.end()) return;
    Open open{
        std::make_shared<protocol::Hold>(hold_message(core_, plane, event)), {}, monotonic_ns()};
    open.by_event = true;
    opened(std::move(open));
}

void HoldWatch::look_for_ends() {
    for (auto at = open_.begin(); at != open_.end();) {
        const auto here = at++;
        Open &open = here->second;
        if (open.by_event) continue;
        const char *result = result_now(open.waiting);
        if (result == nullptr) continue;
        // What the kernel told and is not read yet says it better.
        if (std::exchange(open.over, true)) ended(here, result);
    }
}

const char *HoldWatch::result_now(const Waiting &hold) const {
    const auto *plane = core_.planes->of(hold.compartment);
    if (plane == nullptr) return "abandoned";
    if (hold.operation) {
        const auto operation = plane->operation(hold.ticket);
        if (operation && operation->state == DP_FLOW_HELD) return nullptr;
        return result_of(operation ? &*operation : nullptr);
    }
    auto flow = plane->flow(hold.key);
    if (flow && flow->ticket != hold.ticket) flow.reset();
    if (flow && flow->state == DP_FLOW_HELD) return nullptr;
    return result_of(flow ? &*flow : nullptr);
}

void HoldWatch::opened(Open open) {
    open.serial = next_serial_++;
    const std::uint64_t id = open.hold->id();
    const Open &kept = open_[id] = std::move(open);
    tell(kept, {protocol::HoldNotice::OPENED, kept.hold, nullptr});
}

void HoldWatch::ended(std::map<std::uint64_t, Open>::iterator at, const char *result) {
    const Open open = std::move(at->second);
    open_.erase(at);
    auto last = std::make_shared<protocol::Hold>(*open.hold);
    last->set_age_ms(last->age_ms() + (monotonic_ns() - open.opened_ns) / 1000000);
    last->set_state("ended");
    tell(open, {protocol::HoldNotice::ENDED, std::move(last), result});
}

void HoldWatch::tell(const Open &open, const Told &told) {
    for (auto &[id, watcher] : watchers_)
        if (open.serial >= watcher.from) watcher.pending.push_back(told);
}

void HoldWatch::send_some() {
    for (auto &[id, watcher] : watchers_) {
        const auto client = watcher.client.lock();
        if (!client) continue;
        for (; !watcher.pending.empty() && !client->is_behind(); watcher.pending.pop_front()) {
            const Told &told = watcher.pending.front();
            protocol::Notice notice;
            auto *m = notice.mutable_hold_notice();
            m->set_what(told.what);
            *m->mutable_hold() = *told.hold;
            if (told.result != nullptr) m->set_result(told.result);
            client->notice(std::move(notice));
        }
        if (watcher.pending.size() <= pending_max) continue;
        spdlog::warn("client {}: watches holds and does not read; closed", client->peer.pid);
        client->close();
    }
}

} // namespace sluice::daemon
