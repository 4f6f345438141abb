// SPDX-License-Identifier: Apache-2.0
// FwpsPendClassify0 and FwpsCompleteClassify0.
#include "redirect_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {
using PendedRedirects = RedirectTest;
using Kinds = std::vector<int>;
} // namespace

TEST_F(PendedRedirects, RedirectedFromAnotherThread) {
    pend_and();
    port->inject(question(9), "syn");
    const UINT64 classify = wait_pended();
    EXPECT_EQ(kinds(port->wait_sent(1)), Kinds{DP_DOWNCALL_HELD});
    redirect(classify, 3);
    EXPECT_EQ(port->sent().size(), 1u); // it stands by the decision
    complete(classify, FWP_ACTION_PERMIT);
    const auto sent = port->wait_sent(3);
    ASSERT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_HELD, DP_DOWNCALL_REDIRECT, DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(request_of(sent[1]).version.remote_port, 8080);
    EXPECT_EQ(sent[2].header.action, FWP_ACTION_PERMIT);
    EXPECT_EQ(sent[2].packet, "syn");
    complete(classify, FWP_ACTION_BLOCK); // never twice
    EXPECT_EQ(engine->counters().stale_completions, 1u);
    EXPECT_EQ(engine->counters().pend_mismatches, 0u);
    engine->classifies().release(classify);
    complete(classify, FWP_ACTION_BLOCK); // nor without a handle
    EXPECT_EQ(engine->counters().stale_completions, 2u);
    EXPECT_EQ(port->sent().size(), 3u);
    engine->classifies().release(classify);
    EXPECT_EQ(engine->counters().stale_classify_handles, 1u);
}

TEST_F(PendedRedirects, UdpIsKeptWithWhatQueuedBehindIt) {
    pend_and();
    port->inject(question(9, 17), "first"); // without KEEP_DATA: nobody injects a clone here
    const UINT64 classify = wait_pended();
    port->wait_sent(1);
    dp_upcall second = question(9, 17);
    second.kind = DP_UPCALL_QUEUED;
    port->inject(second, "second");
    while (engine->counters().queued < 1)
        std::this_thread::yield();
    complete(classify, FWP_ACTION_PERMIT);
    const auto sent = port->wait_sent(3);
    ASSERT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE, DP_DOWNCALL_RELEASE}));
    EXPECT_EQ(sent[1].packet + sent[2].packet, "firstsecond");
    engine->classifies().release(classify);
}

TEST_F(PendedRedirects, TheSuspensionHoldsTheHandle) {
    pend_and();
    port->inject(question(9), "syn");
    const UINT64 classify = wait_pended();
    port->wait_sent(1);
    engine->classifies().release(classify);
    redirect(classify);
    complete(classify, FWP_ACTION_PERMIT);
    EXPECT_EQ(port->wait_sent(3).size(), 3u);
    PVOID data = nullptr;
    EXPECT_EQ(engine->classifies().writable(classify, current_filter, 0, &data, nullptr),
              STATUS_INVALID_HANDLE);
}

TEST_F(PendedRedirects, CompletedBeforeItsClassifyReturned) {
    script = [this](const Asked &a) {
        const UINT64 classify = acquire(a);
        EXPECT_EQ(engine->classifies().pend(classify, current_filter, 0, a.out), STATUS_SUCCESS);
        std::thread([this, classify] {
            redirect(classify);
            complete(classify, FWP_ACTION_PERMIT);
        }).join();
        engine->classifies().release(classify);
    };
    port->inject(question(9), "syn");
    const auto sent = port->wait_sent(2);
    EXPECT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_REDIRECT, DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(sent.at(1).header.action, FWP_ACTION_PERMIT);
}

TEST_F(PendedRedirects, WithoutADecisionTheCalloutIsAskedAgainHere) {
    std::thread::id where;
    pend_and([&](const Asked &a) {
        where = std::this_thread::get_id();
        const UINT64 again = acquire(a);
        EXPECT_EQ(again, pended);
        EXPECT_EQ(engine->classifies().pend(again, current_filter, 0, a.out),
                  STATUS_FWP_CANNOT_PEND);
        redirect(again);
        a.out->actionType = FWP_ACTION_PERMIT;
        engine->classifies().release(again);
    });
    port->inject(question(9), "syn");
    const UINT64 classify = wait_pended();
    port->wait_sent(1);
    engine->complete_classify(classify, nullptr);
    EXPECT_EQ(where, std::this_thread::get_id());
    EXPECT_EQ(kinds(port->sent()),
              (Kinds{DP_DOWNCALL_HELD, DP_DOWNCALL_REDIRECT, DP_DOWNCALL_COMPLETE}));
    engine->classifies().release(classify);
}

