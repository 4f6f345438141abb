/* SPDX-License-Identifier: Apache-2.0
 * Functions on packet buffers, their pools and their pieces, and the memory descriptors' own.
 * Memory is the process's. Any thread may call any of them; two threads may not change one
 * buffer, list or chain at a time. On failure nothing has changed. */
#pragma once

#include "fwp_buffers.h"

/* A pool of lists, from which FwpsAllocateNetBufferAndNetBufferList0 and its kin allocate.
 *
 * ndisHandle  not used, may be NULL.
 * parameters  header of NDIS_OBJECT_TYPE_DEFAULT and revision 1 or later; copied.
 *
 * The handle, the caller's until NdisFreeNetBufferListPool; NULL: parameters are NULL, their header
 * is of something else or too small, DataSize without fAllocateNetBuffer, or out of memory.
 * Windows: reserves memory here; we allocate with each list. Page: NdisAllocateNetBufferListPool. */
SLUICE_API NDIS_HANDLE NTAPI NdisAllocateNetBufferListPool(
    NDIS_HANDLE NdisHandle, PNET_BUFFER_LIST_POOL_PARAMETERS Parameters);

/* Frees a pool of lists. Lists that came from it stay valid. Without effect on a handle that is no
 * pool of lists. Windows: all lists must have been freed. Page: NdisFreeNetBufferListPool. */
SLUICE_API VOID NTAPI NdisFreeNetBufferListPool(NDIS_HANDLE PoolHandle);

/* A pool of buffers; as NdisAllocateNetBufferListPool. Page: NdisAllocateNetBufferPool. */
SLUICE_API NDIS_HANDLE NTAPI NdisAllocateNetBufferPool(NDIS_HANDLE NdisHandle,
                                                       PNET_BUFFER_POOL_PARAMETERS Parameters);

/* Frees a pool of buffers; as NdisFreeNetBufferListPool. Page: NdisFreeNetBufferPool. */
SLUICE_API VOID NTAPI NdisFreeNetBufferPool(NDIS_HANDLE PoolHandle);

/* A list from a pool; with one buffer if the pool has fAllocateNetBuffer, over DataSize bytes of
 * memory if it has that (DataLength is 0: retreat or set it).
 *
 * contextSize, contextBackFill  bytes of context beside the pool's own.
 *
 * The list, the caller's until NdisFreeNetBufferList; NULL: no such pool, or out of memory.
 * Page: NdisAllocateNetBufferList. */
SLUICE_API PNET_BUFFER_LIST NTAPI NdisAllocateNetBufferList(NDIS_HANDLE PoolHandle,
                                                            USHORT ContextSize,
                                                            USHORT ContextBackFill);

/* A list with one buffer over the caller's pieces; FwpsAllocateNetBufferAndNetBufferList0 without a
 * status: NULL where that fails. Page: NdisAllocateNetBufferAndNetBufferList. */
SLUICE_API PNET_BUFFER_LIST NTAPI
NdisAllocateNetBufferAndNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
                                      USHORT ContextBackFill, PMDL MdlChain, ULONG DataOffset,
                                      SIZE_T DataLength);

/* Frees a list from the two above or from FwpsAllocateNetBufferAndNetBufferList0; the caller's own
 * pieces stay his. Without effect, and counted, on any other. Clones of the list that are still
 * there keep it until they are freed. Page: NdisFreeNetBufferList. */
SLUICE_API VOID NTAPI NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList);

/* A buffer without a list, over the caller's pieces or, mdlChain NULL, over the DataSize bytes of
 * its pool. The caller's until NdisFreeNetBuffer, which must come before the list that he puts it
 * into is freed. NULL: no such pool, more data than the pieces have, or out of memory.
 * Page: NdisAllocateNetBuffer. */
SLUICE_API PNET_BUFFER NTAPI NdisAllocateNetBuffer(NDIS_HANDLE PoolHandle, PMDL MdlChain,
                                                   ULONG DataOffset, SIZE_T DataLength);

/* Frees a buffer from NdisAllocateNetBuffer, and no other. Page: NdisFreeNetBuffer. */
SLUICE_API VOID NTAPI NdisFreeNetBuffer(PNET_BUFFER NetBuffer);

/* Moves the start of the data towards the start of the pieces. Where there is not enough room before
 * it, a piece is put in front that has the missing bytes and dataBackFill more; they are zero.
 *
 * dataOffsetDelta     bytes.
 * allocateMdlHandler  NULL, or the caller's function for that piece; then he frees it too.
 *
 * STATUS_SUCCESS
 * STATUS_INSUFFICIENT_RESOURCES  (NDIS_STATUS_RESOURCES) out of memory, or the handler gave none
 * STATUS_UNSUCCESSFUL            (NDIS_STATUS_FAILURE) more than 65535 bytes would be put in front
 * Page: NdisRetreatNetBufferDataStart. */
