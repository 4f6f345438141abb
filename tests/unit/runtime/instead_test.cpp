// SPDX-License-Identifier: Apache-2.0
// A callout that absorbs a packet and injects its clone: what goes down, and what it is shown.
#include "host_fixture.h"

#include "runtime/net_buffer.h"
#include "runtime/net_buffer_data.h"

namespace sluice::test {
namespace {

using namespace runtime;

constexpr std::uint16_t in_v4 = FWPS_LAYER_INBOUND_IPPACKET_V4;

class Instead : public HostTest {
protected:
    void SetUp() override {
        HostTest::SetUp();
        ASSERT_EQ(engine->injections().create(SLUICE_AF_INET, FWPS_INJECTION_TYPE_NETWORK, &handle),
                  STATUS_SUCCESS);
        script = [this](const Asked &a) { asked(a); };
    }
    // UDP 10.0.0.2:53 to 10.0.0.1:9, on interface 3.
    static std::string packet() {
        const unsigned char ip[] = {0x45, 0,  0, 32, 0,   7,  0,   0,   33,  17, 0,
                                    0,    10, 0, 0,  2,   10, 0,   0,   1,   0,  53,
                                    0,    9,  0, 12, 0x5, 1,  'a', 'b', 'c', 'd'};
        return std::string(12, '\xAA') + std::string("\x08\x00", 2) +
               std::string(reinterpret_cast<const char *>(ip), sizeof ip);
    }
    dp_upcall question(std::uint8_t flags) const {
        dp_upcall u = upcall(1);
        u.flow = 0;
        u.ticket = 0x500;
        u.generation = 0x100000009;
        u.layer = in_v4;
        u.flags = flags;
        u.ifindex = 3;
        u.direction = DP_DIRECTION_INBOUND;
        u.ip_offset = 14;
        u.l4_offset = 34;
        return u;
    }
    void asked(const Asked &a) {
        auto *list = static_cast<NET_BUFFER_LIST *>(a.layer_data);
        HANDLE context = nullptr;
        states.push_back(engine->injections().state(handle, list, &context));
        if (states.back() == FWPS_PACKET_INJECTED_BY_SELF) {
            contexts.push_back(context);
            a.answer(again);
            return;
        }
        for (int i = 0; i < clones; ++i)
            inject(list);
        if (pause.count() > 0) std::this_thread::sleep_for(pause);
        a.answer(FWP_ACTION_BLOCK, absorb ? FWPS_CLASSIFY_OUT_FLAG_ABSORB : 0);
    }
    void inject(NET_BUFFER_LIST *list) {
        // At INBOUND_IPPACKET the data begins behind the header.
        ASSERT_EQ(retreat(*list->FirstNetBuffer, 20, 0, nullptr), NDIS_STATUS_SUCCESS);
        BufferList *clone = BufferList::clone(*BufferList::of(list), changed_port);
        advance(*list->FirstNetBuffer, 20, true, nullptr);
        ASSERT_TRUE(clone);
        const NET_BUFFER &buffer = *clone->FirstNetBuffer;
        if (changed_port)
            static_cast<char *>(buffer.CurrentMdl->MappedSystemVa)[buffer.CurrentMdlOffset + 21]++;
        Injection in;
        in.handle = handle;
        in.needs = FWPS_INJECTION_TYPE_NETWORK;
        in.context = reinterpret_cast<HANDLE>(0x77);
        in.kind = DP_INJECT_RECEIVE;
        in.ifindex = 3;
        in.lists = clone;
        in.done = [](VOID *, NET_BUFFER_LIST *done, BOOLEAN) { BufferList::of(done)->release(); };
        EXPECT_EQ(engine->injections().inject(in), STATUS_SUCCESS);
    }

