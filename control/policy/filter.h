// SPDX-License-Identifier: Apache-2.0
// A filter as a value.
#pragma once

#include <cstdint>
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
    bool operator==(const Condition &) const = default;
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
    bool operator==(const Filter &) const = default;
};

} // namespace sluice::policy
