// SPDX-License-Identifier: Apache-2.0
#include "host_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {
using Hold = HostTest;
std::vector<int> kinds(const std::vector<Sent> &sent) {
    std::vector<int> out;
    for (const auto &s : sent)
        out.push_back(s.header.kind);
    return out;
}
} // namespace

TEST_F(Hold, AnswerGoesDownWithThePacket) {
    script = [](const Asked &a) { a.answer(FWP_ACTION_PERMIT); };
    port->inject(upcall(9), "first");
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].header.magic, DP_DOWNCALL_MAGIC);
    EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(sent[0].header.ticket, 9u);
    EXPECT_EQ(sent[0].header.action, FWP_ACTION_PERMIT);
    EXPECT_EQ(sent[0].header.rights, FWPS_RIGHT_ACTION_WRITE);
    EXPECT_EQ(sent[0].header.key.local_port, 9);
    EXPECT_EQ(sent[0].packet, "first");
}

TEST_F(Hold, HeldThenCompletedThenReleasedInOrder) {
    pend_then(FWP_ACTION_PERMIT);
    port->inject(upcall(9), "first");
    EXPECT_EQ(kinds(port->wait_sent(1)), std::vector<int>{DP_DOWNCALL_HELD});
    EXPECT_TRUE(port->sent()[0].packet.empty());
    for (const char *text : {"second", "third"})
        port->inject(upcall(9, 17, DP_UPCALL_QUEUED), text);
    while (engine->counters().queued < 2)
        std::this_thread::yield();
    engine->complete(contexts);
    port->inject(upcall(9, 17, DP_UPCALL_QUEUED), "late");
    const auto sent = port->wait_sent(5);
    EXPECT_EQ(kinds(sent),
              (std::vector<int>{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE, DP_DOWNCALL_RELEASE,
                                DP_DOWNCALL_RELEASE, DP_DOWNCALL_RELEASE}));
    ASSERT_EQ(sent.size(), 5u);
    EXPECT_EQ(sent[1].packet + sent[2].packet + sent[3].packet + sent[4].packet,
              "firstsecondthirdlate");
    EXPECT_EQ(port->free_frames(), port->frames());
}

TEST_F(Hold, FurtherSegmentsOfASuperPacketStandBehindTheFirst) {
    pend_then(FWP_ACTION_PERMIT);
    for (const char *text : {"first", "second", "third"})
        port->inject(upcall(9), text);
    while (engine->counters().queued < 2)
        std::this_thread::yield();
    engine->complete(contexts);
    const auto sent = port->wait_sent(4);
    EXPECT_EQ(kinds(sent), (std::vector<int>{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE,
                                             DP_DOWNCALL_RELEASE, DP_DOWNCALL_RELEASE}));
    ASSERT_EQ(sent.size(), 4u);
    EXPECT_EQ(sent[1].packet + sent[2].packet + sent[3].packet, "firstsecondthird");
}

TEST_F(Hold, BlockDiscardsTheQueueAndSendsTheFirstForItsReject) {
    pend_then(FWP_ACTION_BLOCK);
    port->inject(upcall(9), "first");
    port->wait_sent(1);
    for (const char *text : {"second", "third"})
        port->inject(upcall(9, 17, DP_UPCALL_QUEUED), text);
    while (engine->counters().queued < 2)
        std::this_thread::yield();
    engine->complete(contexts);
    const auto sent = port->wait_sent(3);
    EXPECT_EQ(kinds(sent),
              (std::vector<int>{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE, DP_DOWNCALL_DISCARD}));
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[1].packet, "first");
    EXPECT_EQ(sent[1].header.action, FWP_ACTION_BLOCK);
    EXPECT_EQ(sent[2].header.count, 2u);
    EXPECT_EQ(port->free_frames(), port->frames());
}

TEST_F(Hold, WithoutKeepDataAPermitFlushesWhatWasPended) {
    pend_then(FWP_ACTION_PERMIT);
    dp_upcall u = upcall(9);
    u.flags = DP_UPCALL_MAY_PEND;
    port->inject(u, "first");
    port->wait_sent(1);
    port->inject(upcall(9, 17, DP_UPCALL_QUEUED), "second");
    while (engine->counters().queued < 1)
        std::this_thread::yield();
    engine->complete(contexts);
    const auto sent = port->wait_sent(3);
    EXPECT_EQ(kinds(sent),
              (std::vector<int>{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE, DP_DOWNCALL_DISCARD}));
    EXPECT_TRUE(sent[1].packet.empty());
}

TEST_F(Hold, ATcpSynIsNeverFlushed) {
    pend_then(FWP_ACTION_PERMIT);
    dp_upcall u = upcall(9, 6);
    u.flags = DP_UPCALL_MAY_PEND;
    port->inject(u, "syn");
    port->wait_sent(1);
    engine->complete(contexts);
    EXPECT_EQ(port->wait_sent(2).at(1).packet, "syn");
}

