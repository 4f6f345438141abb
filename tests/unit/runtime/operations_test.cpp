// SPDX-License-Identifier: Apache-2.0
// Questions that come without a packet: bind, listen, endings; and holds that end without us.
#include <set>

#include "host_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

class Operations : public HostTest {
protected:
    static constexpr std::uint64_t ticket = 500;
    dp_upcall question(std::uint16_t layer = FWPS_LAYER_ALE_AUTH_LISTEN_V4) const {
        dp_upcall u = upcall(0);
        u.ticket = ticket;
        u.layer = layer;
        u.flags = DP_UPCALL_OPERATION | DP_UPCALL_MAY_PEND;
        u.endpoint = 0xABCD;
        return u;
    }
    dp_upcall behind() const {
        dp_upcall u = question();
        u.kind = DP_UPCALL_QUEUED;
        return u;
    }
    dp_upcall over(const dp_upcall &of, std::uint32_t action) const {
        dp_upcall u = of;
        u.kind = DP_UPCALL_OVER;
        u.action = action;
        return u;
    }
    std::vector<int> kinds(std::size_t count) {
        std::vector<int> out;
        for (const auto &s : port->wait_sent(count))
            out.push_back(s.header.kind);
        return out;
    }
    // Equal questions one after the other are segments of one packet.
    dp_upcall fresh(dp_upcall u) {
        u.generation = ++questions;
        return u;
    }
    std::uint64_t questions = 0;
    // Pends what is asked first.
    void hold(FWP_ACTION_TYPE then) {
        script = [this, then](const Asked &a) {
            if (contexts != nullptr) return a.answer(then);
            HANDLE context = nullptr;
            pend_status = engine->pend(a.metadata->completionHandle, &context);
            contexts = context;
            a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
        };
    }
    void wait_queued(std::uint64_t count) {
        while (engine->counters().queued < count)
            std::this_thread::yield();
    }
};

} // namespace

TEST_F(Operations, AreAskedByNoticeAndAnsweredWithoutAPacket) {
    script = [](const Asked &a) {
        EXPECT_EQ(a.layer_data, nullptr);
        EXPECT_EQ(a.metadata->transportEndpointHandle, 0xABCDu);
        EXPECT_TRUE(a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE);
        a.answer(FWP_ACTION_PERMIT);
    };
    port->notify(question());
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(sent[0].header.flags, DP_DOWNCALL_OPERATION);
    EXPECT_EQ(sent[0].header.ticket, ticket);
    EXPECT_EQ(sent[0].header.key.protocol, 0);
    EXPECT_EQ(sent[0].header.action, FWP_ACTION_PERMIT);
    EXPECT_TRUE(sent[0].packet.empty());
}

TEST_F(Operations, PendedOnesKeepTheSocketsPacketsAndReleaseThemInOrder) {
    for (const auto layer :
         {FWPS_LAYER_ALE_AUTH_LISTEN_V4, FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6}) {
        const auto before = port->sent().size();
        contexts = nullptr;
        hold(FWP_ACTION_PERMIT);
        port->notify(question(std::uint16_t(layer)));
        port->wait_sent(before + 1);
        ASSERT_EQ(pend_status, STATUS_SUCCESS);
        const auto queued = engine->counters().queued.load();
        for (const char *text : {"one", "two", "three"})
            port->inject(behind(), text);
        wait_queued(queued + 3);
        engine->complete(contexts);
        const auto sent = port->wait_sent(before + 5);
        ASSERT_EQ(sent.size(), before + 5);
        const auto *s = &sent[before];
        EXPECT_EQ(s[0].header.kind, DP_DOWNCALL_HELD);
        EXPECT_EQ(s[1].header.kind, DP_DOWNCALL_COMPLETE);
        EXPECT_EQ(s[1].header.flags, DP_DOWNCALL_OPERATION);
        EXPECT_EQ(s[2].packet + s[3].packet + s[4].packet, "onetwothree");
        for (int i = 2; i < 5; ++i) {
            EXPECT_EQ(s[i].header.kind, DP_DOWNCALL_RELEASE);
            EXPECT_EQ(s[i].header.flags, DP_DOWNCALL_OPERATION);
            EXPECT_EQ(s[i].header.inject.ifindex, behind().ifindex);
            EXPECT_EQ(s[i].header.inject.kind, behind().direction == DP_DIRECTION_INBOUND
                                                   ? DP_INJECT_RECEIVE
                                                   : DP_INJECT_SEND);
        }
    }
    EXPECT_EQ(port->free_frames(), port->frames());
}

