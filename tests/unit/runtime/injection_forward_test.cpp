// SPDX-License-Identifier: Apache-2.0
// Injection into the forward path: what goes down, when a list completes, what is done about a way
// that takes less.
#include "injection_fixture.h"
#include "runtime/fragmentation.h"
#include "runtime/injection_packet.h"
#include "runtime/reassembly.h"

namespace sluice::test {

namespace {

constexpr std::size_t ip_header = 20;

class InjectionForward : public InjectionTest {
protected:
    void SetUp() override {
        InjectionTest::SetUp();
        port->acknowledges = false; // the tests do
    }
    void TearDown() override {
        forwards.lost(*link);
        InjectionTest::TearDown();
    }
    Injection forwarding(BufferList *list, std::uint32_t by = 0) {
        Injection in = receiving(list);
        in.needs = FWPS_INJECTION_TYPE_FORWARD;
        in.kind = DP_INJECT_FORWARD;
        in.ifindex = by;
        return in;
    }
    // As the kernel: about the packet that was sent as the n-th, or (reason 0) all until then.
    void answer(std::uint64_t number, std::uint32_t reason, std::uint32_t mtu = 0) {
        dp_upcall u{};
        u.filter_id = number;
        u.action = reason;
        u.generation = mtu;
        forwards.answered(link, u);
    }
    // A packet of `payload` bytes, each of which shows its place.
    static Bytes packet(std::size_t payload, bool dont_fragment = false, bool v6 = false) {
        Bytes p = v6 ? bytes({0x60, 0, 0, 0, 0, 0, 59, 9}) : udp_packet();
        if (v6) {
            p.resize(40, std::byte{1});
            p[4] = static_cast<std::byte>(payload >> 8);
            p[5] = static_cast<std::byte>(payload);
        } else {
            p.resize(ip_header);
            const std::size_t total = ip_header + payload;
            p[2] = static_cast<std::byte>(total >> 8);
            p[3] = static_cast<std::byte>(total);
            p[6] = std::byte{static_cast<unsigned char>(dont_fragment ? 0x40 : 0)};
            p[9] = std::byte{253}; // of no protocol that has a checksum
        }
        for (std::size_t i = 0; i < payload; ++i)
            p.push_back(static_cast<std::byte>(i % 251));
        return p;
    }
    static Bytes ip_of(const Sent &sent) {
        const auto *at = reinterpret_cast<const std::byte *>(sent.packet.data());
        return Bytes(at + ethernet, at + sent.packet.size());
    }
};

TEST_F(InjectionForward, AListCompletesWhenAllBeforeTheAnswerWasDone) {
    BufferList *const one = list_of(udp_packet()), *const two = list_of(udp_packet());
    ASSERT_EQ(injections.inject(forwarding(one, 7)), STATUS_SUCCESS);
    ASSERT_EQ(injections.inject(forwarding(two)), STATUS_SUCCESS);
    const auto sent = port->sent();
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].header.inject.kind, std::uint32_t{DP_INJECT_FORWARD});
    EXPECT_EQ(sent[0].header.inject.ifindex, 7u);
    EXPECT_EQ(sent[1].header.inject.ifindex, 0u);
    EXPECT_EQ(sent[0].header.count, 0u);
    EXPECT_EQ(sent[0].header.inject.endpoint + 1, sent[1].header.inject.endpoint);
    EXPECT_TRUE(completed.empty());
    EXPECT_EQ(injections.inject(forwarding(one)), STATUS_INVALID_PARAMETER) << "it is the engine's";
    answer(1, 0);
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].list, one);
    answer(2, 0);
    ASSERT_EQ(completed.size(), 2u);
    EXPECT_EQ(completed[1].list, two);
    EXPECT_EQ(completed[1].status, STATUS_SUCCESS);
    answer(2, 0);
    answer(2, DP_REASON_INJECT_NO_ROUTE);
    EXPECT_EQ(completed.size(), 2u) << "once";
}

TEST_F(InjectionForward, WhatTheKernelCouldNotDoIsInTheListsStatus) {
    const struct {
        dp_reason reason;
        NTSTATUS status;
    } rows[] = {{DP_REASON_INJECT_NOT_TRANSIT, STATUS_INVALID_PARAMETER},
                {DP_REASON_INJECT_REFUSED, STATUS_INVALID_PARAMETER},
                {DP_REASON_INJECT_NO_ROUTE, STATUS_NETWORK_UNREACHABLE},
                {DP_REASON_NO_NIC, STATUS_FWP_TCPIP_NOT_READY}};
    std::uint64_t number = 0;
    for (const auto &row : rows) {
        ASSERT_EQ(injections.inject(forwarding(list_of(udp_packet()))), STATUS_SUCCESS);
        answer(++number, row.reason);
        ASSERT_EQ(completed.size(), number);
        EXPECT_EQ(completed.back().status, row.status);
    }
    answer(number, 0);
    EXPECT_EQ(completed.size(), number);
}

