// SPDX-License-Identifier: Apache-2.0
// The objects of a policy and an immutable snapshot of all of them. Pure values: no clock, map,
// lock or socket.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/guid.h"
#include "policy/value.h"

namespace sluice::policy {

// Which session owns an object: 0 = none (static).
using SessionId = std::uint64_t;

struct Condition {
    Guid field;
    std::uint32_t match = 0; // FWP_MATCH_*
    Value value;
};

struct Provider {
    Guid key;
    std::string name, description;
    std::uint32_t flags = 0; // FWPM_PROVIDER_FLAG_PERSISTENT
    std::string data;
    std::string service_name;
    SessionId owner = 0;
};

struct ProviderContext {
    std::uint64_t id = 0;
    Guid key;
    std::string name, description;
    std::uint32_t flags = 0; // FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT
    Guid provider;
    std::string provider_data;
    std::uint32_t type = 0; // FWPM_GENERAL_CONTEXT is the one that has a meaning here
    std::string data;
    SessionId owner = 0;
};

struct SubLayer {
    Guid key;
    std::string name, description;
    std::uint32_t flags = 0;
    std::uint16_t weight = 0;
    Guid provider;
    SessionId owner = 0;
    std::string provider_data;
};

// The management object of a callout.
struct Callout {
    Guid key;
    std::string name, description;
    std::uint32_t flags = 0;
    Guid provider;
    std::uint16_t layer = 0; // FWPS_LAYER_*
    std::uint32_t id = 0;    // run-time id, index in the map `callouts`, 1 .. DP_CALLOUTS_MAX-1
    SessionId owner = 0;
    std::string provider_data;
};

// What becomes of what waits for a callout that does not answer in time, or cannot be asked
// (quota).
enum class Outcome : std::uint8_t { host_default, block, permit, next_filter };

struct HoldOptions {
    std::uint32_t deadline_ms = 0; // of a pended operation; 0: the host's, DP_HOLD_FOREVER: none
    Outcome outcome = Outcome::host_default;
    bool operator==(const HoldOptions &) const = default;
};

struct Filter {
    std::uint64_t id = 0;
    Guid key;
    std::string name, description;
    std::uint32_t flags = 0; // FWPM_FILTER_FLAG_*
    std::uint16_t layer = 0; // FWPS_LAYER_*
    Guid sublayer;
    Value weight; // as given: empty, uint8 0-15, uint64
    std::uint64_t effective_weight = 0;
    std::vector<Condition> conditions;
    std::uint32_t action = 0; // FWP_ACTION_*
    Guid callout;             // for callout actions
    std::uint64_t raw_context = 0;
    Guid provider;
    SessionId owner = 0;
    std::string provider_data;
    Guid provider_context; // key; null: none
    HoldOptions hold;
};

// Who or what ends an object. built_in: nobody.
enum class Lifetime { dynamic, fixed, persistent, boot_time, built_in };

struct Policy {
    std::uint64_t generation = 0;
    std::uint64_t next_filter_id = 1; // never reused
    std::uint32_t next_callout_id = 1;
    std::uint64_t next_provider_context_id = 1;
    std::map<Guid, Provider> providers;
    std::map<Guid, ProviderContext> provider_contexts;
    std::map<Guid, SubLayer> sublayers;
    std::map<Guid, Callout> callouts;
    std::map<std::uint64_t, Filter> filters; // by id
    // Run-time id of every callout key that was ever registered or added; ids are not reused.
    std::map<Guid, std::uint32_t> callout_ids;
};

} // namespace sluice::policy
