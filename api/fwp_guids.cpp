// SPDX-License-Identifier: Apache-2.0
// The one strong definition of each well-known GUID, which libsluice exports as data.
#define SLUICE_EXPORT_GUIDS
#include "sluice/fwp_guids.h"
#include "sluice/sluice_conditions.h"
