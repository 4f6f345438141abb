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

struct FileObjects {
    std::vector<policy::ProviderContext> provider_contexts;
    std::vector<policy::SubLayer> sublayers;
    std::vector<policy::Callout> callouts;
    std::vector<policy::Filter> filters;

    // Also those of the message; an error names what no object can be.
    Result<void> add(const protocol::Objects &message);
};

// Those in a policy, which a rollback brings back.
FileObjects file_objects(const policy::Policy &policy);
// The same as a serialized protocol::Objects, and a policy that has nothing but those of one.
std::string file_document(const policy::Policy &policy);
Result<policy::Policy> policy_of_document(const protocol::Objects &document);

struct Replaced {
    protocol::PolicyDifference difference;
    std::vector<std::uint64_t> added; // filters that name a callout: their hosts are to be asked
};
// Makes `objects` the policy file's objects in `policy`. Objects name no provider or the policy
// file's. next_id: numbers for new filters. On an error `policy` may have been changed in part: it
// is a transaction's copy, which is then given up.
Result<Replaced> replace_policy_file(policy::Policy &policy, FileObjects objects,
                                     const std::function<std::uint64_t()> &next_id);

} // namespace sluice::daemon
