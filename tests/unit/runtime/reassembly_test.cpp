// SPDX-License-Identifier: Apache-2.0
// Headers for transport data, and packets out of fragments.
#include <numeric>
#include <random>

#include "injection_fixture.h"
#include "runtime/injection_packet.h"
#include "runtime/packet_header.h"
#include "runtime/reassembly.h"

using namespace sluice;
using namespace sluice::test;

namespace {

Bytes data_of(const BufferList &list) {
    Bytes out(list.FirstNetBuffer->DataLength);
    out.resize(read(*list.FirstNetBuffer, 0, out));
    return out;
}

Bytes counting(std::size_t size) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i)
        out[i] = static_cast<std::byte>(i * 7 + i / 256);
    return out;
}

struct Cut {
    std::size_t offset, bytes;
    bool more;
};

Bytes piece_v4(const Bytes &payload, const Cut &cut) {
    Bytes p = bytes({0x46, 0, 0, 0, 0x12, 0x34, 0, 0, 9, 17, 0, 0,
                     10,   0, 0, 1, 10,   0,    0, 2, 1, 1,  1, 0}); // with options
    const std::size_t total = p.size() + cut.bytes,
                      place = cut.offset / 8 | (cut.more ? 0x2000 : 0);
    p[2] = static_cast<std::byte>(total >> 8);
    p[3] = static_cast<std::byte>(total);
    p[6] = static_cast<std::byte>(place >> 8);
    p[7] = static_cast<std::byte>(place);
    p.insert(p.end(), payload.begin() + static_cast<std::ptrdiff_t>(cut.offset),
             payload.begin() + static_cast<std::ptrdiff_t>(cut.offset + cut.bytes));
    return p;
}

Bytes piece_v6(const Bytes &payload, const Cut &cut) {
    Bytes p(40);
    p[0] = std::byte{0x60};
    p[6] = std::byte{60};
    p[7] = std::byte{9};
    p[23] = p[39] = std::byte{1};
    const std::size_t length = 16 + cut.bytes, place = cut.offset | (cut.more ? 1 : 0);
    p[4] = static_cast<std::byte>(length >> 8);
    p[5] = static_cast<std::byte>(length);
    const Bytes extensions = bytes({44, 0, 1, 4, 0, 0, 0, 0, 17, 0, static_cast<int>(place >> 8),
                                    static_cast<int>(place & 0xFF), 1, 2, 3, 4});
    p.insert(p.end(), extensions.begin(), extensions.end());
    p.insert(p.end(), payload.begin() + static_cast<std::ptrdiff_t>(cut.offset),
             payload.begin() + static_cast<std::ptrdiff_t>(cut.offset + cut.bytes));
    return p;
}

} // namespace

class ReassemblyTest : public InjectionTest {
protected:
    BufferList *chain(bool v6, const std::vector<Cut> &cuts) {
        BufferList *first = nullptr, *last = nullptr;
        for (const Cut &cut : cuts) {
            BufferList *list = list_of(v6 ? piece_v6(payload, cut) : piece_v4(payload, cut));
            if (last) last->Next = list;
            if (!first) first = list;
            last = list;
        }
        return first;
    }
    BufferList *joined(bool v6, const std::vector<Cut> &cuts, std::uint32_t back_fill = 0) {
        BufferList *made =
            reassemble(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET, chain(v6, cuts), back_fill);
        if (made) lists.push_back(made);
        return made;
    }
    void expect_whole(bool v6, const std::vector<Cut> &cuts) {
        BufferList *made = joined(v6, cuts);
        ASSERT_NE(made, nullptr);
        const Bytes whole = data_of(*made);
        const auto shape = ip_shape(whole);
        ASSERT_TRUE(shape);
        EXPECT_FALSE(shape->fragment);
        EXPECT_EQ(shape->protocol, 17);
        EXPECT_EQ(shape->total, whole.size());
        EXPECT_EQ(shape->header, v6 ? 48u : 24u);
        EXPECT_EQ(Bytes(whole.begin() + static_cast<std::ptrdiff_t>(shape->header), whole.end()),
                  payload);
        if (!v6) {
            EXPECT_EQ(fold(sum(std::span(whole).first(24), 0)), 0xFFFF);
        }
    }
    Bytes payload = counting(1000);
};

