// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include <gtest/gtest.h>

#include "fake_port.h"
#include "runtime/checksum.h"
#include "runtime/holds.h"
#include "runtime/injection.h"
#include "runtime/injection_control.h"
#include "runtime/net_buffer_pool.h"

using namespace sluice;
using namespace sluice::runtime;
using sluice::test::FakePort;

namespace {

constexpr std::size_t ethernet = 14;
using Bytes = std::vector<std::byte>;

Bytes bytes(std::initializer_list<int> values) {
    Bytes out;
    for (const int v : values)
        out.push_back(static_cast<std::byte>(v));
    return out;
}

// UDP from 10.0.0.1:1024 to 10.0.0.2:53 with four bytes, checksum 0.
Bytes udp_segment() {
    return bytes({4, 0, 0, 53, 0, 12, 0, 0, 'a', 'b', 'c', 'd'});
}
Bytes udp_packet() {
    Bytes p = bytes({0x45, 0, 0, 32, 0, 7, 0x40, 0, 33, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});
    const Bytes segment = udp_segment();
    p.insert(p.end(), segment.begin(), segment.end());
    return p;
}

struct Completion {
    NET_BUFFER_LIST *list;
    NTSTATUS status;
};

class InjectionTest : public ::testing::Test {
protected:
    void SetUp() override {
        link->io = port;
        link->compartment = 1;
        link->host_id = 5;
        pool = buffer_pools().add({true, true, 0, 0});
        ASSERT_EQ(injections.create(SLUICE_AF_UNSPEC, 0, &handle), STATUS_SUCCESS);
    }
    void TearDown() override {
        for (auto *list : lists)
            list->release();
        buffer_pools().remove(pool, true);
        EXPECT_EQ(link->kept, 0u);
    }

    BufferList *list_of(const Bytes &data) {
        auto &memory = memories.emplace_back(std::make_unique<Bytes>(data));
        auto &mdl = mdls.emplace_back(std::make_unique<MDL>());
        mdl->MappedSystemVa = memory->data();
        mdl->ByteCount = static_cast<ULONG>(memory->size());
        BufferList *list = make_list(buffer_pools().find(pool), 0, 0);
        list->add_buffer(mdl.get(), 0, mdl->ByteCount);
        lists.push_back(list);
        return list;
    }
    // As if the packet had come up for socket 9: a clone of it, data at the transport header.
    BufferList *clone_of(const Bytes &packet, dp_injected injected = {}) {
        auto origin = std::make_shared<PacketOrigin>();
        origin->compartment = 1;
        origin->ifindex = 3;
        origin->host = 5;
        origin->endpoint = 9;
        origin->key.protocol = 17;
        origin->key.local = {0, 0xFFFF0A000001ull};
        origin->hop_limit = 33;
        origin->traffic_class = 4;
        origin->injected = injected;
        origin->ethernet_addresses.fill(std::byte{0xAA});
        auto &memory = memories.emplace_back(std::make_unique<Bytes>(packet));
        BufferList *list =
            BufferList::indicated(*memory, 20, static_cast<std::uint32_t>(packet.size() - 20),
                                  nullptr, std::move(origin));
        BufferList *clone = BufferList::clone(*list, false);
        list->release();
        lists.push_back(clone);
        return clone;
    }
    Injection receiving(BufferList *list) {
        Injection in;
        in.handle = handle;
        in.needs = FWPS_INJECTION_TYPE_TRANSPORT;
        in.context = reinterpret_cast<HANDLE>(0x77);
        in.kind = DP_INJECT_RECEIVE;
        in.family = SLUICE_AF_INET;
        in.ifindex = 3;
        in.lists = list;
        in.done = [](VOID *context, NET_BUFFER_LIST *done, BOOLEAN) {
            static_cast<InjectionTest *>(context)->completed.push_back({done, done->Status});
        };
        in.done_context = this;
        return in;
    }
    Injection sending(BufferList *list) {
        Injection in = receiving(list);
        in.kind = DP_INJECT_SEND;
        in.ifindex = 0;
        in.endpoint = 9;
        send_args.remoteAddress = remote;
        in.send = &send_args;
        return in;
    }
    // The packet of the last downcall, from its IP header on.
    Bytes sent_packet() {
        const auto sent = port->sent();
        if (sent.empty()) return {};
        const std::string &p = sent.back().packet;
        const auto *at = reinterpret_cast<const std::byte *>(p.data());
        return Bytes(at + ethernet, at + p.size());
    }

