// SPDX-License-Identifier: Apache-2.0
// The tables of policy.db, and how an older file comes to have them.
#pragma once

#include "store/database.h"

namespace sluice::store {

// What the last step of the list leads to.
std::int64_t schema_newest();

// An empty store at `path`, in a directory that is made if need be (0700); the file (0600) has its
// name only when it is complete. EBADMSG: there is a log of a store that is gone.
Result<void> make_store(const std::string &path);

// Checks that the file is a store and whole, and brings it to schema_newest(): in one transaction,
// after which older versions of Sluice refuse it. EPROTO: it is newer.
Result<void> bring_up_to_date(Database &db);

} // namespace sluice::store
