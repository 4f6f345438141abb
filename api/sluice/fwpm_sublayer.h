/* SPDX-License-Identifier: Apache-2.0
 * Sublayers, which arbitration visits by weight. What holds for all functions stands in
 * fwpm_functions.h. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"

/* Adds a sublayer.
 * subLayer  copied. A key of zeros is replaced by a generated one.
 * sd        NULL.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        subLayer is NULL, or providerData counts bytes that are not there
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       an unknown flag
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session or under a provider that is not
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_FWP_TOO_MANY_SUBLAYERS  no room for another
 * STATUS_NOT_SUPPORTED           sd given
 * Page: FwpmSubLayerAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerAdd0(HANDLE engineHandle, const FWPM_SUBLAYER0 *subLayer,
                                           PSECURITY_DESCRIPTOR sd);

/* Deletes a sublayer by its key.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                 key is NULL
 * STATUS_FWP_SUBLAYER_NOT_FOUND           there is none
 * STATUS_FWP_IN_USE                       a filter is in it
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmSubLayerDeleteByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerDeleteByKey0(HANDLE engineHandle, const GUID *key);

/* Gives the sublayer with this key.
 * subLayer  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        key or subLayer is NULL
 * STATUS_FWP_SUBLAYER_NOT_FOUND  there is none
 * Page: FwpmSubLayerGetByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerGetByKey0(HANDLE engineHandle, const GUID *key,
                                                FWPM_SUBLAYER0 **subLayer);

/* Starts an enumeration of sublayers.
 * enumTemplate  optional, copied; limits to a provider's sublayers.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  enumHandle is NULL
 * Page: FwpmSubLayerCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_SUBLAYER_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);

/* The next sublayers.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of sublayers of this session
 * Page: FwpmSubLayerEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_SUBLAYER0 ***entries,
                                            UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of sublayers of this session
 * Page: FwpmSubLayerDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
