// SPDX-License-Identifier: Apache-2.0
// A host whose callout is asked at ALE_CONNECT_REDIRECT_V4.
#pragma once

#include "host_fixture.h"
#include "runtime/connect_requests.h"

namespace sluice::test {

inline const Guid provider{0xABCD0001, 1, 2, {3}}, other_provider{0xABCD0002, 1, 2, {3}};

class RedirectTest : public HostTest {
protected:
    void SetUp() override {
        HostTest::SetUp();
        ASSERT_EQ(engine->create_redirect_handle(provider, &handle), STATUS_SUCCESS);
    }

    dp_upcall question(std::uint64_t flow, std::uint8_t protocol = 6) const {
        dp_upcall u = upcall(flow, protocol);
        u.layer = FWPS_LAYER_ALE_CONNECT_REDIRECT_V4;
        u.flags = DP_UPCALL_MAY_PEND;
        return u;
    }
    static dp_redirect_view carrying(std::initializer_list<Guid> providers) {
        dp_redirect_view view{};
        view.id = 70;
        view.carries = 1;
        for (const Guid &p : providers) {
            auto &hop = view.record.hop[view.record.hops++];
            std::memcpy(hop.provider, &p, sizeof p);
            hop.redirect = 40 + view.record.hops;
        }
        return view;
    }
    UINT64 acquire(const Asked &a) const {
        UINT64 classify = 0;
        EXPECT_EQ(engine->classifies().acquire(a.context, 0, &classify), STATUS_SUCCESS);
        return classify;
    }
    FWPS_CONNECT_REQUEST0 *writable(UINT64 classify, FWPS_CLASSIFY_OUT0 *out = nullptr) const {
        PVOID data = nullptr;
        EXPECT_EQ(engine->classifies().writable(classify, current_filter, 0, &data, out),
                  STATUS_SUCCESS);
        return static_cast<FWPS_CONNECT_REQUEST0 *>(data);
    }
    // To 127.0.0.1:8080, with `context` bytes of 'c'.
    void to_proxy(FWPS_CONNECT_REQUEST0 &request, std::size_t context = 0) const {
        request.remoteAddressAndPort = runtime::to_sockaddr({{0, 0xFFFF7F000001ull}, 8080}, false);
        request.localRedirectHandle = handle;
        request.localRedirectTargetPID = 4321;
        if (context == 0) return;
        request.localRedirectContext = std::malloc(context);
        request.localRedirectContextSize = context;
        std::memset(request.localRedirectContext, 'c', context);
    }
    void redirect(UINT64 classify, std::size_t context = 0, UINT32 flags = 0) const {
        FWPS_CONNECT_REQUEST0 *request = writable(classify);
        ASSERT_TRUE(request);
        to_proxy(*request, context);
        engine->classifies().apply(classify, request, flags);
    }
    void redirect_inline(const Asked &a, std::size_t context = 0) const {
        const UINT64 classify = acquire(a);
        redirect(classify, context);
        a.out->actionType = FWP_ACTION_PERMIT;
        engine->classifies().release(classify);
    }
    void complete(UINT64 classify, FWP_ACTION_TYPE action) const {
        FWPS_CLASSIFY_OUT0 out{};
        out.actionType = action;
        out.rights = FWPS_RIGHT_ACTION_WRITE;
        engine->complete_classify(classify, &out);
    }
    // Pends the first classify; what asks again goes to `then`.
    void pend_and(std::function<void(const Asked &)> then = {}) {
        script = [this, then](const Asked &a) {
            if (a.reauthorize()) return then(a);
            const UINT64 classify = acquire(a);
            const NTSTATUS status = engine->classifies().pend(classify, current_filter, 0, a.out);
            pend_status = status;
            pended = classify;
        };
    }
    UINT64 wait_pended() const {
        while (pended == 0)
            std::this_thread::yield();
        return pended;
    }
    static dp_redirect_request request_of(const Sent &sent) {
        dp_redirect_request r{};
        EXPECT_GE(sent.packet.size(), sizeof r);
        std::memcpy(&r, sent.packet.data(), sizeof r);
        return r;
    }
    static std::vector<int> kinds(const std::vector<Sent> &sent) {
        std::vector<int> out;
        for (const auto &s : sent)
            out.push_back(s.header.kind);
        return out;
    }

    HANDLE handle = nullptr;
    std::atomic<UINT64> pended{0};
};

} // namespace sluice::test
