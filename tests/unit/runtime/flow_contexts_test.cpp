// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fake_sluiced.h"
#include "host_fixture.h"

#include <random>

using namespace sluice;
using namespace sluice::test;

namespace {

struct Deleted {
    UINT16 layer;
    UINT32 callout;
    UINT64 context;
    std::thread::id where;
};
Mutex deleted_mutex;
std::vector<Deleted> deleted_all;
std::atomic<std::uint64_t> deleted_sum{0};
std::function<void()> in_delete;

void NTAPI noting_delete(UINT16 layer, UINT32 callout, UINT64 context) {
    if (in_delete) in_delete();
    deleted_sum += context;
    Lock lock(deleted_mutex);
    deleted_all.push_back({layer, callout, context, std::this_thread::get_id()});
}

constexpr UINT16 connect = FWPS_LAYER_ALE_AUTH_CONNECT_V4, datagram = FWPS_LAYER_DATAGRAM_DATA_V4;
const Guid other_key{0x22222222, 2, 3, {4}};

class FlowContexts : public HostTest {
protected:
    void SetUp() override {
        HostTest::SetUp();
        deleted_all.clear();
        deleted_sum = 0;
        in_delete = {};
        ASSERT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
        ASSERT_EQ(add(callout_key, 3), callout_id);
        script = [](const Asked &a) { a.answer(FWP_ACTION_PERMIT); };
    }
    std::uint32_t add(const Guid &key, std::uint32_t slot, UINT32 flags = 0,
                      const void *driver = nullptr) {
        auto spec = scripted_callout(key);
        std::get<FWPS_CALLOUT3>(spec).flowDeleteFn = noting_delete;
        std::get<FWPS_CALLOUT3>(spec).flags = flags;
        auto id = engine->register_callout(spec, driver);
        EXPECT_TRUE(id);
        engine->callouts().find(*id)->slot = slot;
        return *id;
    }
    // A flow that a callout was asked about, so that it is known.
    void meet(std::uint64_t flow) {
        const auto before = port->sent().size();
        dp_upcall u = upcall(flow);
        u.generation = ++questions; // else it is one more segment of the question before
        port->inject(u, "x");
        port->wait_sent(before + 1);
    }
    std::uint64_t questions = 0;
    NTSTATUS associate(std::uint64_t flow, UINT64 value = 7, UINT16 layer = connect) {
        return engine->contexts().associate(flow, layer, callout_id, value);
    }
    static std::vector<Deleted> deleted(std::size_t count) {
        for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
            Lock lock(deleted_mutex);
            if (deleted_all.size() >= count) return deleted_all;
        }
        Lock lock(deleted_mutex);
        return deleted_all;
    }
    void end(std::uint64_t flow) {
        dp_upcall u = upcall(flow);
        u.kind = DP_UPCALL_END;
        port->notify(u);
    }
    std::vector<Sent> context_orders() {
        std::vector<Sent> out;
        for (const auto &s : port->sent())
            if (s.header.kind == DP_DOWNCALL_CONTEXT) out.push_back(s);
        return out;
    }
};

} // namespace

