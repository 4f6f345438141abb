// SPDX-License-Identifier: Apache-2.0
// Which callout has which of the DP_CONTEXT_SLOTS bits of a flow. A callout keeps its slot while it
// can: a pure table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace sluice::daemon {

class ContextSlots {
public:
    struct Given {
        std::uint32_t slot = 0; // 1 .. DP_CONTEXT_SLOTS; 0: all are in use
        std::uint32_t taken_from =
            0; // the callout that had it before and is not registered; 0: none
    };
    // For the callout with this run-time id, which has it until release().
    Given give(std::uint32_t callout);
    void release(std::uint32_t callout); // it keeps the slot until another callout needs it
    // What the kernel says after a restart. Nothing is changed if either is known.
    void learn(std::uint32_t callout, std::uint32_t slot, bool in_use);
    [[nodiscard]] std::uint32_t slot_of(std::uint32_t callout) const; // 0: none
    [[nodiscard]] std::optional<std::uint32_t> callout_of(std::uint32_t slot) const;

private:
    struct Slot {
        std::uint32_t callout = 0;
        bool in_use = false;
        std::uint64_t released = 0; // the longer ago, the sooner it is taken
    };
    std::map<std::uint32_t, Slot> slots_;
    std::uint64_t clock_ = 0;
};

} // namespace sluice::daemon
