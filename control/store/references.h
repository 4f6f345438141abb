// SPDX-License-Identifier: Apache-2.0
// Whether the objects of a policy that was read have everything that they refer to.
#pragma once

#include "core/result.h"
#include "policy/policy.h"

namespace sluice::store {

// EBADMSG: names the first object that refers to one that is not there.
Result<void> check_references(const policy::Policy &policy);

} // namespace sluice::store
