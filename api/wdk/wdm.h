/* SPDX-License-Identifier: Apache-2.0
 * The part of the driver model that a callout driver's entry needs. */
#pragma once

#include "ntdef.h"

/* The entry point that the host calls. C linkage and default visibility are declared here, so that
 * a C++ plugin compiled with -fvisibility=hidden exports it all the same. */
SLUICE_API NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);

#define RtlCopyMemory(to, from, bytes) ((void)__builtin_memcpy((to), (from), (bytes)))
#define RtlMoveMemory(to, from, bytes) ((void)__builtin_memmove((to), (from), (bytes)))
#define RtlZeroMemory(to, bytes) ((void)__builtin_memset((to), 0, (bytes)))
#define RtlFillMemory(to, bytes, value) ((void)__builtin_memset((to), (value), (bytes)))
#define RtlEqualMemory(a, b, bytes) (__builtin_memcmp((a), (b), (bytes)) == 0)
#define RtlUshortByteSwap(v) __builtin_bswap16(v)
#define RtlUlongByteSwap(v) __builtin_bswap32(v)
#define RtlUlonglongByteSwap(v) __builtin_bswap64(v)

/* ---- memory descriptors; their functions stand in <sluice/ndis_functions.h> ---- */

typedef enum _MM_PAGE_PRIORITY SLUICE_ENUM_BASE {
  LowPagePriority = 0,
  NormalPagePriority = 16,
  HighPagePriority = 32
} MM_PAGE_PRIORITY;
#define MdlMappingNoWrite 0x80000000u
#define MdlMappingNoExecute 0x40000000u

#define MmGetMdlByteCount(mdl) ((mdl)->ByteCount)
#define MmGetMdlByteOffset(mdl) ((mdl)->ByteOffset)
#define MmGetMdlVirtualAddress(mdl) ((PVOID)((PUCHAR)(mdl)->StartVa + (mdl)->ByteOffset))
#define MmGetSystemAddressForMdlSafe(mdl, priority) ((void)(priority), (mdl)->MappedSystemVa)

/* ---- pool memory: the process's own ---- */

typedef enum _POOL_TYPE SLUICE_ENUM_BASE {
  NonPagedPool = 0,
  PagedPool = 1,
  NonPagedPoolNx = 512
} POOL_TYPE;
#define ExAllocatePoolWithTag(type, bytes, tag) ((void)(type), (void)(tag), __builtin_malloc(bytes))
#define ExAllocatePoolZero(type, bytes, tag) ((void)(type), (void)(tag), __builtin_calloc(1, (bytes)))
#define ExFreePoolWithTag(memory, tag) ((void)(tag), __builtin_free(memory))
#define ExFreePool(memory) __builtin_free(memory)
