/* SPDX-License-Identifier: Apache-2.0
 * Device objects: the named thing that a plugin owns before it registers callouts. Nothing can be
 * opened through one here; it ties registrations to the plugin that made them. And work items: a
 * plugin's way to do something in another thread than the one that calls it back. */
#pragma once

#include "fwp_objects.h"
#include "fwp_status.h"

/* Makes a device object and links it into DriverObject->DeviceObject.
 *
 * DriverObject   what DriverEntry was given; a program that is its own host passes a DRIVER_OBJECT
 *                of its own, zeroed before first use, which must outlive the device.
 * DeviceExtensionSize
 *                bytes of zeroed memory behind (*DeviceObject)->DeviceExtension.
 * DeviceName     UTF-16, copied; NULL for a device without name. Unique in the process.
 * DeviceType, DeviceCharacteristics, Exclusive
 *                kept in the object, no effect.
 * DeviceObject   out: owned by the caller until IoDeleteDevice; at unload the host deletes what
 *                the plugin left behind.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_PARAMETER       DriverObject or DeviceObject is NULL, or the name has a NULL
 *                                buffer with a length
 * STATUS_OBJECT_NAME_COLLISION   the name is taken
 * STATUS_INSUFFICIENT_RESOURCES  out of memory
 * On failure *DeviceObject is untouched. Any thread; inside a callback too.
 * Windows: the name lives in a global namespace. Page: IoCreateDevice. */
SLUICE_API NTSTATUS NTAPI IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
                                         PUNICODE_STRING DeviceName, DEVICE_TYPE DeviceType,
                                         ULONG DeviceCharacteristics, BOOLEAN Exclusive,
                                         PDEVICE_OBJECT *DeviceObject);

/* Ends a device object; NULL or one already deleted is ignored and counted. Callouts registered
 * with it stay registered. Waits for the work items that are queued with it, except when one of them
 * calls this. Any thread. Windows: a second delete is a bug check; queued items keep the object, and
 * the driver's code, until they have run. Page: IoDeleteDevice. */
SLUICE_API VOID NTAPI IoDeleteDevice(PDEVICE_OBJECT DeviceObject);

typedef struct _IO_WORKITEM *PIO_WORKITEM;
typedef VOID(NTAPI IO_WORKITEM_ROUTINE)(PDEVICE_OBJECT DeviceObject, PVOID Context);
typedef IO_WORKITEM_ROUTINE *PIO_WORKITEM_ROUTINE;
typedef enum _WORK_QUEUE_TYPE SLUICE_ENUM_BASE {
  CriticalWorkQueue = 0,
  DelayedWorkQueue = 1,
  HyperCriticalWorkQueue = 2
} WORK_QUEUE_TYPE;

/* A work item of a device; the caller's until IoFreeWorkItem. NULL: no live device, or out of
 * memory. Page: IoAllocateWorkItem. */
SLUICE_API PIO_WORKITEM NTAPI IoAllocateWorkItem(PDEVICE_OBJECT DeviceObject);

/* Frees a work item that is not queued; its own routine may do it. NULL is allowed.
 * Page: IoFreeWorkItem. */
SLUICE_API VOID NTAPI IoFreeWorkItem(PIO_WORKITEM IoWorkItem);

/* Has WorkerRoutine called once with the device and Context, in a thread of the engine's that may
 * wait. Does not wait behind other items.
 *
 * IoWorkItem  not queued already.
 * QueueType   not looked at.
 *
 * Any thread, any callback. Page: IoQueueWorkItem. */
SLUICE_API VOID NTAPI IoQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE WorkerRoutine,
                                      WORK_QUEUE_TYPE QueueType, PVOID Context);
