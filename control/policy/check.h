// SPDX-License-Identifier: Apache-2.0
// What the functions of edit.h have in common.
#pragma once

#include <string>

#include "core/result.h"
#include "policy/edit.h"

namespace sluice::policy {

const Guid &universal_key();   // of the built-in sublayer
const Guid &policy_file_key(); // of the built-in provider

// An object that is being added.
struct Subject {
    const char *kind;
    const std::string &name;
    Lifetime lifetime;
    SessionId owner;
};
template <typename Object>
Subject subject(const char *kind, const Object &object) {
    return {kind, object.name, lifetime(object), object.owner};
}

// J6: an object refers to nothing that can end before it.
Result<void> check_refers(const Subject &who, const char *to, Lifetime other, SessionId owner);
// Name, provider, and that a dynamic session does not ask for more than itself.
Result<void> check_common(const Policy &policy, const Subject &who, const Guid &provider,
                          bool asks_to_last);

} // namespace sluice::policy
