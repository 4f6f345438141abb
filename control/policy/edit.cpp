// SPDX-License-Identifier: Apache-2.0
#include "policy/edit.h"

#include <algorithm>

#include "policy/condition.h"
#include "policy/wfp.h"
#include "shared/policy.h"

namespace sluice::policy {

namespace {

constexpr std::uint16_t universal_weight = 0x8000;
constexpr std::size_t sublayers_max = 65536;

const Guid &universal_key() {
    static const Guid key = table_key("FWPM_SUBLAYER_UNIVERSAL");
    return key;
}

// What every object has.
Result<void> check_common(const std::string &name, const Guid &provider, const char *kind) {
    if (name.empty())
        return refuse(STATUS_FWP_NULL_DISPLAY_NAME, std::string("a ") + kind + " needs a name");
    if (!provider.is_null())
        return refuse(STATUS_FWP_PROVIDER_NOT_FOUND, "no such provider", provider.text());
    return {};
}

// An object may not refer to one that can die earlier.
bool outlives(SessionId referred, SessionId owner) {
    return referred == 0 || referred == owner;
}

Result<void> check_lifetime(std::uint32_t flags, std::uint32_t lasting, SessionId owner,
                            const std::string &name) {
    if ((flags & lasting) == 0) return {};
    if (owner != 0)
        return refuse(STATUS_FWP_LIFETIME_MISMATCH,
                      "a dynamic session adds nothing that outlives it:", name);
    return refuse(STATUS_NOT_SUPPORTED,
                  "persistent and boot-time objects are not in this release:", name);
}

Result<void> check_filter_flags(const Filter &filter) {
    constexpr std::uint32_t lasting = FWPM_FILTER_FLAG_PERSISTENT | FWPM_FILTER_FLAG_BOOTTIME;
    constexpr std::uint32_t known = FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT |
                                    FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED |
                                    FWPM_FILTER_FLAG_INDEXED;
    constexpr std::uint32_t absent = FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT |
                                     FWPM_FILTER_FLAG_HAS_SECURITY_REALM_PROVIDER_CONTEXT |
                                     FWPM_FILTER_FLAG_SYSTEMOS_ONLY | FWPM_FILTER_FLAG_GAMEOS_ONLY |
                                     FWPM_FILTER_FLAG_SILENT_MODE |
                                     FWPM_FILTER_FLAG_IPSEC_NO_ACQUIRE_INITIATE;
    if ((filter.flags & ~(known | absent | lasting)) != 0 || (filter.flags & lasting) == lasting)
        return refuse(STATUS_FWP_INVALID_FLAGS, "unknown or contradicting flags of filter",
                      filter.name);
    if ((filter.flags & absent) != 0)
        return refuse(STATUS_NOT_SUPPORTED, "a flag that is not in this release, of filter",
                      filter.name);
    return check_lifetime(filter.flags, lasting, filter.owner, filter.name);
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
    if (!outlives(sublayer->second.owner, filter.owner))
        return refuse(STATUS_FWP_LIFETIME_MISMATCH, "the sublayer can end before the filter",
                      filter.name);
    return {};
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
    if (!outlives(callout->second.owner, filter.owner))
        return refuse(STATUS_FWP_LIFETIME_MISMATCH, "the callout can end before the filter",
                      filter.name);
    return {};
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
    if (has_callout) return check_callout(policy, filter);
    return {};
}

bool key_taken(const Policy &policy, const Guid &key) {
    return std::any_of(policy.filters.begin(), policy.filters.end(),
                       [&](const auto &entry) { return entry.second.key == key; });
}

// The upper four bits are the range that a UINT8 names; below it the engine chooses, by
// specificity.
Result<std::uint64_t> weigh(const Filter &filter, const Admitted &admitted) {
    constexpr unsigned specificity_shift = 48;
    constexpr unsigned range_shift = 60;
    const std::uint64_t automatic = specificity(admitted, filter.layer) << specificity_shift;
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
    if (Result<void> r = check_common(filter.name, filter.provider, "filter"); !r) return r;
    if (Result<void> r = check_filter_flags(filter); !r) return r;
    if (Result<void> r = check_place(policy, filter); !r) return r;
    if (Result<void> r = check_action(policy, filter); !r) return r;
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
    return policy;
}

Result<void> add_sublayer(Policy &policy, SubLayer sublayer) {
    if (Result<void> r = check_common(sublayer.name, sublayer.provider, "sublayer"); !r) return r;
    if ((sublayer.flags & ~FWPM_SUBLAYER_FLAG_PERSISTENT) != 0)
        return refuse(STATUS_FWP_INVALID_FLAGS, "unknown flags of sublayer", sublayer.name);
    if (Result<void> r = check_lifetime(sublayer.flags, FWPM_SUBLAYER_FLAG_PERSISTENT,
                                        sublayer.owner, sublayer.name);
        !r)
        return r;
    if (sublayer.key.is_null()) sublayer.key = Guid::random();
    if (policy.sublayers.contains(sublayer.key))
        return refuse(STATUS_FWP_ALREADY_EXISTS, "there is a sublayer with the key",
                      sublayer.key.text());
    if (policy.sublayers.size() >= sublayers_max)
        return refuse(STATUS_FWP_TOO_MANY_SUBLAYERS, "no room for sublayer", sublayer.name);
    const Guid key = sublayer.key;
    policy.sublayers.emplace(key, std::move(sublayer));
    return {};
}

Result<std::uint32_t> callout_id(Policy &policy, const Guid &key) {
    if (const auto known = policy.callout_ids.find(key); known != policy.callout_ids.end())
        return known->second;
    if (policy.next_callout_id >= DP_CALLOUTS_MAX)
        return refuse(STATUS_FWP_TOO_MANY_CALLOUTS, "no room for callout", key.text());
    const std::uint32_t id = policy.next_callout_id++;
    policy.callout_ids.emplace(key, id);
    return id;
}

Result<std::uint32_t> add_callout(Policy &policy, Callout callout) {
    if (Result<void> r = check_common(callout.name, callout.provider, "callout"); !r)
        return r.error();
    constexpr std::uint32_t known =
        FWPM_CALLOUT_FLAG_PERSISTENT | FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT;
    if ((callout.flags & ~known) != 0)
        return refuse(STATUS_FWP_INVALID_FLAGS, "unknown flags of callout", callout.name);
    if (Result<void> r = check_lifetime(callout.flags, FWPM_CALLOUT_FLAG_PERSISTENT, callout.owner,
                                        callout.name);
        !r)
        return r.error();
    if (!layer_known(callout.layer))
        return refuse(STATUS_FWP_LAYER_NOT_FOUND, "no such layer", std::to_string(callout.layer));
    if (callout.key.is_null()) callout.key = Guid::random();
    if (policy.callouts.contains(callout.key))
        return refuse(STATUS_FWP_ALREADY_EXISTS, "there is a callout with the key",
                      callout.key.text());
    const Result<std::uint32_t> id = callout_id(policy, callout.key);
    if (!id) return id;
    callout.id = *id;
    const Guid key = callout.key;
    policy.callouts.emplace(key, std::move(callout));
    return id;
}

Result<std::uint64_t> add_filter(Policy &policy, Filter filter) {
    if (filter.key.is_null()) filter.key = Guid::random();
    if (filter.sublayer.is_null()) filter.sublayer = universal_key();
    if (Result<void> r = check_filter(policy, filter); !r) return r.error();
    const Result<Admitted> admitted = admitted_by(filter);
    if (!admitted) return admitted.error();
    const Result<std::uint64_t> weight = weigh(filter, *admitted);
    if (!weight) return weight;
    filter.effective_weight = *weight;
    filter.id = policy.next_filter_id++;
    const std::uint64_t id = filter.id;
    policy.filters.emplace(id, std::move(filter));
    return id;
}

Result<void> delete_filter(Policy &policy, std::uint64_t id, SessionId session) {
    const auto found = policy.filters.find(id);
    if (found == policy.filters.end())
        return refuse(STATUS_FWP_FILTER_NOT_FOUND, "no such filter", std::to_string(id));
    const SessionId owner = found->second.owner;
    if (owner == 0 && session != 0)
        return refuse(STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS,
                      "a dynamic session deletes only what it added, not filter",
                      std::to_string(id));
    if (owner != session)
        return refuse(STATUS_FWP_WRONG_SESSION, "another, dynamic session owns filter",
                      std::to_string(id));
    policy.filters.erase(found);
    return {};
}

std::vector<Filter> delete_owned(Policy &policy, SessionId session) {
    std::vector<Filter> gone;
    if (session == 0) return gone;
    for (const auto &[id, filter] : policy.filters) {
        if (filter.owner == session) gone.push_back(filter);
    }
    // Nobody else's filter can name these callouts and sublayers: add_filter sees to lifetimes.
    for (const Filter &filter : gone)
        policy.filters.erase(filter.id);
    std::erase_if(policy.callouts, [&](const auto &e) { return e.second.owner == session; });
    std::erase_if(policy.sublayers, [&](const auto &e) { return e.second.owner == session; });
    return gone;
}

} // namespace sluice::policy
