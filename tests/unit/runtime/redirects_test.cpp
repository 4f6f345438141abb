// SPDX-License-Identifier: Apache-2.0
#include "redirect_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {
using Redirects = RedirectTest;
using Kinds = std::vector<int>;
} // namespace

TEST_F(Redirects, WhatIsAppliedGoesDownBeforeTheAnswer) {
    script = [this](const Asked &a) {
        const auto &shown = *static_cast<FWPS_CONNECT_REQUEST0 *>(a.layer_data);
        EXPECT_EQ(runtime::from_sockaddr(shown.remoteAddressAndPort, false)->port, 53);
        EXPECT_EQ(runtime::from_sockaddr(shown.localAddressAndPort, false)->port, 9);
        EXPECT_EQ(shown.previousVersion, nullptr);
        const UINT64 classify = acquire(a);
        FWPS_CONNECT_REQUEST0 *request = writable(classify, a.out);
        EXPECT_EQ(request->previousVersion, &shown);
        EXPECT_EQ(a.out->actionType, FWP_ACTION_BLOCK);
        EXPECT_EQ(a.out->rights & FWPS_RIGHT_ACTION_WRITE, 0u);
        to_proxy(*request, 5);
        engine->classifies().apply(classify, request,
                                   FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS);
        a.out->actionType = FWP_ACTION_PERMIT;
        a.out->rights |= FWPS_RIGHT_ACTION_WRITE;
        engine->classifies().release(classify);
    };
    port->inject(question(9), "syn");
    const auto sent = port->wait_sent(2);
    ASSERT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_REDIRECT, DP_DOWNCALL_ANSWER}));
    const dp_redirect_request r = request_of(sent[0]);
    EXPECT_EQ(sent[0].header.ticket, 9u);
    EXPECT_EQ(sent[0].header.filter_id, current_filter);
    EXPECT_EQ(sent[0].header.key.local_port, 9);
    EXPECT_EQ(r.version.remote.lo, 0xFFFF7F000001ull);
    EXPECT_EQ(r.version.remote_port, 8080);
    EXPECT_EQ(r.version.target_pid, 4321u);
    EXPECT_EQ(r.version.handle >> 32, 5u); // the host
    EXPECT_EQ(r.version.handle & UINT32_MAX, 1u);
    EXPECT_EQ(r.version.flags, DP_REDIRECT_REAUTHORIZE);
    EXPECT_EQ(r.learn_ms, 0u);
    EXPECT_EQ(r.context_bytes, 5u);
    EXPECT_EQ(sent[0].packet.substr(sizeof r), "ccccc");
    EXPECT_EQ(sent[1].header.action, FWP_ACTION_PERMIT);
    EXPECT_EQ(sent[1].packet, "syn");
    EXPECT_EQ(engine->redirect_contexts().count(), 1u);
}

TEST_F(Redirects, ALargeContextGoesInPieces) {
    script = [this](const Asked &a) { redirect_inline(a, 2500); };
    port->inject(question(9), "syn");
    const auto sent = port->wait_sent(4);
    ASSERT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_REDIRECT, DP_DOWNCALL_REDIRECT, DP_DOWNCALL_REDIRECT,
                                  DP_DOWNCALL_ANSWER}));
    std::uint32_t offset = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        const dp_redirect_request r = request_of(sent[i]);
        EXPECT_EQ(r.version.remote_port, 8080);
        EXPECT_EQ(r.context_bytes, 2500u);
        EXPECT_EQ(r.context_offset, offset);
        EXPECT_EQ(sent[i].packet.substr(sizeof r), std::string(r.piece, 'c'));
        offset += r.piece;
    }
    EXPECT_EQ(offset, 2500u);
}

TEST_F(Redirects, LearningIsAskedForWithTheNextApply) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        EXPECT_EQ(engine->classifies().learn(classify, 60000), STATUS_SUCCESS);
        redirect(classify);
        a.out->actionType = FWP_ACTION_PERMIT;
        engine->classifies().release(classify);
    };
    port->inject(question(9), "syn");
    EXPECT_EQ(request_of(port->wait_sent(2).at(0)).learn_ms, 60000u);
}

