// SPDX-License-Identifier: Apache-2.0
// Sessions, transactions, options and the state of the engine.
#include <gtest/gtest.h>

#include "status_world.h"

namespace sluice::test {

namespace {

NTSTATUS opening(NTSTATUS wanted) {
    HANDLE handle = nullptr;
    FWPM_SESSION0 s{};
    const WCHAR *server = nullptr;
    if (wanted == STATUS_FWP_NULL_POINTER)
        return FwpmEngineOpen0(nullptr, RPC_C_AUTHN_WINNT, nullptr, &s, nullptr);
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(FwpmEngineOpen0(nullptr, 12345, nullptr, &s, &handle), wanted);
        server = a_name;
    }
    if (wanted == STATUS_FWP_INVALID_FLAGS) s.flags = 0x40;
    HANDLE first = nullptr;
    if (wanted == STATUS_FWP_ALREADY_EXISTS) {
        s.sessionKey = provider_key;
        EXPECT_EQ(FwpmEngineOpen0(nullptr, RPC_C_AUTHN_WINNT, nullptr, &s, &first), STATUS_SUCCESS);
    }
    if (wanted == STATUS_FWP_ALREADY_EXISTS || wanted == STATUS_ACCESS_DENIED)
        world().refuse(wanted);
    if (wanted == STATUS_CONNECTION_REFUSED) world().leave();
    const NTSTATUS status = FwpmEngineOpen0(server, RPC_C_AUTHN_DEFAULT, nullptr, &s, &handle);
    EXPECT_EQ(handle == nullptr, status != STATUS_SUCCESS);
    for (const HANDLE open : {first, handle})
        if (open) {
            EXPECT_EQ(FwpmEngineClose0(open), STATUS_SUCCESS);
        }
    return status;
}

void engine_rows() {
    for (const Status s :
         {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER), STATUS(STATUS_INVALID_PARAMETER),
          STATUS(STATUS_FWP_INVALID_FLAGS), STATUS(STATUS_FWP_ALREADY_EXISTS)})
        row("FwpmEngineOpen0", s, [=] { return opening(s.value); });
    for (const Status s : {STATUS(STATUS_CONNECTION_REFUSED), STATUS(STATUS_ACCESS_DENIED)})
        row(
            std::string("FwpmEngineOpen0_") + s.name, s.value, [=] { return opening(s.value); },
            Where::fake_only);
    row("FwpmEngineClose0", STATUS(STATUS_SUCCESS), [] {
        HANDLE handle = nullptr;
        EXPECT_EQ(FwpmEngineOpen0(nullptr, RPC_C_AUTHN_WINNT, nullptr, nullptr, &handle),
                  STATUS_SUCCESS);
        return FwpmEngineClose0(handle);
    });
    row("FwpmEngineClose0", STATUS(STATUS_INVALID_HANDLE),
        [] { return FwpmEngineClose0(nullptr); });
    row("FwpmFreeMemory0", STATUS_SUCCESS, [] {
        FwpmFreeMemory0(nullptr);
        void *none = nullptr;
        FwpmFreeMemory0(&none);
        FWPM_LAYER0 *layer = nullptr;
        EXPECT_EQ(FwpmLayerGetById0(world().open(), 0, &layer), STATUS_SUCCESS);
        FwpmFreeMemory0(reinterpret_cast<void **>(&layer));
        EXPECT_EQ(layer, nullptr);
        return STATUS_SUCCESS;
    });
}

void transaction_rows() {
    const auto begin = [](HANDLE s) { return FwpmTransactionBegin0(s, 0); };
    typical("FwpmTransactionBegin0", asks, [=](HANDLE s, const Given &) { return begin(s); });
    row("FwpmTransactionBegin0", STATUS(STATUS_FWP_INVALID_FLAGS),
        [] { return FwpmTransactionBegin0(world().open(), 2); });
    decided("FwpmTransactionBegin0", STATUS(STATUS_FWP_TXN_IN_PROGRESS), begin, begin);
    decided(
        "FwpmTransactionBegin0", STATUS(STATUS_FWP_TIMEOUT),
        [=](HANDLE) { return begin(world().open()); }, begin);
    const auto within = [=](NTSTATUS (*end)(HANDLE)) {
        return [=](HANDLE s, const Given &) {
            if (fwp::engine().connected() && !fwp::engine().sessions().in_transaction(s))
                (void)begin(s); // of an invalid handle too
            return end(s);
        };
    };
    typical("FwpmTransactionAbort0", asks, within(FwpmTransactionAbort0));
    typical("FwpmTransactionCommit0", asks, within(FwpmTransactionCommit0));
    decided("FwpmTransactionCommit0", STATUS(STATUS_FWP_NO_TXN_IN_PROGRESS), {},
            FwpmTransactionCommit0);
    decided("FwpmTransactionAbort0", STATUS(STATUS_FWP_NO_TXN_IN_PROGRESS), {},
            FwpmTransactionAbort0);
}

NTSTATUS set_option(HANDLE s, FWPM_ENGINE_OPTION option, UINT32 number,
                    FWP_DATA_TYPE type = FWP_UINT32) {
    FWP_VALUE0 value{};
    value.type = type;
    value.uint32 = number;
    return FwpmEngineSetOption0(s, option, &value);
}

