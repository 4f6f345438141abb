// SPDX-License-Identifier: Apache-2.0
#include "host/ask.h"

#include <iterator>

namespace sluice::host {

namespace {

struct Place {
    const GUID *key;
    UINT16 layer;
    UINT32 flags; // which of the layer's values
};
const Place places[] = {{&SLUICE_CALLOUT_ASK_CONNECT_V4, FWPS_LAYER_ALE_AUTH_CONNECT_V4,
                         FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS},
                        {&SLUICE_CALLOUT_ASK_CONNECT_V6, FWPS_LAYER_ALE_AUTH_CONNECT_V6,
                         FWPS_FIELD_ALE_AUTH_CONNECT_V6_FLAGS},
                        {&SLUICE_CALLOUT_ASK_ACCEPT_V4, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
                         FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V4_FLAGS},
                        {&SLUICE_CALLOUT_ASK_ACCEPT_V6, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
                         FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V6_FLAGS},
                        {&SLUICE_CALLOUT_ASK_LISTEN_V4, FWPS_LAYER_ALE_AUTH_LISTEN_V4,
                         FWPS_FIELD_ALE_AUTH_LISTEN_V4_FLAGS},
                        {&SLUICE_CALLOUT_ASK_LISTEN_V6, FWPS_LAYER_ALE_AUTH_LISTEN_V6,
                         FWPS_FIELD_ALE_AUTH_LISTEN_V6_FLAGS}};

bool reauthorizes(const FWPS_INCOMING_VALUES0 &values) {
    for (const Place &place : places)
        if (place.layer == values.layerId)
            return values.incomingValue[place.flags].value.uint32 &
                   FWP_CONDITION_FLAG_IS_REAUTHORIZE;
    return false;
}

VOID NTAPI classify(const FWPS_INCOMING_VALUES0 *values,
                    const FWPS_INCOMING_METADATA_VALUES0 *metadata, VOID *, const void *,
                    const FWPS_FILTER3 *, UINT64, FWPS_CLASSIFY_OUT0 *out) {
    if (!(out->rights & FWPS_RIGHT_ACTION_WRITE)) return;
    // What is open already goes on: it was decided before, or is older than the filter, and could
    // not be held anyway.
    if (reauthorizes(*values)) {
        out->actionType = FWP_ACTION_PERMIT;
        return;
    }
    out->actionType = FWP_ACTION_BLOCK;
    out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    HANDLE context = nullptr; // nobody here completes it: an order or the deadline does
    if (FWPS_IS_METADATA_FIELD_PRESENT(metadata, FWPS_METADATA_FIELD_COMPLETION_HANDLE) &&
        NT_SUCCESS(FwpsPendOperation0(metadata->completionHandle, &context)))
        out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

NTSTATUS NTAPI notify(FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER3 *) {
    return STATUS_SUCCESS;
}

VOID NTAPI unload(DRIVER_OBJECT *) {
    for (const Place &place : places)
        FwpsCalloutUnregisterByKey0(place.key);
}

} // namespace

NTSTATUS ask_entry(DRIVER_OBJECT *driver, UNICODE_STRING *) {
    DEVICE_OBJECT *device = nullptr; // goes with the driver
    NTSTATUS status = IoCreateDevice(driver, 0, nullptr, FILE_DEVICE_NETWORK,
                                     FILE_DEVICE_SECURE_OPEN, 0, &device);
    for (auto place = std::begin(places); place != std::end(places) && NT_SUCCESS(status);
         ++place) {
        FWPS_CALLOUT3 callout{};
        callout.calloutKey = *place->key;
        callout.flags = SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA;
        callout.classifyFn = classify;
        callout.notifyFn = notify;
        status = FwpsCalloutRegister3(device, &callout, nullptr);
    }
    driver->DriverUnload = unload;
    return status;
}

} // namespace sluice::host
