// SPDX-License-Identifier: Apache-2.0
// A host whose callout is asked at ALE_BIND_REDIRECT_V4, by notices.
#include "redirect_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr std::uint64_t ticket = 31;
using Kinds = std::vector<int>;

class BindRedirects : public RedirectTest {
protected:
    dp_upcall bind_question() const {
        dp_upcall u = upcall(ticket, 6);
        u.magic = DP_UPCALL_MAGIC;
        u.version = DP_LAYOUT_VERSION;
        u.header_bytes = sizeof u;
        u.flow = 0;
        u.layer = FWPS_LAYER_ALE_BIND_REDIRECT_V4;
        u.flags = DP_UPCALL_OPERATION | DP_UPCALL_MAY_PEND;
        u.endpoint = 99;
        u.key.local_port = 5000;
        u.key.remote = {};
        u.key.remote_port = 0;
        return u;
    }
    FWPS_BIND_REQUEST0 *copy_of(UINT64 classify, FWPS_CLASSIFY_OUT0 *out = nullptr) const {
        PVOID data = nullptr;
        EXPECT_EQ(engine->classifies().writable(classify, current_filter, 0, &data, out),
                  STATUS_SUCCESS);
        return static_cast<FWPS_BIND_REQUEST0 *>(data);
    }
    static void to_tunnel(FWPS_BIND_REQUEST0 &request) {
        request.localAddressAndPort = runtime::to_sockaddr({{0, 0xFFFF0A010001ull}, 6000}, false);
    }
    void apply(UINT64 classify, const std::function<void(FWPS_BIND_REQUEST0 &)> &change) const {
        FWPS_BIND_REQUEST0 *request = copy_of(classify);
        change(*request);
        engine->classifies().apply(classify, request, 0);
    }
    // Asked once, in the classify; permits.
    void change_inline(const std::function<void(FWPS_BIND_REQUEST0 &)> &change) {
        script = [this, change](const Asked &a) {
            const UINT64 classify = acquire(a);
            apply(classify, change);
            a.answer(FWP_ACTION_PERMIT);
            engine->classifies().release(classify);
        };
    }
    // The answer to one question behind `before` frames.
    dp_downcall answered(const dp_upcall &question, std::size_t before = 0) {
        port->notify(question);
        const auto sent = port->wait_sent(before + 1);
        EXPECT_EQ(sent.back().header.kind, DP_DOWNCALL_ANSWER);
        return sent.back().header;
    }
};

} // namespace

TEST_F(BindRedirects, TheNewLocalEndGoesDownBeforeTheAnswer) {
    script = [this](const Asked &a) {
        EXPECT_EQ(a.values->layerId, FWPS_LAYER_ALE_BIND_REDIRECT_V4);
        const auto &shown = *static_cast<FWPS_BIND_REQUEST0 *>(a.layer_data);
        const auto end = runtime::from_sockaddr(shown.localAddressAndPort, false);
        EXPECT_EQ(end->address.lo, 0xFFFF0A000001ull);
        EXPECT_EQ(end->port, 5000);
        EXPECT_EQ(shown.previousVersion, nullptr);
        const UINT64 classify = acquire(a);
        EXPECT_EQ(engine->classifies().learn(classify, 7000), STATUS_SUCCESS);
        FWPS_BIND_REQUEST0 *request = copy_of(classify, a.out);
        EXPECT_EQ(request->previousVersion, &shown);
        EXPECT_EQ(a.out->actionType, FWP_ACTION_BLOCK);
        PVOID second = nullptr;
        EXPECT_EQ(engine->classifies().writable(classify, current_filter, 0, &second, nullptr),
                  STATUS_FWP_IN_USE);
        to_tunnel(*request);
        engine->classifies().apply(classify, request, 0);
        a.out->actionType = FWP_ACTION_PERMIT;
        a.out->rights |= FWPS_RIGHT_ACTION_WRITE;
        engine->classifies().release(classify);
    };
    port->notify(bind_question());
    const auto sent = port->wait_sent(2);
    ASSERT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_REDIRECT, DP_DOWNCALL_ANSWER}));
    const dp_redirect_request r = request_of(sent[0]);
    EXPECT_EQ(sent[0].header.flags, DP_DOWNCALL_OPERATION);
    EXPECT_EQ(sent[0].header.ticket, ticket);
    EXPECT_EQ(sent[0].header.filter_id, current_filter);
    EXPECT_EQ(r.version.remote.lo, 0xFFFF0A010001ull);
    EXPECT_EQ(r.version.remote_port, 6000);
    EXPECT_EQ(r.version.handle, 0u);
    EXPECT_EQ(r.learn_ms, 7000u);
    EXPECT_EQ(r.context_bytes, 0u);
    EXPECT_EQ(sent[1].header.action, FWP_ACTION_PERMIT);
    EXPECT_EQ(sent[1].header.flags, DP_DOWNCALL_OPERATION);
}