    std::shared_ptr<FakePort> port = std::make_shared<FakePort>();
    std::shared_ptr<PortLink> link = std::make_shared<PortLink>();
    bool port_there = true;
    Counters counters;
    Endpoints endpoints;
    Injections injections{[this](std::uint32_t c) -> std::shared_ptr<PortLink> {
                              return port_there && c <= 1 ? link : nullptr;
                          },
                          endpoints, counters};
    HANDLE handle = nullptr;
    NDIS_HANDLE pool = nullptr;
    UCHAR remote[16] = {10, 0, 0, 99};
    FWPS_TRANSPORT_SEND_PARAMS1 send_args{};
    std::vector<std::unique_ptr<Bytes>> memories;
    std::vector<std::unique_ptr<MDL>> mdls;
    std::vector<BufferList *> lists;
    std::vector<Completion> completed;
};

std::uint16_t word_of(const Bytes &p, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<int>(p[at]) << 8 |
                                      std::to_integer<int>(p[at + 1]));
}

// Of an IPv4 UDP packet: both checksums are right.
void expect_sums(const Bytes &p) {
    EXPECT_EQ(fold(sum(std::span(p).first(20), 0)), 0xFFFF);
    const auto segment = std::span(p).subspan(20);
    const auto pseudo =
        sum(std::span(p).subspan(12, 8), 0) + 17 + static_cast<std::uint32_t>(segment.size());
    EXPECT_EQ(fold(sum(segment, pseudo)), 0xFFFF);
}

} // namespace

TEST_F(InjectionTest, HandlesTakeTheFamiliesThatTheirKindsHave) {
    HANDLE h = reinterpret_cast<HANDLE>(0x55);
    const auto create = [&](ADDRESS_FAMILY family, UINT32 flags) {
        return injections.create(family, flags, &h);
    };
    EXPECT_EQ(injections.create(SLUICE_AF_UNSPEC, 0, nullptr), STATUS_FWP_NULL_POINTER);
    EXPECT_EQ(create(SLUICE_AF_UNSPEC, 0x40), STATUS_FWP_INVALID_FLAGS);
    EXPECT_EQ(create(10, 0), STATUS_INVALID_PARAMETER); // this system's AF_INET6
    EXPECT_EQ(create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_NETWORK), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(create(SLUICE_AF_INET, FWPS_INJECTION_TYPE_L2), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_L2 | FWPS_INJECTION_TYPE_STREAM),
              STATUS_INVALID_PARAMETER);
    EXPECT_EQ(create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_VSWITCH_TRANSPORT),
              STATUS_NOT_SUPPORTED);
    EXPECT_EQ(h, reinterpret_cast<HANDLE>(0x55));
    EXPECT_EQ(create(SLUICE_AF_INET6, FWPS_INJECTION_TYPE_NETWORK), STATUS_SUCCESS);
    EXPECT_EQ(create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_L2), STATUS_SUCCESS);
    EXPECT_EQ(create(SLUICE_AF_UNSPEC, FWPS_INJECTION_TYPE_FORWARD | FWPS_INJECTION_TYPE_STREAM),
              STATUS_SUCCESS);
}

TEST_F(InjectionTest, ReceiveGoesDownWithItsChecksumsAndWhoInjectedIt) {
    BufferList *clone = clone_of(udp_packet());
    BufferList *list = list_of(udp_packet());
    ASSERT_EQ(injections.inject(receiving(list)), STATUS_SUCCESS);
    const auto sent = port->sent();
    ASSERT_EQ(sent.size(), 1u);
    const dp_downcall &d = sent[0].header;
    EXPECT_EQ(d.kind, DP_DOWNCALL_INJECT);
    EXPECT_EQ(d.magic, DP_DOWNCALL_MAGIC);
    EXPECT_EQ(d.version, DP_LAYOUT_VERSION);
    EXPECT_EQ(d.inject.kind, DP_INJECT_RECEIVE);
    EXPECT_EQ(d.inject.ifindex, 3u);
    EXPECT_EQ(d.inject.handle, reinterpret_cast<std::uintptr_t>(handle));
    EXPECT_EQ(d.inject.context, 0x77u);
    EXPECT_EQ(d.inject.previous, 0u);
    EXPECT_EQ(sent[0].packet.substr(12, 2), std::string("\x08\x00", 2));
    const Bytes p = sent_packet();
    EXPECT_EQ(p.size(), 32u);
    EXPECT_EQ(fold(sum(std::span(p).first(20), 0)), 0xFFFF);
    EXPECT_EQ(word_of(p, 26), 0); // none for UDP in IPv4
    ASSERT_EQ(completed.size(), 1u);
    EXPECT_EQ(completed[0].list, list);
    EXPECT_EQ(completed[0].status, STATUS_SUCCESS);
    EXPECT_EQ(port->free_frames(), 64u);
    EXPECT_EQ(clone->origin()->ifindex, 3u);
}

