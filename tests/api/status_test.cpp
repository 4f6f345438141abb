// SPDX-License-Identifier: Apache-2.0
// Each function with each status of api/README.md, one test per row, named as the row says. What
// sluiced decides is answered here by a thread in its place: these rows show that the status
// reaches the caller and no output is written; that sluiced gives it is shown by the tests of the
// policy.
#include <cstdlib>
#include <functional>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "fake_sluiced.h"
#include "fwp/instance.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr HANDLE untouched_handle = nullptr;
WCHAR name[] = {'n', 0};

struct World {
    World() : path(FakeSluiced::unique_path()) {
        ::setenv("SLUICE_SOCKET", path.c_str(), 1);
        daemon = std::make_unique<FakeSluiced>(path);
    }
    // sluiced refuses what follows with this status.
    void refuse(NTSTATUS status) {
        daemon->on_request([status](const protocol::Request &r, protocol::Reply &reply) {
            if (!r.has_host_hello()) reply.set_status(std::uint32_t(status));
        });
    }
    const std::string path;
    std::unique_ptr<FakeSluiced> daemon;
};
World &world() {
    static World w;
    return w;
}

HANDLE session() {
    HANDLE handle = nullptr;
    EXPECT_EQ(FwpmEngineOpen0(nullptr, RPC_C_AUTHN_WINNT, nullptr, nullptr, &handle),
              STATUS_SUCCESS);
    return handle;
}

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
        HANDLE context = untouched_handle;
        if (wanted == STATUS_FWP_NULL_POINTER) {
            EXPECT_EQ(FwpsPendOperation0(m.completionHandle, nullptr), wanted);
            EXPECT_EQ(FwpsPendOperation0(reinterpret_cast<HANDLE>(0x3), &context), wanted);
        }
        if (wanted == STATUS_FWP_TCPIP_NOT_READY) fwp::engine().detach(1);
        got = FwpsPendOperation0(wanted == STATUS_FWP_NULL_POINTER ? nullptr : m.completionHandle,
                                 &context);
        EXPECT_EQ(context == untouched_handle, got != STATUS_SUCCESS);
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

// ---- management ----

using Manage = std::function<NTSTATUS(HANDLE)>;

FWPM_SUBLAYER0 sublayer() {
    FWPM_SUBLAYER0 s{};
    s.displayData.name = name;
    return s;
}
FWPM_CALLOUT0 managed_callout() {
    FWPM_CALLOUT0 c{};
    c.displayData.name = name;
    c.applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    return c;
}
FWPM_FILTER0 filter() {
    FWPM_FILTER0 f{};
    f.displayData.name = name;
    f.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    f.action.type = FWP_ACTION_PERMIT;
    return f;
}

NTSTATUS add_sublayer(HANDLE s, const std::function<void(FWPM_SUBLAYER0 &)> &change = {}) {
    auto object = sublayer();
    if (change) change(object);
    return FwpmSubLayerAdd0(s, &object, nullptr);
}
NTSTATUS add_callout(HANDLE s, const std::function<void(FWPM_CALLOUT0 &)> &change = {}) {
    auto object = managed_callout();
    if (change) change(object);
    UINT32 id = 0;
    const NTSTATUS status = FwpmCalloutAdd0(s, &object, nullptr, &id);
    EXPECT_EQ(id != 0, status == STATUS_SUCCESS);
    return status;
}
NTSTATUS
add_filter(HANDLE s,
           const std::function<void(FWPM_FILTER0 &, FWPM_FILTER_CONDITION0 &)> &change = {}) {
    auto object = filter();
    FWPM_FILTER_CONDITION0 condition{};
    condition.fieldKey = FWPM_CONDITION_IP_REMOTE_PORT;
    condition.conditionValue.type = FWP_UINT16;
    object.numFilterConditions = 1;
    object.filterCondition = &condition;
    if (change) change(object, condition);
    UINT64 id = 0;
    const NTSTATUS status = FwpmFilterAdd0(s, &object, nullptr, &id);
    EXPECT_EQ(id != 0, status == STATUS_SUCCESS);
    return status;
}

