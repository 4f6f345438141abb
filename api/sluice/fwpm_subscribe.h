/* SPDX-License-Identifier: Apache-2.0
 * Changes of objects and net events, as they happen. Changes of the subscribing session itself are not
 * reported. What holds for all functions stands in fwpm_functions.h.
 *
 * A subscription survives a restart of the daemon; what happened meanwhile is not told. It ends with
 * its session. */
#pragma once

#include "fwp_status.h"
#include "fwpm_enum.h"
#include "fwpm_types.h"
#include "fwpm_net_event.h"

/* Calls back when providers that meet the template are added or deleted.
 * subscription  copied; enumTemplate NULL: all providers.
 * callback      see fwpm_enum.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * changeHandle  out: owned by the caller until FwpmProviderUnsubscribeChanges0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER     subscription, callback or changeHandle is NULL
 * STATUS_FWP_INVALID_FLAGS    a flag other than NOTIFY_ON_ADD and NOTIFY_ON_DELETE
 * STATUS_FWP_TXN_IN_PROGRESS  the session has an open transaction
 * Page: FwpmProviderSubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderSubscribeChanges0(
    HANDLE engineHandle, const FWPM_PROVIDER_SUBSCRIPTION0 *subscription,
    FWPM_PROVIDER_CHANGE_CALLBACK0 callback, VOID *context, HANDLE *changeHandle);

/* Ends a subscription. When it returns its callback does not run any more and will not again; when
 * called from that callback itself it does not wait for the call to return.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  changeHandle is no such subscription of this session
 * Page: FwpmProviderUnsubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Lists the subscriptions of this process' sessions.
 * entries     out: one allocation, to be freed with FwpmFreeMemory0; NULL if there are none.
 * numEntries  out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntries is NULL
 * Windows: those of every process. Page: FwpmProviderSubscriptionsGet0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderSubscriptionsGet0(HANDLE engineHandle,
                                                        FWPM_PROVIDER_SUBSCRIPTION0 ***entries,
                                                        UINT32 *numEntries);

/* Calls back when provider contexts that meet the template are added or deleted.
 * subscription  copied; enumTemplate NULL: all provider contexts.
 * callback      see fwpm_enum.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * changeHandle  out: owned by the caller until FwpmProviderContextUnsubscribeChanges0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        subscription, callback or changeHandle is NULL
 * STATUS_FWP_INVALID_FLAGS       a flag other than NOTIFY_ON_ADD and NOTIFY_ON_DELETE
 * STATUS_FWP_INVALID_ENUMERATOR  a value of the template is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS     the session has an open transaction
 * Page: FwpmProviderContextSubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextSubscribeChanges0(
    HANDLE engineHandle, const FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0 *subscription,
    FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK0 callback, VOID *context, HANDLE *changeHandle);

/* Ends a subscription. When it returns its callback does not run any more and will not again; when
 * called from that callback itself it does not wait for the call to return.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  changeHandle is no such subscription of this session
 * Page: FwpmProviderContextUnsubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextUnsubscribeChanges0(HANDLE engineHandle,
                                                                 HANDLE changeHandle);

/* Lists the subscriptions of this process' sessions.
 * entries     out: one allocation, to be freed with FwpmFreeMemory0; NULL if there are none.
 * numEntries  out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntries is NULL
 * Windows: those of every process. Page: FwpmProviderContextSubscriptionsGet0. */
SLUICE_API NTSTATUS NTAPI FwpmProviderContextSubscriptionsGet0(
    HANDLE engineHandle, FWPM_PROVIDER_CONTEXT_SUBSCRIPTION0 ***entries, UINT32 *numEntries);

/* Calls back when sublayers that meet the template are added or deleted.
 * subscription  copied; enumTemplate NULL: all sublayers.
 * callback      see fwpm_enum.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * changeHandle  out: owned by the caller until FwpmSubLayerUnsubscribeChanges0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER     subscription, callback or changeHandle is NULL
 * STATUS_FWP_INVALID_FLAGS    a flag other than NOTIFY_ON_ADD and NOTIFY_ON_DELETE
 * STATUS_FWP_TXN_IN_PROGRESS  the session has an open transaction
 * Page: FwpmSubLayerSubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerSubscribeChanges0(
    HANDLE engineHandle, const FWPM_SUBLAYER_SUBSCRIPTION0 *subscription,
    FWPM_SUBLAYER_CHANGE_CALLBACK0 callback, VOID *context, HANDLE *changeHandle);

/* Ends a subscription. When it returns its callback does not run any more and will not again; when
 * called from that callback itself it does not wait for the call to return.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  changeHandle is no such subscription of this session
 * Page: FwpmSubLayerUnsubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Lists the subscriptions of this process' sessions.
 * entries     out: one allocation, to be freed with FwpmFreeMemory0; NULL if there are none.
 * numEntries  out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntries is NULL
 * Windows: those of every process. Page: FwpmSubLayerSubscriptionsGet0. */
