// SPDX-License-Identifier: Apache-2.0
// What was dropped and what was allowed, and by which filter: the last 4096 events, and those who
// want to hear of each.
#pragma once

#include <deque>
#include <functional>

#include "core/result.h"
#include "protocol/sluice.pb.h"

namespace sluice::daemon {

class NetEvents {
public:
    static constexpr std::size_t kept_max = 4096;
    using Tell = std::function<void(const protocol::NetEvent &)>;

    explicit NetEvents(Tell tell) : tell_(std::move(tell)) {}

    // Gives the event its number. Nothing happens while events are not collected.
    void add(protocol::NetEvent event);
    [[nodiscard]] bool collected() const { return collected_; }
    void collect(bool yes); // no: what is kept goes
    // Oldest first. One number, or all of a time (0: no limit) that are kept.
    // STATUS_FWP_NET_EVENTS_DISABLED: they are not collected.
    [[nodiscard]] Result<std::vector<protocol::NetEvent>>
    find(const protocol::NetEventEnum &wanted) const;

private:
    Tell tell_;
    std::deque<protocol::NetEvent> kept_;
    std::uint64_t next_ = 1;
    bool collected_ = true;
};

// One line for people: what, where, whose.
std::string text_of(const protocol::NetEvent &event);

} // namespace sluice::daemon
