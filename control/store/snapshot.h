// SPDX-License-Identifier: Apache-2.0
// The part of a policy that is in the state message: objects that do not outlive the engine.
#pragma once

#include "core/result.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::store {

// Numbers, static and dynamic objects. Built-in ones are known without it, lasting ones are in
// policy.db.
void write_policy(const policy::Policy &policy, State &state);
// The same but for filters; and filters alone, those that were not in `old` and the ids of those
// that are not in `now`: what a serialized State goes on with. There may be many, and they never
// are a message all together.
void write_all_but_filters(const policy::Policy &policy, State &state);
void append_filters(const policy::Filters &old, const policy::Filters &now, std::string &state);
// A whole serialized State as the `before` of the one that goes on with it.
void append_before(const std::string &before, std::string &state);
// policy::initial() with what the state adds. EBADMSG or a status of the API: it says what no
// object can be.
Result<policy::Policy> read_policy(const State &state);

} // namespace sluice::store