    HANDLE handle = nullptr;
    int clones = 1;
    bool absorb = true, changed_port = false;
    std::chrono::milliseconds pause{0};
    FWP_ACTION_TYPE again = FWP_ACTION_PERMIT;
    std::vector<FWPS_PACKET_INJECTION_STATE> states;
    std::vector<HANDLE> contexts;
};

TEST_F(Instead, OneFrameSaysThatItWasAbsorbedAndWhatStandsInItsPlace) {
    port->inject(question(DP_UPCALL_ALONE), packet());
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(sent.size(), 1u);
    const dp_downcall &d = sent[0].header;
    EXPECT_EQ(d.kind, DP_DOWNCALL_INSTEAD);
    EXPECT_EQ(d.ticket, 0x500u);
    EXPECT_EQ(d.filter_id, filter_id);
    EXPECT_EQ(d.action, DP_ACTION_BLOCK);
    EXPECT_TRUE(d.flags & DP_DOWNCALL_ABSORB);
    EXPECT_EQ(d.inject.kind, DP_INJECT_RECEIVE);
    EXPECT_EQ(d.count, 1u) << "how often it was injected";
    EXPECT_EQ(sent[0].packet.size(), packet().size());
    // And the callout has been shown it.
    ASSERT_EQ(states, (std::vector{FWPS_PACKET_NOT_INJECTED, FWPS_PACKET_INJECTED_BY_SELF}));
    EXPECT_EQ(contexts.at(0), reinterpret_cast<HANDLE>(0x77));
    EXPECT_EQ(d.ahead.filter_id, filter_id);
    EXPECT_EQ(d.ahead.action, DP_ACTION_PERMIT);
    EXPECT_EQ(d.ahead.running_action, DP_ACTION_NONE);
    EXPECT_EQ(d.ahead.running_rights, DP_RIGHT_ACTION_WRITE);
    EXPECT_EQ(d.ahead.ifindex, 3u);
    EXPECT_EQ(d.ahead.generation, 9u);
    EXPECT_EQ(engine->counters().answered_ahead, 1u);
    EXPECT_EQ(engine->counters().upcalls, 1u);
    engine.reset();
    EXPECT_EQ(port->free_frames(), 64u);
}

TEST_F(Instead, WhatItSaysOfItsOwnPacketIsTheAnswer) {
    again = FWP_ACTION_BLOCK;
    port->inject(question(DP_UPCALL_ALONE), packet());
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].header.ahead.action, DP_ACTION_BLOCK);
    EXPECT_EQ(sent[0].header.ahead.flags, 0) << "not absorbed: it is an event";
    EXPECT_EQ(sent[0].header.ahead.rights, 0);
}

// Others may be shown what is absorbed: it goes down itself, and the clone comes up again.
TEST_F(Instead, WithOthersBehindBothGoDown) {
    port->inject(question(0), packet());
    const auto sent = port->wait_sent(2);
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_INJECT);
    EXPECT_EQ(sent[0].header.ahead.filter_id, 0u);
    EXPECT_EQ(sent[1].header.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(sent[1].packet, packet());
    EXPECT_EQ(states.size(), 1u);
}

TEST_F(Instead, ABlockThatIsNotSilentIsAnAnswerOfItsOwn) {
    absorb = false;
    port->inject(question(DP_UPCALL_ALONE), packet());
    const auto sent = port->wait_sent(2);
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_INJECT);
    EXPECT_EQ(sent[1].header.kind, DP_DOWNCALL_ANSWER);
    EXPECT_EQ(states.size(), 1u);
}

TEST_F(Instead, WhatOtherFiltersMayMatchIsAskedAboutByTheKernel) {
    changed_port = true;
    port->inject(question(DP_UPCALL_ALONE), packet());
    const auto sent = port->wait_sent(1);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_INSTEAD);
    EXPECT_EQ(sent[0].header.ahead.filter_id, 0u);
    EXPECT_EQ(states.size(), 1u);
}

TEST_F(Instead, OfSeveralTheLastStandsInItsPlaceAndTheOrderStays) {
    clones = 3;
    port->inject(question(DP_UPCALL_ALONE), packet());
    const auto sent = port->wait_sent(3);
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].header.kind, DP_DOWNCALL_INJECT);
    EXPECT_EQ(sent[1].header.kind, DP_DOWNCALL_INJECT);
    EXPECT_EQ(sent[2].header.kind, DP_DOWNCALL_INSTEAD);
}

// Who takes long in its classify waits for nothing of this: the thread that watches sends it.
TEST_F(Instead, WhatASlowCalloutInjectedGoesBeforeItsAnswer) {
    pause = std::chrono::milliseconds(300);
    port->inject(question(DP_UPCALL_ALONE), packet());
    ASSERT_EQ(port->wait_sent(1).at(0).header.kind, DP_DOWNCALL_INJECT);
    const auto sent = port->wait_sent(2);
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[1].header.kind, DP_DOWNCALL_ANSWER);
}

} // namespace
} // namespace sluice::test
