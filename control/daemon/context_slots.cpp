// SPDX-License-Identifier: Apache-2.0
#include "daemon/context_slots.h"

#include "shared/policy.h"

namespace sluice::daemon {

std::uint32_t ContextSlots::slot_of(std::uint32_t callout) const {
    for (const auto &[number, slot] : slots_)
        if (slot.callout == callout) return number;
    return 0;
}

std::optional<std::uint32_t> ContextSlots::callout_of(std::uint32_t slot) const {
    const auto it = slots_.find(slot);
    if (it == slots_.end()) return std::nullopt;
    return it->second.callout;
}

ContextSlots::Given ContextSlots::give(std::uint32_t callout) {
    if (const std::uint32_t own = slot_of(callout)) {
        slots_[own].in_use = true;
        return {own, 0};
    }
    Given given;
    for (std::uint32_t number = 1; number <= DP_CONTEXT_SLOTS; ++number) {
        const auto it = slots_.find(number);
        if (it == slots_.end()) {
            given = {number, 0};
            break;
        }
        if (it->second.in_use) continue;
        if (given.slot == 0 || it->second.released < slots_[given.slot].released)
            given = {number, it->second.callout};
    }
    if (given.slot != 0) slots_[given.slot] = {callout, true, 0};
    return given;
}

void ContextSlots::release(std::uint32_t callout) {
    const std::uint32_t slot = slot_of(callout);
    if (slot == 0) return;
    slots_[slot].in_use = false;
    slots_[slot].released = ++clock_;
}

void ContextSlots::learn(std::uint32_t callout, std::uint32_t slot, bool in_use) {
    if (slot == 0 || slot > DP_CONTEXT_SLOTS || slots_.contains(slot) || slot_of(callout) != 0)
        return;
    slots_[slot] = {callout, in_use, 0};
}

} // namespace sluice::daemon
