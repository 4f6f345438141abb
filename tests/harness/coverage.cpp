// SPDX-License-Identifier: Apache-2.0
#include "harness/coverage.h"

#include <sstream>

namespace sluice::harness {

using policy::Match;

Coverage::Coverage() {
    for (const std::uint16_t layer : all_layers()) {
        for (const Cell &cell : cells_at(layer))
            counts_.emplace(cell, 0);
    }
}

void Coverage::count(const policy::Policy &policy, const policy::Packet &packet) {
    policy::Filter alone;
    alone.layer = packet.layer;
    for (const auto &[id, filter] : policy.filters) {
        if (filter.layer != packet.layer || policy::matches(filter, packet) != Match::yes) continue;
        for (const policy::Condition &condition : filter.conditions) {
            alone.conditions = {condition};
            if (filter.conditions.size() == 1 || policy::matches(alone, packet) == Match::yes)
                ++counts_.at(cell_of(filter.layer, condition));
        }
    }
}

void Coverage::print(std::ostream &out) const {
    for (const auto &[cell, count] : counts_)
        out << count << '\t' << name_of(cell) << '\n';
}

std::string text_of(const policy::Policy &policy) {
    std::ostringstream out;
    for (const auto &[id, filter] : policy.filters) {
        out << "filter " << id << std::hex << " action " << filter.action << " flags "
            << filter.flags << std::dec << " weight " << filter.effective_weight << ':';
        for (const policy::Condition &condition : filter.conditions)
            out << " [" << name_of(cell_of(filter.layer, condition)) << ']';
        out << '\n';
    }
    return out.str();
}

} // namespace sluice::harness
