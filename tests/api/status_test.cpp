// SPDX-License-Identifier: Apache-2.0
// Each function with each status that its contract names, one test per pair: here what the run time
// decides, and the program. api/status_pairs.py says which tests must exist.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "status_world.h"

namespace sluice::test {

namespace {

DRIVER_OBJECT driver{};
PDEVICE_OBJECT device() {
    static PDEVICE_OBJECT made = [] {
        PDEVICE_OBJECT d = nullptr;
        EXPECT_EQ(IoCreateDevice(&driver, 8, nullptr, FILE_DEVICE_NETWORK, 0, 0, &d),
                  STATUS_SUCCESS);
        return d;
    }();
    return made;
}

// ---- callouts of every version ----

std::function<void(const FWPS_INCOMING_METADATA_VALUES0 &, FWPS_CLASSIFY_OUT0 &)> script;
template <typename Callout, typename Filter>
Callout callout(UINT32 key) {
    Callout c{};
    c.calloutKey.Data1 = key;
    if constexpr (std::is_same_v<Callout, FWPS_CALLOUT0>) {
        c.classifyFn = [](const FWPS_INCOMING_VALUES0 *, const FWPS_INCOMING_METADATA_VALUES0 *m,
                          void *, const FWPS_FILTER0 *, UINT64,
                          FWPS_CLASSIFY_OUT0 *out) { script(*m, *out); };
        c.notifyFn = [](FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, const FWPS_FILTER0 *) {
            return STATUS_SUCCESS;
        };
    } else {
        c.classifyFn = [](const FWPS_INCOMING_VALUES0 *, const FWPS_INCOMING_METADATA_VALUES0 *m,
                          void *, const void *, const Filter *, UINT64,
                          FWPS_CLASSIFY_OUT0 *out) { script(*m, *out); };
        c.notifyFn = [](FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, Filter *) {
            return STATUS_SUCCESS;
        };
    }
    return c;
}

template <typename Callout, typename Filter, typename Register>
NTSTATUS registering(Register call, NTSTATUS wanted) {
    UINT32 id = 0x55;
    auto c = callout<Callout, Filter>(0x100);
    void *with = device();
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(call(nullptr, &c, &id), wanted);
        PDEVICE_OBJECT gone = nullptr;
        EXPECT_EQ(IoCreateDevice(&driver, 0, nullptr, 0, 0, 0, &gone), STATUS_SUCCESS);
        IoDeleteDevice(gone);
        with = gone;
    }
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(call(with, nullptr, &id), wanted);
        auto half = c;
        half.notifyFn = nullptr;
        EXPECT_EQ(call(with, &half, &id), wanted);
        c.classifyFn = nullptr;
    }
    if (wanted == STATUS_FWP_INVALID_FLAGS) c.flags = 0x00800000;
    if (wanted == STATUS_FWP_ALREADY_EXISTS) {
        EXPECT_EQ(call(with, &c, nullptr), STATUS_SUCCESS);
    }
    const NTSTATUS status = call(with, &c, &id);
    EXPECT_EQ(id == 0x55, status != STATUS_SUCCESS);
    (void)FwpsCalloutUnregisterByKey0(&c.calloutKey);
    return status;
}

// ---- a classify, to be inside of ----