TEST_F(ReassemblyTest, FragmentsInAnyOrderAreOnePacket) {
    std::vector<Cut> cuts{{0, 400, true}, {400, 320, true}, {720, 8, true}, {728, 272, false}};
    do {
        expect_whole(false, cuts);
        expect_whole(true, cuts);
    } while (std::next_permutation(cuts.begin(), cuts.end(),
                                   [](const Cut &a, const Cut &b) { return a.offset < b.offset; }));
}

TEST_F(ReassemblyTest, BytesStayWhereTheyAreAndTheFragmentsStayAsLong) {
    BufferList *first = chain(false, {{0, 400, true}, {400, 600, false}});
    const void *const there = memories[1]->data() + 24;
    BufferList *made = reassemble(SLUICE_AF_INET, first, 32);
    ASSERT_NE(made, nullptr);
    const NET_BUFFER &b = *made->FirstNetBuffer;
    EXPECT_EQ(b.DataOffset, 32u);
    EXPECT_EQ(b.MdlChain->ByteCount, 56u);
    EXPECT_EQ(b.MdlChain->Next->Next->MappedSystemVa, there);
    for (BufferList *list : lists)
        EXPECT_EQ(list->end(nullptr), BufferList::Ended::yes);
    EXPECT_EQ(BufferList::slots().find(first), Slots::Found::live);
    EXPECT_EQ(data_of(*made).size(), 1024u);
    lists.clear();
    EXPECT_EQ(made->end(nullptr), BufferList::Ended::yes);
    EXPECT_EQ(BufferList::slots().find(first), Slots::Found::gone);
}

TEST_F(ReassemblyTest, WhatOverlapsIsMissingOrIsThereTwiceIsRefused) {
    const std::vector<std::vector<Cut>> wrong{
        {{0, 400, true}, {392, 608, false}},                    // overlap
        {{0, 400, true}, {0, 400, true}, {400, 600, false}},    // twice
        {{0, 400, true}, {408, 592, false}},                    // a gap
        {{0, 400, true}, {400, 600, true}},                     // no end
        {{400, 600, false}},                                    // no start
        {{0, 400, true}, {400, 200, false}, {600, 400, false}}, // two ends
        {{0, 396, true}, {400, 600, false}},                    // not a multiple of eight
        {{0, 400, true}, {400, 0, true}, {400, 600, false}},    // empty
        {{0, 1000, false}},                                     // no fragment at all
    };
    for (const bool v6 : {false, true})
        for (const auto &cuts : wrong)
            EXPECT_EQ(joined(v6, cuts), nullptr) << v6 << ' ' << &cuts - wrong.data();
    BufferList *first = chain(false, {{0, 400, true}, {400, 600, false}});
    EXPECT_EQ(reassemble(SLUICE_AF_INET6, first, 0), nullptr); // another family
    (*memories.back())[5] = std::byte{0x35};                   // another packet's
    EXPECT_EQ(reassemble(SLUICE_AF_INET, first, 0), nullptr);
    (*memories.back())[5] = std::byte{0x34};
    first->Next->Next = first; // a chain without an end
    EXPECT_EQ(reassemble(SLUICE_AF_INET, first, 0), nullptr);
    first->Next->Next = nullptr;
    NET_BUFFER_LIST foreign{};
    first->Next->Next = &foreign;
    EXPECT_EQ(reassemble(SLUICE_AF_INET, first, 0), nullptr);
}

TEST_F(ReassemblyTest, NoPacketIsLargerThanItsLengthCanSay) {
    payload = counting(70000);
    EXPECT_EQ(joined(false, {{0, 35000, true}, {35000, 35000, false}}), nullptr);
    EXPECT_EQ(joined(true, {{0, 35000, true}, {35000, 35000, false}}), nullptr);
    std::vector<Cut> most;
    for (std::size_t at = 0; at < 65504; at += 32)
        most.push_back({at, 32, true});
    most.push_back({65504, 7, false}); // with 24 bytes of header: 65535
    payload.resize(65511);
    expect_whole(false, most);
    most.back().bytes = 8;
    payload.resize(65512);
    EXPECT_EQ(joined(false, most), nullptr);
}

