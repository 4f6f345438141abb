/* SPDX-License-Identifier: Apache-2.0
 * Packet buffers, their pools and pieces, and the small things that come with them. */
#pragma once

#include "ntddk.h"
#define NdisZeroMemory(to, bytes) RtlZeroMemory(to, bytes)
#define NdisMoveMemory(to, from, bytes) RtlMoveMemory(to, from, bytes)
#define NdisEqualMemory(a, b, bytes) RtlEqualMemory(a, b, bytes)
#define NdisGetNextMdl(mdl, next) (*(next) = (mdl)->Next)
#define NdisQueryMdl(mdl, address, length, priority) \
  (*(PVOID *)(address) = MmGetSystemAddressForMdlSafe(mdl, priority), \
   *(length) = MmGetMdlByteCount(mdl))
