/* SPDX-License-Identifier: Apache-2.0
 * The smallest driver that registers a callout, in the declarations that drivers for the first
 * version of the platform use. Compiled as C and as C++; nothing here may need a cast. */
#include <ntddk.h>
#include <fwpsk.h>

/* Prototypes of the callout's three functions */
VOID NTAPI
 ClassifyFn(
    IN const FWPS_INCOMING_VALUES0  *inFixedValues,
    IN const FWPS_INCOMING_METADATA_VALUES0  *inMetaValues,
    IN OUT VOID  *layerData,
    IN const FWPS_FILTER0  *filter,
    IN UINT64  flowContext,
    IN OUT FWPS_CLASSIFY_OUT0  *classifyOut
    );

NTSTATUS NTAPI
 NotifyFn(
    IN FWPS_CALLOUT_NOTIFY_TYPE  notifyType,
    IN const GUID  *filterKey,
    IN const FWPS_FILTER0  *filter
    );

VOID NTAPI
 FlowDeleteFn(
    IN UINT16  layerId,
    IN UINT32  calloutId,
    IN UINT64  flowContext
    );

/* What is registered, initialised in place */
const FWPS_CALLOUT0 Callout =
{
  { 0x6d3f1a52, 0x90c4, 0x4b7e, { 0xa1, 0x08, 0x5e, 0x27, 0xc9, 0x44, 0x0b, 0x31 } },
  0,
  ClassifyFn,
  NotifyFn,
  FlowDeleteFn
};

/* Receives the run-time id */
UINT32 CalloutId;

static PDEVICE_OBJECT Device;
static const WCHAR DeviceName[] = {'\\', 'D', 'e', 'v', 'i', 'c', 'e', '\\', 's', 'e', 'e', 'd', 0};

static VOID NTAPI
 Unload(
    IN PDRIVER_OBJECT DriverObject
    )
{
  UNREFERENCED_PARAMETER(DriverObject);
  FwpsCalloutUnregisterById0(CalloutId);
  IoDeleteDevice(Device);
}

NTSTATUS
 DriverEntry(
    IN PDRIVER_OBJECT DriverObject,
    IN PUNICODE_STRING RegistryPath
    )
{
  PDEVICE_OBJECT deviceObject;
  UNICODE_STRING name;
  NTSTATUS status;

  UNREFERENCED_PARAMETER(RegistryPath);
  RtlInitUnicodeString(&name, DeviceName);
  status =
    IoCreateDevice(
      DriverObject,
      0,
      &name,
      FILE_DEVICE_NETWORK,
      FILE_DEVICE_SECURE_OPEN,
      FALSE,
      &deviceObject
      );
  if (!NT_SUCCESS(status)) return status;
  Device = deviceObject;
  DriverObject->DriverUnload = Unload;

  status =
    FwpsCalloutRegister0(
      deviceObject,
      &Callout,
      &CalloutId
      );
  if (!NT_SUCCESS(status)) IoDeleteDevice(deviceObject);

  return status;
}

VOID NTAPI
 ClassifyFn(
    IN const FWPS_INCOMING_VALUES0  *inFixedValues,
    IN const FWPS_INCOMING_METADATA_VALUES0  *inMetaValues,
    IN OUT VOID  *layerData,
    IN const FWPS_FILTER0  *filter,
    IN UINT64  flowContext,
    IN OUT FWPS_CLASSIFY_OUT0  *classifyOut
    )
{
  UNREFERENCED_PARAMETER(inFixedValues);
  UNREFERENCED_PARAMETER(inMetaValues);
  UNREFERENCED_PARAMETER(layerData);
  UNREFERENCED_PARAMETER(filter);
  UNREFERENCED_PARAMETER(flowContext);
  if (classifyOut->rights & FWPS_RIGHT_ACTION_WRITE) classifyOut->actionType = FWP_ACTION_PERMIT;
}

NTSTATUS NTAPI
 NotifyFn(
    IN FWPS_CALLOUT_NOTIFY_TYPE  notifyType,
    IN const GUID  *filterKey,
    IN const FWPS_FILTER0  *filter
    )
{
  UNREFERENCED_PARAMETER(notifyType);
  UNREFERENCED_PARAMETER(filterKey);
  UNREFERENCED_PARAMETER(filter);
  return STATUS_SUCCESS;
}

VOID NTAPI
 FlowDeleteFn(
    IN UINT16  layerId,
    IN UINT32  calloutId,
    IN UINT64  flowContext
    )
{
  UNREFERENCED_PARAMETER(layerId);
  UNREFERENCED_PARAMETER(calloutId);
  UNREFERENCED_PARAMETER(flowContext);
}
