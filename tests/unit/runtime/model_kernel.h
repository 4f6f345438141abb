// SPDX-License-Identifier: Apache-2.0
// The kernel's half of a hold, as ARCHITECTURE.md ("The state machine of a hold") has it, behind a
// port in memory. Every transition is checked against the host's part of it: what the host may not
// send is a failure unless the kernel had decided the question without it.
#pragma once

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "shared/flow.h"

namespace sluice::test {

class ModelKernel {
public:
    struct Counts {
        std::uint64_t asked = 0, answered = 0, watchdog = 0, ended_asked = 0; // without a hold
        std::uint64_t opened = 0, permitted = 0, blocked = 0, expired = 0, abandoned = 0;
        std::uint64_t late = 0; // downcalls about what the kernel had decided
        std::uint64_t sent_up = 0, delivered = 0;
    };
    struct Policy { // how often a permit meets something else behind it, in percent
        unsigned next_callout = 10, later_block = 10;
    };

    ModelKernel(std::shared_ptr<FakePort> port, std::vector<std::uint64_t> filters,
                std::uint64_t seed)
        : port_(std::move(port)), filters_(std::move(filters)), random_(seed) {}
    void apply(const Sent &sent); // a downcall

    void packet(std::uint16_t flow); // one more of it, of whatever state
    void expire(std::uint16_t flow, bool permit);
    void end(std::uint16_t flow);
    void inject_clone(std::uint16_t flow); // its host's, of a flow whose hold it closed
    void publish();                        // a newer policy: permitted flows are asked about again

    // What callouts may be told about the question with this flow handle.
    bool may_pend(std::uint64_t ticket);
    bool decided_without_host(std::uint64_t ticket);
    std::uint64_t ticket_of(std::uint16_t flow); // 0: there is none
    std::size_t open();                          // ASKED or HELD, questions that got no frame aside
    std::string text_of_open();                  // those
    Counts counts();
    static std::uint64_t serial_in(const std::string &packet);

private:
    struct Flow {
        dp_flow_state state = DP_FLOW_NONE;
        std::uint64_t ticket = 0, generation = 0, filter = 0, contexts = 0;
        std::uint32_t up = 0, down = 0;
        bool inbound = false, keeps = false, tcp = false;
        bool may_pend = false, reauthorize = false, clone = false, held = false;
        bool disturbed = false; // decided without its host, or asked about more than once
        bool lost = false;      // the question got no frame
        std::string first;      // the packet that is out
        std::uint64_t last_delivered = 0;
    };

    bool chance(unsigned percent) REQUIRES(mutex_) { return random_() % 100 < percent; }
    dp_upcall upcall(std::uint16_t index, const Flow &flow, std::uint8_t kind) const;
    void begin(std::uint16_t index, Flow &flow) REQUIRES(mutex_);
    void ask(std::uint16_t index, Flow &flow, std::string packet) REQUIRES(mutex_);
    void close(Flow &flow, dp_flow_state to, std::uint32_t settled, std::uint64_t &how)
        REQUIRES(mutex_);
    void tell_over(std::uint16_t index, const Flow &flow, bool permit) REQUIRES(mutex_);
    void answered(std::uint16_t index, Flow &flow, const Sent &sent) REQUIRES(mutex_);
    void decide(std::uint16_t index, Flow &flow, const Sent &sent) REQUIRES(mutex_);
    void closed(Flow &flow, const Sent &sent) REQUIRES(mutex_);
    void released(Flow &flow, const Sent &sent) REQUIRES(mutex_);
    void settle(Flow &flow, std::uint32_t count) REQUIRES(mutex_);
    void deliver(Flow &flow, const std::string &packet, const char *how) REQUIRES(mutex_);
    void context(const Sent &sent) REQUIRES(mutex_);
    void refuse(const Flow &flow, const Sent &sent, const char *why) REQUIRES(mutex_);
    std::uint64_t filter_behind(std::uint64_t filter) const;
    std::string next_packet() REQUIRES(mutex_);

    const std::shared_ptr<FakePort> port_;
    const std::vector<std::uint64_t> filters_;
    Mutex mutex_;
    std::mt19937_64 random_ GUARDED_BY(mutex_);
    const Policy policy_;
    std::map<std::uint16_t, Flow> flows_ GUARDED_BY(mutex_); // by local port
    std::set<std::uint64_t> delivered_ GUARDED_BY(mutex_);   // serials
    std::uint64_t generation_ GUARDED_BY(mutex_) = 1, last_ticket_ GUARDED_BY(mutex_) = 0,
                              last_serial_ GUARDED_BY(mutex_) = 0;
    Counts counts_ GUARDED_BY(mutex_);
};

} // namespace sluice::test