TEST_F(FlowContexts, EveryStatusOfAssociate) {
    meet(9);
    EXPECT_EQ(associate(9, 0), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(associate(9, 7, FWPS_LAYER_ALE_AUTH_LISTEN_V4), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(associate(99), STATUS_NOT_FOUND);
    EXPECT_EQ(engine->contexts().associate(9, connect, 55, 7), STATUS_FWP_CALLOUT_NOT_FOUND);
    const auto plain = engine->register_callout(scripted_callout(other_key));
    EXPECT_EQ(engine->contexts().associate(9, connect, *plain, 7), STATUS_INVALID_PARAMETER);
    const auto slotless = add(Guid{0x33333333, 1, 1, {1}}, 0);
    EXPECT_EQ(engine->contexts().associate(9, connect, slotless, 7), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(engine->contexts().count(), 0u);
    EXPECT_TRUE(context_orders().empty());
    EXPECT_EQ(associate(9), STATUS_SUCCESS);
    EXPECT_EQ(associate(9), STATUS_OBJECT_NAME_EXISTS);
    EXPECT_EQ(associate(9, 8, datagram), STATUS_SUCCESS);
    port->close();
    EXPECT_EQ(associate(9, 8, FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4), STATUS_FWP_TCPIP_NOT_READY);
}

TEST_F(FlowContexts, TheKernelIsToldOncePerCalloutAndTheLastRemovalTakesTheBitBack) {
    meet(9);
    ASSERT_EQ(associate(9), STATUS_SUCCESS);
    ASSERT_EQ(associate(9, 8, datagram), STATUS_SUCCESS);
    ASSERT_EQ(context_orders().size(), 1u);
    const auto set = context_orders()[0].header;
    EXPECT_EQ(set.contexts_set, 1u << 2);
    EXPECT_EQ(set.ticket, 9u);
    EXPECT_EQ(set.key.local_port, 9);
    EXPECT_NE(set.filter_id, 0u);
    EXPECT_EQ(engine->contexts().remove(9, connect, callout_id), STATUS_SUCCESS);
    EXPECT_EQ(context_orders().size(), 1u);
    EXPECT_EQ(engine->contexts().remove(9, datagram, callout_id), STATUS_SUCCESS);
    ASSERT_EQ(context_orders().size(), 2u);
    EXPECT_EQ(context_orders()[1].header.contexts_clear, 1u << 2);
    EXPECT_EQ(engine->contexts().remove(9, datagram, callout_id), STATUS_UNSUCCESSFUL);
    const auto all = deleted(2);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].context, 7u);
    EXPECT_EQ(all[1].context, 8u);
    EXPECT_EQ(all[1].layer, datagram);
    EXPECT_EQ(all[1].where, std::this_thread::get_id());
}

TEST_F(FlowContexts, AKernelThatHasNoSuchFlowOrDoesNotAnswerLeavesNothing) {
    meet(9);
    port->flow_is_there = false;
    EXPECT_EQ(associate(9), STATUS_NOT_FOUND);
    port->acknowledges = false;
    EXPECT_EQ(associate(9), STATUS_FWP_TCPIP_NOT_READY);
    EXPECT_EQ(engine->contexts().count(), 0u);
    EXPECT_EQ(engine->contexts().remove(9, connect, callout_id), STATUS_UNSUCCESSFUL);
    EXPECT_TRUE(deleted_all.empty());
}

TEST_F(FlowContexts, InsideTheClassifyTheBitTravelsWithTheAnswer) {
    script = [&](const Asked &a) {
        EXPECT_EQ(a.flow_context, 0u);
        EXPECT_EQ(associate(a.metadata->flowHandle, 70), STATUS_SUCCESS);
        a.answer(FWP_ACTION_PERMIT);
    };
    meet(9);
    ASSERT_EQ(port->sent().size(), 1u);
    EXPECT_EQ(port->sent()[0].header.contexts_set, 1u << 2);
    UINT64 seen = 0;
    script = [&](const Asked &a) {
        seen = a.flow_context;
        a.answer(FWP_ACTION_PERMIT);
    };
    meet(9);
    EXPECT_EQ(seen, 70u);
}

TEST_F(FlowContexts, AnAnswerThatCameTooLateIsFoundOutAndTheContextDeleted) {
    script = [&](const Asked &a) {
        (void)associate(a.metadata->flowHandle, 70);
        a.answer(FWP_ACTION_PERMIT);
    };
    port->flow_is_there = false;
    meet(9);
    EXPECT_EQ(deleted(1).size(), 1u);
    EXPECT_EQ(engine->contexts().count(), 0u);
}

TEST_F(FlowContexts, WaitingInAClassifyOfAnotherFlowDoesNotWaitForThePortsOwnThread) {
    // The quickest of several: a machine that is busy may take any of them off its processor.
    auto quickest = std::chrono::steady_clock::duration::max();
    for (std::uint64_t flow = 20; flow < 28; ++flow) {
        script = {};
        meet(flow);
        NTSTATUS status = STATUS_UNSUCCESSFUL;
        script = [&](const Asked &a) {
            const auto before = std::chrono::steady_clock::now();
            status = associate(flow);
            quickest = std::min(quickest, std::chrono::steady_clock::now() - before);
            a.answer(FWP_ACTION_PERMIT);
        };
        const auto sent = port->sent().size();
        port->inject(upcall(flow + 100), "x");
        port->wait_sent(sent + 2);
        EXPECT_EQ(status, STATUS_SUCCESS);
    }
    EXPECT_LT(quickest, std::chrono::milliseconds(40)); // less than a leader's patience
}

TEST_F(FlowContexts, RemovalWhileAClassifyRunsIsPending) {
    meet(9);
    ASSERT_EQ(associate(9, 70), STATUS_SUCCESS);
    std::atomic<bool> inside{false}, go{false};
    std::thread::id classifying;
    script = [&](const Asked &a) {
        EXPECT_EQ(a.flow_context, 70u);
        classifying = std::this_thread::get_id();
        inside = true;
        while (!go)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(9), "x");
    while (!inside)
        std::this_thread::yield();
    EXPECT_EQ(engine->contexts().remove(9, connect, callout_id), STATUS_PENDING);
    EXPECT_EQ(engine->contexts().remove(9, connect, callout_id), STATUS_UNSUCCESSFUL);
    EXPECT_TRUE(deleted_all.empty());
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_DEVICE_BUSY);
    go = true;
    const auto all = deleted(1);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].where, classifying);
}