const std::map<std::string, Manage> manage = {
    {"FwpmTransactionBegin0", [](HANDLE s) { return FwpmTransactionBegin0(s, 0); }},
    {"FwpmTransactionCommit0", [](HANDLE s) { return FwpmTransactionCommit0(s); }},
    {"FwpmTransactionAbort0", [](HANDLE s) { return FwpmTransactionAbort0(s); }},
    {"FwpmSubLayerAdd0", [](HANDLE s) { return add_sublayer(s); }},
    {"FwpmCalloutAdd0", [](HANDLE s) { return add_callout(s); }},
    {"FwpmFilterAdd0", [](HANDLE s) { return add_filter(s); }},
    {"FwpmFilterDeleteById0", [](HANDLE s) { return FwpmFilterDeleteById0(s, 1); }},
};

NTSTATUS managing(const Manage &call, NTSTATUS wanted) {
    if (wanted == STATUS_INVALID_HANDLE) {
        EXPECT_EQ(call(nullptr), wanted);
        return call(reinterpret_cast<HANDLE>(0x777));
    }
    const HANDLE s = session();
    if (wanted == STATUS_FWP_TXN_ABORTED) {
        EXPECT_EQ(FwpmTransactionBegin0(s, 0), STATUS_SUCCESS);
    }
    if (wanted == STATUS_FWP_SESSION_ABORTED || wanted == STATUS_FWP_TXN_ABORTED) {
        world().daemon.reset();
        while (fwp::engine().connected())
            std::this_thread::yield();
    } else {
        world().refuse(wanted);
    }
    const NTSTATUS status = call(s);
    if (!world().daemon) world().daemon = std::make_unique<FakeSluiced>(world().path);
    world().daemon->on_request({});
    return status;
}

NTSTATUS opening(NTSTATUS wanted) {
    HANDLE handle = untouched_handle;
    FWPM_SESSION0 s{};
    const WCHAR *server = nullptr;
    if (wanted == STATUS_FWP_NULL_POINTER)
        return FwpmEngineOpen0(nullptr, RPC_C_AUTHN_WINNT, nullptr, &s, nullptr);
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(FwpmEngineOpen0(nullptr, 12345, nullptr, &s, &handle), wanted);
        server = name;
    }
    if (wanted == STATUS_FWP_INVALID_FLAGS) s.flags = 0x40;
    if (wanted == STATUS_FWP_ALREADY_EXISTS || wanted == STATUS_ACCESS_DENIED)
        world().refuse(wanted);
    if (wanted == STATUS_CONNECTION_REFUSED) world().daemon.reset();
    const NTSTATUS status = FwpmEngineOpen0(server, RPC_C_AUTHN_DEFAULT, nullptr, &s, &handle);
    EXPECT_EQ(handle == untouched_handle, status != STATUS_SUCCESS);
    if (!world().daemon) world().daemon = std::make_unique<FakeSluiced>(world().path);
    world().daemon->on_request({});
    return status;
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

// ---- rows ----

class Row : public ::testing::Test {
public:
    Row(NTSTATUS wanted, std::function<NTSTATUS()> provoke)
        : wanted_(wanted), provoke_(std::move(provoke)) {}
    void TestBody() override { EXPECT_EQ(std::uint32_t(provoke_()), std::uint32_t(wanted_)); }

private:
    const NTSTATUS wanted_;
    const std::function<NTSTATUS()> provoke_;
};

