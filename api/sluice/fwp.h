/* SPDX-License-Identifier: Apache-2.0
 * The native door: every type, constant and function of the interface and nothing that libc or
 * the C++ library defines too. Sources written for Windows include the headers of its own
 * driver kit instead, which stand beside this one in wdk/. */
#pragma once

#include "detail/base.h"

#include "fwp_address.h"
#include "fwp_buffers.h"
#include "fwp_constants.h"
#include "fwp_fields.h"
#include "fwp_guids.h"
#include "fwp_layers.h"
#include "fwp_objects.h"
#include "fwp_status.h"
#include "fwp_values.h"
#include "fwpm_callout.h"
#include "fwpm_enum.h"
#include "fwpm_filter.h"
#include "fwpm_functions.h"
#include "fwpm_layer.h"
#include "fwpm_net_event.h"
#include "fwpm_net_event_functions.h"
#include "fwpm_provider.h"
#include "fwpm_sublayer.h"
#include "fwpm_subscribe.h"
#include "fwpm_types.h"
#include "fwps_buffers.h"
#include "fwps_callout.h"
#include "fwps_flow.h"
#include "fwps_functions.h"
#include "fwps_inject.h"
#include "fwps_inject_functions.h"
#include "fwps_redirect.h"
#include "fwps_types.h"
#include "ndis_functions.h"
#include "object_functions.h"
#include "sluice_conditions.h"
#include "sluice_driver.h"
#include "sluice_hold.h"
#include "sluice_redirect.h"

#include "fwp_versions.h"
