// SPDX-License-Identifier: Apache-2.0
// Which fields a condition can name at a layer, and what of the classified key each one looks at.
#pragma once

#include <cstdint>
#include <vector>

#include "core/guid.h"
#include "core/result.h"
#include "shared/policy.h"

namespace sluice::policy {

// How a field's value follows from the slot's.
enum class Aspect {
    number,  // it is the value, an unsigned integer
    address, // of IPv4 a UINT32, of IPv6 16 bytes
    mac,
    interface_luid, // the slot has an interface's index; the field is a property of the interface
    interface_type,
    interface_tunnel,
    interface_name,
    interface_alias,
    interface_mac,
    executable, // the slot has device and inode; the field is the path
    user,       // UINT32 uid, or a SID, which may also be a group's
    cgroup,     // the slot has the process's cgroup and all above
    container,
};

struct Field {
    dp_slot slot = DP_SLOT_LOCAL_PORT;
    Aspect aspect = Aspect::number;
    unsigned bits = 0; // of the field's values; of names and the like: how much one tells
};

bool is_interface_property(Aspect aspect);

// STATUS_FWP_CONDITION_NOT_FOUND: the layer has no such field. STATUS_NOT_SUPPORTED: it has on
// Windows, but there is nothing like it here. The text names both.
Result<Field> field_at(std::uint16_t layer, const Guid &key);
// The keys of all fields that field_at takes at a layer, in no particular order.
std::vector<Guid> fields_at(std::uint16_t layer);
// Whether a comparison (FWP_MATCH_*) exists for the field with one type of value or another.
bool match_exists(const Field &field, std::uint32_t match, bool v6);

} // namespace sluice::policy
