// SPDX-License-Identifier: Apache-2.0
#include "host_fixture.h"

#include <stdexcept>

using namespace sluice;
using namespace sluice::test;
using PortLoop = HostTest;

TEST_F(PortLoop, ASlowClassifyDelaysOnlyItself) {
    script = [](const Asked &a) {
        if (a.values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT].value.uint16 == 1)
            std::this_thread::sleep_for(std::chrono::milliseconds(400));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(1), "slow");
    port->inject(upcall(2), "quick");
    const auto sent = port->wait_sent(2);
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].packet, "quick");
    EXPECT_GE(engine->counters().handoffs, 1u);
}

TEST_F(PortLoop, SeveralSlowOnesDoNotStopIt) {
    std::atomic<bool> go{false};
    script = [&](const Asked &a) {
        const auto which =
            a.values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT].value.uint16;
        while (which <= 4 && !go)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        a.answer(FWP_ACTION_PERMIT);
    };
    for (std::uint64_t flow = 1; flow <= 5; ++flow)
        port->inject(upcall(flow), std::to_string(flow));
    EXPECT_EQ(port->wait_sent(1).at(0).packet, "5");
    go = true;
    EXPECT_EQ(port->wait_sent(5).size(), 5u);
}

TEST_F(PortLoop, ManySlowOnesCostOthersAsMuchAsOne) {
    constexpr std::uint64_t many = 60; // at 50 ms each, three seconds
    std::atomic<bool> go{false};
    script = [&](const Asked &a) {
        const auto which =
            a.values->incomingValue[FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT].value.uint16;
        while (which <= many && !go)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        a.answer(FWP_ACTION_PERMIT);
    };
    const auto began = std::chrono::steady_clock::now();
    for (std::uint64_t flow = 1; flow <= many + 1; ++flow)
        port->inject(upcall(flow), std::to_string(flow));
    EXPECT_EQ(port->wait_sent(1).at(0).packet, std::to_string(many + 1));
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1500));
    go = true;
    EXPECT_EQ(port->wait_sent(many + 1).size(), many + 1);
}

TEST_F(PortLoop, PacketsBehindASlowClassifyKeepTheirOrder) {
    script = [](const Asked &a) {
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        a.answer(FWP_ACTION_PERMIT);
    };
    port->inject(upcall(1), "0");
    for (const char *text : {"1", "2", "3", "4"})
        port->inject(upcall(1, 17, DP_UPCALL_QUEUED), text);
    std::string all;
    for (const auto &s : port->wait_sent(5))
        all += s.packet;
    EXPECT_EQ(all, "01234");
}

TEST_F(PortLoop, WhatIsNoUpcallIsCountedAndDropped) {
    script = [](const Asked &a) { a.answer(FWP_ACTION_PERMIT); };
    dp_upcall bad = upcall(1);
    bad.kind = 9;
    port->inject(bad, "x");
    bad = upcall(1);
    bad.l4_offset = 2;
    port->inject(bad, "x");
    port->inject(upcall(2), "good");
    EXPECT_EQ(port->wait_sent(1).at(0).packet, "good");
    EXPECT_EQ(engine->counters().unexpected_frames, 2u);
}

TEST_F(PortLoop, AnUnknownFilterIsBlocked) {
    dp_upcall u = upcall(1);
    u.filter_id = 12345;
    port->inject(u, "x");
    EXPECT_EQ(port->wait_sent(1).at(0).header.action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().unknown_filters, 1u);
}

TEST_F(PortLoop, ACalloutThatThrowsBlocks) {
    script = [](const Asked &) { throw std::runtime_error("no"); };
    port->inject(upcall(1), "x");
    EXPECT_EQ(port->wait_sent(1).at(0).header.action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().callout_exceptions, 1u);
}

TEST_F(PortLoop, AnAnswerThatIsNoneBlocks) {
    script = [](const Asked &a) { a.out->actionType = 0x99; };
    port->inject(upcall(1), "x");
    EXPECT_EQ(port->wait_sent(1).at(0).header.action, FWP_ACTION_BLOCK);
    EXPECT_EQ(engine->counters().invalid_answers, 1u);
}

TEST_F(PortLoop, AnInspectionAlwaysContinues) {
    install(0, FWP_ACTION_CALLOUT_INSPECTION);
    script = [](const Asked &a) { a.answer(FWP_ACTION_BLOCK); };
    port->inject(upcall(1), "x");
    EXPECT_EQ(port->wait_sent(1).at(0).header.action, FWP_ACTION_CONTINUE);
}
