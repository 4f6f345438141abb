/* SPDX-License-Identifier: Apache-2.0
 * First lines of every header of the Windows door: the two worlds disagree about AF_INET6 and the
 * socket structures, silently, so this refuses to come after this system's socket headers. The
 * other order fails by itself, since both then define the same structures. */
#pragma once

#if defined(_SYS_SOCKET_H) || defined(_NETINET_IN_H) || defined(_LINUX_IN_H) || \
    defined(_UAPI_LINUX_IN_H) || defined(_LINUX_SOCKET_H) || defined(_UAPI_LINUX_SOCKET_H) || \
    defined(AF_INET6)
#error "The Windows headers of Sluice cannot follow <sys/socket.h> and its kin; use <sluice/fwp.h>"
#endif

#include <sluice/fwp.h>
#include "annotations.h"

#define CONST const
#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#ifndef UNREFERENCED_PARAMETER
#define UNREFERENCED_PARAMETER(p) ((void)(p))
#endif
#define DBG_UNREFERENCED_PARAMETER(p) ((void)(p))
#define __cdecl
#define __stdcall
#define FASTCALL
#define APIENTRY
#define WINAPI
#define DECLSPEC_ALIGN(n) __attribute__((aligned(n)))
#define FORCEINLINE static inline __attribute__((always_inline))
#if defined(__cplusplus)
#define EXTERN_C extern "C"
#define EXTERN_C_START extern "C" {
#define EXTERN_C_END }
#else
#define EXTERN_C extern
#define EXTERN_C_START
#define EXTERN_C_END
#endif