void row(const std::string &test, NTSTATUS wanted, std::function<NTSTATUS()> provoke) {
    ::testing::RegisterTest("Status", test.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [=]() -> ::testing::Test * { return new Row(wanted, provoke); });
}
#define ROW(function, status, ...) row(function "_" #status, status, [=] { return __VA_ARGS__; })
// Not by ROW: the status would be expanded before its name is taken.
#define MANAGED(function, status)                                                                  \
    row(function "_" #status, status, [] { return managing(manage.at(function), status); })

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

void run_time_rows() {
    register_rows<FWPS_CALLOUT0, FWPS_FILTER0>("FwpsCalloutRegister0", FwpsCalloutRegister0);
    register_rows<FWPS_CALLOUT1, FWPS_FILTER1>("FwpsCalloutRegister1", FwpsCalloutRegister1);
    register_rows<FWPS_CALLOUT2, FWPS_FILTER2>("FwpsCalloutRegister2", FwpsCalloutRegister2);
    register_rows<FWPS_CALLOUT3, FWPS_FILTER3>("FwpsCalloutRegister3", FwpsCalloutRegister3);
    ROW("FwpsCalloutUnregisterById0", STATUS_SUCCESS, unregistering(false, STATUS_SUCCESS));
    ROW("FwpsCalloutUnregisterById0", STATUS_FWP_CALLOUT_NOT_FOUND,
        unregistering(false, STATUS_FWP_CALLOUT_NOT_FOUND));
    ROW("FwpsCalloutUnregisterById0", STATUS_FWP_IN_USE, unregistering(false, STATUS_FWP_IN_USE));
    ROW("FwpsCalloutUnregisterByKey0", STATUS_SUCCESS, unregistering(true, STATUS_SUCCESS));
    ROW("FwpsCalloutUnregisterByKey0", STATUS_FWP_NULL_POINTER,
        unregistering(true, STATUS_FWP_NULL_POINTER));
    ROW("FwpsCalloutUnregisterByKey0", STATUS_FWP_CALLOUT_NOT_FOUND,
        unregistering(true, STATUS_FWP_CALLOUT_NOT_FOUND));
    ROW("FwpsCalloutUnregisterByKey0", STATUS_FWP_IN_USE, unregistering(true, STATUS_FWP_IN_USE));
    ROW("FwpsPendOperation0", STATUS_SUCCESS, pending(STATUS_SUCCESS));
    ROW("FwpsPendOperation0", STATUS_FWP_NULL_POINTER, pending(STATUS_FWP_NULL_POINTER));
    ROW("FwpsPendOperation0", STATUS_FWP_CANNOT_PEND, pending(STATUS_FWP_CANNOT_PEND));
    ROW("FwpsPendOperation0", STATUS_FWP_TCPIP_NOT_READY, pending(STATUS_FWP_TCPIP_NOT_READY));
    row("FwpsCompleteOperation0", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().stale_completions.load();
        FwpsCompleteOperation0(nullptr, nullptr);
        FwpsCompleteOperation0(reinterpret_cast<HANDLE>(0x10001), nullptr);
        EXPECT_EQ(fwp::engine().counters().stale_completions, before + 2);
        return pending(STATUS_SUCCESS); // completes what it pended
    });
    ROW("IoCreateDevice", STATUS_SUCCESS, making_a_device(STATUS_SUCCESS));
    ROW("IoCreateDevice", STATUS_INVALID_PARAMETER, making_a_device(STATUS_INVALID_PARAMETER));
    ROW("IoCreateDevice", STATUS_OBJECT_NAME_COLLISION,
        making_a_device(STATUS_OBJECT_NAME_COLLISION));
    row("IoDeleteDevice", STATUS_SUCCESS, [] {
        const auto before = fwp::engine().counters().foreign_devices.load();
        IoDeleteDevice(nullptr);
        DEVICE_OBJECT foreign{};
        IoDeleteDevice(&foreign);
        EXPECT_EQ(fwp::engine().counters().foreign_devices, before + 2);
        return STATUS_SUCCESS;
    });
}