TEST_F(InjectionTest, ReceiveOfACloneKnowsItsInterfaceAndEthernetAddresses) {
    BufferList *clone = clone_of(udp_packet());
    ASSERT_EQ(retreat(*clone->FirstNetBuffer, 20, 0, nullptr), NDIS_STATUS_SUCCESS);
    const Bytes whole = udp_packet();
    ASSERT_EQ(write(*clone->FirstNetBuffer, 0, std::span(whole).first(20)), 20u);
    Injection in = receiving(clone);
    in.ifindex = 0;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    EXPECT_EQ(port->sent()[0].header.inject.ifindex, 3u);
    EXPECT_EQ(port->sent()[0].packet.substr(0, 12), std::string(12, '\xAA'));
    in = receiving(list_of(udp_packet()));
    in.ifindex = 0;
    EXPECT_EQ(injections.inject(in), STATUS_INVALID_PARAMETER);
}

TEST_F(InjectionTest, SendMakesTheHeaderOfTheEndpoint) {
    ASSERT_EQ(injections.inject(sending(clone_of(udp_packet()))), STATUS_SUCCESS);
    const Bytes p = sent_packet();
    ASSERT_EQ(p.size(), 32u);
    EXPECT_EQ(word_of(p, 0), 0x4504);
    EXPECT_EQ(std::to_integer<int>(p[8]), 33); // the socket's own hop limit
    EXPECT_EQ(std::to_integer<int>(p[9]), 17);
    EXPECT_EQ(word_of(p, 12), 0x0A00);
    EXPECT_EQ(std::to_integer<int>(p[15]), 1);
    EXPECT_EQ(std::to_integer<int>(p[19]), 99); // not where the socket sends to
    expect_sums(p);
    const auto d = port->sent()[0].header.inject;
    EXPECT_EQ(d.kind, DP_INJECT_SEND);
    EXPECT_EQ(d.endpoint, 9u);
    EXPECT_EQ(d.ifindex, 0u);
}

TEST_F(InjectionTest, SendOfAnInventedPacketNeedsAnEndpointThatWasSeen) {
    EXPECT_EQ(injections.inject(sending(list_of(udp_segment()))), STATUS_NOT_FOUND);
    EXPECT_TRUE(completed.empty());
    dp_upcall seen{};
    seen.endpoint = 9;
    seen.key.local = {0, 0xFFFF0A000005ull};
    seen.key.protocol = 17;
    endpoints.saw(seen);
    ASSERT_EQ(injections.inject(sending(list_of(udp_segment()))), STATUS_SUCCESS);
    const Bytes p = sent_packet();
    EXPECT_EQ(std::to_integer<int>(p[15]), 5);
    EXPECT_EQ(std::to_integer<int>(p[8]), 64);
    expect_sums(p);
}

TEST_F(InjectionTest, SendInIpv6) {
    dp_upcall seen{};
    seen.endpoint = 9;
    seen.key.local = {0xfd00000000000000ull, 1};
    seen.key.protocol = 17;
    endpoints.saw(seen);
    remote[0] = 0xfd;
    remote[15] = 2;
    Injection in = sending(list_of(udp_segment()));
    in.family = SLUICE_AF_INET6;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    EXPECT_EQ(port->sent()[0].packet.substr(12, 2), "\x86\xDD");
    const Bytes p = sent_packet();
    ASSERT_EQ(p.size(), 52u);
    EXPECT_EQ(std::to_integer<int>(p[0]), 0x60);
    EXPECT_EQ(word_of(p, 4), 12);
    EXPECT_EQ(std::to_integer<int>(p[8]), 0xfd);
    EXPECT_EQ(std::to_integer<int>(p[39]), 2);
    const auto segment = std::span(p).subspan(40);
    EXPECT_EQ(fold(sum(segment, sum(std::span(p).subspan(8, 32), 0) + 17 + 12)), 0xFFFF);
}

TEST_F(InjectionTest, SendWithAHeaderOfItsOwnGetsItsChecksums) {
    Injection in = sending(list_of(udp_packet()));
    in.send = nullptr;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    const Bytes p = sent_packet();
    EXPECT_EQ(word_of(p, 4), 7); // identification is preserved
    expect_sums(p);
    Bytes given = udp_packet();
    given.resize(20);
    send_args.headerIncludeHeader = reinterpret_cast<UCHAR *>(given.data());
    send_args.headerIncludeHeaderLength = 20;
    ASSERT_EQ(injections.inject(sending(list_of(udp_segment()))), STATUS_SUCCESS);
    EXPECT_EQ(std::to_integer<int>(sent_packet()[19]), 99);
    expect_sums(sent_packet());
    send_args.headerIncludeHeaderLength = 19;
    EXPECT_EQ(injections.inject(sending(list_of(udp_segment()))), STATUS_INVALID_PARAMETER);
}

