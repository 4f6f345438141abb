// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <algorithm>
#include <cstring>

#include "compiler/digest.h"
#include "compiler/rows.h"
#include "policy/condition.h"
#include "policy/redirect.h"
#include "policy/wfp.h"

namespace sluice::compiler {

namespace {

using policy::Filter;
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

Result<std::vector<Placed>> in_order(const Policy &policy, const Chosen &filters) {
    std::vector<Placed> out;
    for (const Filter *filter : filters) {
        const auto sublayer = policy.sublayers.find(filter->sublayer);
        if (sublayer == policy.sublayers.end() || !policy::layer_supported(filter->layer))
            return policy::refuse(STATUS_FWP_NOT_FOUND, "no place in the data path for filter",
                                  filter->name);
        out.push_back({filter, &sublayer->second});
    }
    std::sort(out.begin(), out.end(), before);
    return out;
}

std::uint32_t outcome_flag(policy::Outcome outcome) {
    switch (outcome) {
    case policy::Outcome::block:
        return DP_ROW_OUTCOME_BLOCK;
    case policy::Outcome::permit:
        return DP_ROW_OUTCOME_PERMIT;
    case policy::Outcome::next_filter:
        return DP_ROW_OUTCOME_NEXT;
    default:
        return 0;
    }
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
    cell.row.hold_ms = filter.hold.deadline_ms;
    cell.row.flags |= outcome_flag(filter.hold.outcome);
    return cell;
}

// Moves a row to its place in the image; `next` is the entry of the next row, 0: there is none.
void place(std::vector<dp_cell> &row, std::uint32_t at, std::uint32_t next) {
    row.front().flags |= DP_CELL_FIRST;
    for (dp_cell &cell : row) {
        if (cell.op == 0) continue; // text
        if (cell.op == DP_OP_MATCH) {
            cell.fail = next;
            continue;
        }
        cell.pass += at;
        cell.fail = cell.fail == no_other ? next : cell.fail + at;
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

// The filter's tests and, behind them, what it is.
Result<std::vector<dp_cell>> row_of(const Policy &policy, const Filter &filter,
                                    const Environment &environment) {
    const auto groups = policy::understand(filter);
    if (!groups) return groups.error();
    std::vector<dp_cell> row = tests_of(*groups, policy::layer_is_v6(filter.layer), environment);
    row.push_back(match_cell(policy, filter));
    return row;
}

bool is_same(const dp_redirect_goal &a, const dp_redirect_goal &b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

// The kernel answers in a callout's place.
Result<void> redirect(const Policy &policy, const Filter &filter, dp_cell &match, Plan &plan) {
    if (!policy::redirects(filter)) return {};
    const auto target = policy::target_of(policy, filter);
    if (!target) return target.error();
    const auto goal = policy::goal_of(*target, policy::identity_of(policy, filter));
    const auto at = std::find_if(plan.goals.begin(), plan.goals.end(),
                                 [&](const auto &known) { return is_same(known, goal); });
    const auto place = static_cast<std::uint32_t>(at - plan.goals.begin());
    if (at == plan.goals.end()) {
        if (plan.goals.size() == goals_max)
            return policy::refuse(STATUS_FWP_OUT_OF_BOUNDS,
                                  "the policy redirects to more than " + std::to_string(goals_max) +
                                      " targets with filter",
                                  filter.name);
        plan.goals.push_back(goal);
    }
    match.row.action = FWP_ACTION_CALLOUT_UNKNOWN;
    match.row.flags |= DP_ROW_REDIRECT;
    match.row.callout = place + 1;
    return {};
}

std::uint32_t ordinal(const std::vector<Guid> &sublayers, const Filter &filter) {
    return static_cast<std::uint32_t>(
        std::find(sublayers.begin(), sublayers.end(), filter.sublayer) - sublayers.begin());
}

Error too_large(const Filter &filter) {
    return policy::refuse(STATUS_FWP_OUT_OF_BOUNDS,
                          "the policy needs more than " + std::to_string(DP_IMAGE_CELLS_MAX) +
                              " cells with filter",
                          filter.name);
}

void append(Plan &plan, std::uint16_t layer, std::vector<dp_cell> row, bool last_of_layer) {
    const auto at = static_cast<std::uint32_t>(plan.image.size());
    const auto size = static_cast<std::uint32_t>(row.size());
    place(row, at, last_of_layer ? 0 : at + size);
    auto &index = plan.image[layer].layer;
    if (index.count == 0) index.first = at;
    index.count += size;
    plan.image.insert(plan.image.end(), row.begin(), row.end());
}

// Every index cell says which layers have rows, so that one look-up tells a program for all.
void mark_present(Plan &plan) {
    std::uint64_t present[2] = {};
    for (std::size_t layer = 0; layer < DP_LAYERS_MAX; ++layer)
        if (plan.image[layer].layer.count != 0) present[layer / 64] |= 1ull << layer % 64;
    std::copy(std::begin(present), std::end(present), plan.present);
    for (std::size_t layer = 0; layer < DP_LAYERS_MAX; ++layer)
        std::copy(std::begin(present), std::end(present), plan.image[layer].layer.present);
}

} // namespace

Result<Plan> compile(const Policy &policy, std::uint64_t generation,
                     const Environment &environment) {
    Chosen all;
    for (const auto &[id, filter] : policy.filters)
        all.push_back(&filter);
    return compile(policy, all, generation, environment);
}

Result<Plan> compile(const Policy &policy, const Chosen &chosen, std::uint64_t generation,
                     const Environment &environment, const std::vector<Guid> *sublayers) {
    const Result<std::vector<Placed>> filters = in_order(policy, chosen);
    if (!filters) return filters.error();
    Plan plan;
    plan.generation = generation;
    plan.image.resize(DP_LAYERS_MAX);
    for (dp_cell &cell : plan.image)
        cell.layer.generation = generation;

    Places places;
    plan.cells = DP_LAYERS_MAX;
    for (std::size_t i = 0; i < filters->size(); ++i) {
        const Filter &filter = *(*filters)[i].filter;
        auto row = row_of(policy, filter, environment);
        if (!row) return row.error();
        if (auto r = redirect(policy, filter, row->back(), plan); !r) return r.error();
        places.advance((*filters)[i]);
        row->back().row.rank = places.rank;
        row->back().row.sublayer =
            sublayers != nullptr ? ordinal(*sublayers, filter) : places.sublayer;
        const bool last =
            i + 1 == filters->size() || (*filters)[i + 1].filter->layer != filter.layer;
        const auto at = static_cast<std::uint32_t>(plan.image.size());
        append(plan, filter.layer, std::move(row).value(), last);
        const bool wide = policy::layer_is_v6(filter.layer);
        plan.cells += cells_of(digest(plan.image, at, wide), plan.image);
        if (plan.cells > DP_IMAGE_CELLS_MAX) return too_large(filter);
        plan.filter_ids.push_back(filter.id);
        plan.weights.push_back(filter.effective_weight);
    }
    mark_present(plan);
    std::sort(plan.filter_ids.begin(), plan.filter_ids.end());
    return plan;
}

} // namespace sluice::compiler
