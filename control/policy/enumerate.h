// SPDX-License-Identifier: Apache-2.0
// Which objects an enumeration or a subscription means: WFP's templates over a snapshot.
#pragma once

#include <optional>
#include <vector>

#include <sluice/fwp.h>

#include "core/result.h"
#include "policy/policy.h"

namespace sluice::policy {

// What is left as it is limits nothing. A kind of object reads the members that it has: providers
// none, provider contexts `provider` and `context_type`, sublayers `provider`, callouts `provider`
// and `layer`, filters all.
struct Template {
    Guid provider;
    std::optional<std::uint16_t> layer; // FWPS_LAYER_*
    // FWP_FILTER_ENUM_FULLY_CONTAINED: filters that match all traffic that `conditions` describe.
    // FWP_FILTER_ENUM_OVERLAPPING: also those that match some of it. Without conditions: any
    // filter.
    std::uint32_t enum_type = FWP_FILTER_ENUM_FULLY_CONTAINED;
    // FWP_FILTER_ENUM_FLAG_*. Boot-time filters are left out without INCLUDE_BOOTTIME or
    // BOOTTIME_ONLY. INCLUDE_DISABLED changes nothing: no filter is ever disabled here.
    std::uint32_t flags = 0;
    std::vector<Condition> conditions;         // one per field, needs `layer`
    std::uint32_t action_mask = ~0u;           // FWP_ACTION_*: filters whose action shares a bit
    Guid callout;                              // filters that name it
    Guid provider_context;                     // filters that name it
    std::optional<std::uint32_t> context_type; // FWPM_*_CONTEXT
};

// The filters that `wanted` describes: by id, or with FLAG_SORTED in the order of evaluation
// (layer, sublayer's weight, weight). BEST_TERMINATING_MATCH leaves the first one in that order
// that permits or blocks by itself or by a terminating callout; it needs `layer`.
// STATUS_FWP_INVALID_ENUMERATOR: enum_type. STATUS_FWP_INVALID_FLAGS: unknown or contradicting
// flags. STATUS_FWP_INVALID_PARAMETER: conditions or BEST_TERMINATING_MATCH without a layer.
// STATUS_FWP_LAYER_NOT_FOUND: no such layer. STATUS_FWP_DUPLICATE_CONDITION: two conditions on one
// field. Else what add_filter says of a condition. Pure; no thread matters.
Result<std::vector<Filter>> enumerate_filters(const Policy &policy, const Template &wanted);

Result<std::vector<Callout>> enumerate_callouts(const Policy &policy, const Template &wanted);
std::vector<SubLayer> enumerate_sublayers(const Policy &policy, const Template &wanted);
std::vector<Provider> enumerate_providers(const Policy &policy);
// STATUS_FWP_INVALID_ENUMERATOR: context_type.
Result<std::vector<ProviderContext>> enumerate_provider_contexts(const Policy &policy,
                                                                 const Template &wanted);

// Whether one filter is among those that the template means, SORTED and BEST_TERMINATING_MATCH
// apart: for subscriptions.
Result<bool> meets(const Filter &filter, const Template &wanted);

} // namespace sluice::policy
