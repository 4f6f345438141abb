// SPDX-License-Identifier: Apache-2.0
// Ends of holds that are not their callout's doing.
#include <algorithm>

#include "runtime/holds.h"

namespace sluice::runtime {

namespace {
using Clock = std::chrono::steady_clock;
// So long a question may lie unread when it is over.
constexpr std::chrono::seconds over_kept{30};
} // namespace

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
    resolve(*hold, action == DP_ACTION_PERMIT ? soft_permit() : Answer{});
    return true;
}

// Its frame, or its own notice, may still have to be read. More of them than the port has frames
// cannot be.
void Holds::told_over(PortLink &port, const Upcall &notice) {
    Lock lock(port.mutex);
    port.over.push_back({Asked(notice), Clock::now()});
    if (port.over.size() > port.io->frames()) port.over.pop_front();
}

void Holds::decided(PortLink &port, const Upcall &notice) {
    const std::shared_ptr<Hold> hold = open_for(port, notice);
    if (!hold || !(Asked(hold->upcall) == Asked(notice))) {
        told_over(port, notice);
        return;
    }
    Lock own(hold->mutex);
    if (hold->state == Hold::State::done) return;
    if (!hold->begun) told_over(port, notice);
    ++counters_.holds_decided;
    if (!hold->in_classify && !hold->reading) hold->first.reset();
    const bool permit = notice.header.action == DP_ACTION_PERMIT;
    release_queue(*hold, permit ? soft_permit() : Answer{}, false);
    close(*hold);
    Lock lock(mutex_);
    contexts_.erase(hold->context);
}

bool Holds::is_over(PortLink &port, const Upcall &question) {
    Lock lock(port.mutex);
    while (!port.over.empty() && port.over.front().told + over_kept < Clock::now())
        port.over.pop_front();
    const auto at = std::find_if(port.over.begin(), port.over.end(), [&](const auto &over) {
        return over.question == Asked(question);
    });
    if (at == port.over.end()) return false;
    port.over.erase(at);
    ++counters_.questions_unread;
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
        for (const auto &[ticket, hold] : port.operations)
            all.push_back(hold);
    }
    for (const auto &hold : all) {
        ++counters_.holds_dropped;
        drop(hold);
    }
}

} // namespace sluice::runtime