TEST_F(Redirects, ACopyThatIsNotAppliedBlocks) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        to_proxy(*writable(classify));
        a.out->actionType = FWP_ACTION_PERMIT;
        engine->classifies().release(classify);
    };
    port->inject(question(9), "syn");
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(kinds(sent), Kinds{DP_DOWNCALL_ANSWER});
    EXPECT_EQ(sent[0].header.action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().layer_data_unapplied, 1u);
}

TEST_F(Redirects, AnUnchangedCopyLeavesTheConnectionAsItIs) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        FWPS_CONNECT_REQUEST0 *request = writable(classify);
        engine->classifies().apply(classify, request, 0);
        engine->classifies().apply(classify, request, 0); // once is enough
        a.out->actionType = FWP_ACTION_PERMIT;
        engine->classifies().release(classify);
    };
    port->inject(question(9), "syn");
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(kinds(sent), Kinds{DP_DOWNCALL_ANSWER});
    EXPECT_EQ(sent[0].header.action, FWP_ACTION_PERMIT);
    EXPECT_EQ(engine->counters().stale_applies, 1u);
}

TEST_F(Redirects, WhatCannotBeDoneBlocks) {
    const std::vector<std::function<void(FWPS_CONNECT_REQUEST0 &)>> changes = {
        [](auto &r) { r.remoteAddressAndPort.ss_family = SLUICE_AF_INET6; },
        [](auto &r) { r.localAddressAndPort = r.remoteAddressAndPort; },
        [](auto &r) { r.localRedirectContextSize = 1; },
        [](auto &r) {
            r.localRedirectContext = std::malloc(DP_REDIRECT_CONTEXT_MAX + 1);
            r.localRedirectContextSize = DP_REDIRECT_CONTEXT_MAX + 1;
        },
    };
    std::uint64_t flow = 9;
    for (const auto &change : changes) {
        script = [&](const Asked &a) {
            const UINT64 classify = acquire(a);
            FWPS_CONNECT_REQUEST0 *request = writable(classify);
            to_proxy(*request);
            change(*request);
            engine->classifies().apply(classify, request, 0);
            a.out->actionType = FWP_ACTION_PERMIT;
            engine->classifies().release(classify);
        };
        port->inject(question(flow), "syn");
        const std::size_t answers = flow - 8;
        const auto sent = port->wait_sent(answers);
        ASSERT_EQ(sent.size(), answers);
        EXPECT_EQ(sent.back().header.kind, DP_DOWNCALL_ANSWER);
        EXPECT_EQ(sent.back().header.action, FWP_ACTION_BLOCK);
        ++flow;
    }
    EXPECT_EQ(engine->counters().redirects_refused, changes.size());
}

TEST_F(Redirects, OnlyAPermitCarriesARedirection) {
    for (const auto action : {FWP_ACTION_BLOCK, FWP_ACTION_CONTINUE}) {
        script = [this, action](const Asked &a) {
            redirect_inline(a, 100);
            a.out->actionType = action;
        };
        port->inject(question(action == FWP_ACTION_BLOCK ? 9 : 10), "syn");
        const auto sent = port->wait_sent(action == FWP_ACTION_BLOCK ? 1 : 2);
        EXPECT_EQ(sent.back().header.kind, DP_DOWNCALL_ANSWER);
        EXPECT_EQ(sent.back().header.action, action);
    }
    EXPECT_EQ(engine->redirect_contexts().count(), 0u); // and freed: the sanitizer looks
}

TEST_F(Redirects, APortWithoutRoomKeepsNothing) {
    script = [this](const Asked &a) { redirect_inline(a, 2500); };
    port->refuse_sends(1);
    port->inject(question(9), "syn");
    while (engine->counters().sends_failed < 2)
        std::this_thread::yield();
    EXPECT_EQ(kinds(port->sent()), Kinds{DP_DOWNCALL_REDIRECT});
    EXPECT_EQ(engine->redirect_contexts().count(), 0u);
    EXPECT_EQ(engine->counters().redirects, 0u);
}

