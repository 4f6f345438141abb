// SPDX-License-Identifier: Apache-2.0
#include "fwp/instance.h"

using namespace sluice;

NTSTATUS FwpsRedirectHandleCreate0(const GUID *provider, UINT32 flags, HANDLE *handle) {
    return fwp::guarded([&] {
        if (!provider || flags != 0 || !handle) return STATUS_INVALID_PARAMETER;
        return fwp::engine().create_redirect_handle(runtime::guid_of(*provider), handle);
    });
}

VOID FwpsRedirectHandleDestroy0(HANDLE handle) {
    (void)fwp::guarded([&] {
        fwp::engine().destroy_redirect_handle(handle);
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpsAcquireClassifyHandle0(VOID *context, UINT32 flags, UINT64 *handle) {
    return fwp::guarded([&] { return fwp::engine().classifies().acquire(context, flags, handle); });
}

VOID FwpsReleaseClassifyHandle0(UINT64 handle) {
    (void)fwp::guarded([&] {
        fwp::engine().classifies().release(handle);
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpsPendClassify0(UINT64 handle, UINT64 filter, UINT32 flags, FWPS_CLASSIFY_OUT0 *out) {
    return fwp::guarded(
        [&] { return fwp::engine().classifies().pend(handle, filter, flags, out); });
}

VOID FwpsCompleteClassify0(UINT64 handle, UINT32, const FWPS_CLASSIFY_OUT0 *out) {
    (void)fwp::guarded([&] {
        fwp::engine().complete_classify(handle, out);
        return STATUS_SUCCESS;
    });
}

NTSTATUS FwpsAcquireWritableLayerDataPointer0(UINT64 handle, UINT64 filter, UINT32 flags,
                                              PVOID *data, FWPS_CLASSIFY_OUT0 *out) {
    return fwp::guarded(
        [&] { return fwp::engine().classifies().writable(handle, filter, flags, data, out); });
}

VOID FwpsApplyModifiedLayerData0(UINT64 handle, PVOID data, UINT32 flags) {
    (void)fwp::guarded([&] {
        fwp::engine().classifies().apply(handle, data, flags);
        return STATUS_SUCCESS;
    });
}

FWPS_CONNECTION_REDIRECT_STATE FwpsQueryConnectionRedirectState0(HANDLE records, HANDLE handle,
                                                                 VOID **context) {
    auto state = FWPS_CONNECTION_NOT_REDIRECTED;
    (void)fwp::guarded([&] {
        state = fwp::engine().redirect_state(records, handle, context);
        return STATUS_SUCCESS;
    });
    return state;
}

NTSTATUS FwpsQueryConnectionSioFormatRedirectRecords0(HANDLE records, PVOID out, SIZE_T bytes,
                                                      PSIZE_T transferred) {
    return fwp::guarded(
        [&] { return fwp::engine().records().sio_format(records, out, bytes, transferred); });
}

NTSTATUS SluiceLearnRedirect0(UINT64 handle, UINT32 milliseconds) {
    return fwp::guarded([&] { return fwp::engine().classifies().learn(handle, milliseconds); });
}
