// SPDX-License-Identifier: Apache-2.0
#include "fwp/instance.h"

using namespace sluice;

namespace {

constexpr UINT32 known_flags =
    0x7FF | SLUICE_CALLOUT_FLAG_KEEP_PENDED_DATA; // FWP_CALLOUT_FLAG_* are bits 0 to 10

template <typename Callout>
NTSTATUS register_callout(VOID *device, const Callout *callout, UINT32 *id) {
    return fwp::guarded([&] {
        if (!fwp::engine().devices().alive(device)) return STATUS_INVALID_PARAMETER;
        if (!callout || !callout->classifyFn || !callout->notifyFn) return STATUS_FWP_NULL_POINTER;
        if (callout->flags & ~known_flags) return STATUS_FWP_INVALID_FLAGS;
        const void *driver = static_cast<DEVICE_OBJECT *>(device)->DriverObject;
        auto made = fwp::engine().register_callout(runtime::CalloutSpec(*callout), driver);
        if (!made) return fwp::status_of(made.error());
        if (id) *id = *made;
        return STATUS_SUCCESS;
    });
}

} // namespace

NTSTATUS FwpsCalloutRegister0(VOID *device, const FWPS_CALLOUT0 *callout, UINT32 *id) {
    return register_callout(device, callout, id);
}
NTSTATUS FwpsCalloutRegister1(VOID *device, const FWPS_CALLOUT1 *callout, UINT32 *id) {
    return register_callout(device, callout, id);
}
NTSTATUS FwpsCalloutRegister2(VOID *device, const FWPS_CALLOUT2 *callout, UINT32 *id) {
    return register_callout(device, callout, id);
}
NTSTATUS FwpsCalloutRegister3(VOID *device, const FWPS_CALLOUT3 *callout, UINT32 *id) {
    return register_callout(device, callout, id);
}

NTSTATUS FwpsCalloutUnregisterById0(const UINT32 id) {
    return fwp::guarded([&] {
        fwp::engine().start();
        return fwp::engine().unregister_callout(id);
    });
}

NTSTATUS FwpsCalloutUnregisterByKey0(const GUID *key) {
    return fwp::guarded([&] {
        if (!key) return STATUS_FWP_NULL_POINTER;
        fwp::engine().start();
        return fwp::engine().unregister_callout(runtime::guid_of(*key));
    });
}