SLUICE_API NDIS_STATUS NTAPI
NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta, ULONG DataBackFill,
                              NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler);

/* As NdisRetreatNetBufferDataStart for every buffer of the list, or for none.
 *
 * freeMdlHandler  frees what allocateMdlHandler made, where a later buffer fails.
 *
 * STATUS_SUCCESS
 * STATUS_INSUFFICIENT_RESOURCES  (NDIS_STATUS_RESOURCES) as above
 * STATUS_UNSUCCESSFUL            (NDIS_STATUS_FAILURE) as above
 * Page: NdisRetreatNetBufferListDataStart. */
SLUICE_API NDIS_STATUS NTAPI NdisRetreatNetBufferListDataStart(
    PNET_BUFFER_LIST NetBufferList, ULONG DataOffsetDelta, ULONG DataBackFill,
    NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler, NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);

/* Moves the start of the data back towards the end, by no more than there is data.
 *
 * freeMdl         pieces that a retreat put in front and that hold no data now are freed.
 * freeMdlHandler  for those that allocateMdlHandler made; they stay where it is NULL.
 *
 * Page: NdisAdvanceNetBufferDataStart. */
SLUICE_API VOID NTAPI NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
                                                    BOOLEAN FreeMdl,
                                                    NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);

/* As NdisAdvanceNetBufferDataStart for every buffer of the list.
 * Page: NdisAdvanceNetBufferListDataStart. */
SLUICE_API VOID NTAPI NdisAdvanceNetBufferListDataStart(PNET_BUFFER_LIST NetBufferList,
                                                        ULONG DataOffsetDelta, BOOLEAN FreeMdl,
                                                        NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);

/* The first bytesNeeded bytes of the data as one block.
 *
 * storage        NULL, or at least bytesNeeded bytes, which are used where the data lies in several
 *                pieces or is not aligned.
 * alignMultiple  power of two; 0 and 1: any address will do.
 * alignOffset    bytes that the block may stand behind such a multiple.
 *
 * The data itself, or storage; NULL: fewer bytes of data, or the block cannot be had without
 * storage. Headers of a packet that the engine indicates always lie in one piece.
 * Page: NdisGetDataBuffer. */
SLUICE_API PVOID NTAPI NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded, PVOID Storage,
                                         ULONG AlignMultiple, ULONG AlignOffset);

/* Copies data between buffers, which may lie in pieces of any sizes.
 *
 * destinationOffset, sourceOffset  bytes from the start of the data.
 * bytesCopied                      out: fewer than bytesToCopy where the data of one ends before.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_PARAMETER  bytesCopied is NULL, or an offset is behind the data
 * Page: NdisCopyFromNetBufferToNetBuffer. */
SLUICE_API NDIS_STATUS NTAPI NdisCopyFromNetBufferToNetBuffer(
    PNET_BUFFER Destination, ULONG DestinationOffset, ULONG BytesToCopy, const NET_BUFFER *Source,
    ULONG SourceOffset, PULONG BytesCopied);

/* A descriptor of memory of the caller, who frees it with NdisFreeMdl. NULL: out of memory, or
 * virtualAddress is NULL. Page: NdisAllocateMdl. */
SLUICE_API PMDL NTAPI NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, UINT Length);

/* Frees a descriptor from NdisAllocateMdl or IoAllocateMdl; the memory stays. NULL is allowed.
 * Page: NdisFreeMdl. */
SLUICE_API VOID NTAPI NdisFreeMdl(PMDL Mdl);

/* As NdisAllocateMdl.
 *
 * secondaryBuffer, chargeQuota  not used.
 * irp                           must be NULL; else NULL comes back.
 *
 * Windows: the memory is not mapped before MmBuildMdlForNonPagedPool. Page: IoAllocateMdl. */
SLUICE_API PMDL NTAPI IoAllocateMdl(PVOID VirtualAddress, ULONG Length, BOOLEAN SecondaryBuffer,
                                    BOOLEAN ChargeQuota, PVOID Irp);

/* As NdisFreeMdl. Page: IoFreeMdl. */
SLUICE_API VOID NTAPI IoFreeMdl(PMDL Mdl);

/* Makes MappedSystemVa point to the described memory. Page: MmBuildMdlForNonPagedPool. */
SLUICE_API VOID NTAPI MmBuildMdlForNonPagedPool(PMDL Mdl);
