// SPDX-License-Identifier: Apache-2.0
// A driver in the other door's shape: makes its device, registers one callout that blocks, and takes both back.
#include <ntddk.h>
#include <fwpsk.h>
#include <fwpmk.h>

static const GUID blocker_key = {0x5d2f6a01, 0x37c4, 0x4b52, {0x9e, 0x11, 0x6f, 0x0a, 0xc3, 0x21, 0x44, 0x90}};
static PDEVICE_OBJECT device;
static UINT32 blocker_id;

static VOID NTAPI blocker_classify(const FWPS_INCOMING_VALUES0 *values, const FWPS_INCOMING_METADATA_VALUES0 *metadata,
                                   VOID *data, const VOID *context, const FWPS_FILTER1 *filter, UINT64 flow,
                                   FWPS_CLASSIFY_OUT0 *out)
{
    (void)values, (void)metadata, (void)data, (void)context, (void)filter, (void)flow;
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
}

static NTSTATUS NTAPI blocker_notify(FWPS_CALLOUT_NOTIFY_TYPE type, const GUID *key, FWPS_FILTER1 *filter)
{
    (void)type, (void)key, (void)filter;
    return STATUS_SUCCESS;
}

static VOID NTAPI unload(PDRIVER_OBJECT driver)
{
    (void)driver;
    FwpsCalloutUnregisterById0(blocker_id);
    IoDeleteDevice(device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path)
{
    (void)registry_path;
    FWPS_CALLOUT1 callout = {.calloutKey = blocker_key, .classifyFn = blocker_classify, .notifyFn = blocker_notify};
    NTSTATUS status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = FwpsCalloutRegister1(device, &callout, &blocker_id);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    driver->DriverUnload = unload;
    return STATUS_SUCCESS;
}
