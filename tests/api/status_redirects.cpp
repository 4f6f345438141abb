// SPDX-License-Identifier: Apache-2.0
// Redirection: each function with each status, inside a classify over a port in memory.
#include <cstring>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "status_world.h"

namespace sluice::test {

namespace {

constexpr GUID provider{0x57a70009, 1, 2, {}};
constexpr UINT64 the_filter = 1;

struct Asked {
    const FWPS_INCOMING_METADATA_VALUES0 &metadata;
    void *context;
    FWPS_CLASSIFY_OUT0 &out;
};
std::function<void(const Asked &)> script;

// Runs `body` inside a classifyFn with a handle of the classify, then takes everything back.
void inside(UINT16 layer, UINT32 rights, const std::function<void(const Asked &, UINT64)> &body,
            const dp_redirect_view *view = nullptr) {
    auto port = std::make_shared<FakePort>();
    auto &engine = fwp::engine();
    DRIVER_OBJECT driver{};
    PDEVICE_OBJECT device = nullptr;
    ASSERT_EQ(IoCreateDevice(&driver, 0, nullptr, 0, 0, 0, &device), STATUS_SUCCESS);
    FWPS_CALLOUT1 c{};
    c.calloutKey.Data1 = 0x300;
    c.classifyFn = [](const FWPS_INCOMING_VALUES0 *, const FWPS_INCOMING_METADATA_VALUES0 *m,
                      void *, const void *context, const FWPS_FILTER1 *, UINT64,
                      FWPS_CLASSIFY_OUT0 *out) {
        script({*m, const_cast<void *>(context), *out});
    };
    c.notifyFn = [](FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER1 *) {
        return STATUS_SUCCESS;
    };
    UINT32 id = 0;
    ASSERT_EQ(FwpsCalloutRegister1(device, &c, &id), STATUS_SUCCESS);
    protocol::FilterTable table;
    table.add_filters()->set_id(the_filter);
    table.mutable_filters(0)->set_action(FWP_ACTION_CALLOUT_TERMINATING);
    engine.filters().install(table, [&](const auto &) { return id; });
    script = [&](const Asked &a) {
        UINT64 classify = 0;
        EXPECT_EQ(FwpsAcquireClassifyHandle0(a.context, 0, &classify), STATUS_SUCCESS);
        body(a, classify);
        FwpsReleaseClassifyHandle0(classify);
        a.out.actionType = FWP_ACTION_BLOCK;
    };
    engine.attach(1, 1, port);
    dp_upcall u{};
    u.kind = DP_UPCALL_CLASSIFY;
    u.ticket = u.flow = u.filter_id = the_filter;
    u.layer = layer;
    u.rights = rights;
    u.key.protocol = 6;
    u.flags = DP_UPCALL_MAY_PEND;
    port->inject(u, "packet", view);
    port->wait_sent(1);
    engine.detach(1);
    EXPECT_EQ(FwpsCalloutUnregisterById0(id), STATUS_SUCCESS);
    IoDeleteDevice(device);
}

using Body = std::function<NTSTATUS(const Asked &, UINT64 classify)>;
NTSTATUS in_redirect(const Body &body, UINT32 rights = FWPS_RIGHT_ACTION_WRITE,
                     UINT16 layer = FWPS_LAYER_ALE_CONNECT_REDIRECT_V4) {
    NTSTATUS got = STATUS_UNSUCCESSFUL;
    inside(layer, rights, [&](const Asked &a, UINT64 classify) { got = body(a, classify); });
    return got;
}

NTSTATUS making_a_handle(NTSTATUS wanted) {
    const auto nothing = reinterpret_cast<HANDLE>(0x55);
    HANDLE handle = nothing;
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(FwpsRedirectHandleCreate0(nullptr, 0, &handle), wanted);
        EXPECT_EQ(FwpsRedirectHandleCreate0(&provider, 1, &handle), wanted);
        EXPECT_EQ(handle, nothing);
        return FwpsRedirectHandleCreate0(&provider, 0, nullptr);
    }
    if (wanted == STATUS_ACCESS_DENIED) {
        world().open(); // there is a connection
        world().refuse(wanted);
    }
    const NTSTATUS status = FwpsRedirectHandleCreate0(&provider, 0, &handle); // never added
    EXPECT_EQ(handle == nothing, status != STATUS_SUCCESS);
    if (status == STATUS_SUCCESS) FwpsRedirectHandleDestroy0(handle);
    return status;
}

NTSTATUS acquiring(NTSTATUS wanted) {
    return in_redirect([&](const Asked &a, UINT64 first) {
        UINT64 handle = 0;
        if (wanted == STATUS_FWP_NULL_POINTER) {
            EXPECT_EQ(FwpsAcquireClassifyHandle0(nullptr, 0, &handle), wanted);
            return FwpsAcquireClassifyHandle0(a.context, 0, nullptr);
        }
        if (wanted == STATUS_FWP_INVALID_FLAGS)
            return FwpsAcquireClassifyHandle0(a.context, 1, &handle);
        if (wanted == STATUS_INVALID_PARAMETER)
            return FwpsAcquireClassifyHandle0(&handle, 0, &handle);
        const NTSTATUS status = FwpsAcquireClassifyHandle0(a.context, 0, &handle);
        EXPECT_EQ(handle, first);
        FwpsReleaseClassifyHandle0(handle);
        return status;
    });
}

NTSTATUS pending(NTSTATUS wanted) {
    const bool cannot = wanted == STATUS_FWP_CANNOT_PEND;
    return in_redirect(
        [&](const Asked &a, UINT64 classify) {
            if (wanted == STATUS_FWP_NULL_POINTER)
                return FwpsPendClassify0(classify, the_filter, 0, nullptr);
            if (wanted == STATUS_FWP_INVALID_FLAGS)
                return FwpsPendClassify0(classify, the_filter, 1, &a.out);
            if (wanted == STATUS_INVALID_HANDLE)
                return FwpsPendClassify0(classify + 1, the_filter, 0, &a.out);
            if (wanted == STATUS_FWP_FILTER_NOT_FOUND)
                return FwpsPendClassify0(classify, the_filter + 1, 0, &a.out);
            if (wanted == STATUS_FWP_TCPIP_NOT_READY) fwp::engine().detach(1);
            const NTSTATUS status = FwpsPendClassify0(classify, the_filter, 0, &a.out);
            if (status != STATUS_SUCCESS) return status;
            EXPECT_EQ(a.out.actionType, FWP_ACTION_BLOCK);
            EXPECT_EQ(a.out.rights & FWPS_RIGHT_ACTION_WRITE, 0u);
            EXPECT_EQ(FwpsPendClassify0(classify, the_filter, 0, &a.out), STATUS_FWP_CANNOT_PEND);
            FWPS_CLASSIFY_OUT0 out{};
            out.actionType = FWP_ACTION_BLOCK;
            FwpsCompleteClassify0(classify, 0, &out);
            return status;
        },
        cannot ? 0 : FWPS_RIGHT_ACTION_WRITE);
}

NTSTATUS taking_the_request(NTSTATUS wanted) {
    const bool elsewhere = wanted == STATUS_FWP_INCOMPATIBLE_LAYER;
    return in_redirect(
        [&](const Asked &a, UINT64 classify) {
            PVOID data = nullptr;
            if (wanted == STATUS_FWP_NULL_POINTER)
                return FwpsAcquireWritableLayerDataPointer0(classify, the_filter, 0, nullptr,
                                                            &a.out);
            if (wanted == STATUS_FWP_TCPIP_NOT_READY) fwp::engine().detach(1);
            if (wanted == STATUS_FWP_IN_USE) {
                EXPECT_EQ(
                    FwpsAcquireWritableLayerDataPointer0(classify, the_filter, 0, &data, &a.out),
                    STATUS_SUCCESS);
            }
            const PVOID before = data;
            const NTSTATUS status = FwpsAcquireWritableLayerDataPointer0(
                wanted == STATUS_INVALID_HANDLE ? 0 : classify,
                the_filter + (wanted == STATUS_FWP_FILTER_NOT_FOUND),
                wanted == STATUS_FWP_INVALID_FLAGS, &data, nullptr);
            EXPECT_EQ(data == before, status != STATUS_SUCCESS);
            FwpsApplyModifiedLayerData0(classify, data, 0);
            return status;
        },
        wanted == STATUS_ACCESS_DENIED ? 0 : FWPS_RIGHT_ACTION_WRITE,
        elsewhere ? FWPS_LAYER_ALE_AUTH_CONNECT_V4 : FWPS_LAYER_ALE_CONNECT_REDIRECT_V4);
}

// What a connection carries whose proxy was redirected to by our own provider.
dp_redirect_view carried() {
    dp_redirect_view view{};
    view.id = the_filter;
    view.carries = 1;
    view.record.hops = 1;
    std::memcpy(view.record.hop[0].provider, &provider, sizeof provider);
    return view;
}

NTSTATUS formatting(NTSTATUS wanted) {
    NTSTATUS got = STATUS_UNSUCCESSFUL;
    const dp_redirect_view view = carried();
    const auto format = FwpsQueryConnectionSioFormatRedirectRecords0;
    inside(
        FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, FWPS_RIGHT_ACTION_WRITE,
        [&](const Asked &a, UINT64) {
            const HANDLE records = a.metadata.redirectRecords;
            alignas(void *) char room[1024];
            SIZE_T bytes = 0;
            if (wanted == STATUS_NOT_FOUND) {
                got = format(nullptr, room, sizeof room, &bytes);
            } else if (wanted == STATUS_INVALID_HANDLE) {
                got = format(reinterpret_cast<HANDLE>(3), room, sizeof room, &bytes);
            } else if (wanted == STATUS_BUFFER_TOO_SMALL) {
                EXPECT_EQ(format(records, nullptr, 0, &bytes), wanted);
                got = format(records, room, bytes - 1, nullptr);
            } else {
                got = format(records, room, sizeof room, &bytes);
                EXPECT_EQ(bytes, sizeof view.record);
                EXPECT_EQ(std::memcmp(room, &view.record, bytes), 0);
            }
        },
        &view);
    return got;
}

NTSTATUS asking_the_state() {
    const dp_redirect_view view = carried();
    HANDLE handle = nullptr;
    EXPECT_EQ(FwpsRedirectHandleCreate0(&provider, 0, &handle), STATUS_SUCCESS);
    inside(
        FWPS_LAYER_ALE_CONNECT_REDIRECT_V4, FWPS_RIGHT_ACTION_WRITE,
        [&](const Asked &a, UINT64) {
            const HANDLE records = a.metadata.redirectRecords;
            void *context = &context;
            EXPECT_EQ(FwpsQueryConnectionRedirectState0(records, handle, &context),
                      FWPS_CONNECTION_REDIRECTED_BY_SELF);
            EXPECT_EQ(context, nullptr);
            EXPECT_EQ(FwpsQueryConnectionRedirectState0(records, nullptr, nullptr),
                      FWPS_CONNECTION_REDIRECTED_BY_OTHER);
            EXPECT_EQ(FwpsQueryConnectionRedirectState0(nullptr, handle, nullptr),
                      FWPS_CONNECTION_NOT_REDIRECTED);
        },
        &view);
    FwpsRedirectHandleDestroy0(handle);
    return STATUS_SUCCESS;
}

template <typename Provoked>
void rows_of(const char *function, std::initializer_list<Status> statuses, Provoked provoked) {
    for (const Status &s : statuses)
        row(function, s, [provoked, value = s.value] { return provoked(value); });
}

} // namespace