TEST_F(FlowContexts, TheEndOfAFlowDeletesOnceHoweverOftenItIsTold) {
    meet(9);
    ASSERT_EQ(associate(9, 1), STATUS_SUCCESS);
    ASSERT_EQ(associate(9, 2, datagram), STATUS_SUCCESS);
    end(9);
    end(9);
    EXPECT_EQ(deleted(2).size(), 2u);
    engine->contexts().flow_ended(9);
    EXPECT_EQ(deleted_sum, 3u);
    EXPECT_EQ(associate(9), STATUS_NOT_FOUND);
}

TEST_F(FlowContexts, AnEndDuringAClassifyWaitsForIt) {
    std::atomic<bool> go{false};
    script = [&](const Asked &a) {
        EXPECT_EQ(associate(9, 70), STATUS_SUCCESS);
        end(9);
        while (!go)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_TRUE(deleted_all.empty());
        EXPECT_EQ(associate(9, 71, datagram), STATUS_NOT_FOUND);
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(9), "x");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    go = true;
    EXPECT_EQ(deleted(1).size(), 1u);
    EXPECT_EQ(port->wait_sent(1).at(0).header.contexts_set, 0u);
}

TEST_F(FlowContexts, UnregisteringIsBusyUntilTheLastContextIsGone) {
    meet(9);
    ASSERT_EQ(associate(9), STATUS_SUCCESS);
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_DEVICE_BUSY);
    meet(9); // still asked
    in_delete = [&] { EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_DEVICE_BUSY); };
    EXPECT_EQ(engine->contexts().remove(9, connect, callout_id), STATUS_SUCCESS);
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
    EXPECT_EQ(associate(9), STATUS_FWP_CALLOUT_NOT_FOUND);
}

TEST_F(FlowContexts, AConditionalCalloutIsPassedOverWhereItHasNoContext) {
    ASSERT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
    ASSERT_EQ(add(callout_key, 3, FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW), callout_id);
    int asked = 0;
    script = [&](const Asked &a) {
        ++asked;
        a.answer(FWP_ACTION_BLOCK);
    };
    meet(9);
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(port->sent()[0].header.action, DP_ACTION_NEXT);
    ASSERT_EQ(associate(9, 5, datagram), STATUS_SUCCESS); // at another layer: does not count here
    const auto before = port->sent().size();
    meet(9);
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(port->sent()[before].header.action, DP_ACTION_NEXT);
    ASSERT_EQ(associate(9), STATUS_SUCCESS);
    meet(9);
    EXPECT_EQ(asked, 1);
}

TEST_F(FlowContexts, TheEndOfThePortDeletesAll) {
    for (std::uint64_t flow = 1; flow <= 20; ++flow) {
        meet(flow);
        ASSERT_EQ(associate(flow, flow), STATUS_SUCCESS);
    }
    engine->detach(1);
    EXPECT_EQ(deleted(20).size(), 20u);
    EXPECT_EQ(deleted_sum, 210u);
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
}

TEST_F(FlowContexts, TheEndOfADriverTakesWhatItLeftBehind) {
    const int driver = 0, other = 0;
    ASSERT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
    ASSERT_EQ(add(callout_key, 3, 0, &driver), callout_id);
    const auto others = add(other_key, 4, 0, &other);
    meet(9);
    ASSERT_EQ(associate(9), STATUS_SUCCESS);
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_DEVICE_BUSY);
    EXPECT_EQ(engine->end_driver(&driver, std::chrono::seconds(5)), 1u);
    EXPECT_EQ(deleted(1).size(), 1u);
    EXPECT_EQ(engine->unregister_callout(callout_id), STATUS_FWP_CALLOUT_NOT_FOUND);
    EXPECT_EQ(engine->unregister_callout(others), STATUS_SUCCESS) << "another driver's";
}

