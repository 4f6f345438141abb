/* SPDX-License-Identifier: Apache-2.0
 * Our own: for programs that load drivers, as sluice-host does. On Windows that is the system. */
#pragma once

#include "detail/base.h"
#include "fwp_objects.h"

/* Takes back what a driver left behind, once its DriverUnload has returned: flowDeleteFn runs for
 * every context of its callouts, which are then unregistered, and its devices are deleted. A
 * callout belongs to the driver of the device that it was registered with, also after that was
 * deleted.
 *
 * DriverObject  the driver's; NULL is ignored. The code and the data of its callbacks must still be
 *               there.
 * Waits for callbacks that are running. A callout whose classifyFn has not returned from a flow
 * with a context after five seconds stays registered, with what is attached to that flow, and is
 * logged; so does one from whose callback this is called. Any other thread. Windows: a driver that
 * goes and leaves a callout behind is a bug check. */
SLUICE_API VOID NTAPI SluiceDriverEnd0(PDRIVER_OBJECT DriverObject);
