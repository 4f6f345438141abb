/* SPDX-License-Identifier: Apache-2.0
 * The objects that a plugin meets at its entry point. Members that have a meaning here keep
 * Windows' names and order; what only a Windows kernel would look into is an untyped pointer. */
#pragma once

#include "detail/base.h"

/* UTF-16 text that need not end in zero; the lengths are in bytes. */
typedef struct _UNICODE_STRING {
  USHORT Length;
  USHORT MaximumLength;
  PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef ULONG DEVICE_TYPE;
struct _DRIVER_OBJECT;
struct _IRP;

typedef struct _DEVICE_OBJECT {
  CSHORT Type;
  USHORT Size;
  LONG ReferenceCount;
  struct _DRIVER_OBJECT *DriverObject;
  struct _DEVICE_OBJECT *NextDevice; /* of the same driver */
  struct _DEVICE_OBJECT *AttachedDevice;
  struct _IRP *CurrentIrp;
  PVOID Timer;
  ULONG Flags;
  ULONG Characteristics;
  PVOID Vpb;
  PVOID DeviceExtension; /* zeroed memory of the size asked for, NULL for 0 */
  DEVICE_TYPE DeviceType;
  CHAR StackSize;
} DEVICE_OBJECT, *PDEVICE_OBJECT;

typedef NTSTATUS(NTAPI DRIVER_INITIALIZE)(struct _DRIVER_OBJECT *DriverObject,
                                          PUNICODE_STRING RegistryPath);
typedef DRIVER_INITIALIZE *PDRIVER_INITIALIZE;
typedef VOID(NTAPI DRIVER_UNLOAD)(struct _DRIVER_OBJECT *DriverObject);
typedef DRIVER_UNLOAD *PDRIVER_UNLOAD;
typedef NTSTATUS(NTAPI DRIVER_DISPATCH)(PDEVICE_OBJECT DeviceObject, struct _IRP *Irp);
typedef DRIVER_DISPATCH *PDRIVER_DISPATCH;

#define IRP_MJ_MAXIMUM_FUNCTION 0x1b

typedef struct _DRIVER_OBJECT {
  CSHORT Type;
  CSHORT Size;
  PDEVICE_OBJECT DeviceObject; /* head of the driver's devices */
  ULONG Flags;
  PVOID DriverStart;
  ULONG DriverSize;
  PVOID DriverSection;
  PVOID DriverExtension;
  UNICODE_STRING DriverName;
  PUNICODE_STRING HardwareDatabase;
  PVOID FastIoDispatch;
  PDRIVER_INITIALIZE DriverInit;
  PVOID DriverStartIo;
  PDRIVER_UNLOAD DriverUnload; /* set by DriverEntry; called once, at unload */
  PDRIVER_DISPATCH MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1]; /* never called here */
} DRIVER_OBJECT, *PDRIVER_OBJECT;

#define FILE_DEVICE_NETWORK 0x00000012
#define FILE_DEVICE_UNKNOWN 0x00000022
#define FILE_DEVICE_SECURE_OPEN 0x00000100
#define DO_DEVICE_INITIALIZING 0x00000080

/* Points the string at `source`, which is not copied and must end in zero; NULL gives an empty
 * string. Text past 32766 code units is left out, as the length would not fit. */
static inline VOID RtlInitUnicodeString(PUNICODE_STRING destination, PCWSTR source) {
  SIZE_T length = 0;
  while (source && source[length] && length < 32766) ++length;
  destination->Length = (USHORT)(length * sizeof(WCHAR));
  destination->MaximumLength = (USHORT)(source ? destination->Length + sizeof(WCHAR) : 0);
  destination->Buffer = (PWSTR)source;
}
