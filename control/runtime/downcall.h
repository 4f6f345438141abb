// SPDX-License-Identifier: Apache-2.0
// Answers on their way to the kernel. The header is written directly before the packet, over what
// is left of the upcall's; what the kernel is told it takes from its own ticket, so nothing here
// has to be right for its safety.
#pragma once

#include <memory>
#include <optional>

#include "runtime/indication.h"
#include "runtime/redirections.h"
#include "xsk/frame.h"

namespace sluice::runtime {

struct Answer {
    std::uint32_t action = DP_ACTION_BLOCK;
    std::uint32_t rights = 0;
    bool absorb = false;
    std::uint64_t contexts = 0; // bits that callouts set on the flow meanwhile
    bool close = false;         // COMPLETE: no answer, the callout injects a clone of its own
    std::shared_ptr<const Redirection> redirection{}; // with a permit; null: none
    [[nodiscard]] bool blocks() const { return action == DP_ACTION_BLOCK; }
};

// Zero but for what every downcall begins with.
dp_downcall downcall_of(dp_downcall_kind kind);

// `frame`: as it came up, with the upcall in front. False: not sent, the frame is gone all the
// same.
bool send_with_packet(xsk::PortIo &port, dp_downcall_kind kind, const Upcall &upcall,
                      const Answer &answer, xsk::Frame frame);
bool send_bare(xsk::PortIo &port, dp_downcall_kind kind, const Upcall &upcall, const Answer &answer,
               std::uint32_t count = 0);

// In as many frames as its context needs. False: not all of them were sent.
bool send_redirection(xsk::PortIo &port, const Upcall &upcall, const Redirection &redirection);

// Sets and clears bits of a flow. number: comes back in the acknowledgement; 0: nobody waits.
struct ContextOrder {
    dp_flow_key flow;
    std::uint64_t ticket = 0, set = 0, clear = 0, number = 0;
};
bool send_contexts(xsk::PortIo &port, const ContextOrder &order);

} // namespace sluice::runtime