TEST_F(ReassemblyTest, TruncatedAndMangledFragmentsNeverCount) {
    std::mt19937 random(1);
    for (const bool v6 : {false, true}) {
        const Bytes second = (v6 ? piece_v6 : piece_v4)(payload, {400, 600, false});
        for (std::size_t size = 1; size < second.size(); size += size < 80 ? 1 : 97) {
            BufferList *first = chain(v6, {{0, 400, true}});
            first->Next = list_of(Bytes(second.begin(), second.begin() + static_cast<long>(size)));
            EXPECT_EQ(reassemble(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET, first, 0), nullptr) << size;
        }
        for (int round = 0; round < 2000; ++round) {
            Bytes mangled = second;
            for (int i = 0; i < 3; ++i)
                mangled[random() % 60] = static_cast<std::byte>(random());
            BufferList *first = chain(v6, {{0, 400, true}});
            first->Next = list_of(mangled);
            BufferList *made = reassemble(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET, first, 0);
            if (!made) continue;
            EXPECT_LE(made->FirstNetBuffer->DataLength, 65535u);
            EXPECT_TRUE(ip_shape(data_of(*made)));
            made->release();
        }
    }
}

// ---- headers ----

class HeaderTest : public InjectionTest {
protected:
    HeaderWanted wanted(bool v6, std::size_t included = 0) {
        return {static_cast<ADDRESS_FAMILY>(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET),
                included,
                source,
                remote,
                17,
                nullptr,
                0};
    }
    UCHAR source[16] = {10, 0, 0, 7};
};

TEST_F(HeaderTest, OneIsPutInFrontOfTransportData) {
    BufferList *list = list_of(udp_segment());
    list->NetBufferListInfo[TcpIpChecksumNetBufferListInfo] = list;
    ASSERT_EQ(construct_ip_header(*list, wanted(false)), STATUS_SUCCESS);
    const Bytes p = data_of(*list);
    ASSERT_EQ(p.size(), 32u);
    EXPECT_EQ(std::to_integer<int>(p[15]), 7);
    EXPECT_EQ(std::to_integer<int>(p[19]), 99);
    EXPECT_EQ(std::to_integer<int>(p[8]), 64);
    expect_sums(p);
    EXPECT_EQ(list->NetBufferListInfo[TcpIpChecksumNetBufferListInfo], nullptr);
    list = list_of(udp_segment());
    ASSERT_EQ(construct_ip_header(*list, wanted(true)), STATUS_SUCCESS);
    const Bytes six = data_of(*list);
    ASSERT_EQ(six.size(), 52u);
    EXPECT_EQ(fold(sum(std::span(six).subspan(40), sum(std::span(six).subspan(8, 32), 0) + 29)),
              0xFFFF);
}

TEST_F(HeaderTest, TheSocketsOwnAreInheritedAndControlDataCounts) {
    BufferList *list = clone_of(udp_packet());
    ASSERT_EQ(construct_ip_header(*list, wanted(false)), STATUS_SUCCESS);
    EXPECT_EQ(std::to_integer<int>(data_of(*list)[8]), 33);
    struct {
        SLUICE_CMSGHDR head;
        INT value, pad;
    } item{{20, 0, 4}, 7, 0};
    HeaderWanted with = wanted(false);
    with.control = &item.head;
    with.control_bytes = sizeof item;
    list = clone_of(udp_packet());
    ASSERT_EQ(construct_ip_header(*list, with), STATUS_SUCCESS);
    EXPECT_EQ(std::to_integer<int>(data_of(*list)[8]), 7);
    item.head.cmsg_len = 3;
    EXPECT_EQ(construct_ip_header(*list, with), STATUS_INVALID_PARAMETER);
}

