// SPDX-License-Identifier: Apache-2.0
// How much may wait for one host in one namespace, and how much of that one process may cause.
#pragma once

#include <cstdint>

#include "datapath/datapath.h"

namespace sluice::daemon {

struct Options;

// Writes the limits that the kernel keeps to. What the options leave at 0 follows from the port:
// three quarters of its frames may wait, and of those a quarter for one process.
void fill_quotas(dp_host &record, const Options &options);

// Counts nothing any more, and never will again: its host or process has ended.
bool is_spent(const dp_use_key &key, const dp_use &use, bool owner_lives);

} // namespace sluice::daemon