TEST_F(Redirects, TheHistoryIsShownNewestFirst) {
    dp_redirect_view view{};
    view.id = 70;
    view.versions = 3;
    view.version[0].remote = {0, 0xFFFF0A000002ull};
    view.version[0].remote_port = 80;
    view.version[1] = view.version[0];
    view.version[1].remote_port = 81;
    view.version[1].filter_id = 1001;
    view.version[1].handle = (6ull << 32) | 1; // another host's
    view.version[2] = view.version[1];
    view.version[2].remote_port = 82;
    view.version[2].filter_id = 1002;
    view.version[2].handle = (5ull << 32) | 1;
    view.version[2].target_pid = 77;
    script = [this](const Asked &a) {
        const auto *r = static_cast<FWPS_CONNECT_REQUEST0 *>(a.layer_data);
        const UINT16 ports[] = {82, 81, 80};
        const UINT64 filters[] = {1002, 1001, 0};
        for (int i = 0; i < 3; ++i, r = r->previousVersion) {
            ASSERT_TRUE(r);
            EXPECT_EQ(runtime::from_sockaddr(r->remoteAddressAndPort, false)->port, ports[i]);
            EXPECT_EQ(r->modifierFilterId, filters[i]);
            EXPECT_EQ(r->localRedirectHandle == handle, i == 0);
            EXPECT_EQ(r->localRedirectHandle == nullptr, i == 2);
        }
        EXPECT_EQ(r, nullptr);
        EXPECT_EQ(a.metadata->localRedirectTargetPID, 77u);
        // What it does not touch stays as it was shown, other hosts' handles too.
        const UINT64 classify = acquire(a);
        FWPS_CONNECT_REQUEST0 *request = writable(classify);
        request->localRedirectHandle =
            request->previousVersion->previousVersion->localRedirectHandle;
        engine->classifies().apply(classify, request, 0);
        a.out->actionType = FWP_ACTION_PERMIT;
        engine->classifies().release(classify);
    };
    port->inject(question(9), "syn", &view);
    EXPECT_EQ(request_of(port->wait_sent(2).at(0)).version.handle, (6ull << 32) | 1);
}

TEST_F(Redirects, WithoutALiveHandleTheKernelCountsItAndTheConnectionIsBlocked) {
    const HANDLE gone = handle;
    engine->destroy_redirect_handle(gone);
    for (const HANDLE bad : {reinterpret_cast<HANDLE>(0x17), static_cast<HANDLE>(&pended), gone,
                             static_cast<HANDLE>(nullptr)}) {
        script = [this, bad](const Asked &a) {
            const UINT64 classify = acquire(a);
            FWPS_CONNECT_REQUEST0 *request = writable(classify);
            to_proxy(*request, 8);
            request->localRedirectHandle = bad;
            engine->classifies().apply(classify, request, 0);
            a.out->actionType = FWP_ACTION_PERMIT;
            engine->classifies().release(classify);
        };
        const std::size_t before = port->sent().size();
        port->inject(question(before + 1), "syn");
        const auto sent = port->wait_sent(before + 2);
        const auto r = request_of(sent.at(before));
        EXPECT_EQ(r.version.handle, bad == gone ? (5ull << 32) | 1
                                    : bad       ? (5ull << 32) | UINT32_MAX
                                                : 0);
        EXPECT_EQ(r.context_bytes, 0u);
        EXPECT_EQ(sent.at(before + 1).header.kind, DP_DOWNCALL_ANSWER);
        EXPECT_EQ(sent.at(before + 1).header.action, FWP_ACTION_BLOCK);
    }
}

TEST_F(Redirects, ARedirectedConnectIsToldSo) {
    dp_redirect_view view{};
    view.id = 9;
    view.versions = 2;
    view.version[0].remote = {0, 0xFFFFC0000201ull};
    view.version[0].remote_port = 80;
    view.version[1].target_pid = 77;
    script = [](const Asked &a) {
        const auto &m = *a.metadata;
        EXPECT_TRUE(
            FWPS_IS_METADATA_FIELD_PRESENT(&m, FWPS_METADATA_FIELD_LOCAL_REDIRECT_TARGET_PID |
                                                   FWPS_METADATA_FIELD_ORIGINAL_DESTINATION));
        EXPECT_EQ(m.localRedirectTargetPID, 77u);
        sluice_sockaddr_storage original{};
        std::memcpy(&original, m.originalDestination, sizeof(sluice_sockaddr_in));
        EXPECT_EQ(runtime::from_sockaddr(original, false)->address.lo, 0xFFFFC0000201ull);
        EXPECT_EQ(runtime::from_sockaddr(original, false)->port, 80);
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(9, 6), "syn", &view);
    EXPECT_EQ(port->wait_sent(1).at(0).packet, "syn");
}