TEST_F(Hold, CompletionAsksAgainInTheCallingThreadBeforeItReturns) {
    std::atomic<int> asked_again{0};
    std::thread::id where;
    script = [&](const Asked &a) {
        HANDLE context = nullptr;
        if (!a.reauthorize()) {
            EXPECT_FALSE(a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_PACKET_DIRECTION);
            EXPECT_TRUE(a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE);
            engine->pend(a.metadata->completionHandle, &context);
            contexts = context;
            return a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
        }
        EXPECT_TRUE(a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_PACKET_DIRECTION);
        EXPECT_FALSE(a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE);
        EXPECT_EQ(
            a.values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_REAUTHORIZE_REASON].value.uint32,
            FWP_CONDITION_REAUTHORIZE_REASON_CLASSIFY_COMPLETION);
        EXPECT_EQ(a.out->rights, FWPS_RIGHT_ACTION_WRITE);
        EXPECT_EQ(engine->pend(a.metadata->completionHandle, &context), STATUS_FWP_CANNOT_PEND);
        where = std::this_thread::get_id();
        ++asked_again;
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(9), "first");
    port->wait_sent(1);
    engine->complete(contexts);
    EXPECT_EQ(asked_again, 1);
    EXPECT_EQ(where, std::this_thread::get_id());
}

TEST_F(Hold, DoubleForeignAndNullCompletionsAreHarmless) {
    pend_then(FWP_ACTION_PERMIT);
    port->inject(upcall(9), "first");
    port->wait_sent(1);
    engine->complete(contexts);
    engine->complete(contexts);
    engine->complete(nullptr);
    engine->complete(reinterpret_cast<HANDLE>(0x1234));
    EXPECT_EQ(engine->counters().stale_completions, 3u);
    EXPECT_EQ(port->sent().size(), 2u);
}

