// SPDX-License-Identifier: Apache-2.0
// The one table of condition words: policy files, `sluice filter add`, lists and `explain` read and
// print fields by it. Every condition of the interface's tables is here under its name in lower
// case without FWPM_CONDITION_ (as ip_remote_address); the common ones under a short word before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/guid.h"
#include "sluice/fwp.h"

namespace sluice::policyfile {

struct NumberName {
    const char *name;
    std::uint64_t value;
};

// How the values of a field are written.
enum class Kind {
    address,    // of the layer's family: one, with a prefix length, a range
    integer,    // a number, one of the field's names, a range
    flags,      // a number or names that are joined
    mac,        // aa:bb:cc:dd:ee:ff
    app,        // path of an executable
    text,       // UTF-8
    user,       // name or number
    group,      // name or number
    cgroup,     // path below the cgroup2 root, or its id
    blob,       // bytes in hexadecimal
    bytes16,    // 16 bytes in hexadecimal
    descriptor, // security descriptor in hexadecimal
};

struct Field {
    std::string word;
    Guid key;
    FWP_DATA_TYPE type; // of a plain value; addresses: UINT32, at v6 layers BYTE_ARRAY16
    Kind kind;
    std::span<const NumberName> names, names_v6; // names_v6: what differs at v6 layers
    bool size = false;                           // units as KiB are understood
};

const std::vector<Field> &fields();                  // short words first
const Field *field_of_word(const std::string &word); // null: no such word
const Field *field_of_key(const Guid &key); // under its first word; null: not in the tables
std::string field_word(const Guid &key);    // the GUID if no table has it

} // namespace sluice::policyfile
