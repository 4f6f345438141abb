// SPDX-License-Identifier: Apache-2.0
// Ends what a host left open, in its place: the filter that asked says how. Used for hosts that
// ended and for flows past their deadline, whose hosts the kernel tells (DP_UPCALL_OVER). What goes
// down the port is checked by the kernel like any host's answer.
#pragma once

#include "daemon/custody.h"
#include "datapath/datapath.h"

namespace sluice::daemon {

// What the sweep has to do about a flow. A pure decision. before_ns: when it looked the last time,
// 0: never. What was due by then was answered, and is removed if that did not take for two seconds;
// what became due while nobody looked is answered first.
enum class Fate { keep, expire, drain, remove };
Fate fate_of(const dp_flow &flow, std::uint8_t protocol, std::uint64_t now_ns,
             std::uint64_t before_ns, std::uint64_t watchdog_ns);
// Of a bind or listen: remove says that nobody waits for it any more. One that was refused stays
// for as long as its socket.
Fate fate_of(const dp_operation &operation, std::uint64_t now_ns, std::uint64_t watchdog_ns);

// ASKED, HELD or DRAINING
bool is_open(const dp_flow &flow);
bool is_open(const dp_operation &operation);
// The evaluation that waits for an answer: its ALE layer's, or ALE_FLOW_ESTABLISHED's.
const dp_eval &question_of(const dp_flow &flow);

// The answers that sluiced gives, as headers: `flow` as it was read.
// `why`: DP_DOWNCALL_EXPIRED, where the filter's outcome or else the host's applies, or
// DP_DOWNCALL_ABANDONED, where nobody answers any more. The kernel works the action out again.
dp_downcall flow_answer(const dp_flow_key &key, const dp_flow &flow, dp_downcall_flag why,
                        std::uint32_t host_outcome);
dp_downcall ticket_answer(std::uint64_t number, const dp_ticket &ticket, dp_downcall_flag why,
                          std::uint32_t host_outcome);

// Settles flows and tickets of one port. Reads the UMEM once, at the first need.
class Settler {
public:
    // port: null when the port is gone; flows are then deleted, so that their next packet is judged
    // anew.
    Settler(datapath::Datapath &plane, datapath::PortDevice *port) : plane_(plane), port_(port) {}
    void flow(const dp_flow_key &key, const dp_flow &flow, dp_downcall_flag why);
    void ticket(std::uint64_t number, const dp_ticket &ticket, dp_downcall_flag why);
    void operation(std::uint64_t id, const dp_operation &operation, dp_downcall_flag why);
    void drain(const dp_flow_key &key, const dp_flow &flow); // gives up what is missing
    // Everything of this host. A second call clears what the first one could not settle.
    std::size_t all_of(std::uint32_t host);
    void clear(std::uint32_t host);

private:
    void send(const dp_downcall &head, std::span<const std::byte> packet);
    void release_queued(const dp_flow_key &key, const dp_flow &flow);
    void release_waiting(dp_downcall head);
    std::size_t operations_of(std::uint32_t host);
    [[nodiscard]] std::uint32_t outcome_of(std::uint32_t host) const;
    [[nodiscard]] const std::vector<FoundFrame> *frames_of(std::uint64_t ticket);
    [[nodiscard]] std::span<const std::byte> packet_of(const FoundFrame &frame) const;

    datapath::Datapath &plane_;
    datapath::PortDevice *port_;
    std::optional<FrameIndex> index_;
};

} // namespace sluice::daemon
