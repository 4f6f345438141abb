// SPDX-License-Identifier: Apache-2.0
// Giving up what the plugins must not have. To be called before the first thread starts:
// capabilities belong to threads.
#pragma once

#include <string>

#include "core/result.h"

namespace sluice::host {

// With a user: its groups, its ids. In either case all capabilities go, out of the bounding set too
// where that is allowed, and no execve gives any back. Without a user root stays uid 0, so files of
// root's stay within reach.
Result<void> drop_privileges(const std::string &user);

} // namespace sluice::host