TEST_F(Hold, CompletedInsideTheClassifyThatPended) {
    script = [&](const Asked &a) {
        if (a.reauthorize()) return a.answer(FWP_ACTION_PERMIT);
        HANDLE context = nullptr;
        engine->pend(a.metadata->completionHandle, &context);
        engine->complete(context);
        EXPECT_TRUE(port->sent().empty());
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    port->inject(upcall(9), "first");
    const auto sent = port->wait_sent(1); // which says that it was held, too
    ASSERT_EQ(kinds(sent), (std::vector<int>{DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(sent.at(0).packet, "first");
    EXPECT_EQ(sent.at(0).header.action, FWP_ACTION_PERMIT);
}

TEST_F(Hold, CompletedByAnotherThreadBeforeTheClassifyReturned) {
    script = [&](const Asked &a) {
        if (a.reauthorize()) return a.answer(FWP_ACTION_PERMIT);
        HANDLE context = nullptr;
        engine->pend(a.metadata->completionHandle, &context);
        std::thread([&] { engine->complete(context); }).join();
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    port->inject(upcall(9), "first");
    EXPECT_EQ(kinds(port->wait_sent(1)), (std::vector<int>{DP_DOWNCALL_COMPLETE}));
}

TEST_F(Hold, PendSaysWhyItCannot) {
    std::vector<NTSTATUS> got;
    HANDLE context = reinterpret_cast<HANDLE>(0x77);
    UINT32 reason = 0;
    script = [&](const Asked &a) {
        const HANDLE handle = a.metadata->completionHandle;
        reason =
            a.values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_REAUTHORIZE_REASON].value.uint32;
        got.push_back(engine->pend(nullptr, &context));
        got.push_back(engine->pend(handle, nullptr));
        got.push_back(engine->pend(reinterpret_cast<HANDLE>(0x5), &context));
        got.push_back(engine->pend(handle, &context));
        a.answer(FWP_ACTION_BLOCK);
    };
    dp_upcall again = upcall(9);
    again.condition_flags = DP_CONDITION_IS_REAUTHORIZE;
    again.reauthorize = DP_REAUTHORIZE_NEW_NEXTHOP_INTERFACE;
    port->inject(again, "x");
    port->wait_sent(1);
    EXPECT_EQ(reason, FWP_CONDITION_REAUTHORIZE_REASON_NEW_NEXTHOP_INTERFACE);
    EXPECT_EQ(got, (std::vector<NTSTATUS>{STATUS_FWP_NULL_POINTER, STATUS_FWP_NULL_POINTER,
                                          STATUS_FWP_NULL_POINTER, STATUS_FWP_CANNOT_PEND}));
    EXPECT_EQ(context, reinterpret_cast<HANDLE>(0x77));
}

TEST_F(Hold, PendOnAPortThatIsGoingIsNotReady) {
    NTSTATUS status = STATUS_SUCCESS;
    std::atomic<bool> done{false};
    script = [&](const Asked &a) {
        HANDLE context = nullptr;
        port->close();
        status = engine->pend(a.metadata->completionHandle, &context);
        a.answer(FWP_ACTION_BLOCK);
        done = true;
    };
    port->inject(upcall(9), "x");
    while (!done)
        std::this_thread::yield();
    EXPECT_EQ(status, STATUS_FWP_TCPIP_NOT_READY);
}

TEST_F(Hold, QuotaLeavesFramesForTraffic) {
    pend_then(FWP_ACTION_PERMIT);
    for (std::uint64_t flow = 1; flow <= 48; ++flow) {
        port->inject(upcall(flow), "x");
        port->wait_sent(flow);
        ASSERT_EQ(pend_status, STATUS_SUCCESS);
    }
    port->inject(upcall(99), "x");
    port->wait_sent(49);
    EXPECT_EQ(pend_status, STATUS_INSUFFICIENT_RESOURCES);
}

TEST_F(Hold, AnOrderEndsTheHoldWithoutAskingTheCallout) {
    pend_then(FWP_ACTION_BLOCK);
    port->inject(upcall(9), "first");
    port->wait_sent(1);
    EXPECT_FALSE(engine->holds().order(1, 10, DP_ACTION_PERMIT));
    EXPECT_FALSE(engine->holds().order(2, 9, DP_ACTION_PERMIT));
    EXPECT_FALSE(engine->holds().order(1, 9, DP_ACTION_NONE));
    EXPECT_TRUE(engine->holds().order(1, 9, DP_ACTION_PERMIT));
    EXPECT_EQ(port->wait_sent(2).at(1).header.action, FWP_ACTION_PERMIT);
    engine->complete(contexts);
    EXPECT_EQ(engine->counters().stale_completions, 1u);
    EXPECT_EQ(engine->counters().stale_orders, 3u);
    EXPECT_EQ(port->sent().size(), 2u);
}

TEST_F(Hold, ANewQuestionAboutTheFlowEndsTheOldHold) {
    pend_then(FWP_ACTION_PERMIT);
    port->inject(upcall(9), "old");
    port->wait_sent(1);
    const HANDLE old = contexts;
    dp_upcall next = upcall(9);
    next.ticket = next.flow = 10;
    port->inject(next, "new");
    port->wait_sent(2);
    engine->complete(old);
    EXPECT_EQ(engine->counters().stale_completions, 1u);
    engine->complete(contexts);
    EXPECT_EQ(port->wait_sent(3).at(2).packet, "new");
}

TEST_F(Hold, UnregisteringEndsHoldsAsTheFilterSays) {
    for (const std::uint32_t flags : {0u, FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED}) {
        install(flags);
        pend_then(FWP_ACTION_PERMIT);
        const auto before = port->sent().size();
        port->inject(upcall(9), "first");
        port->wait_sent(before + 1);
        ASSERT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
        EXPECT_EQ(port->wait_sent(before + 2).back().header.action,
                  flags ? FWP_ACTION_PERMIT : FWP_ACTION_BLOCK);
        engine->complete(contexts);
        ASSERT_TRUE(engine->register_callout(scripted_callout()));
    }
    EXPECT_EQ(engine->counters().stale_completions, 2u);
}

TEST_F(Hold, ADetachedPortTakesItsHoldsAlong) {
    pend_then(FWP_ACTION_PERMIT);
    port->inject(upcall(9), "first");
    port->wait_sent(1);
    engine->detach(1);
    EXPECT_EQ(engine->holds().open(), 0u);
    engine->complete(contexts);
    EXPECT_EQ(engine->counters().stale_completions, 1u);
    EXPECT_EQ(port->free_frames(), port->frames());
}

TEST_F(Hold, AMismatchedAnswerOfAPendingClassifyIsCounted) {
    script = [&](const Asked &a) {
        HANDLE context = nullptr;
        engine->pend(a.metadata->completionHandle, &context);
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(9), "first");
    EXPECT_EQ(kinds(port->wait_sent(1)), std::vector<int>{DP_DOWNCALL_HELD});
    EXPECT_EQ(engine->counters().pend_mismatches, 1u);
}

TEST_F(Hold, ManyHoldsAreCompletedByManyThreads) {
    std::vector<HANDLE> open;
    Mutex mutex;
    script = [&](const Asked &a) {
        if (a.reauthorize()) return a.answer(FWP_ACTION_PERMIT);
        HANDLE context = nullptr;
        if (engine->pend(a.metadata->completionHandle, &context) == STATUS_SUCCESS) {
            Lock lock(mutex);
            open.push_back(context);
        }
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    for (std::uint64_t flow = 1; flow <= 40; ++flow)
        port->inject(upcall(flow), "x");
    port->wait_sent(40);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (const HANDLE h : open)
                engine->complete(h); // each is tried by all, and ends once
        });
    for (auto &t : threads)
        t.join();
    EXPECT_EQ(port->wait_sent(80).size(), 80u);
    EXPECT_EQ(engine->counters().holds_completed, 40u);
    EXPECT_EQ(engine->counters().stale_completions, 120u);
}
