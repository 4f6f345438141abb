/* SPDX-License-Identifier: Apache-2.0
 * GUID and DEFINE_GUID. May be included again with INITGUID defined; DEFINE_GUID then defines. */
#include <sluice/detail/guid.h>

#ifndef SLUICE_WDK_GUIDDEF
#define SLUICE_WDK_GUIDDEF
typedef GUID IID, CLSID, FMTID;
#if defined(__cplusplus)
#define REFGUID const GUID &
#define IsEqualGUID(a, b) ((a) == (b))
#else
#define REFGUID const GUID *
#define IsEqualGUID(a, b) sluice_guid_equal((a), (b))
#endif
#define InlineIsEqualGUID(a, b) IsEqualGUID(a, b)
#endif