TEST_F(FlowContexts, TheEndOfADriverWaitsForAClassifyButNotForEver) {
    const int driver = 0;
    ASSERT_EQ(engine->unregister_callout(callout_id), STATUS_SUCCESS);
    ASSERT_EQ(add(callout_key, 3, 0, &driver), callout_id);
    meet(9);
    ASSERT_EQ(associate(9), STATUS_SUCCESS);
    std::atomic<bool> inside{false}, returns{false};
    script = [&](const Asked &a) {
        inside = true;
        while (!returns)
            std::this_thread::yield();
        a.answer(FWP_ACTION_PERMIT);
    };
    dp_upcall again = upcall(9);
    again.generation = ++questions;
    port->inject(again, "x");
    while (!inside)
        std::this_thread::yield();
    EXPECT_EQ(engine->end_driver(&driver, std::chrono::milliseconds(1)), 1u) << "it stays";
    returns = true;
    EXPECT_EQ(engine->end_driver(&driver, std::chrono::seconds(5)), 1u);
    EXPECT_EQ(deleted(1).size(), 1u);
    EXPECT_FALSE(engine->callouts().find(callout_id));
}

TEST_F(FlowContexts, HandlesTellCompartmentsApart) {
    auto second = std::make_shared<FakePort>();
    engine->attach(2, 5, second);
    dp_upcall u = upcall(9);
    u.compartment = 2;
    UINT64 handle = 0;
    script = [&](const Asked &a) {
        handle = a.metadata->flowHandle;
        a.answer(FWP_ACTION_PERMIT);
    };
    second->inject(u, "x");
    second->wait_sent(1);
    meet(9);
    EXPECT_EQ(handle, 9u);
    ASSERT_EQ(associate((1ull << 40) | 9), STATUS_SUCCESS);
    EXPECT_EQ(second->wait_sent(2).at(1).header.kind, DP_DOWNCALL_CONTEXT);
    end(9);
    EXPECT_EQ(engine->contexts().count(), 1u);
}

// 100,000 flows are opened with a context each and closed: as many deletions as associations.
TEST_F(FlowContexts, AsManyDeletionsAsAssociations) {
    constexpr std::uint64_t flows = 100000;
    const auto began = std::chrono::steady_clock::now();
    port->flow_is_there = false; // so that an end which overtook its flow's question is found out
    script = [&](const Asked &a) {
        if (associate(a.metadata->flowHandle, a.metadata->flowHandle) != STATUS_SUCCESS)
            ADD_FAILURE();
        a.answer(FWP_ACTION_PERMIT);
    };
    for (std::uint64_t flow = 1; flow <= flows; ++flow) {
        while (port->free_frames() < 8)
            std::this_thread::yield();
        dp_upcall u = upcall(flow);
        u.key.remote_port = static_cast<__u16>(flow >> 16);
        port->inject(u, "x");
        if (flow % 2 == 0) end(flow - 1); // some before, some after the answer
    }
    for (std::uint64_t flow = 2; flow <= flows; flow += 2)
        end(flow);
    const auto until = began + std::chrono::seconds(240); // instrumented, beside others
    while (engine->contexts().count() > 0 || engine->counters().contexts_made < flows) {
        if (std::chrono::steady_clock::now() > until) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(engine->counters().contexts_made, flows);
    EXPECT_EQ(engine->counters().contexts_deleted, flows);
    EXPECT_EQ(deleted_sum, flows * (flows + 1) / 2);
    RecordProperty("milliseconds", static_cast<int>((std::chrono::steady_clock::now() - began) /
                                                    std::chrono::milliseconds(1)));
}

TEST(FlowAbort, AsksSluicedAndDeletesBeforeItReturns) {
    const std::string path = FakeSluiced::unique_path();
    FakeSluiced sluiced(path);
    runtime::Engine engine(runtime::Engine::Options{path, "test", {}, -1});
    std::atomic<std::uint32_t> status{0};
    sluiced.on_request([&](const protocol::Request &r, protocol::Reply &reply) {
        if (r.has_callout_register()) reply.mutable_callout_registered()->set_slot(4);
        if (r.has_flow_end()) reply.set_status(status);
    });
    auto spec = scripted_callout();
    std::get<FWPS_CALLOUT3>(spec).flowDeleteFn = noting_delete;
    deleted_all.clear();
    const auto id = engine.register_callout(spec);
    ASSERT_TRUE(id);
    EXPECT_EQ(engine.callouts().find(*id)->slot, 4u);
    EXPECT_EQ(engine.abort_flow((2ull << 40) | 9), STATUS_SUCCESS);
    const auto request = sluiced.requests().back().flow_end();
    EXPECT_EQ(request.compartment(), 3u);
    EXPECT_EQ(request.flow(), 9u);
    status = std::uint32_t(STATUS_NOT_FOUND);
    EXPECT_EQ(engine.abort_flow(9), STATUS_NOT_FOUND);
    sluiced.hang_up();
}
