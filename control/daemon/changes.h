// SPDX-License-Identifier: Apache-2.0
// What came and went between two policies. Pure.
#pragma once

#include <vector>

#include "policy/enumerate.h"
#include "policy/policy.h"
#include "protocol/sluice.pb.h"

namespace sluice::daemon {

// One object that went or came; it lives as long as the policy that has it. An object that became
// another under its key went and came.
struct ObjectChange {
    protocol::ObjectKind kind{};
    bool added = false;
    Guid key;
    std::uint64_t id = 0; // run-time id; 0: the kind has none
};
// Of one kind, those that went first.
std::vector<ObjectChange> changes_between(const policy::Policy &old, const policy::Policy &now,
                                          protocol::ObjectKind kind);

// Is the object of this change, looked up in the policy that has it, one that the template names?
bool meets(const policy::Policy &policy, const ObjectChange &change,
           const policy::Template &wanted);

} // namespace sluice::daemon