void option_rows() {
    const auto get = [](HANDLE s, FWPM_ENGINE_OPTION option) {
        FWP_VALUE0 *value = nullptr;
        const NTSTATUS status = FwpmEngineGetOption0(s, option, &value);
        EXPECT_EQ(value != nullptr, status == STATUS_SUCCESS);
        if (value) {
            EXPECT_EQ(value->type, FWP_UINT32);
        }
        FwpmFreeMemory0(reinterpret_cast<void **>(&value));
        return status;
    };
    typical("FwpmEngineGetOption0", asks, [=](HANDLE s, const Given &) {
        return get(s, FWPM_ENGINE_TXN_WATCHDOG_TIMEOUT_IN_MSEC);
    });
    row("FwpmEngineGetOption0", STATUS(STATUS_FWP_NULL_POINTER), [] {
        return FwpmEngineGetOption0(world().open(), FWPM_ENGINE_COLLECT_NET_EVENTS, nullptr);
    });
    row("FwpmEngineGetOption0", STATUS(STATUS_FWP_INVALID_ENUMERATOR),
        [=] { return get(world().open(), FWPM_ENGINE_OPTION_MAX); });
    row("FwpmEngineGetOption0", STATUS(STATUS_NOT_SUPPORTED), [=] {
        for (const auto option : {FWPM_ENGINE_NET_EVENT_MATCH_ANY_KEYWORDS, FWPM_ENGINE_NAME_CACHE,
                                  FWPM_ENGINE_MONITOR_IPSEC_CONNECTIONS})
            EXPECT_EQ(get(world().open(), option), STATUS_NOT_SUPPORTED);
        return get(world().open(), FWPM_ENGINE_PACKET_QUEUING);
    });
    const auto set = [](FWPM_ENGINE_OPTION option, UINT32 number, FWP_DATA_TYPE type = FWP_UINT32) {
        return [=] { return set_option(world().open(), option, number, type); };
    };
    typical("FwpmEngineSetOption0", asks, [](HANDLE s, const Given &) {
        return set_option(s, FWPM_ENGINE_COLLECT_NET_EVENTS, 1);
    });
    decided(
        "FwpmEngineSetOption0", STATUS(STATUS_ACCESS_DENIED), {},
        [](HANDLE s) { return set_option(s, FWPM_ENGINE_COLLECT_NET_EVENTS, 1); },
        Where::fake_only);
    row("FwpmEngineSetOption0", STATUS(STATUS_FWP_NULL_POINTER), [] {
        return FwpmEngineSetOption0(world().open(), FWPM_ENGINE_COLLECT_NET_EVENTS, nullptr);
    });
    row("FwpmEngineSetOption0", STATUS(STATUS_FWP_INVALID_ENUMERATOR),
        set(FWPM_ENGINE_OPTION_MAX, 0));
    row("FwpmEngineSetOption0", STATUS(STATUS_NOT_SUPPORTED), set(FWPM_ENGINE_PACKET_QUEUING, 1));
    row("FwpmEngineSetOption0", STATUS(STATUS_FWP_TYPE_MISMATCH),
        set(FWPM_ENGINE_COLLECT_NET_EVENTS, 1, FWP_UINT8));
    row("FwpmEngineSetOption0", STATUS(STATUS_FWP_OUT_OF_BOUNDS),
        set(FWPM_ENGINE_COLLECT_NET_EVENTS, 2));
}

VOID NTAPI on_state(VOID *, FWPM_SERVICE_STATE) {}

void state_rows() {
    const auto subscribed = [](FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback, bool live) {
        DRIVER_OBJECT driver{};
        PDEVICE_OBJECT device = nullptr;
        EXPECT_EQ(IoCreateDevice(&driver, 0, nullptr, 0, 0, 0, &device), STATUS_SUCCESS);
        if (!live) IoDeleteDevice(device);
        HANDLE handle = nullptr;
        const NTSTATUS status = FwpmBfeStateSubscribeChanges0(device, callback, nullptr, &handle);
        EXPECT_EQ(handle != nullptr, status == STATUS_SUCCESS);
        if (handle) {
            EXPECT_EQ(FwpmBfeStateUnsubscribeChanges0(handle), STATUS_SUCCESS);
        }
        if (live) IoDeleteDevice(device);
        return status;
    };
    row("FwpmBfeStateSubscribeChanges0", STATUS(STATUS_SUCCESS),
        [=] { return subscribed(on_state, true); });
    row("FwpmBfeStateSubscribeChanges0", STATUS(STATUS_FWP_NULL_POINTER),
        [=] { return subscribed(nullptr, true); });
    row("FwpmBfeStateSubscribeChanges0", STATUS(STATUS_INVALID_PARAMETER),
        [=] { return subscribed(on_state, false); });
    row("FwpmBfeStateUnsubscribeChanges0", STATUS(STATUS_SUCCESS),
        [=] { return subscribed(on_state, true); });
    row("FwpmBfeStateUnsubscribeChanges0", STATUS(STATUS_INVALID_HANDLE),
        [] { return FwpmBfeStateUnsubscribeChanges0(world().open()); });
    row("FwpmBfeStateGet0", STATUS_SUCCESS, [] {
        (void)world().open();
        EXPECT_EQ(FwpmBfeStateGet0(), FWPM_SERVICE_RUNNING);
        if (world().real()) return STATUS_SUCCESS;
        world().leave();
        EXPECT_EQ(FwpmBfeStateGet0(), FWPM_SERVICE_STOPPED);
        return STATUS_SUCCESS;
    });
}

} // namespace

void session_rows() {
    engine_rows();
    transaction_rows();
    option_rows();
    state_rows();
}

} // namespace sluice::test
