// SPDX-License-Identifier: Apache-2.0
// Callouts that every policy has: `ask` holds until a person or a script decides. One key for each
// layer that can hold for it; sluiced runs their host by itself as soon as a filter names one.
#pragma once

#include <optional>
#include <span>

#include "core/guid.h"
#include "policy/policy.h"

namespace sluice::policy {

constexpr const char *ask_word = "ask"; // in place of the name of the layer's own

struct BuiltInCallout {
    Guid key;
    const char *name;
    std::uint16_t layer;
    std::uint32_t id; // run-time id, above all that are given out
};
std::span<const BuiltInCallout> ask_callouts();
bool is_ask_callout(const Guid &key);
std::optional<Guid> ask_callout_at(std::uint16_t layer); // empty: the layer has none

} // namespace sluice::policy