// Runs `body` inside a classifyFn that may pend (or not), then takes everything back.
void inside_classify(bool may_pend,
                     std::function<void(const FWPS_INCOMING_METADATA_VALUES0 &)> body) {
    auto port = std::make_shared<FakePort>();
    auto &engine = fwp::engine();
    auto c = callout<FWPS_CALLOUT3, FWPS_FILTER3>(0x200);
    UINT32 id = 0;
    ASSERT_EQ(FwpsCalloutRegister3(device(), &c, &id), STATUS_SUCCESS);
    protocol::FilterTable table;
    table.add_filters()->set_id(1);
    table.mutable_filters(0)->set_action(FWP_ACTION_CALLOUT_TERMINATING);
    engine.filters().install(table, [&](const auto &) { return id; });
    script = [&](const FWPS_INCOMING_METADATA_VALUES0 &m, FWPS_CLASSIFY_OUT0 &out) {
        if (body) std::exchange(body, {})(m); // the re-authorisation only answers
        out.actionType = FWP_ACTION_BLOCK;
        out.flags = FWPS_CLASSIFY_OUT_FLAG_ABSORB;
    };
    engine.attach(1, 1, port);
    dp_upcall u{};
    u.kind = DP_UPCALL_CLASSIFY;
    u.ticket = u.flow = u.filter_id = 1;
    u.layer = FWPS_LAYER_ALE_AUTH_CONNECT_V4;
    u.flags = may_pend ? DP_UPCALL_MAY_PEND : 0;
    port->inject(u, "packet");
    port->wait_sent(1);
    engine.detach(1);
    EXPECT_EQ(FwpsCalloutUnregisterById0(id), STATUS_SUCCESS);
}

NTSTATUS pending(NTSTATUS wanted) {
    NTSTATUS got = STATUS_UNSUCCESSFUL;
    inside_classify(wanted != STATUS_FWP_CANNOT_PEND, [&](const auto &m) {
        HANDLE context = nullptr;
        if (wanted == STATUS_FWP_NULL_POINTER) {
            EXPECT_EQ(FwpsPendOperation0(m.completionHandle, nullptr), wanted);
            EXPECT_EQ(FwpsPendOperation0(reinterpret_cast<HANDLE>(0x3), &context), wanted);
        }
        if (wanted == STATUS_FWP_TCPIP_NOT_READY) fwp::engine().detach(1);
        got = FwpsPendOperation0(wanted == STATUS_FWP_NULL_POINTER ? nullptr : m.completionHandle,
                                 &context);
        EXPECT_EQ(context == nullptr, got != STATUS_SUCCESS);
        if (got == STATUS_SUCCESS) {
            EXPECT_EQ(FwpsPendOperation0(m.completionHandle, &context), STATUS_FWP_CANNOT_PEND);
        }
        FwpsCompleteOperation0(context, nullptr);
    });
    return got;
}

NTSTATUS unregistering(bool by_key, NTSTATUS wanted) {
    auto c = callout<FWPS_CALLOUT3, FWPS_FILTER3>(0x200);
    const auto call = [&](UINT32 id) {
        return by_key ? FwpsCalloutUnregisterByKey0(&c.calloutKey) : FwpsCalloutUnregisterById0(id);
    };
    UINT32 id = fwp::engine().callout_id(runtime::guid_of(c.calloutKey));
    if (wanted == STATUS_FWP_NULL_POINTER) return FwpsCalloutUnregisterByKey0(nullptr);
    if (wanted == STATUS_FWP_CALLOUT_NOT_FOUND) {
        EXPECT_EQ(FwpsCalloutUnregisterById0(0), wanted);
        return call(id);
    }
    if (wanted == STATUS_FWP_IN_USE) {
        NTSTATUS got = STATUS_SUCCESS;
        inside_classify(true, [&](const auto &) { got = call(id); });
        return got;
    }
    EXPECT_EQ(FwpsCalloutRegister3(device(), &c, &id), STATUS_SUCCESS);
    return call(id);
}

NTSTATUS making_a_device(NTSTATUS wanted) {
    PDEVICE_OBJECT made = nullptr;
    UNICODE_STRING text{};
    WCHAR letters[] = {'d', 0};
    RtlInitUnicodeString(&text, letters);
    DRIVER_OBJECT own{};
    PDEVICE_OBJECT first = nullptr;
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(IoCreateDevice(nullptr, 0, &text, 0, 0, 0, &made), wanted);
        EXPECT_EQ(IoCreateDevice(&own, 0, &text, 0, 0, 0, nullptr), wanted);
        text.Buffer = nullptr;
    }
    if (wanted == STATUS_OBJECT_NAME_COLLISION) {
        EXPECT_EQ(IoCreateDevice(&own, 0, &text, 0, 0, 0, &first), STATUS_SUCCESS);
    }
    const NTSTATUS status = IoCreateDevice(&own, 16, &text, FILE_DEVICE_NETWORK, 0, 0, &made);
    EXPECT_EQ(made == nullptr, status != STATUS_SUCCESS);
    if (made) {
        EXPECT_EQ(static_cast<char *>(made->DeviceExtension)[15], 0);
    }
    if (made) {
        EXPECT_EQ(own.DeviceObject, made);
    }
    while (own.DeviceObject)
        IoDeleteDevice(own.DeviceObject);
    return status;
}

