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
#include "policy/filter.h"
#include "policy/filters.h"

namespace sluice::policy {

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
    Filters filters; // by id
    // Run-time id of every callout key that was ever registered or added; ids are not reused.
    std::map<Guid, std::uint32_t> callout_ids;
};

} // namespace sluice::policy
