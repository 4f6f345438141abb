// SPDX-License-Identifier: Apache-2.0
// What policy files brought: everything that carries their provider. Replaced as a whole; objects
// that stay the same keep their run-time ids. Pure.
#pragma once

#include <functional>
#include <vector>

#include "core/result.h"
#include "policy/policy.h"
#include "protocol/sluice.pb.h"

namespace sluice::daemon {

// As `sluice policy export` gives them and a rollback brings them back.
protocol::Objects policy_file_objects(const policy::Policy &policy);

struct Replaced {
    protocol::PolicyDifference difference;
    std::vector<std::uint64_t> added; // filters that name a callout: their hosts are to be asked
};
// Makes `objects` the policy file's objects in `policy`. Objects name no provider or the policy
// file's; a file brings no providers. next_id: numbers for new filters. On an error `policy` may
// have been changed in part: it is a transaction's copy, which is then given up.
Result<Replaced> replace_policy_file(policy::Policy &policy, const protocol::Objects &objects,
                                     const std::function<std::uint64_t()> &next_id);

} // namespace sluice::daemon