TEST_F(InjectionForward, IPv4IsFragmentedAsTheWayWants) {
    const Bytes whole = packet(2000);
    ASSERT_EQ(injections.inject(forwarding(list_of(whole), 7)), STATUS_SUCCESS);
    answer(1, DP_REASON_INJECT_TOO_BIG, 576);
    const auto sent = port->sent();
    ASSERT_EQ(sent.size(), 1u + 4);
    Bytes payload;
    for (std::size_t i = 1; i < sent.size(); ++i) {
        EXPECT_EQ(sent[i].header.inject.endpoint, 2u) << "one number";
        EXPECT_EQ(sent[i].header.inject.ifindex, 7u);
        const Bytes p = ip_of(sent[i]);
        EXPECT_LE(p.size(), 576u);
        EXPECT_EQ(word_of(p, 6), payload.size() / 8 | (i + 1 < sent.size() ? 0x2000 : 0));
        EXPECT_EQ(fold(sum(std::span(p).first(ip_header), 0)), 0xFFFF);
        payload.insert(payload.end(), p.begin() + ip_header, p.end());
    }
    EXPECT_EQ(payload, Bytes(whole.begin() + ip_header, whole.end()));
    EXPECT_TRUE(completed.empty());
    answer(1, 0);
    EXPECT_TRUE(completed.empty()) << "that was about what came before";
    answer(2, 0);
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].status, STATUS_SUCCESS);
}

TEST_F(InjectionForward, OneLostFragmentIsAnErrorOfTheList) {
    ASSERT_EQ(injections.inject(forwarding(list_of(packet(1000)))), STATUS_SUCCESS);
    answer(1, DP_REASON_INJECT_TOO_BIG, 576);
    answer(2, DP_REASON_INJECT_NO_ROUTE);
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].status, STATUS_NETWORK_UNREACHABLE);
    answer(2, DP_REASON_INJECT_NO_ROUTE);
    EXPECT_EQ(completed.size(), 1u);
}

TEST_F(InjectionForward, AWayThatTakesEverLessIsGivenUp) {
    ASSERT_EQ(injections.inject(forwarding(list_of(packet(1000)))), STATUS_SUCCESS);
    for (std::uint64_t number = 1; number <= 5; ++number) {
        EXPECT_TRUE(completed.empty());
        answer(number, DP_REASON_INJECT_TOO_BIG, 576);
    }
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].status, STATUS_BUFFER_OVERFLOW);
}

TEST_F(InjectionForward, MoreThanAFrameIsAskedAboutFirst) {
    const Bytes whole = packet(9000);
    ASSERT_EQ(injections.inject(forwarding(list_of(whole))), STATUS_SUCCESS);
    auto sent = port->sent();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].header.count, whole.size());
    EXPECT_EQ(word_of(ip_of(sent[0]), 2), ip_of(sent[0]).size()) << "a packet by itself";
    answer(1, DP_REASON_INJECT_TOO_BIG, DP_INJECT_BYTES);
    sent = port->sent();
    EXPECT_EQ(sent.size(), 1u + 3);
    answer(2, 0);
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].status, STATUS_SUCCESS);
}

TEST_F(InjectionForward, WithDontFragmentAndIPv6TheListHasTheError) {
    ASSERT_EQ(injections.inject(forwarding(list_of(packet(1000, true)))), STATUS_SUCCESS);
    answer(1, DP_REASON_INJECT_TOO_BIG, 576);
    Injection in = forwarding(list_of(packet(2000, false, true)));
    in.family = SLUICE_AF_INET6;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    answer(2, DP_REASON_INJECT_TOO_BIG, 1280);
    ASSERT_EQ(completed.size(), 2u);
    EXPECT_EQ(completed[0].status, STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(completed[1].status, STATUS_BUFFER_OVERFLOW);
    EXPECT_EQ(port->sent().size(), 2u)
        << "nobody is told: no interface is known where they came in";
}

TEST_F(InjectionForward, TheSenderOfAForwardedPacketIsTold) {
    auto origin = std::make_shared<PacketOrigin>();
    origin->compartment = 1;
    origin->arrival = 4;
    auto &memory = memories.emplace_back(std::make_unique<Bytes>(packet(1000, true)));
    BufferList *const list = BufferList::indicated(
        *memory, 0, static_cast<std::uint32_t>(memory->size()), nullptr, origin);
    lists.push_back(list);
    ASSERT_EQ(injections.inject(forwarding(list)), STATUS_SUCCESS);
    answer(1, DP_REASON_INJECT_TOO_BIG, 576);
    const auto sent = port->sent();
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[1].header.inject.kind, std::uint32_t{DP_INJECT_TOO_BIG});
    EXPECT_EQ(sent[1].header.inject.ifindex, 4u);
    EXPECT_EQ(ip_of(sent[1])[8], std::byte{64}) << "it does not die before it is too big";
    EXPECT_EQ(completed.size(), 1u);
}

