// SPDX-License-Identifier: Apache-2.0
// `sluiced --boot`: pins the store's boot-time filters and ends. See boot/boot.h.
#pragma once

#include <string>
#include <vector>

#include "daemon/options.h"

namespace sluice::daemon {

// Prints its report (boot/report.h); returns the exit status: 1 also where only an interface could
// not be loaded. nics: empty, those that the store names. Refuses while a sluiced with the same
// socket runs.
int pin_boot_time(const Options &options, std::vector<std::string> nics);

} // namespace sluice::daemon
