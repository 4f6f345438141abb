/* SPDX-License-Identifier: Apache-2.0
 * A driver that frees nothing: one list that it made, a clone, and references to both. */
#include <string.h>

#include <sluice/fwp.h>

__attribute__((visibility("default"))) PNET_BUFFER_LIST Left[2];
static UCHAR Bytes[32];

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
  NET_BUFFER_LIST_POOL_PARAMETERS Parameters;
  (void)RegistryPath;
  DriverObject->DriverInit = DriverEntry;
  memset(&Parameters, 0, sizeof Parameters);
  Parameters.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
  Parameters.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
  Parameters.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
  Parameters.fAllocateNetBuffer = 1;
  NDIS_HANDLE Pool = NdisAllocateNetBufferListPool(NULL, &Parameters);
  NTSTATUS Status = FwpsAllocateNetBufferAndNetBufferList0(
      Pool, 0, 0, NdisAllocateMdl(NULL, Bytes, sizeof Bytes), 0, sizeof Bytes, &Left[0]);
  if (NT_SUCCESS(Status))
    Status = FwpsAllocateCloneNetBufferList0(Left[0], NULL, NULL, 0, &Left[1]);
  if (!NT_SUCCESS(Status)) return Status;
  FwpsReferenceNetBufferList0(Left[0], 0);
  FwpsReferenceNetBufferList0(Left[1], 0);
  NdisFreeNetBufferListPool(Pool);
  return STATUS_SUCCESS;
}
