// SPDX-License-Identifier: Apache-2.0
// Values that say who: application ids, SIDs of Unix users and groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/value.h"

namespace sluice::policy {

// The path in an application id as FwpmGetAppIdFromFileName0 makes it: UTF-16LE, with or without
// the terminating NUL. nullopt: not text, or NUL inside.
std::optional<std::string> path_of(const Blob &app_id);

// S-1-22-1-uid and S-1-22-2-gid, as Samba has them.
struct UnixId {
    bool group = false;
    std::uint32_t id = 0;
};
std::optional<UnixId> unix_id(const Sid &sid);

} // namespace sluice::policy
