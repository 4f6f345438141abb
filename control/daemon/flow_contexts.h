// SPDX-License-Identifier: Apache-2.0
// What sluiced has to do with contexts on flows: it gives callouts their slots, tells hosts of ends
// that their own rings had no room for, ends the flows of closed sockets, and takes the contexts of
// hosts that ended off the flows.
#pragma once

#include <set>

#include "daemon/client.h"
#include "daemon/context_slots.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

struct Core;

class FlowContexts {
public:
    explicit FlowContexts(Core &core) : core_(core) {}

    void load(); // after the planes were taken over: what is given stands in their callouts
    // The callout's slot; 0: it can have no contexts.
    std::uint32_t registered(std::uint32_t callout, bool has_flow_delete);
    void unregistered(std::uint32_t callout);
    [[nodiscard]] std::uint32_t slot_of(std::uint32_t callout) const {
        return slots_.slot_of(callout);
    }
    void publish();                      // whose the slots are just now, to all planes
    void host_ended(std::uint32_t host); // before its callouts are cleared

    void tell_ends(std::uint32_t compartment, datapath::Datapath &plane); // each sweep
    void sockets_closed(datapath::Datapath &plane, const std::set<std::uint64_t> &cookies);
    // FwpsFlowAbort0: a TCP connection is cut on both sides, then the flow ends.
    void flow_end(const protocol::FlowEnd &request, const Responder &to);

private:
    [[nodiscard]] std::uint32_t owner(std::uint32_t callout) const; // host; 0: nobody
    void forget(std::uint64_t slots);

    Core &core_;
    ContextSlots slots_;
};

} // namespace sluice::daemon
