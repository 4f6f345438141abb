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
