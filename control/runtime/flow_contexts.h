// SPDX-License-Identifier: Apache-2.0
// The values that callouts attached to flows: (flow, layer, callout) -> a number of the callout's.
//
// The values are here, the kernel has a bit for each callout that has one on a flow at any layer.
// Inside a classify of the flow the bit travels with the answer; otherwise it goes down at once and
// the kernel's acknowledgement is waited for. What an answer carried may be lost with it, or come
// when the flow is gone, so it is asked for again a while later: a flow that is not there ends.
//
// Each value's flowDeleteFn runs once: in remove(), at the end of the flow, of the port or of the
// registration; if a classify of that callout runs on that flow, in that thread once it has
// returned. No lock is held meanwhile. Lock order: ours, then PortLink, PortLoop and the port's.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "runtime/callouts.h"
#include "runtime/counters.h"
#include "runtime/holds.h"

namespace sluice::runtime {

class FlowContexts {
    struct Context {
        std::uint16_t layer;
        std::uint32_t callout;
        std::uint64_t value;
        std::uint64_t bit;
        std::uint64_t serial;
    };

public:
    using Clock = std::chrono::steady_clock;

    FlowContexts(Callouts &callouts, Counters &counters)
        : callouts_(callouts), counters_(counters) {}

    // A classify of a flow by a callout, on this thread. Does nothing where there is no flow.
    class Visit {
    public:
        Visit(FlowContexts &contexts, const std::shared_ptr<PortLink> &port, const Upcall &upcall,
              const CalloutEntry &callout);
        ~Visit();
        Visit(const Visit &) = delete;
        Visit &operator=(const Visit &) = delete;
        [[nodiscard]] std::uint64_t value() const { return value_; } // 0: none
        // The callout wants flows with a context only, and this one has none.
        [[nodiscard]] bool passes_over() const { return passes_over_; }
        // classifyFn has returned: the bits that its answer is to carry.
        std::uint64_t returned();

    private:
        friend class FlowContexts;
        FlowContexts &contexts_;
        Visit *outer_;
        std::uint64_t flow_ = 0; // handle; 0: no flow, or nobody has contexts
        std::uint32_t callout_;
        std::uint64_t value_ = 0, carried_ = 0;
        bool passes_over_ = false, running_ = false;
        std::vector<Context> ended_;
    };

    NTSTATUS associate(std::uint64_t flow, std::uint16_t layer, std::uint32_t callout,
                       std::uint64_t value) EXCLUDES(mutex_);
    NTSTATUS remove(std::uint64_t flow, std::uint16_t layer, std::uint32_t callout)
        EXCLUDES(mutex_);
    // The end of a flow; a second report of it finds nothing.
    void flow_ended(std::uint64_t flow) EXCLUDES(mutex_);
    void port_ended(const PortLink &port) EXCLUDES(mutex_);
    void acknowledged(std::uint64_t number, bool there) EXCLUDES(mutex_);
    // Asks the kernel again about bits that travelled with answers, a few at a time. Cheap when
    // there are none.
    void confirm(Clock::time_point now) EXCLUDES(mutex_);

    // Callouts with a flowDeleteFn.
    void opened() { ++interested_; }
    void forgotten() { --interested_; }
    // False: contexts are outstanding. True: from here on none is made, until reopen().
    bool retire(std::uint32_t callout) EXCLUDES(mutex_);
    void reopen(std::uint32_t callout) EXCLUDES(mutex_);
    void closed(std::uint32_t callout) EXCLUDES(mutex_);
    void remove_all(std::uint32_t callout) EXCLUDES(mutex_);
    [[nodiscard]] std::size_t count() const EXCLUDES(mutex_);

private:
    struct Flow {
        std::shared_ptr<PortLink> port;
        dp_flow_key key{};
        std::uint64_t ticket = 0;
        std::uint64_t announced = 0; // bits that the kernel has, or is being told
        bool remembered = false;     // stands in seen_
        bool ended = false;          // a classify still runs
        std::vector<Context> contexts, doomed;
        std::vector<std::uint32_t> running; // callouts, once for each classify
        [[nodiscard]] std::uint64_t bits() const;
        [[nodiscard]] bool runs(std::uint32_t callout) const;
    };
    struct Waiter {
        bool done = false, there = false;
    };
    struct Carried {
        std::uint64_t flow;
        Clock::time_point when;
        std::uint64_t number; // of the question to the kernel; 0: not asked yet
    };
    using Flows = std::unordered_map<std::uint64_t, Flow>;

    Flow &meet(const std::shared_ptr<PortLink> &port, const Upcall &upcall,
               std::vector<Context> &ended) REQUIRES(mutex_);
    void leave(Visit &visit) EXCLUDES(mutex_);
    NTSTATUS announce(std::uint64_t flow, const Context &context, Lock &lock) REQUIRES(mutex_);
    bool tell(Flow &flow, std::uint64_t set, std::uint64_t clear, std::uint64_t number)
        REQUIRES(mutex_);
    void ask(Carried question, Clock::time_point now) REQUIRES(mutex_);
    void clear_bits(Flow &flow) REQUIRES(mutex_);
    void end(Flows::iterator at, std::vector<Context> &ended) REQUIRES(mutex_);
    void forget_if_idle(Flows::iterator at) REQUIRES(mutex_);
    Context *find(Flow &flow, std::uint16_t layer, std::uint32_t callout) REQUIRES(mutex_);
    void deliver(const std::vector<Context> &ended) EXCLUDES(mutex_);

    Callouts &callouts_;
    Counters &counters_;
    std::atomic<int> interested_{0};
    std::atomic<std::size_t> unconfirmed_{0};
    mutable Mutex mutex_;
    Condition changed_;
    Flows flows_ GUARDED_BY(mutex_);
    std::deque<std::uint64_t> seen_ GUARDED_BY(mutex_);
    std::deque<Carried> carried_ GUARDED_BY(mutex_);  // to be asked about
    std::deque<Carried> repeated_ GUARDED_BY(mutex_); // were, and perhaps not answered
    std::unordered_map<std::uint64_t, Waiter *> waiting_ GUARDED_BY(mutex_);
    std::unordered_map<std::uint64_t, std::uint64_t> asked_ GUARDED_BY(mutex_); // number -> flow
    std::unordered_map<std::uint32_t, std::size_t> outstanding_ GUARDED_BY(mutex_);
    std::set<std::uint32_t> retired_ GUARDED_BY(mutex_);
    std::uint64_t last_number_ GUARDED_BY(mutex_) = 0, last_serial_ GUARDED_BY(mutex_) = 0;
};

} // namespace sluice::runtime
