// SPDX-License-Identifier: Apache-2.0
// From an upcall to its callout and back. Used by the threads of all ports and by whoever
// completes.
#pragma once

#include "runtime/callouts.h"
#include "runtime/classifies.h"
#include "runtime/filter_tables.h"
#include "runtime/flow_contexts.h"
#include "runtime/forwards.h"
#include "runtime/holds.h"
#include "runtime/injection_endpoints.h"
#include "runtime/pace.h"

namespace sluice::runtime {

class Dispatcher {
public:
    Dispatcher(Callouts &callouts, FilterTables &tables, Holds &holds, FlowContexts &contexts,
               Classifies &classifies, RedirectRecords &records, Forwards &forwards,
               Counters &counters)
        : callouts_(callouts), tables_(tables), holds_(holds), contexts_(contexts),
          classifies_(classifies), records_(records), forwards_(forwards), counters_(counters) {}

    void handle(const std::shared_ptr<PortLink> &port, xsk::Frame frame, Pace &pace);
    // Takes what is in the ring of notices out of it; only the thread that leads the port.
    void take_notices(const std::shared_ptr<PortLink> &port);
    // Deals with the oldest of them; false: there is none.
    bool handle_notice(const std::shared_ptr<PortLink> &port, Pace &pace);
    // What is due by the clock.
    void tick(Pace &pace);
    // FwpsCompleteOperation0: at AUTH_RECV_ACCEPT, without KEEP_PENDED_DATA, only ends the hold;
    // else asks the callout again, in this thread, and ends the hold with its
    // answer.
    void complete(HANDLE context);
    // FwpsCompleteClassify0. out NULL: asks the callout again, in this thread.
    void complete_classify(UINT64 handle, const FWPS_CLASSIFY_OUT0 *out);
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
        std::shared_ptr<Hold> hold; // null where it is told, not asked
        std::shared_ptr<const RedirectRecords::Open> records;
        std::shared_ptr<Classify> again; // asked by handle before
    };
    Question about(const std::shared_ptr<Hold> &hold);
    void ask_again(const std::shared_ptr<Hold> &hold, const std::shared_ptr<Classify> &classify);
    Said said(const FWPS_CLASSIFY_OUT0 &out, const FilterObject &filter);
    void classify(const std::shared_ptr<PortLink> &port, Upcall upcall, xsk::Frame frame,
                  Pace &pace);
    xsk::Frame in_its_place(const CalloutEntry &callout, const Question &question,
                            std::span<const std::byte> packet);
    void tell(const std::shared_ptr<PortLink> &port, const Upcall &upcall, Pace &pace);
    Said ask(const CalloutEntry &callout, const Question &question, Indication &indication,
             FlowContexts::Visit &visit);
    Said call(const CalloutEntry &callout, const Question &question, Indication &indication,
              std::uint64_t flow_context);

    Callouts &callouts_;
    FilterTables &tables_;
    Holds &holds_;
    FlowContexts &contexts_;
    Classifies &classifies_;
    RedirectRecords &records_;
    Forwards &forwards_;
    Counters &counters_;
    Endpoints endpoints_;
};

} // namespace sluice::runtime
