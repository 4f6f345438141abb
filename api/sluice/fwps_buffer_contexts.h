/* SPDX-License-Identifier: Apache-2.0
 * Values that a callout puts on a list, to find them again on it and on its clones. Any thread may
 * call any of these, also inside classifyFn. On failure nothing has changed.
 *
 * Windows: the value goes with the packet through the stack. Here it goes with the list: a clone
 * has it, the list that a later layer indicates for the same packet has not. Of the events come
 * FWPS_NET_BUFFER_LIST_CLONED_VIA_WFP_API (with the clone as new list), _NDIS_SEND_COMPLETE and
 * _NDIS_RECV_COMPLETE (before completionFn), and for each value once _CONTEXT_REMOVED: when it was
 * removed, or, with NULL for the list, when its list ended. */
#pragma once

#include "fwp_buffers.h"
#include "fwp_constants.h"

typedef FWPS_NET_BUFFER_LIST_EVENT_TYPE FWPS_NET_BUFFER_LIST_EVENT_TYPE0;

/* Told on the thread that does it; may call all of these functions. What version 1 returns is not
 * looked at. */
typedef VOID(NTAPI *FWPS_NET_BUFFER_LIST_NOTIFY_FN0)(FWPS_NET_BUFFER_LIST_EVENT_TYPE0 eventType,
                                                     NET_BUFFER_LIST *netBufferList,
                                                     NET_BUFFER_LIST *newNetBufferList,
                                                     UINT16 layerId, UINT64 context,
                                                     UINT64 contextTag);
typedef NTSTATUS(NTAPI *FWPS_NET_BUFFER_LIST_NOTIFY_FN1)(FWPS_NET_BUFFER_LIST_EVENT_TYPE0 eventType,
                                                         NET_BUFFER_LIST *netBufferList,
                                                         NET_BUFFER_LIST *newNetBufferList,
                                                         UINT16 layerId, UINT64 context,
                                                         UINT64 contextTag);

/* A tag that nobody else in this process has; never 0. Page: FwpsNetBufferListGetTagForContext0. */
SLUICE_API UINT64 NTAPI FwpsNetBufferListGetTagForContext0(VOID);

/* Puts a value on a list.
 *
 * layerId       where the list was indicated, or FWPS_LAYER_NON_WFP; handed to notifyFn.
 * context       the value.
 * contextTag    from FwpsNetBufferListGetTagForContext0.
 * providerGuid  NULL, or the provider's; not used.
 * deviceObject  a device of the caller's driver.
 * flags         0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        the list or notifyFn is NULL
 * STATUS_FWP_INVALID_FLAGS       flags are not 0
 * STATUS_INVALID_PARAMETER       no such tag or device, or not a list of these functions
 * STATUS_OBJECT_NAME_EXISTS      the list has a value of that tag
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Page: FwpsNetBufferListAssociateContext0. */
SLUICE_API NTSTATUS NTAPI FwpsNetBufferListAssociateContext0(
    NET_BUFFER_LIST *netBufferList, UINT16 layerId, UINT64 context, UINT64 contextTag,
    GUID *providerGuid, PVOID deviceObject, FWPS_NET_BUFFER_LIST_NOTIFY_FN0 notifyFn, UINT32 flags);

/* As version 0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        the list or notifyFn is NULL
 * STATUS_FWP_INVALID_FLAGS       flags are not 0
 * STATUS_INVALID_PARAMETER       no such tag or device, or not a list of these functions
 * STATUS_OBJECT_NAME_EXISTS      the list has a value of that tag
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Page: FwpsNetBufferListAssociateContext1. */
SLUICE_API NTSTATUS NTAPI FwpsNetBufferListAssociateContext1(
    NET_BUFFER_LIST *netBufferList, UINT16 layerId, UINT64 context, UINT64 contextTag,
    GUID *providerGuid, PVOID deviceObject, FWPS_NET_BUFFER_LIST_NOTIFY_FN1 notifyFn, UINT32 flags);

/* Reads a list's value.
 *
 * removeContext  TRUE: it is removed as well, which notifyFn is told.
 * flags          0.
 * context        out.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER   a pointer is NULL
 * STATUS_FWP_INVALID_FLAGS  flags are not 0
 * STATUS_INVALID_PARAMETER  not a list of these functions
 * STATUS_NOT_FOUND          the list has none of that tag
 * Page: FwpsNetBufferListRetrieveContext0. */
SLUICE_API NTSTATUS NTAPI FwpsNetBufferListRetrieveContext0(NET_BUFFER_LIST *netBufferList,
                                                            UINT64 contextTag,
                                                            BOOLEAN removeContext, UINT32 flags,
                                                            UINT64 *context);

/* Removes a list's value, which notifyFn is told.
 *
 * netBufferList  NULL: from every list.
 * flags          0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_INVALID_FLAGS  flags are not 0
 * STATUS_INVALID_PARAMETER  not a list of these functions
 * STATUS_NOT_FOUND          there is none of that tag
 * Page: FwpsNetBufferListRemoveContext0. */
SLUICE_API NTSTATUS NTAPI FwpsNetBufferListRemoveContext0(NET_BUFFER_LIST *netBufferList,
                                                          UINT64 contextTag, UINT32 flags);
