/* SPDX-License-Identifier: Apache-2.0
 * See guid_one.c; here INITGUID comes first, so the well-known GUIDs are defined as well. */
#include <initguid.h>
#include <fwpmk.h>

DEFINE_GUID(SHARED_KEY, 0x0badcafe, 0x1234, 0x5678, 0x9a, 0xbc, 0xde, 0xf0, 0x01, 0x23, 0x45, 0x67);

#if defined(__cplusplus)
extern "C"
#endif
const GUID *guid_in_two(void);
const GUID *guid_in_two(void) { return &SHARED_KEY; }