TEST_F(HeaderTest, OneThatIsThereIsMadeAnewWithItsOptionsAndWithoutWhatFollows) {
    Bytes p =
        bytes({0x46, 8, 0, 60, 0, 7, 0x40, 0, 33, 51, 9, 9, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 0});
    const Bytes ah =
        bytes({17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
    const Bytes segment = udp_segment();
    p.insert(p.end(), ah.begin(), ah.end());
    p.insert(p.end(), segment.begin(), segment.end());
    BufferList *list = list_of(p);
    ASSERT_EQ(construct_ip_header(*list, wanted(false, 48)), STATUS_SUCCESS);
    const Bytes made = data_of(*list);
    ASSERT_EQ(made.size(), 36u);
    EXPECT_EQ(word_of(made, 0), 0x4608);
    EXPECT_EQ(word_of(made, 2), 36);
    EXPECT_EQ(word_of(made, 4), 7);
    EXPECT_EQ(word_of(made, 6), 0x4000);
    EXPECT_EQ(word_of(made, 8) & 0xFF, 17);
    EXPECT_EQ(word_of(made, 20), 0x0101);
    EXPECT_EQ(fold(sum(std::span(made).first(24), 0)), 0xFFFF);
    EXPECT_EQ(std::to_integer<int>(made[35]), 'd');
    Bytes six(40);
    six[0] = std::byte{0x61};
    six[1] = std::byte{0x20};
    six[7] = std::byte{9};
    six.insert(six.end(), 8, std::byte{0}); // an extension
    six.insert(six.end(), segment.begin(), segment.end());
    list = list_of(six);
    ASSERT_EQ(construct_ip_header(*list, wanted(true, 48)), STATUS_SUCCESS);
    const Bytes again = data_of(*list);
    ASSERT_EQ(again.size(), 52u);
    EXPECT_EQ(word_of(again, 0), 0x6120);
    EXPECT_EQ(word_of(again, 4), 12);
    EXPECT_EQ(word_of(again, 6), 0x1109);
}

TEST_F(HeaderTest, WhatCannotBeAHeaderChangesNothing) {
    const Bytes packet = udp_packet();
    for (const std::size_t included : {1u, 19u, 33u, 70000u}) {
        BufferList *list = list_of(packet);
        EXPECT_EQ(construct_ip_header(*list, wanted(false, included)), STATUS_INVALID_PARAMETER);
        EXPECT_EQ(data_of(*list), packet);
    }
    BufferList *list = list_of(packet);
    EXPECT_EQ(construct_ip_header(*list, wanted(true, 20)), STATUS_INVALID_PARAMETER);
    Bytes piece = packet;
    piece[6] = std::byte{0x20}; // others follow
    EXPECT_EQ(construct_ip_header(*list_of(piece), wanted(false, 20)), STATUS_INVALID_PARAMETER);
    list->FirstNetBuffer->stDataLength = 33; // it has 32
    EXPECT_EQ(construct_ip_header(*list, wanted(false)), STATUS_INVALID_PARAMETER);
    list->FirstNetBuffer->stDataLength = 0;
    EXPECT_EQ(construct_ip_header(*list, wanted(false)), STATUS_INVALID_PARAMETER);
    list = list_of(Bytes(65516));
    EXPECT_EQ(construct_ip_header(*list, wanted(false)), STATUS_INVALID_PARAMETER);
    list = list_of(udp_segment());
    Buffer second;
    set_up(second, list->FirstNetBuffer->MdlChain, 0, 13); // the second is malformed
    list->FirstNetBuffer->Next = &second;
    EXPECT_EQ(construct_ip_header(*list, wanted(false)), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(data_of(*list), udp_segment());
    second.stDataLength = 12;
    EXPECT_EQ(construct_ip_header(*list, wanted(false, 20)), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(construct_ip_header(*list, wanted(false)), STATUS_SUCCESS);
    EXPECT_EQ(second.DataLength, 32u);
    drop_front(second);
    list->FirstNetBuffer->Next = nullptr;
}
