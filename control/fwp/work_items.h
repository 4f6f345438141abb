// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sluice/fwp.h"

namespace sluice::fwp {

// Until no work item of the device is queued or runs; not inside one of them.
void wait_for_work(const DEVICE_OBJECT *device);

} // namespace sluice::fwp