void session_rows() {
    ROW("FwpmEngineOpen0", STATUS_SUCCESS, opening(STATUS_SUCCESS));
    ROW("FwpmEngineOpen0", STATUS_FWP_NULL_POINTER, opening(STATUS_FWP_NULL_POINTER));
    ROW("FwpmEngineOpen0", STATUS_INVALID_PARAMETER, opening(STATUS_INVALID_PARAMETER));
    ROW("FwpmEngineOpen0", STATUS_FWP_INVALID_FLAGS, opening(STATUS_FWP_INVALID_FLAGS));
    ROW("FwpmEngineOpen0", STATUS_FWP_ALREADY_EXISTS, opening(STATUS_FWP_ALREADY_EXISTS));
    ROW("FwpmEngineOpen0", STATUS_CONNECTION_REFUSED, opening(STATUS_CONNECTION_REFUSED));
    ROW("FwpmEngineOpen0", STATUS_ACCESS_DENIED, opening(STATUS_ACCESS_DENIED));
    ROW("FwpmEngineClose0", STATUS_SUCCESS, FwpmEngineClose0(session()));
    ROW("FwpmEngineClose0", STATUS_INVALID_HANDLE, FwpmEngineClose0(nullptr));
    ROW("FwpmTransactionBegin0", STATUS_FWP_INVALID_FLAGS, FwpmTransactionBegin0(session(), 2));
    MANAGED("FwpmTransactionBegin0", STATUS_FWP_TXN_IN_PROGRESS);
    MANAGED("FwpmTransactionBegin0", STATUS_FWP_TIMEOUT);
    MANAGED("FwpmTransactionBegin0", STATUS_FWP_SESSION_ABORTED);
    MANAGED("FwpmTransactionCommit0", STATUS_FWP_NO_TXN_IN_PROGRESS);
    MANAGED("FwpmTransactionCommit0", STATUS_FWP_TXN_ABORTED);
    MANAGED("FwpmTransactionAbort0", STATUS_FWP_NO_TXN_IN_PROGRESS);
    MANAGED("FwpmFilterDeleteById0", STATUS_FWP_FILTER_NOT_FOUND);
    MANAGED("FwpmFilterDeleteById0", STATUS_FWP_WRONG_SESSION);
    for (const auto &[function, call] : manage) {
        const bool transaction = function.find("Transaction") != std::string::npos;
        for (const auto &[text, status] : std::map<std::string, NTSTATUS>{
                 {"STATUS_SUCCESS", STATUS_SUCCESS},
                 {"STATUS_INVALID_HANDLE", STATUS_INVALID_HANDLE},
                 {"STATUS_FWP_INCOMPATIBLE_TXN", STATUS_FWP_INCOMPATIBLE_TXN},
                 {"STATUS_FWP_TIMEOUT", STATUS_FWP_TIMEOUT},
                 {"STATUS_FWP_SESSION_ABORTED", STATUS_FWP_SESSION_ABORTED},
                 {"STATUS_ACCESS_DENIED", STATUS_ACCESS_DENIED},
             }) {
            if (transaction && status != STATUS_SUCCESS && status != STATUS_INVALID_HANDLE)
                continue;
            row(function + "_" + text, status, [c = call, s = status] { return managing(c, s); });
        }
    }
}

