/* SPDX-License-Identifier: Apache-2.0
 * Lists of packet buffers that a callout makes or keeps. Any thread may call any of these, also
 * inside classifyFn. On failure no output is written and nothing has changed. */
#pragma once

#include "fwp_buffers.h"

/* A new list with one buffer over pieces of the caller, for packets of his own making.
 *
 * poolHandle       from NdisAllocateNetBufferListPool, with fAllocateNetBuffer and DataSize 0.
 * contextSize, contextBackFill  bytes of context beside the pool's own.
 * mdlChain         NULL for no data; stays the caller's, until the list is freed.
 * dataOffset       bytes from the start of the chain to the first byte of the packet.
 * dataLength       bytes of the packet.
 * netBufferList    out: the caller's until FwpsFreeNetBufferList0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        netBufferList is NULL
 * STATUS_INVALID_PARAMETER       no such pool or not of this kind, or the pieces have fewer bytes
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Page: FwpsAllocateNetBufferAndNetBufferList0. */
SLUICE_API NTSTATUS NTAPI FwpsAllocateNetBufferAndNetBufferList0(
    NDIS_HANDLE poolHandle, USHORT contextSize, USHORT contextBackFill, MDL *mdlChain,
    ULONG dataOffset, SIZE_T dataLength, NET_BUFFER_LIST **netBufferList);

/* Frees a list from FwpsAllocateNetBufferAndNetBufferList0 and the pieces that retreats put in
 * front of it; the caller's own stay his. Without effect, and counted, on any other list.
 * Page: FwpsFreeNetBufferList0. */
SLUICE_API VOID NTAPI FwpsFreeNetBufferList0(NET_BUFFER_LIST *netBufferList);

/* A list over the bytes of another, from the current start of its data: retreat the original first
 * where the clone is to begin at an earlier header, and advance it again afterwards. Inherits what
 * FwpsQueryPacketInjectionState0 says of the original, and keeps it alive.
 *
 * originalNetBufferList    indicated, referenced, allocated or itself a clone. One list; a chain's
 *                          other lists are cloned one by one.
 * netBufferListPoolHandle, netBufferPoolHandle  NULL, or a pool of that kind; not used beyond that.
 * allocateCloneFlags       0.
 * netBufferList            out: the caller's until FwpsFreeCloneNetBufferList0.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        a list is NULL
 * STATUS_INVALID_PARAMETER       not a list of these functions, or a handle that is no such pool
 * STATUS_FWP_INVALID_FLAGS       allocateCloneFlags is not 0
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Windows: clones must not be kept for long. Here packets wait in the few frames of a port, so when
 * many are kept a clone gets its bytes copied instead of sharing them, and ParentNetBufferList is
 * NULL then. Page: FwpsAllocateCloneNetBufferList0. */
SLUICE_API NTSTATUS NTAPI FwpsAllocateCloneNetBufferList0(NET_BUFFER_LIST *originalNetBufferList,
                                                          NDIS_HANDLE netBufferListPoolHandle,
                                                          NDIS_HANDLE netBufferPoolHandle,
                                                          ULONG allocateCloneFlags,
                                                          NET_BUFFER_LIST **netBufferList);

/* As FwpsAllocateCloneNetBufferList0, but always over a copy of the bytes, which may be changed
 * without changing the original's.
 *
 * STATUS_SUCCESS
 * STATUS_FWP_NULL_POINTER        a list is NULL
 * STATUS_INVALID_PARAMETER       not a list of these functions, or a handle that is no such pool
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * Page: FwpsAllocateDeepCloneNetBufferList0. */
SLUICE_API NTSTATUS NTAPI FwpsAllocateDeepCloneNetBufferList0(NET_BUFFER_LIST *originalNetBufferList,
                                                              NDIS_HANDLE netBufferListPoolHandle,
                                                              NDIS_HANDLE netBufferPoolHandle,
                                                              NET_BUFFER_LIST **netBufferList);

/* Frees a clone of either kind, and what retreats put in front of it. Buffers and pieces that the
 * caller put in he takes out before. Without effect, and counted, on any other list.
 *
 * freeCloneFlags  0; not looked at.
 * Page: FwpsFreeCloneNetBufferList0. */
SLUICE_API VOID NTAPI FwpsFreeCloneNetBufferList0(NET_BUFFER_LIST *netBufferList,
                                                  ULONG freeCloneFlags);

/* Keeps an indicated list, its buffers and its bytes after classifyFn has returned, until
 * FwpsDereferenceNetBufferList0; once for each call. Where many packets are kept its bytes move: a
 * pointer to them is to be taken after this call.
 *
 * intendToModify  TRUE: the caller clears FWPS_RIGHT_ACTION_WRITE; not looked at here.
 * Thread: the one that runs classifyFn. Page: FwpsReferenceNetBufferList0. */
SLUICE_API VOID NTAPI FwpsReferenceNetBufferList0(NET_BUFFER_LIST *netBufferList,
                                                  BOOLEAN intendToModify);

/* Undoes one FwpsReferenceNetBufferList0.
 *
 * dispatchLevel  not looked at.
 * Page: FwpsDereferenceNetBufferList0. */
SLUICE_API VOID NTAPI FwpsDereferenceNetBufferList0(NET_BUFFER_LIST *netBufferList,
                                                    BOOLEAN dispatchLevel);
