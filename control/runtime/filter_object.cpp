// SPDX-License-Identifier: Apache-2.0
#include "runtime/filter_object.h"

#include "runtime/layer_fields.h"

namespace sluice::runtime {

namespace {

UINT16 run_time_flags(std::uint32_t flags) {
    UINT16 out = 0;
    if (flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) out |= FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT;
    if (flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED)
        out |= FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
    return out;
}

} // namespace

FilterObject::FilterObject(const protocol::Filter &from, std::uint32_t callout_id) {
    key_ = Guid::from_bytes(from.key()).value_or(Guid{});
    for (const auto &c : from.conditions()) {
        FWPS_FILTER_CONDITION0 condition{};
        const Guid field = Guid::from_bytes(c.field()).value_or(Guid{});
        condition.fieldId = field_index(static_cast<std::uint16_t>(from.layer()), field);
        condition.matchType = static_cast<FWP_MATCH_TYPE>(c.match());
        condition.conditionValue = to_condition_value(arena_, c.value());
        conditions_.push_back(condition);
    }
    filter_.filterId = from.id();
    filter_.weight = to_value(arena_, from.effective_weight());
    filter_.subLayerWeight = static_cast<UINT16>(from.sublayer_weight());
    filter_.flags = run_time_flags(from.flags());
    filter_.numFilterConditions = static_cast<UINT32>(conditions_.size());
    filter_.filterCondition = conditions_.empty() ? nullptr : conditions_.data();
    filter_.action.type = from.action();
    filter_.action.calloutId = callout_id;
    const bool has_context = from.flags() & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT;
    filter_.context = has_context ? from.provider_context_id() : from.raw_context();
    // sluiced sends it for callouts that use provider contexts and for no others.
    if (!from.has_provider_context_object()) return;
    filter_.providerContext = arena_.make<FWPM_PROVIDER_CONTEXT3>();
    fill(arena_, from.provider_context_object(), *filter_.providerContext);
}

} // namespace sluice::runtime
