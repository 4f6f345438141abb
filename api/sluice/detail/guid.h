/* SPDX-License-Identifier: Apache-2.0
 * DEFINE_GUID. There is no include guard round the macro: a source may include this a second time
 * with INITGUID defined, and from there on DEFINE_GUID defines what it only declared before.
 * The definition is weak, so any number of files of a plugin may hold it. g++ accepts a weak
 * constant with C linkage only in this form: declared weak first, defined in the same block. */
#include "base.h"

#undef DEFINE_GUID
#if defined(SLUICE_EXPORT_GUIDS)
#undef SLUICE_GUID_ATTRIBUTES
#define SLUICE_GUID_ATTRIBUTES SLUICE_VISIBLE
#elif defined(INITGUID)
#undef SLUICE_GUID_ATTRIBUTES
#define SLUICE_GUID_ATTRIBUTES __attribute__((weak))
#endif

#if !defined(SLUICE_EXPORT_GUIDS) && !defined(INITGUID)
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8) SLUICE_GUID_DECLARE(name)
#elif defined(__cplusplus)
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)    \
  extern "C" {                                                          \
  extern const GUID name SLUICE_GUID_ATTRIBUTES;                        \
  const GUID name = {l, w1, w2, {b1, b2, b3, b4, b5, b6, b7, b8}};      \
  }                                                                     \
  extern "C" const GUID name
#else
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)    \
  extern const GUID name SLUICE_GUID_ATTRIBUTES;                        \
  const GUID name = {l, w1, w2, {b1, b2, b3, b4, b5, b6, b7, b8}}
#endif

#ifndef SLUICE_GUID_DECLARE
#if defined(__cplusplus)
#define SLUICE_GUID_DECLARE(name) extern "C" const GUID name
#else
#define SLUICE_GUID_DECLARE(name) extern const GUID name
#endif

static inline int sluice_guid_equal(const GUID *a, const GUID *b) {
  return __builtin_memcmp(a, b, sizeof(GUID)) == 0;
}
#if defined(__cplusplus)
inline bool operator==(const GUID &a, const GUID &b) { return sluice_guid_equal(&a, &b) != 0; }
inline bool operator!=(const GUID &a, const GUID &b) { return !(a == b); }
#endif
#endif
