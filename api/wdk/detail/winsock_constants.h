/* SPDX-License-Identifier: Apache-2.0
 * Written by api/generate.py from api/tables; change those, not this.
 * Socket constants with Windows' values; several differ from this system's own. */
#pragma once

#include <sluice/detail/wsa_constants.h>

#undef IOC_IN
#define IOC_IN 0x80000000u
#undef IOC_OUT
#define IOC_OUT 0x40000000u
#undef IOC_INOUT
#define IOC_INOUT 0xC0000000u
#undef IOC_VOID
#define IOC_VOID 0x20000000u
#undef IOC_WS2
#define IOC_WS2 0x08000000u
#undef IOC_PROTOCOL
#define IOC_PROTOCOL 0x10000000u
#undef IOC_VENDOR
#define IOC_VENDOR 0x18000000u
#undef AF_UNSPEC
#define AF_UNSPEC 0
#undef AF_INET
#define AF_INET 2
#undef AF_INET6
#define AF_INET6 23
