/* SPDX-License-Identifier: Apache-2.0
 * A driver's own GUID in two files, each with guiddef.h twice and INITGUID the second time, in C
 * and in C++: one weak definition each, and the same value. With guid_two.c one program. */
#include <fwpsk.h>
#include <fwpmk.h>

#define INITGUID
#include <guiddef.h>

DEFINE_GUID(SHARED_KEY, 0x0badcafe, 0x1234, 0x5678, 0x9a, 0xbc, 0xde, 0xf0, 0x01, 0x23, 0x45, 0x67);

#if defined(__cplusplus)
extern "C"
#endif
const GUID *guid_in_two(void);

int main(void) {
  const GUID *here = &SHARED_KEY;
  const GUID *there = guid_in_two();
  return here->Data1 == 0x0badcafe && here->Data4[7] == 0x67 && there->Data1 == here->Data1 ? 0 : 1;
}
