// SPDX-License-Identifier: Apache-2.0
// What the functions of edit.h have in common.
#pragma once

#include <string>

#include "core/result.h"
#include "policy/edit.h"
#include "policy/wfp.h"

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

// J7: who may delete or change an object that is there.
template <typename Object>
Result<void> check_owner(const Object &object, SessionId session, const char *kind) {
    if (lifetime(object) == Lifetime::built_in)
        return refuse(STATUS_FWP_BUILTIN_OBJECT,
                      std::string("nobody deletes or changes the built-in ") + kind, object.name);
    if (object.owner == 0 && session != 0)
        return refuse(
            STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS,
            std::string("a dynamic session deletes and changes only what it added, not ") + kind,
            object.name);
    if (object.owner != session)
        return refuse(STATUS_FWP_WRONG_SESSION,
                      std::string("another, dynamic session owns ") + kind, object.name);
    return {};
}

} // namespace sluice::policy
