// SPDX-License-Identifier: Apache-2.0
#include "status_world.h"

#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

namespace sluice::test {

World::World() {
    if (std::getenv("SLUICE_STATUS_REAL")) return;
    path_ = FakeSluiced::unique_path();
    ::setenv("SLUICE_SOCKET", path_.c_str(), 1);
    daemon_ = std::make_unique<FakeSluiced>(path_);
}

World &world() {
    static auto *const w = new World; // outlives the library's threads
    return *w;
}

void World::refuse(NTSTATUS status) {
    if (!daemon_) return;
    daemon_->on_request([status](const protocol::Request &r, protocol::Reply &reply) {
        if (!r.has_host_hello() && !r.has_engine_close() && status != STATUS_SUCCESS)
            reply.set_status(std::uint32_t(status));
    });
}

void World::leave() {
    daemon_.reset();
    while (fwp::engine().connected())
        std::this_thread::yield();
}

void World::settle() {
    if (!real() && !daemon_) daemon_ = std::make_unique<FakeSluiced>(path_);
    if (daemon_) daemon_->on_request({});
    // The last one first: the end of a dynamic session waits for another's transaction.
    while (!sessions_.empty()) {
        (void)FwpmEngineClose0(sessions_.back());
        sessions_.pop_back();
    }
}

HANDLE World::open(UINT32 flags, UINT32 wait_ms) {
    FWPM_SESSION0 session{};
    session.displayData.name = a_name;
    session.flags = flags;
    session.txnWaitTimeoutInMSec = wait_ms;
    HANDLE handle = nullptr;
    EXPECT_EQ(FwpmEngineOpen0(nullptr, RPC_C_AUTHN_WINNT, nullptr, &session, &handle),
              STATUS_SUCCESS);
    sessions_.push_back(handle);
    return handle;
}

// ---- objects ----

NTSTATUS add_provider(HANDLE session, const Change<FWPM_PROVIDER0> &change) {
    FWPM_PROVIDER0 p{};
    p.displayData.name = a_name;
    if (change) change(p);
    return FwpmProviderAdd0(session, &p, nullptr);
}

NTSTATUS add_sublayer(HANDLE session, const Change<FWPM_SUBLAYER0> &change) {
    FWPM_SUBLAYER0 s{};
    s.displayData.name = a_name;
    if (change) change(s);
    return FwpmSubLayerAdd0(session, &s, nullptr);
}

NTSTATUS add_callout(HANDLE session, const Change<FWPM_CALLOUT0> &change) {
    FWPM_CALLOUT0 c{};
    c.displayData.name = a_name;
    c.applicableLayer = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    if (change) change(c);
    UINT32 id = 0;
    const NTSTATUS status = FwpmCalloutAdd0(session, &c, nullptr, &id);
    EXPECT_EQ(id != 0, status == STATUS_SUCCESS);
    return status;
}

NTSTATUS add_filter(HANDLE session, const Change<FWPM_FILTER0> &change) {
    FWPM_FILTER_CONDITION0 condition{};
    condition.fieldKey = FWPM_CONDITION_IP_REMOTE_PORT;
    condition.conditionValue.type = FWP_UINT16;
    condition.conditionValue.uint16 = 9;
    FWPM_FILTER0 f{};
    f.displayData.name = a_name;
    f.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    f.action.type = FWP_ACTION_PERMIT;
    f.numFilterConditions = 1;
    f.filterCondition = &condition;
    if (change) change(f);
    UINT64 id = 0;
    const NTSTATUS status = FwpmFilterAdd0(session, &f, nullptr, &id);
    EXPECT_EQ(id != 0, status == STATUS_SUCCESS);
    return status;
}

NTSTATUS add_context(HANDLE session, const Change<FWPM_PROVIDER_CONTEXT0> &change, AddContext add) {
    UINT8 bytes[] = {1, 2, 3};
    FWP_BYTE_BLOB blob{sizeof bytes, bytes};
    FWPM_PROVIDER_CONTEXT0 c{};
    c.displayData.name = a_name;
    c.type = FWPM_GENERAL_CONTEXT;
    c.dataBuffer = &blob;
    if (change) change(c);
    UINT64 id = 0;
    const NTSTATUS status = add(session, &c, nullptr, &id);
    EXPECT_EQ(id != 0, status == STATUS_SUCCESS);
    return status;
}

Given::Given(HANDLE s) : session(s) {
    EXPECT_EQ(add_provider(s, [](auto &p) { p.providerKey = provider_key; }), STATUS_SUCCESS);
    EXPECT_EQ(add_sublayer(s, [](auto &l) { l.subLayerKey = sublayer_key; }), STATUS_SUCCESS);
    EXPECT_EQ(add_callout(s, [](auto &c) { c.calloutKey = callout_key; }), STATUS_SUCCESS);
    callout = fwp::engine().callout_id(runtime::guid_of(callout_key));
    FWP_BYTE_BLOB nothing{};
    FWPM_PROVIDER_CONTEXT0 c{};
    c.providerContextKey = context_key;
    c.displayData.name = a_name;
    c.type = FWPM_GENERAL_CONTEXT;
    c.dataBuffer = &nothing;
    EXPECT_EQ(FwpmProviderContextAdd0(s, &c, nullptr, &context), STATUS_SUCCESS);
    FWPM_FILTER0 f{};
    f.filterKey = filter_key;
    f.displayData.name = a_name;
    f.layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4;
    f.action.type = FWP_ACTION_PERMIT;
    EXPECT_EQ(FwpmFilterAdd0(s, &f, nullptr, &filter), STATUS_SUCCESS);
}

// ---- rows ----

namespace {

class Row : public ::testing::Test {
public:
    Row(NTSTATUS wanted, Provoke provoke, Where where)
        : wanted_(wanted), provoke_(std::move(provoke)), where_(where) {}
    void TestBody() override {
        if (where_ == Where::fake_only && world().real())
            GTEST_SKIP() << "needs an engine that can be ended or told what to refuse";
        EXPECT_EQ(std::uint32_t(provoke_()), std::uint32_t(wanted_));
    }
    void TearDown() override { world().settle(); }

private:
    const NTSTATUS wanted_;
    const Provoke provoke_;
    const Where where_;
};

} // namespace

void row(const std::string &test, NTSTATUS wanted, Provoke provoke, Where where) {
    ::testing::RegisterTest("Status", test.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [=]() -> ::testing::Test * { return new Row(wanted, provoke, where); });
}

void decided(const char *function, Status s, const Call &situation, const Call &call, Where where) {
    row(
        std::string(function) + "_" + s.name, s.value,
        [=] {
            const HANDLE session = world().open();
            if (situation) {
                EXPECT_EQ(situation(session), STATUS_SUCCESS);
            }
            world().refuse(s.value);
            return call(session);
        },
        where);
}

void typical(const char *function, int manner, const Typical &call) {
    const std::string name = std::string(function) + "_";
    const auto with_given = [call](NTSTATUS refused, const Call &situation) {
        const Given given(world().open());
        if (situation) {
            EXPECT_EQ(situation(given.session), STATUS_SUCCESS);
        }
        world().refuse(refused);
        return call(given.session, given);
    };
    const auto begin = [](HANDLE s) { return FwpmTransactionBegin0(s, 0); };
    row(name + "STATUS_SUCCESS", STATUS_SUCCESS, [=] { return with_given(STATUS_SUCCESS, {}); });
    row(name + "STATUS_INVALID_HANDLE", STATUS_INVALID_HANDLE, [=] {
        const Given given(world().open());
        EXPECT_EQ(call(nullptr, given), STATUS_INVALID_HANDLE);
        return call(reinterpret_cast<HANDLE>(0x777), given);
    });
    const auto after_the_end = [=](const Call &situation) {
        const Given given(world().open());
        if (situation) {
            EXPECT_EQ(situation(given.session), STATUS_SUCCESS);
        }
        world().leave();
        return call(given.session, given);
    };
    if (manner & asks) {
        row(
            name + "STATUS_FWP_SESSION_ABORTED", STATUS_FWP_SESSION_ABORTED,
            [=] { return after_the_end({}); }, Where::fake_only);
        row(
            name + "STATUS_FWP_TXN_ABORTED", STATUS_FWP_TXN_ABORTED,
            [=] { return after_the_end(begin); }, Where::fake_only);
    }
    if ((manner & changes) == 0) return;
    row(name + "STATUS_FWP_INCOMPATIBLE_TXN", STATUS_FWP_INCOMPATIBLE_TXN, [=] {
        return with_given(STATUS_FWP_INCOMPATIBLE_TXN,
                          [](HANDLE s) { return FwpmTransactionBegin0(s, FWPM_TXN_READ_ONLY); });
    });
    row(name + "STATUS_FWP_TIMEOUT", STATUS_FWP_TIMEOUT, [=] {
        return with_given(STATUS_FWP_TIMEOUT, [=](HANDLE) { return begin(world().open()); });
    });
    row(
        name + "STATUS_ACCESS_DENIED", STATUS_ACCESS_DENIED,
        [=] { return with_given(STATUS_ACCESS_DENIED, {}); }, Where::fake_only);
}

} // namespace sluice::test
