// SPDX-License-Identifier: Apache-2.0
// From an upcall to its callout and back. Used by the threads of all ports and by whoever
// completes.
#pragma once

#include "runtime/callouts.h"
#include "runtime/filter_tables.h"
#include "runtime/holds.h"
#include "runtime/injection_endpoints.h"

namespace sluice::runtime {

// Told when user code begins and ends, so that a slow one gives its port to another thread.
class Pace {
public:
    virtual ~Pace() = default;
    virtual void entering() = 0;
    virtual void left() = 0;
};

class Dispatcher {
public:
    Dispatcher(Callouts &callouts, FilterTables &tables, Holds &holds, Counters &counters)
        : callouts_(callouts), tables_(tables), holds_(holds), counters_(counters) {}

    void handle(const std::shared_ptr<PortLink> &port, xsk::Frame frame, Pace &pace);
    // FwpsCompleteOperation0: asks the callout again, in this thread, and ends the hold with its
    // answer.
    void complete(HANDLE context);
    [[nodiscard]] const Endpoints &endpoints() const { return endpoints_; }

private:
    struct Said {
        Answer answer;
        bool absorbing_block = false;
    };
    void classify(const std::shared_ptr<PortLink> &port, Upcall upcall, xsk::Frame frame,
                  Pace &pace);
    Said ask(const CalloutEntry &callout, FilterObject &filter, Indication &indication,
             const dp_upcall &running);

    Callouts &callouts_;
    FilterTables &tables_;
    Holds &holds_;
    Counters &counters_;
    Endpoints endpoints_;
};

} // namespace sluice::runtime
