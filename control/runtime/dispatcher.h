// SPDX-License-Identifier: Apache-2.0
// From an upcall to its callout and back. Used by the threads of all ports and by whoever
// completes.
#pragma once

#include "runtime/callouts.h"
#include "runtime/filter_tables.h"
#include "runtime/flow_contexts.h"
#include "runtime/holds.h"
#include "runtime/injection_endpoints.h"
#include "runtime/pace.h"

namespace sluice::runtime {

class Dispatcher {
public:
    Dispatcher(Callouts &callouts, FilterTables &tables, Holds &holds, FlowContexts &contexts,
               Counters &counters)
        : callouts_(callouts), tables_(tables), holds_(holds), contexts_(contexts),
          counters_(counters) {}

    void handle(const std::shared_ptr<PortLink> &port, xsk::Frame frame, Pace &pace);
    // Takes what is in the ring of notices out of it; only the thread that leads the port.
    void take_notices(const std::shared_ptr<PortLink> &port);
    // Deals with the oldest of them; false: there is none.
    bool handle_notice(const std::shared_ptr<PortLink> &port, Pace &pace);
    // What is due by the clock.
    void tick() { contexts_.confirm(FlowContexts::Clock::now()); }
    // FwpsCompleteOperation0: at AUTH_RECV_ACCEPT, without KEEP_PENDED_DATA, only ends the hold;
    // else asks the callout again, in this thread, and ends the hold with its
    // answer.
    void complete(HANDLE context);
    [[nodiscard]] const Endpoints &endpoints() const { return endpoints_; }

private:
    struct Said {
        Answer answer;
        bool absorbing_block = false;
    };
    // What a callout is told of the question, and by whom it is asked.
    struct Question {
        const std::shared_ptr<PortLink> &port;
        const Upcall &upcall;
        FilterObject &filter;
        Indication::Asked asked;
    };
    void classify(const std::shared_ptr<PortLink> &port, Upcall upcall, xsk::Frame frame,
                  Pace &pace);
    void tell(const std::shared_ptr<PortLink> &port, const Upcall &upcall, Pace &pace);
    Said ask(const CalloutEntry &callout, const Question &question, Indication &indication,
             FlowContexts::Visit &visit);
    Said call(const CalloutEntry &callout, const Question &question, Indication &indication,
              std::uint64_t flow_context);

    Callouts &callouts_;
    FilterTables &tables_;
    Holds &holds_;
    FlowContexts &contexts_;
    Counters &counters_;
    Endpoints endpoints_;
};

} // namespace sluice::runtime
