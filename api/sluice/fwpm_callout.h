/* SPDX-License-Identifier: Apache-2.0
 * The management objects of callouts, which filters name. What holds for all functions stands in
 * fwpm_functions.h. Run-time ids are those of FwpsCalloutRegister, valid in this process. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"

/* Adds the management object of a callout for one layer; filters may name it from then on. Until
 * a process registers the callout its filters act as after unregistering.
 * callout  copied. A key of zeros is replaced by a generated one. FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT:
 *          its callbacks find the provider context in filter->providerContext.
 * sd       NULL.
 * id       out, optional: the run-time id.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        callout is NULL, or providerData counts bytes that are not there
 * STATUS_FWP_NULL_DISPLAY_NAME   no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS       a flag that is not FWPM_CALLOUT_FLAG_*, or REGISTERED
 * STATUS_FWP_LAYER_NOT_FOUND     applicableLayer names none
 * STATUS_FWP_LIFETIME_MISMATCH   persistent, in a dynamic session or under a provider that is not
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_FWP_PROVIDER_NOT_FOUND  providerKey names none
 * STATUS_FWP_TOO_MANY_CALLOUTS   no room for another
 * STATUS_NOT_SUPPORTED           sd given
 * Page: FwpmCalloutAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutAdd0(HANDLE engineHandle, const FWPM_CALLOUT0 *callout,
                                          PSECURITY_DESCRIPTOR sd, UINT32 *id);

/* Deletes a callout's management object by its run-time id; its registration stays.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_CALLOUT_NOT_FOUND            there is none
 * STATUS_FWP_IN_USE                       a filter names it
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmCalloutDeleteById0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutDeleteById0(HANDLE engineHandle, UINT32 id);

/* Deletes a callout's management object by its key; its registration stays.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                 key is NULL
 * STATUS_FWP_CALLOUT_NOT_FOUND            there is none
 * STATUS_FWP_IN_USE                       a filter names it
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmCalloutDeleteByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutDeleteByKey0(HANDLE engineHandle, const GUID *key);

/* Gives the management object with this run-time id.
 * FWPM_CALLOUT_FLAG_REGISTERED in its flags: a process has registered the callout.
 * callout  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER       callout is NULL
 * STATUS_FWP_CALLOUT_NOT_FOUND  there is none
 * Page: FwpmCalloutGetById0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutGetById0(HANDLE engineHandle, UINT32 id,
                                              FWPM_CALLOUT0 **callout);

/* Gives the management object with this key.
 * FWPM_CALLOUT_FLAG_REGISTERED in its flags: a process has registered the callout.
 * callout  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER       key or callout is NULL
 * STATUS_FWP_CALLOUT_NOT_FOUND  there is none
 * Page: FwpmCalloutGetByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutGetByKey0(HANDLE engineHandle, const GUID *key,
                                               FWPM_CALLOUT0 **callout);

/* Starts an enumeration of callouts.
 * enumTemplate  optional, copied; limits to a provider's callouts and to a layer.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  enumHandle is NULL
 * Page: FwpmCalloutCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_CALLOUT_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);

/* The next callouts.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of callouts of this session
 * Page: FwpmCalloutEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                           UINT32 numEntriesRequested, FWPM_CALLOUT0 ***entries,
                                           UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of callouts of this session
 * Page: FwpmCalloutDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