TEST_F(InjectionForward, WhatDoesNotFitIsRefusedAndStays) {
    const auto refused = [&](BufferList *list, NTSTATUS status = STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(injections.inject(forwarding(list)), status);
    };
    Bytes longer = packet(100);
    longer[2] = std::byte{1}; // says more than there is
    refused(list_of(longer));
    refused(list_of({}));
    refused(list_of(packet(100, false, true))); // not the family's
    refused(list_of(Bytes(70000, std::byte{0x45})));
    Bytes fragment = packet(800);
    fragment[6] = std::byte{0x20};
    BufferList *const first = list_of(fragment), *const second = list_of(packet(8));
    first->Next = second;
    refused(first); // a group
    first->Next = nullptr;
    EXPECT_EQ(injections.inject(forwarding(first)), STATUS_SUCCESS) << "one fragment alone";
    HANDLE other = nullptr;
    ASSERT_EQ(injections.create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_TRANSPORT, &other),
              STATUS_SUCCESS);
    Injection in = forwarding(second);
    in.handle = other;
    EXPECT_EQ(injections.inject(in), STATUS_FWP_INJECT_HANDLE_STALE);
    port->refuse_sends(0);
    refused(second, STATUS_INSUFFICIENT_RESOURCES);
    port->close();
    refused(second, STATUS_FWP_TCPIP_NOT_READY);
    EXPECT_TRUE(completed.empty());
    forwards.lost(*link);
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].status, STATUS_FWP_TCPIP_NOT_READY);
}

TEST_F(InjectionForward, WhatGetsNoAnswerIsAskedForAgainAndGivenUp) {
    ASSERT_EQ(injections.inject(forwarding(list_of(udp_packet()))), STATUS_SUCCESS);
    const auto start = Forwards::Clock::now();
    forwards.tick(start + std::chrono::seconds(1));
    EXPECT_TRUE(completed.empty());
    forwards.tick(start + std::chrono::seconds(6));
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].status, STATUS_IO_TIMEOUT);
    answer(1, 0);
    EXPECT_EQ(completed.size(), 1u);
    EXPECT_EQ(injections.destroy(handle), STATUS_SUCCESS) << "nothing is outstanding";
}

// What is cut once more, and put together again, is the packet.
TEST(Fragmentation, PiecesOfPiecesMakeThePacket) {
    Bytes p = udp_packet();
    p.resize(20);
    p[6] = std::byte{0};
    const std::size_t payload = 3001;
    p[2] = static_cast<std::byte>((payload + 24) >> 8);
    p[3] = static_cast<std::byte>(payload + 24);
    p[0] = std::byte{0x46};
    p.insert(p.end(), {std::byte{0x94}, std::byte{4}, std::byte{0}, std::byte{0}}); // to be copied
    for (std::size_t i = 0; i < payload; ++i)
        p.push_back(static_cast<std::byte>(i * 7));
    Bytes again(payload);
    std::size_t ends = 0, count = 0;
    for (const auto &piece : fragments(p, 1500))
        for (const auto &part : fragments(piece, 200)) {
            ++count;
            EXPECT_LE(part.size(), 200u);
            EXPECT_EQ(part[0], std::byte{0x46});
            const std::size_t at = (word_of(part, 6) & 0x1FFF) * 8u;
            ends += (word_of(part, 6) & 0x2000) == 0;
            ASSERT_LE(at + part.size() - 24, payload);
            std::copy(part.begin() + 24, part.end(),
                      again.begin() + static_cast<std::ptrdiff_t>(at));
        }
    EXPECT_EQ(ends, 1u);
    EXPECT_GT(count, 15u);
    EXPECT_EQ(again, Bytes(p.begin() + 24, p.end()));
}

TEST(Fragmentation, OptionsThatAreNotToBeCopiedStandInTheFirst) {
    Bytes p = udp_packet();
    p.resize(20);
    p[0] = std::byte{0x47};
    p[6] = std::byte{0};
    // record route (7, three bytes: not copied), nothing (1), router alert (0x94: copied)
    p.insert(p.end(), {std::byte{7}, std::byte{3}, std::byte{4}, std::byte{1}, std::byte{0x94},
                       std::byte{4}, std::byte{0}, std::byte{0}});
    p.resize(28 + 600);
    p[2] = std::byte{628 >> 8};
    p[3] = static_cast<std::byte>(628 & 0xFF);
    const auto pieces = fragments(p, 300);
    ASSERT_EQ(pieces.size(), 3u);
    EXPECT_EQ(pieces[0][0], std::byte{0x47});
    EXPECT_EQ(pieces[1][0], std::byte{0x46});
    EXPECT_EQ(pieces[1][20], std::byte{0x94});
    p[6] = std::byte{0x40};
    EXPECT_TRUE(fragments(p, 300).empty());
    EXPECT_TRUE(fragments(p, 60).empty());
    EXPECT_TRUE(fragments({}, 300).empty());
}

} // namespace

} // namespace sluice::test
