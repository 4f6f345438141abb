// SPDX-License-Identifier: Apache-2.0
// Completions, handles, states of packets, ports that are full or gone.
#include <thread>

#include "injection_fixture.h"

using namespace sluice;
using namespace sluice::test;

TEST_F(InjectionTest, EachListOfAChainCompletesByItself) {
    BufferList *one = list_of(udp_packet()), *two = list_of(udp_packet());
    one->Next = two;
    ASSERT_EQ(injections.inject(receiving(one)), STATUS_SUCCESS);
    ASSERT_EQ(completed.size(), 2u);
    EXPECT_EQ(completed[0].list, one);
    EXPECT_EQ(completed[1].list, two);
    EXPECT_EQ(one->Next, nullptr);
    EXPECT_EQ(port->sent().size(), 2u);
    // One that is malformed takes the chain with it, before anything was sent.
    one->Next = list_of(bytes({1, 2, 3}));
    EXPECT_EQ(injections.inject(receiving(one)), STATUS_INVALID_PARAMETER);
    EXPECT_NE(one->Next, nullptr);
    EXPECT_EQ(completed.size(), 2u);
    EXPECT_EQ(port->sent().size(), 2u);
    one->Next = nullptr;
}

TEST_F(InjectionTest, AFullWayIsAnErrorNeverALoss) {
    std::vector<xsk::Frame> all;
    while (auto frame = port->allocate())
        all.push_back(*std::move(frame));
    EXPECT_EQ(injections.inject(receiving(list_of(udp_packet()))), STATUS_INSUFFICIENT_RESOURCES);
    all.pop_back();
    BufferList *one = list_of(udp_packet());
    one->Next = list_of(udp_packet());
    EXPECT_EQ(injections.inject(receiving(one)), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_TRUE(completed.empty());
    one->Next = nullptr;
    EXPECT_EQ(injections.inject(receiving(one)), STATUS_SUCCESS);
}

TEST_F(InjectionTest, ARingThatFillsUpBehindTheFirstIsTold) {
    BufferList *one = list_of(udp_packet()), *two = list_of(udp_packet());
    port->refuse_sends(0);
    EXPECT_EQ(injections.inject(receiving(one)), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_TRUE(completed.empty());
    port->refuse_sends(1);
    one->Next = two;
    EXPECT_EQ(injections.inject(receiving(one)), STATUS_SUCCESS);
    ASSERT_EQ(completed.size(), 2u);
    EXPECT_EQ(completed[0].status, STATUS_SUCCESS);
    EXPECT_EQ(completed[1].status, STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(two->Status, STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(port->free_frames(), 64u);
}

TEST_F(InjectionTest, WithoutAPortThereIsNoWay) {
    Injection in = receiving(list_of(udp_packet()));
    in.compartment = 2;
    EXPECT_EQ(injections.inject(in), STATUS_FWP_TCPIP_NOT_READY);
    port_there = false;
    in.compartment = UNSPECIFIED_COMPARTMENT_ID;
    EXPECT_EQ(injections.inject(in), STATUS_FWP_TCPIP_NOT_READY);
    port_there = true;
    port->close();
    EXPECT_EQ(injections.inject(in), STATUS_FWP_TCPIP_NOT_READY);
    EXPECT_TRUE(completed.empty());
}

TEST_F(InjectionTest, AHandleIsOfItsKindsAndEndsForGood) {
    HANDLE stream = nullptr, inet = nullptr;
    ASSERT_EQ(injections.create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &stream),
              STATUS_SUCCESS);
    ASSERT_EQ(injections.create(SLUICE_AF_INET6, 0, &inet), STATUS_SUCCESS);
    Injection in = receiving(list_of(udp_packet()));
    in.handle = stream;
    EXPECT_EQ(injections.inject(in), STATUS_FWP_INJECT_HANDLE_STALE);
    in.handle = inet;
    EXPECT_EQ(injections.inject(in), STATUS_INVALID_PARAMETER);
    for (const std::uintptr_t none : {std::uintptr_t(0), std::uintptr_t(1), ~std::uintptr_t(0)}) {
        in.handle = reinterpret_cast<HANDLE>(none);
        EXPECT_EQ(injections.inject(in), STATUS_INVALID_HANDLE);
        EXPECT_EQ(injections.destroy(in.handle), STATUS_INVALID_HANDLE);
    }
    EXPECT_EQ(injections.destroy(handle), STATUS_SUCCESS);
    EXPECT_EQ(injections.destroy(handle), STATUS_FWP_INJECT_HANDLE_CLOSING);
    EXPECT_EQ(injections.inject(receiving(list_of(udp_packet()))),
              STATUS_FWP_INJECT_HANDLE_CLOSING);
}

TEST_F(InjectionTest, DestroyWaitsForTheCompletionAndNotInsideIt) {
    struct State {
        InjectionTest *test;
        std::atomic<int> inside{0};
        std::atomic<bool> go{false}, over{false};
        NTSTATUS nested = STATUS_SUCCESS;
        Injections *injections;
        HANDLE handle;
    } state{this, {}, {}, {}, STATUS_SUCCESS, &injections, handle};
    Injection in = receiving(list_of(udp_packet()));
    in.done_context = &state;
    in.done = [](VOID *context, NET_BUFFER_LIST *, BOOLEAN) {
        auto &s = *static_cast<State *>(context);
        s.nested = s.injections->destroy(s.handle);
        s.inside = 1;
        while (!s.go)
            std::this_thread::yield();
        s.over = true;
    };
    std::thread injecting([&] { EXPECT_EQ(injections.inject(in), STATUS_SUCCESS); });
    while (state.inside == 0)
        std::this_thread::yield();
    EXPECT_EQ(state.nested, STATUS_FWP_IN_USE);
    std::thread opening([&] {
        while (injections.state(handle, nullptr, nullptr) != FWPS_PACKET_INJECTION_STATE_MAX)
            std::this_thread::yield();
        state.go = true;
    });
    EXPECT_EQ(injections.destroy(handle), STATUS_SUCCESS);
    EXPECT_TRUE(state.over);
    injecting.join();
    opening.join();
}

TEST_F(InjectionTest, StatesAreThoseOfThePacket) {
    HANDLE other = nullptr, context = nullptr;
    ASSERT_EQ(injections.create(SLUICE_AF_UNSPEC, 0, &other), STATUS_SUCCESS);
    const auto mine = static_cast<__u32>(reinterpret_cast<std::uintptr_t>(handle));
    const auto its = static_cast<__u32>(reinterpret_cast<std::uintptr_t>(other));
    EXPECT_EQ(injections.state(handle, clone_of(udp_packet()), &context), FWPS_PACKET_NOT_INJECTED);
    EXPECT_EQ(injections.state(handle, nullptr, &context), FWPS_PACKET_NOT_INJECTED);
    EXPECT_EQ(injections.state(nullptr, nullptr, &context), FWPS_PACKET_INJECTION_STATE_MAX);
    BufferList *by_me = clone_of(udp_packet(), {5, mine, 0, 0, 0, 0x99});
    EXPECT_EQ(injections.state(other, by_me, &context), FWPS_PACKET_INJECTED_BY_OTHER);
    EXPECT_EQ(context, nullptr);
    EXPECT_EQ(injections.state(handle, by_me, &context), FWPS_PACKET_INJECTED_BY_SELF);
    EXPECT_EQ(context, reinterpret_cast<HANDLE>(0x99));
    // The other handle injects a clone of it.
    Injection in = sending(by_me);
    in.handle = other;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    const dp_injection sent = port->sent()[0].header.inject;
    EXPECT_EQ(sent.handle, its);
    EXPECT_EQ(sent.previous, mine);
    BufferList *again = clone_of(udp_packet(), {5, sent.handle, sent.previous, 0, 0, sent.context});
    context = nullptr;
    EXPECT_EQ(injections.state(handle, again, &context), FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF);
    EXPECT_EQ(context, reinterpret_cast<HANDLE>(0x99));
    EXPECT_EQ(injections.state(other, again, nullptr), FWPS_PACKET_INJECTED_BY_SELF);
    // A handle that injects it once more stays "before".
    in = sending(again);
    in.handle = other;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    EXPECT_EQ(port->sent()[1].header.inject.previous, mine);
    // Another process's handles have the same numbers.
    BufferList *foreign = clone_of(udp_packet(), {6, mine, mine, 0, 0, 1});
    EXPECT_EQ(injections.state(handle, foreign, nullptr), FWPS_PACKET_INJECTED_BY_OTHER);
    EXPECT_EQ(injections.state(other, foreign, nullptr), FWPS_PACKET_INJECTED_BY_OTHER);
}

// Two processes that inject all they see: each knows again what the other has injected of its own.
TEST_F(InjectionTest, WhatAnotherProcessInjectedAgainIsKnown) {
    const auto mine = static_cast<__u32>(reinterpret_cast<std::uintptr_t>(handle));
    BufferList *first = clone_of(udp_packet(), {6, 0x88, 0, 1, 0, 1});
    ASSERT_EQ(injections.inject(sending(first)), STATUS_SUCCESS);
    const dp_injection sent = port->sent()[0].header.inject;
    EXPECT_EQ(sent.previous, 0x88u);
    EXPECT_EQ(sent.previous_host, 6);
    EXPECT_EQ(port->sent()[0].header.count, 2u);
    HANDLE context = reinterpret_cast<HANDLE>(1);
    BufferList *again = clone_of(udp_packet(), {6, 0x88, mine, 2, 5, 1});
    EXPECT_EQ(injections.state(handle, again, &context), FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF);
    EXPECT_EQ(context, nullptr) << "the kernel carries that of the last one only";
    BufferList *others = clone_of(udp_packet(), {6, 0x88, mine, 2, 7, 1});
    EXPECT_EQ(injections.state(handle, others, nullptr), FWPS_PACKET_INJECTED_BY_OTHER);
}

TEST_F(InjectionTest, ACompletionThatThrowsIsCounted) {
    Injection in = receiving(list_of(udp_packet()));
    in.done = [](VOID *, NET_BUFFER_LIST *, BOOLEAN) { throw 1; };
    EXPECT_EQ(injections.inject(in), STATUS_SUCCESS);
    EXPECT_EQ(counters.callout_exceptions, 1u);
    EXPECT_EQ(injections.destroy(handle), STATUS_SUCCESS);
}

TEST_F(InjectionTest, ManyThreadsInjectAtATime) {
    std::vector<std::thread> threads;
    std::atomic<int> done{0}, refused{0};
    std::vector<BufferList *> mine;
    for (int t = 0; t < 4; ++t)
        mine.push_back(list_of(udp_packet()));
    for (BufferList *list : mine) {
        threads.emplace_back([&, list] {
            Injection in = receiving(list);
            in.done_context = &done;
            in.done = [](VOID *context, NET_BUFFER_LIST *, BOOLEAN) {
                ++*static_cast<std::atomic<int> *>(context);
            };
            for (int i = 0; i < 200; ++i)
                refused += injections.inject(in) != STATUS_SUCCESS;
        });
    }
    for (auto &thread : threads)
        thread.join();
    EXPECT_EQ(done + refused, 800);
    EXPECT_EQ(port->sent().size(), static_cast<std::size_t>(done));
}
