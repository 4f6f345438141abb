// SPDX-License-Identifier: Apache-2.0
// A policy inside the state message.
#pragma once

#include "core/result.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::store {

void write_policy(const policy::Policy &policy, State &state);
Result<policy::Policy> read_policy(const State &state);

} // namespace sluice::store
