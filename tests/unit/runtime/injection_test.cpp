// SPDX-License-Identifier: Apache-2.0
// What becomes of an injected packet's bytes: headers, checksums, control data, what is refused.
#include "injection_fixture.h"
#include "runtime/injection_control.h"

using namespace sluice;
using namespace sluice::test;

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

TEST_F(InjectionTest, ACloneIsReceivedWithTheTagsOfItsOriginal) {
    const Bytes tags = bytes({0x88, 0xA8, 0x20, 7, 0x81, 0, 0, 8});
    // From its IP header on.
    const auto whole = [&](const Bytes &packet, const Bytes &with) {
        BufferList *clone = clone_of(packet, {}, with, true);
        EXPECT_EQ(retreat(*clone->FirstNetBuffer, 20, 0, nullptr), NDIS_STATUS_SUCCESS);
        EXPECT_EQ(write(*clone->FirstNetBuffer, 0, std::span(packet).first(20)), 20u);
        return clone;
    };
    const auto tagged = [&](std::uint32_t interface) {
        Injection in = receiving(whole(udp_packet(), tags));
        in.ifindex = interface;
        return in;
    };
    for (const std::uint32_t interface : {0u, 3u}) {
        ASSERT_EQ(injections.inject(tagged(interface)), STATUS_SUCCESS);
        const std::string p = port->sent().back().packet;
        ASSERT_EQ(p.size(), 14u + 8u + 32u);
        EXPECT_EQ(p.substr(0, 12), std::string(12, '\xAA'));
        EXPECT_EQ(p.substr(12, 8), std::string(reinterpret_cast<const char *>(tags.data()), 8));
        EXPECT_EQ(p.substr(20, 2), std::string("\x08\x00", 2));
        const auto *ip = reinterpret_cast<const std::byte *>(p.data()) + 22;
        EXPECT_EQ(fold(sum(std::span(ip, 20), 0)), 0xFFFF);
        EXPECT_EQ(p.substr(50), "abcd");
    }
    ASSERT_EQ(injections.inject(tagged(4)), STATUS_SUCCESS);
    EXPECT_EQ(port->sent().back().packet.size(), 14u + 32u) << "another interface, another link";
    const auto sent_as = [&](bool inbound, UCHAR last) {
        BufferList *clone = clone_of(udp_packet(), {}, tags, inbound);
        remote[3] = last;
        EXPECT_EQ(injections.inject(sending(clone)), STATUS_SUCCESS);
        const auto sent = port->sent().back();
        EXPECT_EQ(sent.header.inject.ifindex, sent.packet.size() > 14u + 32u ? 3u : 0u);
        return sent.packet.size();
    };
    EXPECT_EQ(sent_as(false, 2), 14u + 8u + 32u);
    EXPECT_EQ(sent_as(false, 3), 14u + 32u) << "elsewhere it goes by the route";
    EXPECT_EQ(sent_as(true, 2), 14u + 32u) << "and so does an answer";
    Bytes large(DP_INJECT_BYTES);
    large[0] = std::byte{0x45};
    large[2] = static_cast<std::byte>(DP_INJECT_BYTES >> 8);
    large[3] = static_cast<std::byte>(DP_INJECT_BYTES & 0xFF);
    large[9] = std::byte{17};
    for (const bool fits : {true, false}) {
        BufferList *list = whole(large, fits ? Bytes{} : tags);
        EXPECT_EQ(injections.inject(receiving(list)),
                  fits ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER);
    }
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
    wrong.emplace_back(DP_INJECT_BYTES + 1, std::byte{0x45});
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

// Where a packet's header says more than a new one would, it is kept.
TEST_F(InjectionTest, AFragmentStaysOne) {
    Bytes fragment = udp_packet();
    fragment[6] = std::byte{0x20}; // more of them follow
    fragment[7] = std::byte{4};
    BufferList *clone = clone_of(fragment);
    ASSERT_EQ(injections.inject(sending(clone)), STATUS_SUCCESS);
    const Bytes p = sent_packet();
    EXPECT_EQ(word_of(p, 4), 7);
    EXPECT_EQ(word_of(p, 6), 0x2004);
    EXPECT_EQ(std::to_integer<int>(p[19]), 99);
    EXPECT_EQ(word_of(p, 26), 0) << "the sum is over more than is here";
    EXPECT_EQ(fold(sum(std::span(p).first(20), 0)), 0xFFFF);
}

// No route says by which interface: that of the packet, or the scope that the caller names.
TEST_F(InjectionTest, ToAGroupItLeavesWhereItsOriginalDid) {
    remote[0] = 224;
    ASSERT_EQ(injections.inject(sending(clone_of(udp_packet()))), STATUS_SUCCESS);
    EXPECT_EQ(port->sent()[0].header.inject.ifindex, 3u);
    send_args.remoteScopeId.Zone = 8;
    ASSERT_EQ(injections.inject(sending(clone_of(udp_packet()))), STATUS_SUCCESS);
    EXPECT_EQ(port->sent().back().header.inject.ifindex, 8u);
}
