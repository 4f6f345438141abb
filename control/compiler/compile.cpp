// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <algorithm>
#include <cstring>
#include <limits>

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

void constrain(dp_row &row, Field field, const Interval &to, std::uint16_t layer) {
    row.fields |= static_cast<std::uint16_t>(1u << static_cast<unsigned>(field));
    switch (field) {
    case Field::local_address:
        row.local_lo = address(to.low, layer);
        row.local_hi = address(to.high, layer);
        break;
    case Field::remote_address:
        row.remote_lo = address(to.low, layer);
        row.remote_hi = address(to.high, layer);
        break;
    case Field::local_port:
        row.local_port_lo = static_cast<std::uint16_t>(to.low);
        row.local_port_hi = static_cast<std::uint16_t>(to.high);
        break;
    case Field::remote_port:
        row.remote_port_lo = static_cast<std::uint16_t>(to.low);
        row.remote_port_hi = static_cast<std::uint16_t>(to.high);
        break;
    case Field::protocol:
        row.protocol_lo = static_cast<std::uint8_t>(to.low);
        row.protocol_hi = static_cast<std::uint8_t>(to.high);
        break;
    }
}
static_assert(DP_FIELD_LOCAL_ADDRESS == 1 << static_cast<int>(Field::local_address));
static_assert(DP_FIELD_REMOTE_ADDRESS == 1 << static_cast<int>(Field::remote_address));
static_assert(DP_FIELD_LOCAL_PORT == 1 << static_cast<int>(Field::local_port));
static_assert(DP_FIELD_REMOTE_PORT == 1 << static_cast<int>(Field::remote_port));
static_assert(DP_FIELD_PROTOCOL == 1 << static_cast<int>(Field::protocol));

// The filter's row without conditions: full ranges, so that a search may compare without looking at
// `fields`.
dp_row open_row(const Policy &policy, const Filter &filter) {
    dp_row row{};
    row.filter_id = filter.id;
    row.weight = filter.effective_weight;
    row.action = filter.action;
    if ((filter.action & FWP_ACTION_FLAG_CALLOUT) != 0) {
        const auto id = policy.callout_ids.find(filter.callout);
        row.callout = id != policy.callout_ids.end() ? id->second : 0;
    }
    if ((filter.flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
        row.flags |= DP_ROW_CLEAR_ACTION_RIGHT;
    if ((filter.flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) != 0)
        row.flags |= DP_ROW_PERMIT_IF_UNREGISTERED;
    constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    row.protocol_hi = std::numeric_limits<std::uint8_t>::max();
    row.local_port_hi = row.remote_port_hi = std::numeric_limits<std::uint16_t>::max();
    row.local_hi = row.remote_hi = {all, all};
    return row;
}

// Rows that a filter needs; stops counting once they are too many.
std::size_t rows_needed(const Admitted &admitted) {
    std::size_t rows = 1;
    for (const auto &field : admitted) {
        if (field && rows <= DP_IMAGE_ROWS_MAX) rows *= field->size();
    }
    return rows;
}

// One row for each combination of alternatives.
std::vector<dp_row> expand(const dp_row &open, const Admitted &admitted, std::uint16_t layer) {
    std::vector<dp_row> rows{open};
    for (std::size_t i = 0; i < admitted.size(); ++i) {
        if (!admitted[i]) continue;
        std::vector<dp_row> next;
        for (const dp_row &row : rows) {
            for (const Interval &interval : *admitted[i]) {
                next.push_back(row);
                constrain(next.back(), static_cast<Field>(i), interval, layer);
            }
        }
        rows = std::move(next);
    }
    return rows;
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

void write_index(std::vector<dp_row> &image, const std::vector<dp_layer_index> &indexes) {
    for (std::size_t i = 0; i < indexes.size(); ++i)
        std::memcpy(&image[i], &indexes[i], sizeof image[i]);
}

} // namespace

Result<Plan> compile(const Policy &policy, std::uint64_t generation) {
    Result<std::vector<Placed>> filters = in_order(policy);
    if (!filters) return filters.error();
    Plan plan;
    plan.generation = generation;
    plan.image.resize(DP_LAYERS_MAX);
    std::vector<dp_layer_index> indexes(DP_LAYERS_MAX);
    for (dp_layer_index &index : indexes)
        index.generation = generation;

    Places places;
    for (const Placed &placed : *filters) {
        const Filter &filter = *placed.filter;
        const Result<Admitted> admitted = policy::admitted_by(filter);
        if (!admitted) return admitted.error();
        if (plan.image.size() - DP_LAYERS_MAX + rows_needed(*admitted) > DP_IMAGE_ROWS_MAX)
            return policy::refuse(STATUS_FWP_OUT_OF_BOUNDS,
                                  "the policy needs more than " +
                                      std::to_string(DP_IMAGE_ROWS_MAX) + " rows with filter",
                                  filter.name);
        places.advance(placed);
        dp_layer_index &index = indexes[filter.layer];
        if (index.count == 0) index.first = static_cast<std::uint32_t>(plan.image.size());
        for (dp_row &row : expand(open_row(policy, filter), *admitted, filter.layer)) {
            row.rank = places.rank;
            row.sublayer = places.sublayer;
            plan.image.push_back(row);
            ++index.count;
        }
        plan.filter_ids.push_back(filter.id);
    }
    write_index(plan.image, indexes);
    std::sort(plan.filter_ids.begin(), plan.filter_ids.end());
    return plan;
}

} // namespace sluice::compiler
