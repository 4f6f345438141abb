// SPDX-License-Identifier: Apache-2.0
// Options of holds as people write them, in policy files, on command lines and in lists.
#pragma once

#include <string>

#include "core/result.h"
#include "policy/policy.h"

namespace sluice::policy {

// A time with a unit (500ms, 30s, 5m, 2h), or none: it may last for ever. Errors name the word.
Result<std::uint32_t> deadline_of(const std::string &word);
std::string deadline_text(std::uint32_t deadline_ms); // empty: the host's

// block, permit or next.
Result<Outcome> outcome_of(const std::string &word);
std::string outcome_text(Outcome outcome); // empty: the host's

} // namespace sluice::policy
