// SPDX-License-Identifier: Apache-2.0
#include "policy/edit.h"

#include <algorithm>

#include "policy/built_in.h"
#include "policy/check.h"
#include "policy/condition.h"
#include "policy/redirect.h"
#include "policy/wfp.h"

namespace sluice::policy {

namespace {

constexpr std::uint16_t universal_weight = 0x8000;

Result<void> check_filter_flags(const Filter &filter) {
    constexpr std::uint32_t lasting = FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME;
    constexpr std::uint32_t known =
        FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT | FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED |
        FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT | FWPM_FILTER_FLAG_INDEXED;
    constexpr std::uint32_t absent = FWPM_FILTER_FLAG_HAS_SECURITY_REALM_PROVIDER_CONTEXT |
                                     FWPM_FILTER_FLAG_SYSTEMOS_ONLY | FWPM_FILTER_FLAG_GAMEOS_ONLY |
                                     FWPM_FILTER_FLAG_SILENT_MODE |
                                     FWPM_FILTER_FLAG_IPSEC_NO_ACQUIRE_INITIATE;
    if ((filter.flags & ~(known | absent | lasting)) != 0 || (filter.flags & lasting) == lasting)
        return refuse(STATUS_FWP_INVALID_FLAGS, "unknown or contradicting flags of filter",
                      filter.name);
    if ((filter.flags & absent) != 0)
        return refuse(STATUS_NOT_SUPPORTED, "a flag that means nothing here, of filter",
                      filter.name);
    return {};
}

Result<void> check_place(const Policy &policy, const Filter &filter) {
    if (!layer_known(filter.layer))
        return refuse(STATUS_FWP_LAYER_NOT_FOUND, "no such layer", std::to_string(filter.layer));
    if (!layer_supported(filter.layer))
        return refuse(STATUS_FWP_LAYER_NOT_FOUND, "filters are not in this release at layer",
                      layer_name(filter.layer));
    const auto sublayer = policy.sublayers.find(filter.sublayer);
    if (sublayer == policy.sublayers.end())
        return refuse(STATUS_FWP_SUBLAYER_NOT_FOUND, "no such sublayer", filter.sublayer.text());
    return check_refers(subject("filter", filter), "sublayer", lifetime(sublayer->second),
                        sublayer->second.owner);
}

Result<void> check_callout(const Policy &policy, const Filter &filter) {
    const auto callout = policy.callouts.find(filter.callout);
    if (callout == policy.callouts.end())
        return refuse(STATUS_FWP_CALLOUT_NOT_FOUND, "no such callout", filter.callout.text());
    if (callout->second.layer != filter.layer)
        return refuse(STATUS_FWP_INCOMPATIBLE_LAYER,
                      "the callout is for " + layer_name(callout->second.layer) +
                          ", not for the layer",
                      layer_name(filter.layer));
    if (!layer_asks(filter.layer))
        return refuse(STATUS_NOT_SUPPORTED,
                      "callouts are not asked at " + layer_name(filter.layer) + " yet, callout",
                      callout->second.name);
    return check_refers(subject("filter", filter), "callout", lifetime(callout->second),
                        callout->second.owner);
}

Result<void> check_hold(const Filter &filter, const HoldOptions &hold) {
    if (hold == HoldOptions() || (filter.action & FWP_ACTION_FLAG_CALLOUT) != 0) return {};
    const char *option = hold.deadline_ms != 0 ? "a deadline" : "an outcome";
    return refuse(STATUS_FWP_INVALID_PARAMETER,
                  std::string(option) + " of holds needs a callout that can hold, filter",
                  filter.name);
}

Result<void> check_action(const Policy &policy, const Filter &filter) {
    const bool asks_for_verdict = filter.action == FWP_ACTION_CALLOUT_TERMINATING ||
                                  filter.action == FWP_ACTION_CALLOUT_UNKNOWN;
    const bool has_callout = asks_for_verdict || filter.action == FWP_ACTION_CALLOUT_INSPECTION;
    if (!has_callout && filter.action != FWP_ACTION_PERMIT && filter.action != FWP_ACTION_BLOCK)
        return refuse(STATUS_FWP_INVALID_ACTION_TYPE,
                      "no action that a filter can have:", std::to_string(filter.action));
    if ((filter.flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) != 0 && !asks_for_verdict)
        return refuse(
            STATUS_FWP_INVALID_PARAMETER,
            "permit-if-callout-unregistered needs a terminating or unknown callout, filter",
            filter.name);
    if (filter.action == FWP_ACTION_BLOCK && layer_only_tells(filter.layer))
        return refuse(STATUS_NOT_SUPPORTED,
                      layer_name(filter.layer) + " says what has happened, nothing is blocked by",
                      filter.name);
    if (has_callout) return check_callout(policy, filter);
    return check_hold(filter, filter.hold);
}

Result<void> check_context(const Policy &policy, const Filter &filter) {
    if ((filter.flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) == 0) {
        if (filter.provider_context.is_null()) return {};
        return refuse(STATUS_FWP_INVALID_PARAMETER,
                      "a provider context without the flag that says so, of filter", filter.name);
    }
    const auto context = policy.provider_contexts.find(filter.provider_context);
    if (context == policy.provider_contexts.end())
        return refuse(STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND, "no such provider context",
                      filter.provider_context.text());
    if (redirects(filter))
        if (auto target = target_of(policy, filter); !target) return target.error();
    return check_refers(subject("filter", filter), "provider context", lifetime(context->second),
                        context->second.owner);
}

bool key_taken(const Policy &policy, const Guid &key) {
    return policy.filters.find_key(key) != policy.filters.end();
}

// The upper four bits are the range that a UINT8 names; below it the engine chooses, by
// specificity.
Result<std::uint64_t> weigh(const Filter &filter, const std::vector<Group> &groups) {
    constexpr unsigned specificity_shift = 48;
    constexpr unsigned range_shift = 60;
    const std::uint64_t automatic = specificity(groups) << specificity_shift;
    if (const auto *value = std::get_if<Scalar>(&filter.weight)) {
        if (std::holds_alternative<std::monostate>(*value)) return automatic;
        if (const auto *exact = std::get_if<std::uint64_t>(value)) return *exact;
        if (const auto *range = std::get_if<std::uint8_t>(value); range != nullptr && *range <= 15)
            return std::uint64_t{*range} << range_shift | automatic;
    }
    return refuse(STATUS_FWP_INVALID_WEIGHT,
                  "a weight is empty, 0 to 15 as UINT8, or a UINT64; filter", filter.name);
}

Result<void> check_filter(const Policy &policy, const Filter &filter) {
    if (Result<void> r = check_filter_flags(filter); !r) return r;
    constexpr std::uint32_t lasting = FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME;
    if (Result<void> r = check_common(policy, subject("filter", filter), filter.provider,
                                      (filter.flags & lasting) != 0);
        !r)
        return r;
    if (Result<void> r = check_place(policy, filter); !r) return r;
    if (Result<void> r = check_action(policy, filter); !r) return r;
    if (Result<void> r = check_context(policy, filter); !r) return r;
    if (key_taken(policy, filter.key))
        return refuse(STATUS_FWP_ALREADY_EXISTS, "there is a filter with the key",
                      filter.key.text());
    return {};
}

} // namespace

Policy initial() {
    Policy policy;
    SubLayer universal;
    universal.key = universal_key();
    universal.name = "universal";
    universal.description = "for filters that name no sublayer";
    universal.weight = universal_weight;
    policy.sublayers.emplace(universal.key, universal);
    Provider file;
    file.key = policy_file_key();
    file.name = "policy file";
    file.description = "of everything that a policy file brought";
    policy.providers.emplace(file.key, file);
    for (const BuiltInCallout &known : ask_callouts()) {
        Callout ask;
        ask.key = known.key;
        ask.name = known.name;
        ask.description = "holds until a person or a script decides: `sluice hold`";
        ask.layer = known.layer;
        ask.id = known.id;
        policy.callout_ids.emplace(ask.key, ask.id);
        policy.callouts.emplace(ask.key, std::move(ask));
    }
    return policy;
}

Result<std::uint64_t> add_filter(Policy &policy, Filter filter) {
    if (filter.key.is_null()) filter.key = Guid::random();
    if (filter.sublayer.is_null()) filter.sublayer = universal_key();
    if (Result<void> r = check_filter(policy, filter); !r) return r.error();
    const Result<std::vector<Group>> groups = understand(filter);
    if (!groups) return groups.error();
    const Result<std::uint64_t> weight = weigh(filter, *groups);
    if (!weight) return weight;
    filter.effective_weight = *weight;
    filter.id = policy.next_filter_id++;
    const std::uint64_t id = filter.id;
    policy.filters.emplace(id, std::move(filter));
    return id;
}

Result<void> set_hold(Policy &policy, std::uint64_t id, HoldOptions hold, SessionId session) {
    const auto at = policy.filters.find(id);
    if (at == policy.filters.end())
        return refuse(STATUS_FWP_FILTER_NOT_FOUND, "no such filter", std::to_string(id));
    if (Result<void> r = check_owner(at->second, session, "filter"); !r) return r;
    if (Result<void> r = check_hold(at->second, hold); !r) return r;
    Filter changed = at->second;
    changed.hold = hold;
    policy.filters.insert_or_assign(id, std::move(changed));
    return {};
}

} // namespace sluice::policy