TEST_F(PendedRedirects, ACopyThatIsNotAppliedBlocks) {
    pend_and();
    port->inject(question(9), "syn");
    const UINT64 classify = wait_pended();
    port->wait_sent(1);
    to_proxy(*writable(classify));
    complete(classify, FWP_ACTION_PERMIT);
    const auto sent = port->wait_sent(2);
    EXPECT_EQ(kinds(sent), (Kinds{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(sent.at(1).header.action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().layer_data_unapplied, 1u);
    engine->classifies().release(classify);
}

TEST_F(PendedRedirects, WhereItCannotPend) {
    const auto status_of = [this](dp_upcall u, bool twice = false) {
        NTSTATUS status = STATUS_PENDING;
        script = [&](const Asked &a) {
            const UINT64 classify = acquire(a);
            status = engine->classifies().pend(classify, current_filter, 0, a.out);
            if (twice && status == STATUS_SUCCESS) {
                status = engine->classifies().pend(classify, current_filter, 0, a.out);
                complete(classify, FWP_ACTION_BLOCK);
            }
            a.answer(FWP_ACTION_BLOCK);
            pended = classify;
        };
        const std::size_t before = port->sent().size();
        u.ticket = u.flow = before + 1;
        u.key.local_port = static_cast<__u16>(before + 1);
        port->inject(u, "syn");
        port->wait_sent(before + 1);
        return status;
    };
    dp_upcall u = upcall(9);
    EXPECT_EQ(status_of(u), STATUS_FWP_CANNOT_PEND); // AUTH_CONNECT
    engine->classifies().release(pended);
    u = question(9);
    u.flags = 0;
    EXPECT_EQ(status_of(u), STATUS_FWP_CANNOT_PEND);
    engine->classifies().release(pended);
    u = question(9);
    u.condition_flags = DP_CONDITION_IS_REAUTHORIZE;
    EXPECT_EQ(status_of(u), STATUS_FWP_CANNOT_PEND);
    engine->classifies().release(pended);
    u = question(9);
    u.rights = 0;
    u.action = DP_ACTION_PERMIT;
    EXPECT_EQ(status_of(u), STATUS_FWP_CANNOT_PEND); // it may only veto
    PVOID data = nullptr;
    EXPECT_EQ(engine->classifies().writable(pended, current_filter, 0, &data, nullptr),
              STATUS_ACCESS_DENIED);
    engine->classifies().release(pended);
    EXPECT_EQ(status_of(question(9), true), STATUS_FWP_CANNOT_PEND);
    FWPS_CLASSIFY_OUT0 out{}; // it has returned
    EXPECT_EQ(engine->classifies().pend(pended, current_filter, 0, &out), STATUS_FWP_CANNOT_PEND);
    engine->classifies().release(pended);
}

// At ENDPOINT_CLOSURE the callout is told: there is nothing that could wait.
TEST_F(PendedRedirects, AnEndpointsClosureIsNotPended) {
    dp_upcall u = upcall(9);
    u.layer = FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4;
    u.kind = DP_UPCALL_TELL;
    std::atomic<bool> told{false};
    script = [&](const Asked &a) {
        const UINT64 classify = acquire(a);
        EXPECT_EQ(engine->classifies().pend(classify, current_filter, 0, a.out),
                  STATUS_FWP_CANNOT_PEND);
        PVOID data = nullptr;
        EXPECT_EQ(engine->classifies().writable(classify, current_filter, 0, &data, nullptr),
                  STATUS_FWP_INCOMPATIBLE_LAYER);
        engine->classifies().release(classify);
        told = true;
    };
    port->notify(u);
    while (!told)
        std::this_thread::yield();
}

TEST_F(PendedRedirects, TheKernelsDecisionMakesALateOneHarmless) {
    pend_and();
    port->inject(question(9), "syn");
    const UINT64 classify = wait_pended();
    port->wait_sent(1);
    dp_upcall over = question(9);
    over.kind = DP_UPCALL_OVER;
    over.action = DP_ACTION_BLOCK;
    port->notify(over);
    while (engine->counters().holds_decided == 0)
        std::this_thread::yield();
    PVOID data = nullptr;
    while (engine->classifies().writable(classify, current_filter, 0, &data, nullptr) !=
           STATUS_FWP_TCPIP_NOT_READY)
        std::this_thread::yield(); // the notice is just being dealt with
    complete(classify, FWP_ACTION_PERMIT);
    EXPECT_EQ(engine->counters().stale_completions, 1u);
    EXPECT_EQ(port->sent().size(), 1u);
    engine->classifies().release(classify);
}

TEST_F(PendedRedirects, AnAdministratorsPermitLeavesItWhereItWasGoing) {
    pend_and();
    port->inject(question(9), "syn");
    const UINT64 classify = wait_pended();
    port->wait_sent(1);
    redirect(classify, 10);
    EXPECT_TRUE(engine->holds().order(1, 9, FWP_ACTION_PERMIT));
    complete(classify, FWP_ACTION_PERMIT);
    EXPECT_EQ(kinds(port->wait_sent(2)), (Kinds{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(engine->redirect_contexts().count(), 0u);
    engine->classifies().release(classify);
}

TEST_F(PendedRedirects, ManyAtOnceFromManyThreads) {
    constexpr std::uint64_t flows = 24;
    Mutex mutex;
    std::vector<UINT64> waiting;
    script = [&](const Asked &a) {
        const UINT64 classify = acquire(a);
        EXPECT_EQ(engine->classifies().pend(classify, current_filter, 0, a.out), STATUS_SUCCESS);
        Lock lock(mutex);
        waiting.push_back(classify);
    };
    for (std::uint64_t flow = 1; flow <= flows; ++flow)
        port->inject(question(flow), "syn");
    std::atomic<std::uint64_t> done{0};
    const auto work = [&] {
        while (done < flows) {
            UINT64 classify = 0;
            {
                Lock lock(mutex);
                if (waiting.empty()) continue;
                classify = waiting.back();
                waiting.pop_back();
            }
            redirect(classify, 64);
            std::thread again([&] { complete(classify, FWP_ACTION_PERMIT); });
            complete(classify, FWP_ACTION_PERMIT);
            again.join();
            engine->classifies().release(classify);
            ++done;
        }
    };
    std::thread other(work);
    work();
    other.join();
    while (engine->counters().holds_completed < flows)
        std::this_thread::yield();
    EXPECT_EQ(engine->counters().redirects, flows);
    EXPECT_EQ(engine->counters().stale_completions, flows);
    EXPECT_EQ(engine->redirect_contexts().count(), flows);
    EXPECT_EQ(engine->holds().open(), 0u);
}
