// SPDX-License-Identifier: Apache-2.0
#include "datapath/target_slots.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::datapath {

Result<std::vector<std::uint32_t>> place_goals(const TargetSlots &held,
                                               const std::vector<dp_redirect_goal> &goals) {
    std::vector<std::uint32_t> slots;
    std::uint32_t next = 1; // 0 names no target
    for (const auto &goal : goals) {
        const auto same = std::find_if(held.begin(), held.end(), [&](const auto &slot) {
            return std::memcmp(&slot.second, &goal, sizeof goal) == 0;
        });
        if (same != held.end()) {
            slots.push_back(same->first);
            continue;
        }
        while (held.contains(next))
            ++next;
        if (next >= DP_TARGETS_MAX) return Error{ENOSPC, "find room for a target of redirection"};
        slots.push_back(next++);
    }
    return slots;
}

std::vector<dp_cell> with_slots(const compiler::Plan &plan,
                                const std::vector<std::uint32_t> &slots) {
    std::vector<dp_cell> cells = plan.image;
    for (std::size_t i = DP_LAYERS_MAX; i < cells.size(); ++i) {
        auto &cell = cells[i];
        if (cell.op == DP_OP_MATCH && (cell.row.flags & DP_ROW_REDIRECT) != 0)
            cell.row.callout = slots.at(cell.row.callout - 1);
    }
    return cells;
}

} // namespace sluice::datapath
