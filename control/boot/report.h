// SPDX-License-Identifier: Apache-2.0
// What `sluiced --boot` prints and `sluice boot` reads: lines of words parted by tabs.
//   loaded  INTERFACE  native|generic     note  TEXT
//   lost    INTERFACE  WHY
// and at last either of
//   filters  NUMBER                       error  permission|refused  TEXT
#pragma once

#include <string>

#include "boot/boot.h"

namespace sluice::boot {

std::string report(const Outcome &outcome);
std::string report(const Error &error);

} // namespace sluice::boot
