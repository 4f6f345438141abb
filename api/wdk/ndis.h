/* SPDX-License-Identifier: Apache-2.0
 * Packet buffers. Their functions are not there yet; the layout is. */
#pragma once

#include "ntddk.h"

#define NDIS_STATUS_SUCCESS ((NDIS_STATUS)STATUS_SUCCESS)
#define NDIS_STATUS_PENDING ((NDIS_STATUS)STATUS_PENDING)
#define NDIS_STATUS_FAILURE ((NDIS_STATUS)STATUS_UNSUCCESSFUL)