// Of the functions without a status: what is not theirs has no effect.
void redirect_rows() {
    rows_of("FwpsRedirectHandleCreate0", {STATUS(STATUS_SUCCESS), STATUS(STATUS_INVALID_PARAMETER)},
            making_a_handle);
    row(
        "FwpsRedirectHandleCreate0_STATUS_ACCESS_DENIED", STATUS_ACCESS_DENIED,
        [] { return making_a_handle(STATUS_ACCESS_DENIED); }, Where::fake_only);
    rows_of("FwpsAcquireClassifyHandle0",
            {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER),
             STATUS(STATUS_FWP_INVALID_FLAGS), STATUS(STATUS_INVALID_PARAMETER)},
            acquiring);
    rows_of("FwpsPendClassify0",
            {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER),
             STATUS(STATUS_FWP_INVALID_FLAGS), STATUS(STATUS_INVALID_HANDLE),
             STATUS(STATUS_FWP_FILTER_NOT_FOUND), STATUS(STATUS_FWP_CANNOT_PEND),
             STATUS(STATUS_FWP_TCPIP_NOT_READY)},
            pending);
    rows_of("FwpsAcquireWritableLayerDataPointer0",
            {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER),
             STATUS(STATUS_FWP_INVALID_FLAGS), STATUS(STATUS_INVALID_HANDLE),
             STATUS(STATUS_FWP_FILTER_NOT_FOUND), STATUS(STATUS_FWP_INCOMPATIBLE_LAYER),
             STATUS(STATUS_ACCESS_DENIED), STATUS(STATUS_FWP_IN_USE),
             STATUS(STATUS_FWP_TCPIP_NOT_READY)},
            taking_the_request);
    rows_of("FwpsQueryConnectionSioFormatRedirectRecords0",
            {STATUS(STATUS_SUCCESS), STATUS(STATUS_BUFFER_TOO_SMALL), STATUS(STATUS_NOT_FOUND),
             STATUS(STATUS_INVALID_HANDLE)},
            formatting);
    row("SluiceLearnRedirect0", STATUS(STATUS_SUCCESS), [] {
        return in_redirect(
            [](const Asked &, UINT64 classify) { return SluiceLearnRedirect0(classify, 1000); });
    });
    row("SluiceLearnRedirect0", STATUS(STATUS_INVALID_HANDLE),
        [] { return SluiceLearnRedirect0(0, 1000); });
    row("SluiceLearnRedirect0", STATUS(STATUS_FWP_INCOMPATIBLE_LAYER), [] {
        return in_redirect(
            [](const Asked &, UINT64 classify) { return SluiceLearnRedirect0(classify, 1000); },
            FWPS_RIGHT_ACTION_WRITE, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    });
    row("FwpsQueryConnectionRedirectState0", STATUS_SUCCESS, asking_the_state);
    row("FwpsRedirectHandleDestroy0", STATUS_SUCCESS, [] {
        FwpsRedirectHandleDestroy0(reinterpret_cast<HANDLE>(3));
        FwpsRedirectHandleDestroy0(nullptr);
        return STATUS_SUCCESS;
    });
    row("FwpsReleaseClassifyHandle0", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().stale_classify_handles.load();
        FwpsReleaseClassifyHandle0(3);
        EXPECT_EQ(fwp::engine().counters().stale_classify_handles, before + 1);
        return STATUS_SUCCESS;
    });
    row("FwpsCompleteClassify0", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().stale_completions.load();
        FwpsCompleteClassify0(3, 0, nullptr);
        EXPECT_EQ(fwp::engine().counters().stale_completions, before + 1);
        return STATUS_SUCCESS;
    });
    row("FwpsApplyModifiedLayerData0", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().stale_applies.load();
        FwpsApplyModifiedLayerData0(3, nullptr, 0);
        EXPECT_EQ(fwp::engine().counters().stale_applies, before + 1);
        return STATUS_SUCCESS;
    });
}

} // namespace sluice::test
