/* SPDX-License-Identifier: Apache-2.0
 * Device objects: the named thing that a plugin owns before it registers callouts. Nothing can be
 * opened through one here; it ties registrations to the plugin that made them. */
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
 * with it stay registered. Any thread. Windows: a second delete is a bug check.
 * Page: IoDeleteDevice. */
SLUICE_API VOID NTAPI IoDeleteDevice(PDEVICE_OBJECT DeviceObject);
