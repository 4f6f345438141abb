// SPDX-License-Identifier: Apache-2.0
#include "compiler/compiler.h"

#include <algorithm>
#include <set>

#include "compiler/digest.h"
#include "policy/redirect.h"
#include "policy/wfp.h"
#include "sluice/fwp.h"

namespace sluice::compiler {

namespace {

using policy::Filter;
using policy::Policy;

constexpr std::size_t worth_it = 1024;        // rows; fewer are soon laid out anew
constexpr std::uint32_t rewritten_max = 4096; // of a layer that is written again beside others

bool runs(const Filter &filter) {
    return (filter.flags & FWPM_FILTER_FLAG_BOOTTIME) == 0;
}

Chosen running(const Policy &policy) {
    Chosen out;
    for (const auto &[id, filter] : policy.filters)
        if (runs(filter)) out.push_back(&filter);
    return out;
}

} // namespace

Result<Plan> Compiler::compile(const Policy &policy, std::uint64_t generation,
                               const Environment &environment) {
    if (layout_)
        if (auto plan = changed(policy, generation, environment)) return std::move(*plan);
    return anew(policy, generation, environment);
}

void Compiler::remember(const Policy &policy, const Environment &environment) {
    base_.filters = policy.filters;
    base_.sublayers.clear();
    for (const auto &[key, sublayer] : policy.sublayers)
        base_.sublayers[key] = sublayer.weight;
    base_.callout_ids = policy.callout_ids;
    base_.environment = environment;
}

Result<Plan> Compiler::anew(const Policy &policy, std::uint64_t generation,
                            const Environment &environment) {
    layout_.reset();
    auto made = compiler::compile(policy, running(policy), generation, environment);
    if (!made || !made->goals.empty() || made->filter_ids.size() < worth_it) return made;
    layout_ = std::make_shared<Layout>(made->image, made->weights);
    cells_ = made->cells;
    ids_ = made->filter_ids;
    changes_ = 0;
    order_.clear();
    for (std::size_t at = DP_LAYERS_MAX; at < made->image.size(); ++at) {
        if (made->image[at].op != DP_OP_MATCH) continue;
        const Filter &filter = policy.filters.at(made->image[at].row.filter_id);
        auto &order = order_[filter.layer];
        if (order.empty() || order.back() != filter.sublayer) order.push_back(filter.sublayer);
    }
    remember(policy, environment);
    return plan(generation);
}

Plan Compiler::plan(std::uint64_t generation) const {
    Plan out;
    out.generation = generation;
    out.filter_ids = ids_;
    out.cells = cells_;
    out.layout = layout_;
    std::copy(std::begin(layout_->head().present), std::end(layout_->head().present), out.present);
    return out;
}

bool Compiler::is_small_change(const Difference &difference) const {
    const std::size_t changes = changes_ + difference.gone.size() + difference.come.size();
    return changes <= 64 + ids_.size() / 16 &&
           std::none_of(difference.come.begin(), difference.come.end(),
                        [](const Filter *filter) { return policy::redirects(*filter); });
}

std::optional<Result<Plan>> Compiler::changed(const Policy &policy, std::uint64_t generation,
                                              const Environment &environment) {
    // A sublayer or a callout that means something else now concerns filters that stay.
    for (const auto &[key, weight] : base_.sublayers) {
        const auto now = policy.sublayers.find(key);
        if (now != policy.sublayers.end() && now->second.weight != weight) return std::nullopt;
    }
    for (const auto &[key, id] : base_.callout_ids) {
        const auto now = policy.callout_ids.find(key);
        if (now == policy.callout_ids.end() || now->second != id) return std::nullopt;
    }
    if (!(environment == base_.environment)) return std::nullopt;
    Difference difference;
    policy::Filters::compare(
        base_.filters, policy.filters,
        [&](const Filter &f) {
            if (runs(f)) difference.gone.push_back(&f);
        },
        [&](const Filter &f) {
            if (runs(f)) difference.come.push_back(&f);
        });
    if (!is_small_change(difference)) return std::nullopt;
    layout_->begin(generation);
    const bool done = apply(policy, difference, environment);
    layout_->end();
    if (!done) return std::nullopt; // a policy that is refused is refused in its own words
    changes_ += difference.gone.size() + difference.come.size();
    remember(policy, environment);
    return plan(generation);
}

bool Compiler::apply(const Policy &policy, const Difference &difference,
                     const Environment &environment) {
    std::set<std::uint16_t> again; // layers that are written again
    const auto done = [&](const Filter &filter, bool changed) {
        if (changed) return true;
        again.insert(filter.layer);
        return layout_->rows(filter.layer) <= rewritten_max;
    };
    const auto waits = [&](const Filter &filter) { return again.contains(filter.layer); };
    for (const Filter *filter : difference.gone)
        if (!waits(*filter) && !done(*filter, remove(*filter))) return false;
    for (const Filter *filter : difference.come)
        if (!waits(*filter) && !done(*filter, insert(policy, *filter, environment))) return false;
    for (const Filter *filter : difference.gone)
        if (layout_->rows(filter->layer) == 0) again.insert(filter->layer);
    return std::all_of(again.begin(), again.end(), [&](std::uint16_t layer) {
        return replace_layer(policy, layer, environment);
    });
}

std::optional<RowKey> Compiler::key_of(const Filter &filter) const {
    const auto order = order_.find(filter.layer);
    if (order == order_.end()) return std::nullopt;
    const auto at = std::find(order->second.begin(), order->second.end(), filter.sublayer);
    if (at == order->second.end()) return std::nullopt;
    return RowKey{static_cast<std::uint32_t>(at - order->second.begin()), filter.effective_weight,
                  filter.id};
}

bool Compiler::remove(const Filter &filter) {
    const auto key = key_of(filter);
    if (!key || !layout_->remove(filter.layer, *key)) return false;
    const auto id = std::lower_bound(ids_.begin(), ids_.end(), filter.id);
    if (id == ids_.end() || *id != filter.id) return false;
    ids_.erase(id);
    return true; // its cells stay counted until the image is made anew
}

bool Compiler::insert(const Policy &policy, const Filter &filter, const Environment &environment) {
    const auto key = key_of(filter);
    if (!key) return false; // the first of its sublayer
    const auto row = compiler::compile(policy, {&filter}, layout_->head().generation, environment,
                                       &order_.at(filter.layer));
    if (!row) return false;
    cells_ += row->cells - DP_LAYERS_MAX;
    if (cells_ > DP_IMAGE_CELLS_MAX) return false;
    if (!layout_->insert(filter.layer, *key, row->image, DP_LAYERS_MAX)) return false;
    ids_.insert(std::lower_bound(ids_.begin(), ids_.end(), filter.id), filter.id);
    return true;
}

bool Compiler::replace_layer(const Policy &policy, std::uint16_t layer,
                             const Environment &environment) {
    Chosen filters;
    for (const auto &[id, filter] : policy.filters)
        if (filter.layer == layer && runs(filter)) filters.push_back(&filter);
    const auto rows = compiler::compile(policy, filters, layout_->head().generation, environment);
    if (!rows) return false;
    std::vector<std::uint64_t> had = rows->filter_ids, others;
    for (const auto &[id, filter] : base_.filters)
        if (filter.layer == layer) had.push_back(id);
    std::sort(had.begin(), had.end());
    std::set_difference(ids_.begin(), ids_.end(), had.begin(), had.end(),
                        std::back_inserter(others));
    ids_.clear();
    std::merge(others.begin(), others.end(), rows->filter_ids.begin(), rows->filter_ids.end(),
               std::back_inserter(ids_));
    cells_ += rows->cells - DP_LAYERS_MAX;
    if (cells_ > DP_IMAGE_CELLS_MAX) return false;
    auto &order = order_[layer];
    order.clear();
    for (std::size_t at = DP_LAYERS_MAX; at < rows->image.size(); ++at) {
        if (rows->image[at].op != DP_OP_MATCH) continue;
        const Guid &sublayer = policy.filters.at(rows->image[at].row.filter_id).sublayer;
        if (order.empty() || order.back() != sublayer) order.push_back(sublayer);
    }
    return layout_->replace(layer, rows->image, rows->weights);
}

} // namespace sluice::compiler
