// SPDX-License-Identifier: Apache-2.0
// Whether the engine would take a policy file, found out without it: what the daemon does with the
// objects is done here, on an empty policy.
#pragma once

#include "policy/policy.h"
#include "policyfile/reader.h"

namespace sluice::policyfile {

// The policy that the file makes from nothing. What is refused becomes a problem of `file` at its
// place; the policy then lacks it. Does nothing with a file that already has problems.
policy::Policy check(PolicyFile &file);

} // namespace sluice::policyfile
