/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fixed-width types and assertions for headers that the kernel side and the user side both compile.
 */
#ifndef SLUICE_BPF_SHARED_TYPES_H
#define SLUICE_BPF_SHARED_TYPES_H

#include <linux/types.h>

#ifdef __cplusplus
#define DP_ASSERT(cond, text) static_assert(cond, text)
#else
#define DP_ASSERT(cond, text) _Static_assert(cond, text)
#endif

/* Layout version of everything in this folder. Raise it when a map value, a header on the port or
   the meaning of a field changes: a daemon refuses pins with another number. */
#define DP_LAYOUT_VERSION 8

#endif