TEST_F(BindRedirects, WhatCalloutsBeforeMadeOfItIsShown) {
    script = [](const Asked &a) {
        const auto &shown = *static_cast<FWPS_BIND_REQUEST0 *>(a.layer_data);
        EXPECT_EQ(shown.modifierFilterId, 12u);
        EXPECT_EQ(runtime::from_sockaddr(shown.localAddressAndPort, false)->port, 7000);
        ASSERT_TRUE(shown.previousVersion);
        EXPECT_EQ(shown.previousVersion->modifierFilterId, 0u);
        EXPECT_EQ(runtime::from_sockaddr(shown.previousVersion->localAddressAndPort, false)->port,
                  5000);
        a.answer(FWP_ACTION_PERMIT);
    };
    dp_upcall u = bind_question();
    u.key.remote = {0, 0xFFFF0A020001ull};
    u.key.remote_port = 7000;
    u.injected.context = 12;
    EXPECT_EQ(answered(u).action, FWP_ACTION_PERMIT);
}

TEST_F(BindRedirects, PendedAndRedirectedFromAnotherThread) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        pend_status = engine->classifies().pend(classify, current_filter, 0, a.out);
        pended = classify;
    };
    port->notify(bind_question());
    const UINT64 classify = wait_pended();
    EXPECT_EQ(pend_status, STATUS_SUCCESS);
    EXPECT_EQ(kinds(port->wait_sent(1)), Kinds{DP_DOWNCALL_HELD});
    apply(classify, to_tunnel);
    complete(classify, FWP_ACTION_PERMIT);
    const auto sent = port->wait_sent(3);
    ASSERT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_HELD, DP_DOWNCALL_REDIRECT, DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(request_of(sent[1]).version.remote_port, 6000);
    EXPECT_EQ(sent[2].header.action, FWP_ACTION_PERMIT);
    engine->classifies().release(classify);
}

TEST_F(BindRedirects, AnUnchangedCopyLeavesTheBindAsItIs) {
    change_inline([](FWPS_BIND_REQUEST0 &) {});
    EXPECT_EQ(answered(bind_question()).action, FWP_ACTION_PERMIT);
    EXPECT_EQ(engine->counters().redirects, 0u);
}

TEST_F(BindRedirects, AnotherFamilyBlocks) {
    change_inline([](FWPS_BIND_REQUEST0 &request) {
        request.localAddressAndPort.ss_family = SLUICE_AF_INET6;
    });
    EXPECT_EQ(answered(bind_question()).action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().redirects_refused, 1u);
}

TEST_F(BindRedirects, ACopyThatIsNotAppliedBlocks) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        to_tunnel(*copy_of(classify));
        a.answer(FWP_ACTION_PERMIT);
        engine->classifies().release(classify);
    };
    EXPECT_EQ(answered(bind_question()).action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().layer_data_unapplied, 1u);
}

TEST_F(BindRedirects, WithoutTheRightItMayOnlyVeto) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        PVOID data = nullptr;
        EXPECT_EQ(engine->classifies().writable(classify, current_filter, 0, &data, nullptr),
                  STATUS_ACCESS_DENIED);
        EXPECT_EQ(engine->classifies().pend(classify, current_filter, 0, a.out),
                  STATUS_FWP_CANNOT_PEND);
        engine->classifies().release(classify);
        a.answer(FWP_ACTION_BLOCK);
    };
    dp_upcall u = bind_question();
    u.rights = 0;
    EXPECT_EQ(answered(u).action, FWP_ACTION_BLOCK);
}