SLUICE_API NTSTATUS NTAPI FwpmSubLayerSubscriptionsGet0(HANDLE engineHandle,
                                                        FWPM_SUBLAYER_SUBSCRIPTION0 ***entries,
                                                        UINT32 *numEntries);

/* Calls back when callouts that meet the template are added or deleted.
 * subscription  copied; enumTemplate NULL: all callouts.
 * callback      see fwpm_enum.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * changeHandle  out: owned by the caller until FwpmCalloutUnsubscribeChanges0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER     subscription, callback or changeHandle is NULL
 * STATUS_FWP_INVALID_FLAGS    a flag other than NOTIFY_ON_ADD and NOTIFY_ON_DELETE
 * STATUS_FWP_TXN_IN_PROGRESS  the session has an open transaction
 * Page: FwpmCalloutSubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutSubscribeChanges0(
    HANDLE engineHandle, const FWPM_CALLOUT_SUBSCRIPTION0 *subscription,
    FWPM_CALLOUT_CHANGE_CALLBACK0 callback, VOID *context, HANDLE *changeHandle);

/* Ends a subscription. When it returns its callback does not run any more and will not again; when
 * called from that callback itself it does not wait for the call to return.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  changeHandle is no such subscription of this session
 * Page: FwpmCalloutUnsubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Lists the subscriptions of this process' sessions.
 * entries     out: one allocation, to be freed with FwpmFreeMemory0; NULL if there are none.
 * numEntries  out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntries is NULL
 * Windows: those of every process. Page: FwpmCalloutSubscriptionsGet0. */
SLUICE_API NTSTATUS NTAPI FwpmCalloutSubscriptionsGet0(HANDLE engineHandle,
                                                       FWPM_CALLOUT_SUBSCRIPTION0 ***entries,
                                                       UINT32 *numEntries);

/* Calls back when filters that meet the template are added or deleted.
 * subscription  copied; enumTemplate NULL: all filters.
 * callback      see fwpm_enum.h. It may call any function.
 * context       handed to the callback, stays the caller's.
 * changeHandle  out: owned by the caller until FwpmFilterUnsubscribeChanges0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        subscription, callback or changeHandle is NULL
 * STATUS_FWP_INVALID_FLAGS       a flag other than NOTIFY_ON_ADD and NOTIFY_ON_DELETE
 * STATUS_FWP_INVALID_ENUMERATOR  a value of the template is not one of its enumeration
 * STATUS_FWP_TXN_IN_PROGRESS     the session has an open transaction
 * Page: FwpmFilterSubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterSubscribeChanges0(HANDLE engineHandle,
                                                      const FWPM_FILTER_SUBSCRIPTION0 *subscription,
                                                      FWPM_FILTER_CHANGE_CALLBACK0 callback,
                                                      VOID *context, HANDLE *changeHandle);

/* Ends a subscription. When it returns its callback does not run any more and will not again; when
 * called from that callback itself it does not wait for the call to return.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_HANDLE  changeHandle is no such subscription of this session
 * Page: FwpmFilterUnsubscribeChanges0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterUnsubscribeChanges0(HANDLE engineHandle, HANDLE changeHandle);

/* Lists the subscriptions of this process' sessions.
 * entries     out: one allocation, to be freed with FwpmFreeMemory0; NULL if there are none.
 * numEntries  out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER  entries or numEntries is NULL
 * Windows: those of every process. Page: FwpmFilterSubscriptionsGet0. */
SLUICE_API NTSTATUS NTAPI FwpmFilterSubscriptionsGet0(HANDLE engineHandle,
                                                      FWPM_FILTER_SUBSCRIPTION0 ***entries,
                                                      UINT32 *numEntries);