// IoDeleteDevice waits for what is queued, an item may free itself, and delete its own device.
NTSTATUS working() {
    DRIVER_OBJECT own{};
    PDEVICE_OBJECT made = nullptr;
    EXPECT_EQ(IoAllocateWorkItem(nullptr), nullptr);
    EXPECT_EQ(IoCreateDevice(&own, 0, nullptr, 0, 0, 0, &made), STATUS_SUCCESS);
    static std::atomic<int> ran;
    ran = 0;
    for (int i = 0; i < 20; ++i) {
        PIO_WORKITEM item = IoAllocateWorkItem(made);
        IoQueueWorkItem(
            item,
            [](PDEVICE_OBJECT, PVOID context) {
                std::this_thread::yield();
                IoFreeWorkItem(static_cast<PIO_WORKITEM>(context));
                ++ran;
            },
            DelayedWorkQueue, item);
    }
    IoDeleteDevice(made);
    EXPECT_EQ(ran, 20);
    EXPECT_EQ(IoAllocateWorkItem(made), nullptr);
    EXPECT_EQ(IoCreateDevice(&own, 0, nullptr, 0, 0, 0, &made), STATUS_SUCCESS);
    PIO_WORKITEM last = IoAllocateWorkItem(made);
    IoQueueWorkItem(
        last,
        [](PDEVICE_OBJECT device_object, PVOID) {
            IoDeleteDevice(device_object);
            ++ran;
        },
        DelayedWorkQueue, nullptr);
    while (ran < 21)
        std::this_thread::yield();
    IoFreeWorkItem(last);
    IoFreeWorkItem(nullptr);
    return STATUS_SUCCESS;
}

template <typename Callout, typename Filter, typename Register>
void register_rows(const std::string &function, Register call) {
    const std::pair<const char *, NTSTATUS> statuses[] = {
        {"STATUS_SUCCESS", STATUS_SUCCESS},
        {"STATUS_INVALID_PARAMETER", STATUS_INVALID_PARAMETER},
        {"STATUS_FWP_NULL_POINTER", STATUS_FWP_NULL_POINTER},
        {"STATUS_FWP_INVALID_FLAGS", STATUS_FWP_INVALID_FLAGS},
        {"STATUS_FWP_ALREADY_EXISTS", STATUS_FWP_ALREADY_EXISTS},
    };
    for (const auto &[text, status] : statuses)
        row(function + "_" + text, status,
            [=, s = status] { return registering<Callout, Filter>(call, s); });
}

} // namespace