void object_rows() {
    ROW("FwpmSubLayerAdd0", STATUS_FWP_NULL_POINTER, FwpmSubLayerAdd0(session(), nullptr, nullptr));
    ROW("FwpmSubLayerAdd0", STATUS_FWP_NULL_DISPLAY_NAME,
        add_sublayer(session(), [](auto &s) { s.displayData.name = nullptr; }));
    ROW("FwpmSubLayerAdd0", STATUS_FWP_INVALID_FLAGS,
        add_sublayer(session(), [](auto &s) { s.flags = 2; }));
    MANAGED("FwpmSubLayerAdd0", STATUS_FWP_LIFETIME_MISMATCH);
    MANAGED("FwpmSubLayerAdd0", STATUS_FWP_ALREADY_EXISTS);
    MANAGED("FwpmSubLayerAdd0", STATUS_FWP_PROVIDER_NOT_FOUND);
    MANAGED("FwpmSubLayerAdd0", STATUS_NOT_SUPPORTED);
    ROW("FwpmCalloutAdd0", STATUS_FWP_NULL_POINTER,
        FwpmCalloutAdd0(session(), nullptr, nullptr, nullptr));
    ROW("FwpmCalloutAdd0", STATUS_FWP_NULL_DISPLAY_NAME,
        add_callout(session(), [](auto &c) { c.displayData.name = nullptr; }));
    ROW("FwpmCalloutAdd0", STATUS_FWP_INVALID_FLAGS,
        add_callout(session(), [](auto &c) { c.flags = FWPM_CALLOUT_FLAG_REGISTERED; }));
    MANAGED("FwpmCalloutAdd0", STATUS_FWP_LAYER_NOT_FOUND);
    MANAGED("FwpmCalloutAdd0", STATUS_FWP_LIFETIME_MISMATCH);
    MANAGED("FwpmCalloutAdd0", STATUS_FWP_ALREADY_EXISTS);
    MANAGED("FwpmCalloutAdd0", STATUS_FWP_PROVIDER_NOT_FOUND);
    MANAGED("FwpmCalloutAdd0", STATUS_NOT_SUPPORTED);
}

void filter_rows() {
    ROW("FwpmFilterAdd0", STATUS_FWP_NULL_POINTER, [] {
        EXPECT_EQ(FwpmFilterAdd0(session(), nullptr, nullptr, nullptr), STATUS_FWP_NULL_POINTER);
        EXPECT_EQ(add_filter(session(), [](auto &f, auto &) { f.filterCondition = nullptr; }),
                  STATUS_FWP_NULL_POINTER);
        return add_filter(session(),
                          [](auto &, auto &c) { c.conditionValue.type = FWP_RANGE_TYPE; });
    }());
    ROW("FwpmFilterAdd0", STATUS_FWP_NULL_DISPLAY_NAME,
        add_filter(session(), [](auto &f, auto &) { f.displayData.name = nullptr; }));
    ROW("FwpmFilterAdd0", STATUS_FWP_INVALID_FLAGS,
        add_filter(session(), [](auto &f, auto &) { f.flags = 0x80000000; }));
    ROW("FwpmFilterAdd0", STATUS_FWP_INVALID_ENUMERATOR, [] {
        EXPECT_EQ(add_filter(session(), [](auto &, auto &c) { c.matchType = FWP_MATCH_TYPE_MAX; }),
                  STATUS_FWP_INVALID_ENUMERATOR);
        return add_filter(session(),
                          [](auto &, auto &c) { c.conditionValue.type = FWP_DATA_TYPE_MAX; });
    }());
    MANAGED("FwpmFilterAdd0", STATUS_NOT_SUPPORTED);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_LAYER_NOT_FOUND);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_SUBLAYER_NOT_FOUND);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_PROVIDER_NOT_FOUND);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_CALLOUT_NOT_FOUND);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_INCOMPATIBLE_LAYER);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_INVALID_ACTION_TYPE);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_CONDITION_NOT_FOUND);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_TYPE_MISMATCH);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_MATCH_TYPE_MISMATCH);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_INVALID_RANGE);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_INVALID_NET_MASK);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_INVALID_WEIGHT);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_LIFETIME_MISMATCH);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_ALREADY_EXISTS);
    MANAGED("FwpmFilterAdd0", STATUS_FWP_CALLOUT_NOTIFICATION_FAILED);
}

} // namespace

int main(int argc, char **argv) {
    ::testing::InitGoogleTest(&argc, argv);
    run_time_rows();
    session_rows();
    object_rows();
    filter_rows();
    (void)world();
    const int code = RUN_ALL_TESTS();
    world().daemon.reset();
    std::_Exit(code); // the library's threads run on
}
