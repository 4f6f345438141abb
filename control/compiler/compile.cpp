// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <algorithm>

#include "policy/condition.h"
#include "policy/wfp.h"

namespace sluice::compiler {

namespace {

using policy::Admitted;
using policy::Field;
using policy::Filter;
using policy::Interval;
using policy::Number;
using policy::Policy;

// A filter beside what decides its place.
struct Placed {
    const Filter *filter;
    const policy::SubLayer *sublayer;
};

bool before(const Placed &a, const Placed &b) {
    if (a.filter->layer != b.filter->layer) return a.filter->layer < b.filter->layer;
    if (a.sublayer->weight != b.sublayer->weight) return a.sublayer->weight > b.sublayer->weight;
    if (a.sublayer->key != b.sublayer->key) return a.sublayer->key < b.sublayer->key;
    if (a.filter->effective_weight != b.filter->effective_weight)
        return a.filter->effective_weight > b.filter->effective_weight;
    return a.filter->id < b.filter->id;
}

Result<std::vector<Placed>> in_order(const Policy &policy) {
    std::vector<Placed> out;
    for (const auto &[id, filter] : policy.filters) {
        const auto sublayer = policy.sublayers.find(filter.sublayer);
        if (sublayer == policy.sublayers.end() || !policy::layer_supported(filter.layer))
            return policy::refuse(STATUS_FWP_NOT_FOUND, "no place in the data path for filter",
                                  filter.name);
        out.push_back({&filter, &sublayer->second});
    }
    std::sort(out.begin(), out.end(), before);
    return out;
}

// IPv4 as ::ffff:a.b.c.d.
dp_addr address(Number n, std::uint16_t layer) {
    constexpr std::uint64_t mapped = 0xffff'0000'0000ull;
    const auto low = static_cast<std::uint64_t>(n);
    if (!policy::layer_is_v6(layer)) return {0, mapped | low};
    return {static_cast<std::uint64_t>(n >> 64), low};
}

dp_slot slot_of(Field field) {
    switch (field) {
    case Field::local_address:
        return DP_SLOT_LOCAL_ADDRESS;
    case Field::remote_address:
        return DP_SLOT_REMOTE_ADDRESS;
    case Field::local_port:
        return DP_SLOT_LOCAL_PORT;
    case Field::remote_port:
        return DP_SLOT_REMOTE_PORT;
    case Field::protocol:
        break;
    }
    return DP_SLOT_PROTOCOL;
}

dp_cell test_cell(Field field, const Interval &interval, std::uint16_t layer) {
    dp_cell cell{};
    cell.op = DP_OP_RANGE;
    cell.slot = static_cast<std::uint8_t>(slot_of(field));
    const bool is_address = field == Field::local_address || field == Field::remote_address;
    const auto bound = [&](Number n) {
        return is_address ? address(n, layer) : dp_addr{0, static_cast<std::uint64_t>(n)};
    };
    cell.test.low = bound(interval.low);
    cell.test.high = bound(interval.high);
    return cell;
}

dp_cell match_cell(const Policy &policy, const Filter &filter) {
    dp_cell cell{};
    cell.op = DP_OP_MATCH;
    cell.row.filter_id = filter.id;
    cell.row.action = filter.action;
    if ((filter.action & FWP_ACTION_FLAG_CALLOUT) != 0) {
        const auto id = policy.callout_ids.find(filter.callout);
        cell.row.callout = id != policy.callout_ids.end() ? id->second : 0;
    }
    if ((filter.flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
        cell.row.flags |= DP_ROW_CLEAR_ACTION_RIGHT;
    if ((filter.flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) != 0)
        cell.row.flags |= DP_ROW_PERMIT_IF_UNREGISTERED;
    return cell;
}

// The tests of a filter, one group of alternatives after the other, with pass and fail counted from
// the row's first cell; a fail of 0 is the next row.
std::vector<dp_cell> tests_of(const Admitted &admitted, std::uint16_t layer) {
    std::vector<dp_cell> cells;
    for (std::size_t i = 0; i < admitted.size(); ++i) {
        if (!admitted[i]) continue;
        const std::size_t behind = cells.size() + admitted[i]->size();
        for (const Interval &interval : *admitted[i]) {
            dp_cell cell = test_cell(static_cast<Field>(i), interval, layer);
            const std::size_t next = cells.size() + 1;
            cell.pass = static_cast<std::uint32_t>(behind);
            cell.fail = next < behind ? static_cast<std::uint32_t>(next) : 0;
            cells.push_back(cell);
        }
    }
    return cells;
}

// Moves a row to its place in the image; `next` is the entry of the next row.
void place(std::vector<dp_cell> &row, std::uint32_t at, std::uint32_t next) {
    row.front().flags |= DP_CELL_FIRST;
    for (dp_cell &cell : row) {
        if (cell.op != DP_OP_MATCH) cell.pass += at;
        cell.fail = cell.fail != 0 ? cell.fail + at : next;
    }
}

// Numbers ranks and sublayers while the filters pass in order.
class Places {
public:
    void advance(const Placed &to) {
        if (last_.filter == nullptr || to.filter->layer != last_.filter->layer) {
            rank = sublayer = 0;
        } else if (to.sublayer != last_.sublayer) {
            ++sublayer;
        }
        ++rank;
        last_ = to;
    }
    std::uint32_t rank = 0, sublayer = 0;

private:
    Placed last_{nullptr, nullptr};
};

} // namespace

Result<Plan> compile(const Policy &policy, std::uint64_t generation,
                     const Environment & /*environment*/) {
    Result<std::vector<Placed>> filters = in_order(policy);
    if (!filters) return filters.error();
    Plan plan;
    plan.generation = generation;
    plan.image.resize(DP_LAYERS_MAX);
    for (dp_cell &cell : plan.image)
        cell.layer.generation = generation;

    Places places;
    for (std::size_t i = 0; i < filters->size(); ++i) {
        const Placed &placed = (*filters)[i];
        const Filter &filter = *placed.filter;
        const Result<Admitted> admitted = policy::admitted_by(filter);
        if (!admitted) return admitted.error();
        std::vector<dp_cell> row = tests_of(*admitted, filter.layer);
        row.push_back(match_cell(policy, filter));
        if (plan.image.size() + row.size() > DP_IMAGE_CELLS_MAX)
            return policy::refuse(STATUS_FWP_OUT_OF_BOUNDS,
                                  "the policy needs more than " +
                                      std::to_string(DP_IMAGE_CELLS_MAX) + " cells with filter",
                                  filter.name);
        places.advance(placed);
        row.back().row.rank = places.rank;
        row.back().row.sublayer = places.sublayer;
        const bool last =
            i + 1 == filters->size() || (*filters)[i + 1].filter->layer != filter.layer;
        const auto at = static_cast<std::uint32_t>(plan.image.size());
        const auto size = static_cast<std::uint32_t>(row.size());
        place(row, at, last ? 0 : at + size);
        auto &index = plan.image[filter.layer].layer;
        if (index.count == 0) index.first = at;
        index.count += size;
        plan.image.insert(plan.image.end(), row.begin(), row.end());
        plan.filter_ids.push_back(filter.id);
    }
    std::sort(plan.filter_ids.begin(), plan.filter_ids.end());
    return plan;
}

} // namespace sluice::compiler