// ---- states and records ----

TEST_F(Redirects, TheFourStates) {
    const auto state_of = [this](const dp_redirect_view *view, HANDLE by) {
        auto state = FWPS_CONNECTION_REDIRECT_STATE_MAX;
        script = [&](const Asked &a) {
            EXPECT_EQ(FWPS_IS_METADATA_FIELD_PRESENT(a.metadata,
                                                     FWPS_METADATA_FIELD_REDIRECT_RECORD_HANDLE),
                      view != nullptr);
            void *context = this;
            state = engine->redirect_state(a.metadata->redirectRecords, by, &context);
            EXPECT_EQ(context, nullptr); // this process has none
            a.answer(FWP_ACTION_PERMIT);
        };
        const std::size_t before = port->sent().size();
        port->inject(question(before + 1), "syn", view);
        port->wait_sent(before + 1);
        return state;
    };
    const auto self = carrying({other_provider, provider});
    const auto earlier = carrying({provider, other_provider});
    const auto others = carrying({other_provider});
    EXPECT_EQ(state_of(nullptr, handle), FWPS_CONNECTION_NOT_REDIRECTED);
    EXPECT_EQ(state_of(&self, handle), FWPS_CONNECTION_REDIRECTED_BY_SELF);
    EXPECT_EQ(state_of(&earlier, handle), FWPS_CONNECTION_PREVIOUSLY_REDIRECTED_BY_SELF);
    EXPECT_EQ(state_of(&others, handle), FWPS_CONNECTION_REDIRECTED_BY_OTHER);
    EXPECT_EQ(state_of(&self, nullptr), FWPS_CONNECTION_REDIRECTED_BY_OTHER);
    engine->destroy_redirect_handle(handle);
    EXPECT_EQ(state_of(&self, handle), FWPS_CONNECTION_REDIRECTED_BY_OTHER);
}

TEST_F(Redirects, TheContextIsThereUntilTheRedirectionEnded) {
    script = [this](const Asked &a) { redirect_inline(a, 6); };
    port->inject(question(41), "syn"); // the redirection that carrying() names
    port->wait_sent(2);
    const auto onward = carrying({provider});
    std::string found;
    script = [&](const Asked &a) {
        void *context = nullptr;
        EXPECT_EQ(engine->redirect_state(a.metadata->redirectRecords, handle, &context),
                  FWPS_CONNECTION_REDIRECTED_BY_SELF);
        // Its end does not pull it away from under a callout.
        engine->redirect_contexts().ended({1, 41});
        found = context ? std::string(static_cast<const char *>(context), 6) : "";
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(question(9), "syn", &onward);
    port->wait_sent(3);
    EXPECT_EQ(found, "cccccc");
    port->inject(question(10), "syn", &onward);
    port->wait_sent(4);
    EXPECT_EQ(found, "");
}

TEST_F(Redirects, RecordsAreWhatASocketTakes) {
    const auto view = carrying({other_provider});
    HANDLE later = nullptr;
    script = [&](const Asked &a) {
        auto &records = engine->records();
        const HANDLE carried = a.metadata->redirectRecords;
        std::size_t needed = 0;
        EXPECT_EQ(records.sio_format(nullptr, nullptr, 0, &needed), STATUS_NOT_FOUND);
        EXPECT_EQ(records.sio_format(carried, nullptr, 0, &needed), STATUS_BUFFER_TOO_SMALL);
        EXPECT_EQ(needed, sizeof(dp_redirect_record));
        std::string out(needed, '\0');
        EXPECT_EQ(records.sio_format(carried, out.data(), needed - 1, &needed),
                  STATUS_BUFFER_TOO_SMALL);
        EXPECT_EQ(records.sio_format(carried, out.data(), needed, &needed), STATUS_SUCCESS);
        EXPECT_EQ(std::memcmp(out.data(), &view.record, needed), 0);
        later = carried;
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(question(9), "syn", &view);
    port->wait_sent(1);
    std::size_t needed = 0;
    while (engine->records().sio_format(later, nullptr, 0, &needed) != STATUS_INVALID_HANDLE)
        std::this_thread::yield(); // the classify is just returning
}
