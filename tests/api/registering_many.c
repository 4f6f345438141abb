/* SPDX-License-Identifier: Apache-2.0
 * Several callouts in one driver: CALLOUTS of them, with keys that differ in Data1. With SAME_KEY
 * the second has the first one's key, and DriverEntry succeeds only if that is refused. */
#include <ntddk.h>
#include <fwpsk.h>

#ifndef CALLOUTS
#define CALLOUTS 2
#endif
#define FIRST_KEY 0x51000000u

UINT32 CalloutIds[CALLOUTS];
static PDEVICE_OBJECT Device;

static VOID NTAPI Classify(_In_ const FWPS_INCOMING_VALUES0 *values,
                           _In_ const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                           _Inout_opt_ VOID *layerData, _In_opt_ const VOID *classifyContext,
                           _In_ const FWPS_FILTER1 *filter, _In_ UINT64 flowContext,
                           _Inout_ FWPS_CLASSIFY_OUT0 *out) {
  UNREFERENCED_PARAMETER(values);
  UNREFERENCED_PARAMETER(metadata);
  UNREFERENCED_PARAMETER(layerData);
  UNREFERENCED_PARAMETER(classifyContext);
  UNREFERENCED_PARAMETER(filter);
  UNREFERENCED_PARAMETER(flowContext);
  out->actionType = FWP_ACTION_CONTINUE;
}

static NTSTATUS NTAPI Notify(_In_ FWPS_CALLOUT_NOTIFY_TYPE type, _In_opt_ const GUID *key,
                             _Inout_ FWPS_FILTER1 *filter) {
  UNREFERENCED_PARAMETER(type);
  UNREFERENCED_PARAMETER(key);
  UNREFERENCED_PARAMETER(filter);
  return STATUS_SUCCESS;
}

static VOID NTAPI Unload(_In_ PDRIVER_OBJECT driver) {
  UINT32 i;
  UNREFERENCED_PARAMETER(driver);
  for (i = 0; i < CALLOUTS; ++i) {
    if (CalloutIds[i] != 0) FwpsCalloutUnregisterById0(CalloutIds[i]);
  }
  IoDeleteDevice(Device);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT driver, _In_ PUNICODE_STRING registryPath) {
  FWPS_CALLOUT1 callout = {{FIRST_KEY, 0, 0, {0}}, 0, Classify, Notify, NULL};
  UINT32 i;
  NTSTATUS status =
      IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
  UNREFERENCED_PARAMETER(registryPath);
  if (!NT_SUCCESS(status)) return status;
  for (i = 0; i < CALLOUTS; ++i) {
#ifndef SAME_KEY
    callout.calloutKey.Data1 = FIRST_KEY + i;
#endif
    status = FwpsCalloutRegister1(Device, &callout, &CalloutIds[i]);
#ifdef SAME_KEY
    if (i > 0) status = status == STATUS_FWP_ALREADY_EXISTS ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
#endif
    if (!NT_SUCCESS(status)) {
      Unload(driver);
      return status;
    }
  }
  driver->DriverUnload = Unload;
  return STATUS_SUCCESS;
}