TEST_F(InjectionTest, ControlDataSetsHopLimitAndTrafficClass) {
    struct {
        SLUICE_CMSGHDR head;
        INT value;
        INT pad;
    } items[3] = {{{20, 0, 4}, 7, 0}, {{20, 41, 21}, 9, 0}, {{20, 0, 39}, 0x2E, 0}};
    send_args.controlData = &items[0].head;
    send_args.controlDataLength = sizeof items;
    ASSERT_EQ(injections.inject(sending(clone_of(udp_packet()))), STATUS_SUCCESS);
    EXPECT_EQ(std::to_integer<int>(sent_packet()[8]), 7); // the IPv6 item is not for this one
    EXPECT_EQ(std::to_integer<int>(sent_packet()[1]), 0x2E);
    for (const SIZE_T wrong : {SIZE_T(0), SIZE_T(15), SIZE_T(1000)}) {
        items[1].head.cmsg_len = wrong;
        EXPECT_EQ(injections.inject(sending(clone_of(udp_packet()))), STATUS_INVALID_PARAMETER);
    }
    send_args.controlData = nullptr;
    EXPECT_EQ(injections.inject(sending(clone_of(udp_packet()))), STATUS_INVALID_PARAMETER);
}

TEST_F(InjectionTest, MalformedPacketsAreRefusedAndStayTheCallers) {
    const Bytes whole = udp_packet();
    std::vector<Bytes> wrong;
    for (std::size_t size = 1; size < whole.size(); ++size)
        wrong.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    for (const int first : {0x00, 0x44, 0x4F, 0x65, 0x75}) {
        wrong.push_back(whole);
        wrong.back()[0] = static_cast<std::byte>(first);
    }
    wrong.emplace_back(DP_PORT_MTU + 1, std::byte{0x45});
    for (const Bytes &p : wrong)
        EXPECT_EQ(injections.inject(receiving(list_of(p))), STATUS_INVALID_PARAMETER) << p.size();
    EXPECT_EQ(injections.inject(receiving(nullptr)), STATUS_FWP_NULL_POINTER);
    NET_BUFFER_LIST foreign{};
    Injection in = receiving(nullptr);
    in.lists = &foreign;
    EXPECT_EQ(injections.inject(in), STATUS_INVALID_PARAMETER);
    in = receiving(list_of(whole));
    in.done = nullptr;
    EXPECT_EQ(injections.inject(in), STATUS_FWP_NULL_POINTER);
    in = receiving(list_of(whole));
    in.family = SLUICE_AF_INET6;
    EXPECT_EQ(injections.inject(in), STATUS_INVALID_PARAMETER);
    in.family = SLUICE_AF_UNSPEC;
    EXPECT_EQ(injections.inject(in), STATUS_INVALID_PARAMETER);
    in = sending(clone_of(whole));
    send_args.remoteAddress = nullptr;
    EXPECT_EQ(injections.inject(in), STATUS_FWP_NULL_POINTER);
    EXPECT_TRUE(completed.empty());
    EXPECT_TRUE(port->sent().empty());
    EXPECT_EQ(port->free_frames(), 64u);
}

TEST_F(InjectionTest, Ipv6ExtensionHeadersAreFollowed) {
    Bytes p(40 + 8 + 12);
    p[0] = std::byte{0x60};
    p[5] = std::byte{20};
    p[6] = std::byte{60}; // destination options
    p[40] = std::byte{17};
    const Bytes segment = udp_segment();
    std::copy(segment.begin(), segment.end(), p.begin() + 48);
    Injection in = receiving(list_of(p));
    in.family = SLUICE_AF_INET6;
    ASSERT_EQ(injections.inject(in), STATUS_SUCCESS);
    EXPECT_NE(word_of(sent_packet(), 54), 0); // UDP in IPv6 must have one
    p[41] = std::byte{9};                     // an extension longer than the packet
    in = receiving(list_of(p));
    in.family = SLUICE_AF_INET6;
    EXPECT_EQ(injections.inject(in), STATUS_INVALID_PARAMETER);
}

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
    BufferList *by_me = clone_of(udp_packet(), {5, mine, 0, 0, 0x99});
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
    BufferList *again = clone_of(udp_packet(), {5, sent.handle, sent.previous, 0, sent.context});
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
    BufferList *foreign = clone_of(udp_packet(), {6, mine, mine, 0, 1});
    EXPECT_EQ(injections.state(handle, foreign, nullptr), FWPS_PACKET_INJECTED_BY_OTHER);
    EXPECT_EQ(injections.state(other, foreign, nullptr), FWPS_PACKET_INJECTED_BY_OTHER);
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
