/* SPDX-License-Identifier: Apache-2.0
 * Filters. What holds for all functions stands in fwpm_functions.h. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"

/* Adds a filter. A callout that the action names is told first (FWPS_CALLOUT_NOTIFY_ADD_FILTER)
 * and may refuse. IPv4 addresses and ports in conditions are in host byte order, IPv6 addresses
 * in network order. Beside WFP's fields there are those of sluice_conditions.h.
 * filter  copied with all that it points to. A key of zeros is replaced by a generated one, a subLayerKey
 *         of zeros means FWPM_SUBLAYER_UNIVERSAL. FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT:
 *         providerContextKey is read in place of rawContext.
 * sd      NULL.
 * id      out, optional: the run-time id, as in FwpmFilterDeleteById0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER       filter is NULL, or conditions are counted but absent, or a value
 *                               held by pointer is NULL
 * STATUS_FWP_NULL_DISPLAY_NAME  no displayData.name, or an empty one
 * STATUS_FWP_INVALID_FLAGS      an unknown flag, or both PERSISTENT and BOOTTIME
 * STATUS_FWP_INVALID_PARAMETER  PERMIT_IF_CALLOUT_UNREGISTERED with an action that is no terminating
 *                               or unknown callout; an application id that is no UTF-16
 * STATUS_FWP_LAYER_NOT_FOUND, STATUS_FWP_SUBLAYER_NOT_FOUND, STATUS_FWP_PROVIDER_NOT_FOUND,
 * STATUS_FWP_PROVIDER_CONTEXT_NOT_FOUND  a key names none
 * STATUS_FWP_CALLOUT_NOT_FOUND           no management object has action.calloutKey
 * STATUS_FWP_INCOMPATIBLE_LAYER          that callout is for another layer
 * STATUS_FWP_OUT_OF_BOUNDS               a path of more bytes than the engine compares
 * STATUS_FWP_INVALID_ACTION_TYPE         the action is none of permit, block and the callout actions
 * STATUS_FWP_ACTION_INCOMPATIBLE_WITH_LAYER, STATUS_FWP_ACTION_INCOMPATIBLE_WITH_SUBLAYER
 *                                the action cannot be taken there
 * STATUS_FWP_CONDITION_NOT_FOUND fieldKey is no field of the layer
 * STATUS_FWP_DUPLICATE_CONDITION of several conditions on one field one is a negative comparison
 * STATUS_FWP_NEVER_MATCH         the conditions exclude one another
 * STATUS_FWP_TYPE_MISMATCH       the value's type does not fit the field
 * STATUS_FWP_MATCH_TYPE_MISMATCH the comparison does not fit the type
 * STATUS_FWP_INVALID_ENUMERATOR  matchType or a data type is not one of its enumeration
 * STATUS_FWP_INVALID_RANGE       the low end is above the high end, or their types differ
 * STATUS_FWP_INVALID_NET_MASK    a mask with holes, a prefix above 128
 * STATUS_FWP_INVALID_WEIGHT      the weight is not FWP_EMPTY, FWP_UINT64, or FWP_UINT8 up to 15
 * STATUS_FWP_LIFETIME_MISMATCH   persistent or boot-time in a dynamic session, or an object that it
 *                                names may end before it
 * STATUS_FWP_ALREADY_EXISTS      the key is taken
 * STATUS_FWP_CALLOUT_NOTIFICATION_FAILED  the callout refused, or did not answer in time
 * STATUS_NOT_SUPPORTED           a field or flag that cannot exist on Linux, a layer that does not
 *                                decide yet or does not hand over to callouts yet, or sd given
 * Windows: ERROR_INVALID_SECURITY_DESCR for a bad sd. Page: FwpmFilterAdd0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterAdd0(HANDLE engineHandle, const FWPM_FILTER0 *filter,
                                         PSECURITY_DESCRIPTOR sd, UINT64 *id);

/* Deletes a filter by its run-time id; its callout is told, flows that it decided are authorised
 * again on their next packet.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_FILTER_NOT_FOUND             there is none
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmFilterDeleteById0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterDeleteById0(HANDLE engineHandle, UINT64 id);

/* Deletes a filter by its key; its callout is told, flows that it decided are authorised again on
 * their next packet.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER                 key is NULL
 * STATUS_FWP_FILTER_NOT_FOUND             there is none
 * STATUS_FWP_BUILTIN_OBJECT               it is part of the engine
 * STATUS_FWP_WRONG_SESSION                it belongs to another session, which is dynamic
 * STATUS_FWP_DYNAMIC_SESSION_IN_PROGRESS  this session is dynamic and did not add it
 * Page: FwpmFilterDeleteByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterDeleteByKey0(HANDLE engineHandle, const GUID *key);

/* Gives the filter with this run-time id.
 * filterId and effectiveWeight are filled.
 * filter  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER      filter is NULL
 * STATUS_FWP_FILTER_NOT_FOUND  there is none
 * Page: FwpmFilterGetById0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterGetById0(HANDLE engineHandle, UINT64 id, FWPM_FILTER0 **filter);

/* Gives the filter with this key.
 * filterId and effectiveWeight are filled.
 * filter  out: a copy, one allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER      key or filter is NULL
 * STATUS_FWP_FILTER_NOT_FOUND  there is none
 * Page: FwpmFilterGetByKey0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterGetByKey0(HANDLE engineHandle, const GUID *key,
                                              FWPM_FILTER0 **filter);

/* Starts an enumeration of filters.
 * enumTemplate  optional, copied; every member limits. Conditions say of what traffic the filters are
 *               wanted: enumType FULLY_CONTAINED those that match nothing else, OVERLAPPING those that
 *               match some of it. Flags: SORTED by layer, sublayer and weight as they are evaluated,
 *               BEST_TERMINATING_MATCH only the first of them that decides, BOOTTIME_ONLY, and
 *               INCLUDE_BOOTTIME, without which boot-time filters are left out.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         enumHandle is NULL
 *                                 or conditions are counted but absent
 * STATUS_FWP_INVALID_ENUMERATOR   enumType, a match or a data type is not one of its enumeration
 * STATUS_FWP_INVALID_FLAGS        an unknown flag, or both BOOTTIME_ONLY and INCLUDE_BOOTTIME
 * STATUS_FWP_INVALID_PARAMETER    conditions or BEST_TERMINATING_MATCH without a layerKey
 * STATUS_FWP_LAYER_NOT_FOUND      layerKey names none
 * STATUS_FWP_DUPLICATE_CONDITION  two conditions on one field
 * STATUS_FWP_CONDITION_NOT_FOUND, STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                as in FwpmFilterAdd0
 * Windows: layerKey is always needed
 * Page: FwpmFilterCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_FILTER_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);

/* The next filters.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of filters of this session
 * Page: FwpmFilterEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                          UINT32 numEntriesRequested, FWPM_FILTER0 ***entries,
                                          UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of filters of this session
 * Page: FwpmFilterDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);

/* Makes the value that FWPM_CONDITION_ALE_APP_ID is compared with.
 * fileName  UTF-16, ends in zero; relative to the working directory if it does not begin with '/'.
 * appId     out: the file's absolute path with all links resolved, as UTF-16 with its terminating zero
 *           counted. One allocation, to be freed with FwpmFreeMemory0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER       fileName or appId is NULL
 * STATUS_OBJECT_NAME_NOT_FOUND  there is no such file, or a link leads nowhere or in circles
 * STATUS_ACCESS_DENIED          a directory on the way may not be searched
 * Windows: a lower-case device path; here case counts. Asks nobody; the file must exist only now: the
 * filter matches whatever stands at the path when it is run. Page: FwpmGetAppIdFromFileName0. */
SLUICE_API NTSTATUS NTAPI FwpmGetAppIdFromFileName0(PCWSTR fileName, FWP_BYTE_BLOB **appId);
