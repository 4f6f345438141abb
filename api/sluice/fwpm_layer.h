/* SPDX-License-Identifier: Apache-2.0
 * Layers, which are built in: these functions read tables and do not ask the daemon. What holds for
 * all functions stands in fwpm_functions.h. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"

/* Gives the layer with this run-time id.
 * field lists the data fields in the order of FWPS_INCOMING_VALUES0, those reserved with a NULL
 * fieldKey. displayData.name is the name of the key's constant.
 * layer  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER     layer is NULL
 * STATUS_FWP_LAYER_NOT_FOUND  there is none
 * Page: FwpmLayerGetById0. */
SLUICE_API NTSTATUS NTAPI FwpmLayerGetById0(HANDLE engineHandle, UINT16 id, FWPM_LAYER0 **layer);

/* Gives the layer with this key.
 * layer  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER     key or layer is NULL
 * STATUS_FWP_LAYER_NOT_FOUND  there is none
 * Page: FwpmLayerGetByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmLayerGetByKey0(HANDLE engineHandle, const GUID *key,
                                             FWPM_LAYER0 **layer);

/* Starts an enumeration of layers.
 * enumTemplate  optional, copied; not read.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  enumHandle is NULL
 * Page: FwpmLayerCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmLayerCreateEnumHandle0(HANDLE engineHandle,
                                                     const FWPM_LAYER_ENUM_TEMPLATE0 *enumTemplate,
                                                     HANDLE *enumHandle);

/* The next layers.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of layers of this session
 * Page: FwpmLayerEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmLayerEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                         UINT32 numEntriesRequested, FWPM_LAYER0 ***entries,
                                         UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of layers of this session
 * Page: FwpmLayerDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmLayerDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
