// SPDX-License-Identifier: Apache-2.0
// An engine without sluiced: a port in memory, a callout that tests script, a filter that names it.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "runtime/engine.h"

namespace sluice::test {

struct Asked {
    const FWPS_INCOMING_VALUES0 *values;
    const FWPS_INCOMING_METADATA_VALUES0 *metadata;
    void *layer_data;
    const FWPS_FILTER3 *filter;
    UINT64 flow_context;
    FWPS_CLASSIFY_OUT0 *out;
    const void *context;
    [[nodiscard]] bool reauthorize() const {
        const auto flags = values->layerId == FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4
                               ? std::size_t{FWPS_FIELD_ALE_AUTH_RECV_ACCEPT_V4_FLAGS}
                           : values->layerId == FWPS_LAYER_ALE_CONNECT_REDIRECT_V4
                               ? std::size_t{FWPS_FIELD_ALE_CONNECT_REDIRECT_V4_FLAGS}
                           : values->layerId == FWPS_LAYER_ALE_BIND_REDIRECT_V4
                               ? std::size_t{FWPS_FIELD_ALE_BIND_REDIRECT_V4_FLAGS}
                               : std::size_t{FWPS_FIELD_ALE_AUTH_CONNECT_V4_FLAGS};
        return values->incomingValue[flags].value.uint32 & FWP_CONDITION_FLAG_IS_REAUTHORIZE;
    }
    void answer(FWP_ACTION_TYPE action, UINT32 flags = 0) const {
        out->actionType = action;
        out->flags |= flags;
        if (action == FWP_ACTION_BLOCK) out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
    }
};

// Callbacks are plain functions, so the script is one per process; a test has one fixture at a
// time.
inline std::function<void(const Asked &)> script;
inline void NTAPI scripted_classify(const FWPS_INCOMING_VALUES0 *values,
                                    const FWPS_INCOMING_METADATA_VALUES0 *metadata, VOID *data,
                                    const void *classify, const FWPS_FILTER3 *filter,
                                    UINT64 context, FWPS_CLASSIFY_OUT0 *out) {
    script({values, metadata, data, filter, context, out, classify});
}
inline NTSTATUS NTAPI quiet_notify(FWPS_CALLOUT_NOTIFY_TYPE, const GUID *, FWPS_FILTER3 *) {
    return STATUS_SUCCESS;
}

inline const Guid callout_key{0x11111111, 2, 3, {4}};
inline constexpr std::uint64_t filter_id = 77;

inline runtime::CalloutSpec scripted_callout(const Guid &key = callout_key) {
    FWPS_CALLOUT3 c{};
    std::memcpy(&c.calloutKey, &key, sizeof key);
    c.classifyFn = scripted_classify;
    c.notifyFn = quiet_notify;
    return c;
}

class HostTest : public ::testing::Test {
protected:
    void SetUp() override {
        engine = std::make_unique<runtime::Engine>(
            runtime::Engine::Options{"/nonexistent/sluice-test.sock", "test", {}, -1});
        auto id = engine->register_callout(scripted_callout());
        ASSERT_TRUE(id);
        callout_id = *id;
        install(0);
        engine->attach(1, 5, port);
    }
    void TearDown() override { engine.reset(); }

    void install(std::uint32_t flags, std::uint32_t action = FWP_ACTION_CALLOUT_TERMINATING) {
        protocol::FilterTable table;
        auto *f = table.add_filters();
        f->set_id(filter_id + installed++ * 100);
        f->set_key(std::string(16, 'k'));
        f->set_layer(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
        f->set_flags(flags);
        f->set_action(action);
        f->set_raw_context(4711);
        engine->filters().install(table, [&](const auto &) { return callout_id; });
        current_filter = f->id();
    }
    dp_upcall upcall(std::uint64_t flow, std::uint8_t protocol = 17,
                     std::uint8_t kind = DP_UPCALL_CLASSIFY) const {
        dp_upcall u{};
        u.kind = kind;
        u.ticket = u.flow = flow;
        u.filter_id = current_filter;
        u.compartment = 1;
        u.layer = FWPS_LAYER_ALE_AUTH_CONNECT_V4;
        u.flags = DP_UPCALL_MAY_PEND | DP_UPCALL_KEEP_DATA;
        u.action = DP_ACTION_NONE;
        u.rights = DP_RIGHT_ACTION_WRITE;
        u.key.protocol = protocol;
        u.key.local_port = static_cast<__u16>(flow);
        u.key.remote_port = 53;
        u.key.local = {0, 0xFFFF0A000001ull};
        u.key.remote = {0, 0xFFFF0A000002ull};
        u.process.tgid = 42;
        return u;
    }
    // Pends the first classify and answers the second with `action`.
    void pend_then(FWP_ACTION_TYPE action) {
        script = [this, action](const Asked &a) {
            if (a.reauthorize()) return a.answer(action);
            HANDLE context = nullptr;
            const NTSTATUS status = engine->pend(a.metadata->completionHandle, &context);
            contexts.store(context);
            pend_status.store(status);
            a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
        };
    }

    std::shared_ptr<FakePort> port = std::make_shared<FakePort>();
    std::unique_ptr<runtime::Engine> engine;
    std::uint32_t callout_id = 0;
    std::uint64_t installed = 0, current_filter = filter_id;
    std::atomic<HANDLE> contexts{nullptr};
    std::atomic<NTSTATUS> pend_status{STATUS_PENDING};
};

} // namespace sluice::test
