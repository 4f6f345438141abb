// SPDX-License-Identifier: Apache-2.0
// The built-in callout `ask`: everything that a filter hands to it is held until a person or a
// script decides (`sluice hold`). It has a key for each layer that can hold, and brings no filters.
#pragma once

#include "sluice/fwp.h"

namespace sluice::host {

// What a plugin's DriverEntry is.
NTSTATUS ask_entry(DRIVER_OBJECT *driver, UNICODE_STRING *registry_path);

} // namespace sluice::host
