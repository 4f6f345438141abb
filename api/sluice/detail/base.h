/* SPDX-License-Identifier: Apache-2.0
 * Base types of the interface. Widths are Windows' own wherever this is compiled: LONG is 32 bits
 * on LP64 too, and WCHAR is always a 16-bit code unit. Nothing here may be a name that libc or
 * the C++ library also defines, since native programs include both. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
#define SLUICE_EXTERN_C extern "C"
#define SLUICE_BEGIN_C extern "C" {
#define SLUICE_END_C }
/* Without a fixed base a value above the largest enumerator would be undefined in C++. */
#define SLUICE_ENUM_BASE : UINT32
#else
#define SLUICE_EXTERN_C
#define SLUICE_BEGIN_C
#define SLUICE_END_C
#define SLUICE_ENUM_BASE
#endif

#define SLUICE_VISIBLE __attribute__((visibility("default")))
/* Every function of libsluice: C linkage, and visible whatever the plugin is compiled with. */
#define SLUICE_API SLUICE_EXTERN_C SLUICE_VISIBLE
/* The calling convention is the system's own. */
#define NTAPI

typedef void VOID;
typedef void *PVOID;
typedef char CHAR, *PCHAR;
typedef unsigned char UCHAR, *PUCHAR;
typedef short SHORT, CSHORT;
typedef unsigned short USHORT, *PUSHORT;
typedef int32_t LONG, *PLONG;
typedef uint32_t ULONG, *PULONG;
typedef uint32_t DWORD, *PDWORD;
typedef int64_t LONGLONG, LONG64;
typedef uint64_t ULONGLONG, ULONG64, *PULONG64;
typedef int32_t INT, *PINT;
typedef uint32_t UINT;
typedef int8_t INT8;
typedef int16_t INT16;
typedef int32_t INT32;
typedef int64_t INT64;
typedef uint8_t UINT8, *PUINT8, BYTE;
typedef uint16_t UINT16, *PUINT16, WORD;
typedef uint32_t UINT32, *PUINT32;
typedef uint64_t UINT64, *PUINT64;
typedef UCHAR BOOLEAN, *PBOOLEAN;
typedef int32_t BOOL;
typedef size_t SIZE_T, *PSIZE_T;
typedef uintptr_t ULONG_PTR;
typedef intptr_t LONG_PTR;
typedef PVOID HANDLE, *PHANDLE;
typedef LONG NTSTATUS, *PNTSTATUS;
typedef LONG HRESULT;
typedef ULONG ACCESS_MASK;

/* UTF-16. L"" literals fit under -fshort-wchar, u"" literals otherwise; libc's wide functions
 * never fit. */
#if __SIZEOF_WCHAR_T__ == 2
typedef wchar_t WCHAR;
#elif defined(__cplusplus)
typedef char16_t WCHAR;
#else
typedef __CHAR16_TYPE__ WCHAR;
#endif
typedef WCHAR *PWCHAR, *PWSTR, *LPWSTR;
typedef const WCHAR *PCWSTR, *LPCWSTR;

typedef union _LARGE_INTEGER {
  struct {
    ULONG LowPart;
    LONG HighPart;
  } u;
  LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef struct _FILETIME {
  DWORD dwLowDateTime;
  DWORD dwHighDateTime;
} FILETIME;

#ifndef SLUICE_GUID_DEFINED
#define SLUICE_GUID_DEFINED
typedef struct _GUID {
  UINT32 Data1;
  UINT16 Data2;
  UINT16 Data3;
  UINT8 Data4[8];
} GUID, *LPGUID;
typedef const GUID *LPCGUID;
#endif

/* True for success and informational statuses. */
#define NT_SUCCESS(status) (((NTSTATUS)(status)) >= 0)