TEST_F(Operations, ABlockDiscards) {
    hold(FWP_ACTION_BLOCK);
    port->notify(question());
    port->wait_sent(1);
    port->inject(behind(), "one");
    port->inject(behind(), "two");
    wait_queued(2);
    engine->complete(contexts);
    EXPECT_EQ(kinds(3),
              (std::vector<int>{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE, DP_DOWNCALL_DISCARD}));
    EXPECT_EQ(port->sent()[2].header.count, 2u);
    EXPECT_EQ(port->sent()[2].header.flags, DP_DOWNCALL_OPERATION);
}

// The kernel counts a hold for it, as it does for a flow's, whose one frame says both.
TEST_F(Operations, OneThatIsCompletedBeforeItsClassifyReturnedIsHeldAllTheSame) {
    bool pended = false;
    script = [&](const Asked &a) {
        if (std::exchange(pended, true)) return a.answer(FWP_ACTION_PERMIT);
        HANDLE context = nullptr;
        EXPECT_EQ(engine->pend(a.metadata->completionHandle, &context), STATUS_SUCCESS);
        engine->complete(context);
        EXPECT_TRUE(port->sent().empty());
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    port->notify(question());
    EXPECT_EQ(kinds(2), (std::vector<int>{DP_DOWNCALL_HELD, DP_DOWNCALL_COMPLETE}));
    EXPECT_EQ(port->sent()[1].header.action, FWP_ACTION_PERMIT);
}

// The packet comes by another way than the question; it must not be let go before that is read.
TEST_F(Operations, APacketThatIsReadFirstStillWaitsForItsQuestion) {
    std::atomic<bool> go{false};
    script = [&](const Asked &a) {
        while (!go)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(1), "keeps the port busy");
    dp_upcall u = question();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    port->inject(behind(), "early");
    port->notify(u);
    go = true;
    EXPECT_EQ(kinds(3),
              (std::vector<int>{DP_DOWNCALL_ANSWER, DP_DOWNCALL_ANSWER, DP_DOWNCALL_RELEASE}));
    EXPECT_EQ(port->sent()[2].packet, "early");
}

TEST_F(Operations, WhatIsOnlyToldIsNotAnswered) {
    std::atomic<int> told{0};
    script = [&](const Asked &a) {
        EXPECT_EQ(a.metadata->completionHandle, nullptr);
        HANDLE context = nullptr;
        EXPECT_EQ(engine->pend(nullptr, &context), STATUS_FWP_CANNOT_PEND);
        a.answer(FWP_ACTION_BLOCK);
        ++told;
    };
    dp_upcall u = question(FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4);
    u.kind = DP_UPCALL_TELL;
    u.flags = 0;
    port->notify(u);
    while (told < 1)
        std::this_thread::yield();
    EXPECT_TRUE(port->sent().empty());
}

TEST_F(Operations, ASlowNoticeDelaysOnlyItself) {
    std::atomic<bool> go{false};
    script = [&](const Asked &a) {
        while (a.values->layerId == FWPS_LAYER_ALE_AUTH_LISTEN_V4 && !go)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->notify(question());
    port->inject(upcall(1), "quick");
    EXPECT_EQ(port->wait_sent(1).at(0).packet, "quick");
    go = true;
    port->wait_sent(2);
}

TEST_F(Operations, RecvAcceptWithoutKeepingIsClosedForTheClone) {
    int asked = 0;
    script = [&](const Asked &a) {
        ++asked;
        HANDLE context = nullptr;
        pend_status = engine->pend(a.metadata->completionHandle, &context);
        contexts = context;
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
        const auto before = port->sent().size();
        dp_upcall u = fresh(upcall(9, protocol));
        u.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
        u.direction = DP_DIRECTION_INBOUND;
        u.flags = DP_UPCALL_MAY_PEND;
        port->inject(u, "first");
        port->wait_sent(before + 1);
        u.kind = DP_UPCALL_QUEUED;
        const auto queued = engine->counters().queued.load();
        port->inject(u, "second");
        wait_queued(queued + 1);
        engine->complete(contexts);
        const auto sent = port->wait_sent(before + 3);
        EXPECT_EQ(sent[before + 1].header.kind, DP_DOWNCALL_COMPLETE);
        EXPECT_EQ(sent[before + 1].header.flags, DP_DOWNCALL_CLOSE);
        EXPECT_TRUE(sent[before + 1].packet.empty());
        EXPECT_EQ(sent[before + 2].header.kind, DP_DOWNCALL_DISCARD);
    }
    EXPECT_EQ(asked, 2); // completing asks nobody
    EXPECT_EQ(port->free_frames(), port->frames());
}

// The clone may be injected as soon as the completion has returned: the kernel must know by then.
TEST_F(Operations, ACloseBeforeTheClassifyReturnedGoesDownAtOnce) {
    script = [&](const Asked &a) {
        HANDLE context = nullptr;
        EXPECT_EQ(engine->pend(a.metadata->completionHandle, &context), STATUS_SUCCESS);
        std::thread([&] { engine->complete(context); }).join();
        const auto sent = port->sent();
        EXPECT_EQ(sent.size(), 1u);
        if (sent.empty()) return;
        EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_COMPLETE);
        EXPECT_EQ(sent[0].header.flags, DP_DOWNCALL_CLOSE);
        EXPECT_EQ(port->free_frames(), port->frames() - 1u) << "the callout still reads it";
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    dp_upcall u = upcall(9);
    u.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    u.direction = DP_DIRECTION_INBOUND;
    u.flags = DP_UPCALL_MAY_PEND;
    port->inject(u, "first");
    port->wait_sent(1);
    for (int i = 0; i < 500 && port->free_frames() != port->frames(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(port->free_frames(), port->frames());
    EXPECT_EQ(port->sent().size(), 1u);
}

// It differs from the question before in nothing but who sent its packet.
TEST_F(Operations, TheCloneOfAClosedHoldIsAQuestionOfItsOwn) {
    int asked = 0;
    script = [&](const Asked &a) {
        HANDLE context = nullptr;
        const NTSTATUS status = engine->pend(a.metadata->completionHandle, &context);
        EXPECT_EQ(status, asked++ == 0 ? STATUS_SUCCESS : STATUS_FWP_CANNOT_PEND);
        if (context) contexts = context;
        a.answer(context ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT);
    };
    dp_upcall u = upcall(9);
    u.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    u.direction = DP_DIRECTION_INBOUND;
    u.flags = DP_UPCALL_MAY_PEND;
    port->inject(u, "first");
    port->wait_sent(1);
    engine->complete(contexts);
    port->wait_sent(2);
    u.flags = 0;
    u.injected.host = 5;
    port->inject(u, "clone");
    const auto sent = port->wait_sent(3);
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[2].header.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(sent[2].packet, "clone");
    EXPECT_EQ(asked, 2);
}

TEST_F(Operations, RecvAcceptThatKeepsIsAskedAgainAndTakesItsPacketAlong) {
    hold(FWP_ACTION_PERMIT);
    dp_upcall u = upcall(9, 6);
    u.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    port->inject(u, "syn");
    port->wait_sent(1);
    engine->complete(contexts);
    const auto sent = port->wait_sent(2);
    EXPECT_EQ(sent.at(1).packet, "syn");
    EXPECT_EQ(sent.at(1).header.flags, 0);
    EXPECT_EQ(sent.at(1).header.action, FWP_ACTION_PERMIT);
}

TEST_F(Operations, LayersThatCannotPendHaveNoHandle) {
    for (const auto layer : {FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, FWPS_LAYER_DATAGRAM_DATA_V4}) {
        script = [&](const Asked &a) {
            EXPECT_EQ(a.metadata->completionHandle, nullptr);
            EXPECT_FALSE(a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE);
            HANDLE context = reinterpret_cast<HANDLE>(0x77);
            EXPECT_EQ(engine->pend(a.metadata->completionHandle, &context), STATUS_FWP_CANNOT_PEND);
            EXPECT_EQ(context, reinterpret_cast<HANDLE>(0x77));
            a.answer(FWP_ACTION_PERMIT);
        };
        const auto before = port->sent().size();
        dp_upcall u = upcall(9);
        u.layer = std::uint16_t(layer);
        port->inject(u, "x");
        EXPECT_EQ(port->wait_sent(before + 1).size(), before + 1);
    }
    // At a packet layer the ticket says it all; with a key the kernel would look for a question of
    // the flow's.
    EXPECT_EQ(port->sent()[0].header.key.protocol, 17);
    EXPECT_EQ(port->sent()[1].header.key.protocol, 0);
}

// The handle, and the bit of the metadata that says so, exist exactly where the layer can pend.
TEST_F(Operations, EachLayersMetadataSaysWhetherItCanPend) {
    const std::set<int> can{
        FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V6,
        FWPS_LAYER_ALE_AUTH_LISTEN_V4,         FWPS_LAYER_ALE_AUTH_LISTEN_V6,
        FWPS_LAYER_ALE_AUTH_CONNECT_V4,        FWPS_LAYER_ALE_AUTH_CONNECT_V6,
        FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4,    FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V6};
    std::set<int> could;
    int asked = 0, layer = 0;
    script = [&](const Asked &a) {
        ++asked;
        const bool told = a.metadata->currentMetadataValues & FWPS_METADATA_FIELD_COMPLETION_HANDLE;
        EXPECT_EQ(told, a.metadata->completionHandle != nullptr) << layer;
        HANDLE context = nullptr;
        const NTSTATUS status = engine->pend(a.metadata->completionHandle, &context);
        EXPECT_EQ(status, told ? STATUS_SUCCESS : STATUS_FWP_CANNOT_PEND) << layer;
        EXPECT_EQ(context != nullptr, told) << layer;
        if (told) could.insert(layer);
        a.answer(FWP_ACTION_BLOCK, FWPS_CLASSIFY_OUT_FLAG_ABSORB);
    };
    const int first = FWPS_LAYER_INBOUND_IPPACKET_V4, last = FWPS_LAYER_ALE_FLOW_ESTABLISHED_V6;
    for (layer = first; layer <= last; ++layer) {
        dp_upcall u = fresh(upcall(static_cast<std::uint64_t>(layer) + 1));
        u.layer = static_cast<std::uint16_t>(layer);
        port->inject(u, "x");
        ASSERT_EQ(port->wait_sent(static_cast<std::size_t>(layer - first) + 1).size(),
                  static_cast<std::size_t>(layer - first) + 1)
            << layer;
    }
    EXPECT_EQ(asked, last - first + 1);
    EXPECT_EQ(could, can);
}

TEST_F(Operations, AHoldThatTheKernelEndedGivesUpItsPacketAndSettlesItsQueue) {
    for (const auto action : {DP_ACTION_PERMIT, DP_ACTION_BLOCK}) {
        const auto before = port->sent().size();
        contexts = nullptr;
        hold(FWP_ACTION_PERMIT);
        const dp_upcall asked = fresh(upcall(9));
        port->inject(asked, "first");
        port->wait_sent(before + 1);
        const auto queued = engine->counters().queued.load();
        port->inject(upcall(9, 17, DP_UPCALL_QUEUED), "second");
        wait_queued(queued + 1);
        dp_upcall stale = over(asked, DP_ACTION_BLOCK);
        stale.ticket = 8;
        port->notify(stale);
        stale = over(asked, DP_ACTION_BLOCK);
        --stale.generation; // of the question before
        port->notify(stale);
        port->notify(over(asked, action));
        const auto sent = port->wait_sent(before + 2);
        ASSERT_EQ(sent.size(), before + 2);
        EXPECT_EQ(sent[before + 1].header.kind,
                  action == DP_ACTION_PERMIT ? DP_DOWNCALL_RELEASE : DP_DOWNCALL_DISCARD);
        while (engine->holds().open() != 0) // a moment behind what it sent
            std::this_thread::yield();
        EXPECT_EQ(port->free_frames(), port->frames());
        const auto stale_before = engine->counters().stale_completions.load();
        engine->complete(contexts);
        EXPECT_EQ(engine->counters().stale_completions, stale_before + 1);
        EXPECT_EQ(port->sent().size(), before + 2);
    }
    EXPECT_EQ(engine->counters().holds_decided, 2u);
}

TEST_F(Operations, AQuestionThatIsOverBeforeItIsReadIsNotAsked) {
    int asked = 0;
    script = [&](const Asked &a) {
        ++asked;
        a.answer(FWP_ACTION_PERMIT);
    };
    dp_upcall other = over(upcall(9), DP_ACTION_BLOCK);
    other.filter_id = current_filter + 1; // of the same ticket, to another callout
    port->notify(other);
    port->notify(over(upcall(9), DP_ACTION_BLOCK));
    while (engine->counters().notices < 2)
        std::this_thread::yield();
    port->inject(upcall(9), "late");
    port->inject(upcall(10), "next");
    EXPECT_EQ(port->wait_sent(1).at(0).packet, "next");
    EXPECT_EQ(engine->counters().questions_unread, 1u);
    EXPECT_EQ(engine->counters().holds_decided, 0u);
    port->inject(fresh(upcall(9)), "asked anew");
    EXPECT_EQ(port->wait_sent(2).at(1).packet, "asked anew");
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(port->free_frames(), port->frames());
}

TEST_F(Operations, AnOperationThatIsOverBeforeItsTurnIsNotAsked) {
    std::atomic<bool> go{false};
    int asked = 0;
    script = [&](const Asked &a) {
        ++asked;
        while (!go)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(1), "keeps the port busy");
    while (engine->counters().upcalls < 1)
        std::this_thread::yield();
    port->notify(question());
    port->notify(over(question(), DP_ACTION_BLOCK));
    go = true;
    while (engine->counters().questions_unread < 1)
        std::this_thread::yield();
    EXPECT_EQ(port->wait_sent(1).size(), 1u);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(engine->holds().open(), 0u);
}

// A question of the same ticket that another filter asks may be read before the word that the one
// before is over.
TEST_F(Operations, TheEndOfAnotherFiltersQuestionIsNotThisOnes) {
    hold(FWP_ACTION_PERMIT);
    port->inject(upcall(9), "first");
    port->wait_sent(1);
    dp_upcall other = over(upcall(9), DP_ACTION_BLOCK);
    other.filter_id = current_filter + 1;
    port->notify(other);
    while (engine->counters().notices < 1)
        std::this_thread::yield();
    engine->complete(contexts);
    EXPECT_EQ(port->wait_sent(2).at(1).packet, "first");
}

TEST_F(Operations, AnEndDuringTheClassifyMakesItsAnswerVoid) {
    std::atomic<bool> go{false}, inside{false};
    script = [&](const Asked &a) {
        if (a.metadata->flowHandle != 9) return a.answer(FWP_ACTION_PERMIT);
        inside = true;
        while (!go)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(9), "first");
    while (!inside)
        std::this_thread::yield();
    port->notify(over(upcall(9), DP_ACTION_BLOCK));
    while (engine->counters().holds_decided < 1)
        std::this_thread::yield();
    go = true;
    port->inject(upcall(10), "next");
    EXPECT_EQ(port->wait_sent(1).at(0).packet, "next");
    for (int i = 0; i < 500 && port->free_frames() != port->frames(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(port->sent().size(), 1u);
    EXPECT_EQ(port->free_frames(), port->frames());
}