void run_time_rows() {
    register_rows<FWPS_CALLOUT0, FWPS_FILTER0>("FwpsCalloutRegister0", FwpsCalloutRegister0);
    register_rows<FWPS_CALLOUT1, FWPS_FILTER1>("FwpsCalloutRegister1", FwpsCalloutRegister1);
    register_rows<FWPS_CALLOUT2, FWPS_FILTER2>("FwpsCalloutRegister2", FwpsCalloutRegister2);
    register_rows<FWPS_CALLOUT3, FWPS_FILTER3>("FwpsCalloutRegister3", FwpsCalloutRegister3);
    row("FwpsCalloutUnregisterById0", STATUS(STATUS_SUCCESS),
        [] { return unregistering(false, STATUS_SUCCESS); });
    row("FwpsCalloutUnregisterById0", STATUS(STATUS_FWP_CALLOUT_NOT_FOUND),
        [] { return unregistering(false, STATUS_FWP_CALLOUT_NOT_FOUND); });
    row("FwpsCalloutUnregisterById0", STATUS(STATUS_FWP_IN_USE),
        [] { return unregistering(false, STATUS_FWP_IN_USE); });
    row("FwpsCalloutUnregisterByKey0", STATUS(STATUS_SUCCESS),
        [] { return unregistering(true, STATUS_SUCCESS); });
    row("FwpsCalloutUnregisterByKey0", STATUS(STATUS_FWP_NULL_POINTER),
        [] { return unregistering(true, STATUS_FWP_NULL_POINTER); });
    row("FwpsCalloutUnregisterByKey0", STATUS(STATUS_FWP_CALLOUT_NOT_FOUND),
        [] { return unregistering(true, STATUS_FWP_CALLOUT_NOT_FOUND); });
    row("FwpsCalloutUnregisterByKey0", STATUS(STATUS_FWP_IN_USE),
        [] { return unregistering(true, STATUS_FWP_IN_USE); });
    row("FwpsPendOperation0", STATUS(STATUS_SUCCESS), [] { return pending(STATUS_SUCCESS); });
    row("FwpsPendOperation0", STATUS(STATUS_FWP_NULL_POINTER),
        [] { return pending(STATUS_FWP_NULL_POINTER); });
    row("FwpsPendOperation0", STATUS(STATUS_FWP_CANNOT_PEND),
        [] { return pending(STATUS_FWP_CANNOT_PEND); });
    row("FwpsPendOperation0", STATUS(STATUS_FWP_TCPIP_NOT_READY),
        [] { return pending(STATUS_FWP_TCPIP_NOT_READY); });
    row("FwpsCompleteOperation0", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().stale_completions.load();
        FwpsCompleteOperation0(nullptr, nullptr);
        FwpsCompleteOperation0(reinterpret_cast<HANDLE>(0x10001), nullptr);
        EXPECT_EQ(fwp::engine().counters().stale_completions, before + 2);
        return pending(STATUS_SUCCESS); // completes what it pended
    });
    row("IoCreateDevice", STATUS(STATUS_SUCCESS), [] { return making_a_device(STATUS_SUCCESS); });
    row("IoCreateDevice", STATUS(STATUS_INVALID_PARAMETER),
        [] { return making_a_device(STATUS_INVALID_PARAMETER); });
    row("IoCreateDevice", STATUS(STATUS_OBJECT_NAME_COLLISION),
        [] { return making_a_device(STATUS_OBJECT_NAME_COLLISION); });
    for (const char *name : {"IoAllocateWorkItem", "IoFreeWorkItem", "IoQueueWorkItem"})
        row(name, STATUS_SUCCESS, working);
    row("IoDeleteDevice", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().foreign_devices.load();
        IoDeleteDevice(nullptr);
        DEVICE_OBJECT foreign{};
        IoDeleteDevice(&foreign);
        EXPECT_EQ(fwp::engine().counters().foreign_devices, before + 2);
        return STATUS_SUCCESS;
    });
    row("SluiceDriverEnd0", STATUS_SUCCESS, [] {
        SluiceDriverEnd0(nullptr);
        DRIVER_OBJECT own{};
        PDEVICE_OBJECT made = nullptr;
        EXPECT_EQ(IoCreateDevice(&own, 0, nullptr, 0, 0, 0, &made), STATUS_SUCCESS);
        SluiceDriverEnd0(&own);
        EXPECT_EQ(own.DeviceObject, nullptr);
        EXPECT_FALSE(fwp::engine().devices().alive(made));
        return STATUS_SUCCESS;
    });
}

} // namespace sluice::test

int main(int argc, char **argv) {
    ::testing::InitGoogleTest(&argc, argv);
    using namespace sluice::test;
    (void)world();
    run_time_rows();
    packet_rows();
    list_function_rows();
    injection_rows();
    session_rows();
    object_rows();
    filter_rows();
    enumeration_rows();
    subscription_rows();
    redirect_rows();
    const int code = RUN_ALL_TESTS();
    std::_Exit(code); // the library's threads run on
}
