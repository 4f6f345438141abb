/* SPDX-License-Identifier: Apache-2.0
 * Net events: which filter, at which layer, dropped or allowed what. Changes of objects are in
 * fwpm_subscribe.h; what holds for all functions stands in fwpm_functions.h. Events of
 * FWPM_NET_EVENT_TYPE_CLASSIFY_DROP and FWPM_NET_EVENT_TYPE_CLASSIFY_ALLOW exist. The daemon keeps the
 * latest and may drop some under load; it never delays traffic for them. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"
#include "fwpm_net_event.h"

/* Calls back for each net event that meets the template, with version 1 of the event.
 * subscription  copied; enumTemplate NULL: all events. Its times are not read.
 * callback      see fwpm_net_event.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * eventsHandle  out: owned by the caller until FwpmNetEventUnsubscribe0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         subscription, callback or eventsHandle is NULL, or conditions are counted
 *                                 but absent
 * STATUS_FWP_INVALID_FLAGS        flags is not 0
 * STATUS_FWP_INVALID_ENUMERATOR   a match or data type of a condition is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS      the session has an open transaction
 * STATUS_FWP_CONDITION_NOT_FOUND  a condition's field is none that a net event has
 * STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                 a value or comparison that the field does not have
 * Windows: allowed traffic only in events of version 2 and later. Page: FwpmNetEventSubscribe0. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventSubscribe0(HANDLE engineHandle,
                                                 const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                                 FWPM_NET_EVENT_CALLBACK0 callback, VOID *context,
                                                 HANDLE *eventsHandle);

/* Calls back for each net event that meets the template, with version 2 of the event.
 * subscription  copied; enumTemplate NULL: all events. Its times are not read.
 * callback      see fwpm_net_event.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * eventsHandle  out: owned by the caller until FwpmNetEventUnsubscribe0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         subscription, callback or eventsHandle is NULL, or conditions are counted
 *                                 but absent
 * STATUS_FWP_INVALID_FLAGS        flags is not 0
 * STATUS_FWP_INVALID_ENUMERATOR   a match or data type of a condition is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS      the session has an open transaction
 * STATUS_FWP_CONDITION_NOT_FOUND  a condition's field is none that a net event has
 * STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                 a value or comparison that the field does not have
 * Windows: allowed traffic only in events of version 2 and later. Page: FwpmNetEventSubscribe1. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventSubscribe1(HANDLE engineHandle,
                                                 const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                                 FWPM_NET_EVENT_CALLBACK1 callback, VOID *context,
                                                 HANDLE *eventsHandle);

/* Calls back for each net event that meets the template, with version 3 of the event.
 * subscription  copied; enumTemplate NULL: all events. Its times are not read.
 * callback      see fwpm_net_event.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * eventsHandle  out: owned by the caller until FwpmNetEventUnsubscribe0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         subscription, callback or eventsHandle is NULL, or conditions are counted
 *                                 but absent
 * STATUS_FWP_INVALID_FLAGS        flags is not 0
 * STATUS_FWP_INVALID_ENUMERATOR   a match or data type of a condition is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS      the session has an open transaction
 * STATUS_FWP_CONDITION_NOT_FOUND  a condition's field is none that a net event has
 * STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                 a value or comparison that the field does not have
 * Windows: allowed traffic only in events of version 2 and later. Page: FwpmNetEventSubscribe2. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventSubscribe2(HANDLE engineHandle,
                                                 const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                                 FWPM_NET_EVENT_CALLBACK2 callback, VOID *context,
                                                 HANDLE *eventsHandle);

/* Calls back for each net event that meets the template, with version 4 of the event.
 * subscription  copied; enumTemplate NULL: all events. Its times are not read.
 * callback      see fwpm_net_event.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * eventsHandle  out: owned by the caller until FwpmNetEventUnsubscribe0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         subscription, callback or eventsHandle is NULL, or conditions are counted
 *                                 but absent
 * STATUS_FWP_INVALID_FLAGS        flags is not 0
 * STATUS_FWP_INVALID_ENUMERATOR   a match or data type of a condition is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS      the session has an open transaction
 * STATUS_FWP_CONDITION_NOT_FOUND  a condition's field is none that a net event has
 * STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                 a value or comparison that the field does not have
 * Windows: allowed traffic only in events of version 2 and later. Page: FwpmNetEventSubscribe3. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventSubscribe3(HANDLE engineHandle,
                                                 const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                                 FWPM_NET_EVENT_CALLBACK3 callback, VOID *context,
                                                 HANDLE *eventsHandle);

/* Calls back for each net event that meets the template, with version 5 of the event.
 * subscription  copied; enumTemplate NULL: all events. Its times are not read.
 * callback      see fwpm_net_event.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * eventsHandle  out: owned by the caller until FwpmNetEventUnsubscribe0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         subscription, callback or eventsHandle is NULL, or conditions are counted
 *                                 but absent
 * STATUS_FWP_INVALID_FLAGS        flags is not 0
 * STATUS_FWP_INVALID_ENUMERATOR   a match or data type of a condition is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS      the session has an open transaction
 * STATUS_FWP_CONDITION_NOT_FOUND  a condition's field is none that a net event has
 * STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                 a value or comparison that the field does not have
 * Windows: allowed traffic only in events of version 2 and later. Page: FwpmNetEventSubscribe4. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventSubscribe4(HANDLE engineHandle,
                                                 const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                                                 FWPM_NET_EVENT_CALLBACK4 callback, VOID *context,
                                                 HANDLE *eventsHandle);

/* Ends a subscription. When it returns its callback does not run any more and will not again; when
 * called from that callback itself it does not wait for the call to return.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  eventsHandle is no such subscription of this session
 * Page: FwpmNetEventUnsubscribe0. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventUnsubscribe0(HANDLE engineHandle, HANDLE eventsHandle);

/* Lists the subscriptions of this process' sessions.
 * entries     out: one allocation, to be freed with FwpmFreeMemory0; NULL if there are none.
 * numEntries  out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntries is NULL
 * Windows: those of every process. Page: FwpmNetEventSubscriptionsGet0. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventSubscriptionsGet0(HANDLE engineHandle,
                                                        FWPM_NET_EVENT_SUBSCRIPTION0 ***entries,
                                                        UINT32 *numEntries);

/* Starts an enumeration of net events.
 * enumTemplate  optional, copied; limits to a span of time and to conditions. Oldest first.
 * enumHandle    out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER         enumHandle is NULL
 *                                 or conditions are counted but absent
 * STATUS_FWP_INVALID_ENUMERATOR   a match or data type of a condition is not one of its enumeration
 * STATUS_FWP_INVALID_INTERVAL     startTime is after endTime
 * STATUS_FWP_CONDITION_NOT_FOUND  a condition's field is none that a net event has
 * STATUS_FWP_TYPE_MISMATCH, STATUS_FWP_MATCH_TYPE_MISMATCH
 *                                 a value or comparison that the field does not have
 * STATUS_FWP_NET_EVENTS_DISABLED  FWPM_ENGINE_COLLECT_NET_EVENTS is 0
 * Page: FwpmNetEventCreateEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventCreateEnumHandle0(
    HANDLE engineHandle, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *enumTemplate, HANDLE *enumHandle);

/* The next net events.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventEnum0. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventEnum0(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_NET_EVENT0 ***entries,
                                            UINT32 *numEntriesReturned);

/* The next net events, in version 1 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventEnum1. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventEnum1(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_NET_EVENT1 ***entries,
                                            UINT32 *numEntriesReturned);

/* The next net events, in version 2 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventEnum2. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventEnum2(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_NET_EVENT2 ***entries,
                                            UINT32 *numEntriesReturned);

/* The next net events, in version 3 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventEnum3. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventEnum3(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_NET_EVENT3 ***entries,
                                            UINT32 *numEntriesReturned);

/* The next net events, in version 4 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventEnum4. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventEnum4(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_NET_EVENT4 ***entries,
                                            UINT32 *numEntriesReturned);

/* The next net events, in version 5 of the structure.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntriesReturned is NULL
 * STATUS_INVALID_HANDLE    enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventEnum5. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventEnum5(HANDLE engineHandle, HANDLE enumHandle,
                                            UINT32 numEntriesRequested, FWPM_NET_EVENT5 ***entries,
                                            UINT32 *numEntriesReturned);

/* Ends the enumeration; the pages that were handed out stay valid.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  enumHandle is no enumeration of net events of this session
 * Page: FwpmNetEventDestroyEnumHandle0. */
SLUICE_API NTSTATUS NTAPI FwpmNetEventDestroyEnumHandle0(HANDLE engineHandle, HANDLE enumHandle);
