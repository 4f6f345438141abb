// SPDX-License-Identifier: Apache-2.0
// Brings what the kernel tells of its verdicts to those who want to know.
#pragma once

#include <map>

#include "policy/policy.h"
#include "protocol/sluice.pb.h"
#include "shared/event.h"

namespace sluice::daemon {

struct Core;

class EventPump {
public:
    explicit EventPump(Core &core) : core_(core) {}
    void start();      // a round each Options::events
    void tell_types(); // says to the kernel what is to be told, at once

private:
    void round();
    [[nodiscard]] std::uint32_t wanted_types() const;

    Core &core_;
    std::map<std::uint32_t, std::uint32_t> told_; // by compartment: which types it was asked for
};

// offset_ns: what a time since boot lacks to one since 1970. exe: path, empty if unknown.
protocol::NetEvent net_event_of(const dp_event &event, std::uint32_t compartment,
                                std::int64_t offset_ns, const policy::Policy &policy,
                                const std::string &exe);

} // namespace sluice::daemon
