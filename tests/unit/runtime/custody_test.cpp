// SPDX-License-Identifier: Apache-2.0
// Who may free what, and what becomes of those who do so twice.
#include <numeric>
#include <thread>

#include "injection_fixture.h"
#include "runtime/slots.h"

using namespace sluice;
using namespace sluice::test;

namespace {

const void *place(std::uintptr_t number) {
    return reinterpret_cast<const void *>(number);
}

} // namespace

TEST(Slots, KnowWhatIsThereWhatHasEndedAndWhatWasNeverTheirs) {
    Slots slots(40, 1000);
    void *one = slots.take(), *two = slots.take();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one) % 16, 0u);
    EXPECT_EQ(slots.find(one), Slots::Found::live);
    slots.note_end(one, place(7));
    slots.give(one);
    EXPECT_EQ(slots.find(one), Slots::Found::gone);
    EXPECT_EQ(slots.ended_at(one), place(7));
    EXPECT_EQ(slots.find(two), Slots::Found::live);
    EXPECT_EQ(slots.find(static_cast<std::byte *>(two) + 8), Slots::Found::foreign);
    EXPECT_EQ(slots.find(static_cast<std::byte *>(two) + 64), Slots::Found::foreign); // not taken
    EXPECT_EQ(slots.find(nullptr), Slots::Found::foreign);
    EXPECT_EQ(slots.find(&slots), Slots::Found::foreign);
    EXPECT_EQ(slots.ended_at(&slots), nullptr);
    EXPECT_EQ(slots.live(), std::vector<void *>{two});
    slots.give(two);
}

TEST(Slots, UseOneAgainOnlyAfterManyOthers) {
    Slots slots(16, 1000);
    void *first = slots.take();
    slots.give(first);
    int until = 0;
    while (slots.take() != first)
        ASSERT_LT(++until, 1000);
    EXPECT_EQ(until, 999); // the others were there
}

TEST(Slots, EndWithTheirCapacity) {
    Slots slots(16, 3);
    void *all[] = {slots.take(), slots.take(), slots.take()};
    EXPECT_THROW((void)slots.take(), std::bad_alloc);
    slots.give(all[1]);
    EXPECT_EQ(slots.take(), all[1]);
    EXPECT_THROW((void)slots.take(), std::bad_alloc);
}

TEST(Slots, AreTakenAndGivenByManyThreads) {
    Slots slots(64, 100000);
    const auto run = [&] {
        for (int i = 0; i < 5000; ++i) {
            void *at = slots.take();
            std::memset(at, i, 64);
            EXPECT_EQ(slots.find(at), Slots::Found::live);
            slots.give(at);
        }
    };
    std::thread other(run);
    run();
    other.join();
    EXPECT_TRUE(slots.live().empty());
}

TEST_F(InjectionTest, AListIsFreedOnceByItsCallout) {
    BufferList *list = list_of(udp_packet());
    BufferList *clone = BufferList::clone(*list, false);
    lists.clear();
    EXPECT_EQ(list->end(place(1)), BufferList::Ended::yes);
    EXPECT_EQ(BufferList::of(static_cast<NET_BUFFER_LIST *>(list)), list); // the clone needs it
    EXPECT_EQ(list->end(place(2)), BufferList::Ended::before);
    EXPECT_EQ(BufferList::slots().ended_at(list), place(1));
    EXPECT_EQ(clone->end(place(3)), BufferList::Ended::yes);
    EXPECT_EQ(BufferList::slots().find(list), Slots::Found::gone);
    EXPECT_EQ(BufferList::slots().find(clone), Slots::Found::gone);
    EXPECT_EQ(BufferList::of(static_cast<NET_BUFFER_LIST *>(clone)), nullptr);
    EXPECT_EQ(BufferList::slots().ended_at(clone), place(3));
}

TEST_F(InjectionTest, ReferencesAreTakenBackAsOftenAsTheyWereTaken) {
    BufferList *list = list_of(udp_packet());
    EXPECT_FALSE(list->dereference(place(1))); // the list itself is not one
    list->reference(place(2));
    list->reference(place(2));
    EXPECT_TRUE(list->dereference(place(3)));
    EXPECT_TRUE(list->dereference(place(3)));
    EXPECT_FALSE(list->dereference(place(4)));
    EXPECT_EQ(BufferList::of(static_cast<NET_BUFFER_LIST *>(list)), list);
}

TEST_F(InjectionTest, WhatCalloutsLeftIsFoundWithItsPlaceAndTakenBack) {
    const auto ours = [&](const BufferList *list) -> std::optional<BufferList::Left> {
        for (const auto &left : BufferList::left())
            if (left.list == list) return left;
        return std::nullopt;
    };
    BufferList *list = list_of(udp_packet());
    list->made_at(place(11));
    list->reference(place(12));
    BufferList *clone = BufferList::clone(*list, false);
    lists.clear();
    const auto left = ours(list);
    ASSERT_TRUE(left);
    EXPECT_EQ(left->made_at, place(11));
    EXPECT_EQ(left->referenced_at, place(12));
    EXPECT_EQ(left->references, 1u);
    EXPECT_TRUE(left->owned);
    clone->take_back();
    list->take_back();
    EXPECT_FALSE(ours(list));
    EXPECT_EQ(BufferList::slots().find(list), Slots::Found::gone);
}

TEST_F(InjectionTest, AListIsTheEnginesUntilItsCompletion) {
    BufferList *list = list_of(udp_packet());
    list->Next = list; // twice in its own chain
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    BufferList *other = list_of(udp_packet());
    list->Next = other;
    other->Next = list;
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    list->Next = other->Next = nullptr;
    ASSERT_TRUE(list->begin_injection()); // as another thread's
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(list->end(place(1)), BufferList::Ended::injected);
    list->end_injection();
    EXPECT_TRUE(completed.empty());
    EXPECT_TRUE(port->sent().empty());
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_SUCCESS);
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_SUCCESS); // it is the callout's again
    EXPECT_EQ(completed.size(), 2u);
}

TEST_F(InjectionTest, AListMayBeFreedInItsCompletion) {
    BufferList *list = list_of(udp_packet());
    lists.clear();
    Injection in = receiving(list);
    in.done = [](VOID *context, NET_BUFFER_LIST *done, BOOLEAN) {
        *static_cast<bool *>(context) =
            BufferList::of(done)->end(nullptr) == BufferList::Ended::yes;
    };
    bool ended = false;
    in.done_context = &ended;
    EXPECT_EQ(injections.inject(in), STATUS_SUCCESS);
    EXPECT_TRUE(ended);
    EXPECT_EQ(BufferList::slots().find(list), Slots::Found::gone);
}

TEST_F(InjectionTest, LengthsThatLieAndChainsWithoutAnEndAreRefused) {
    BufferList *list = list_of(udp_packet());
    NET_BUFFER &b = *list->FirstNetBuffer;
    const NET_BUFFER whole = b;
    for (const ULONG claim : {0u, 33u, 65535u, 65536u, 0xFFFFFFFFu}) {
        b.stDataLength = claim;
        EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER) << claim;
    }
    b = whole;
    for (const ULONG offset : {1u, 32u, 33u, 0xFFFFFFFFu}) {
        b.CurrentMdlOffset = offset;
        EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER) << offset;
    }
    b = whole;
    MDL &piece = *b.CurrentMdl;
    PVOID const memory = piece.MappedSystemVa;
    piece.MappedSystemVa = nullptr;
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    piece.MappedSystemVa = memory;
    b.CurrentMdl = nullptr;
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    b = whole;
    piece.ByteCount = 0;
    piece.Next = &piece;
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    EXPECT_FALSE(chain_holds(&piece, 0, 1));
    piece.ByteCount = 32;
    piece.Next = nullptr;
    b.Next = &b;
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(BufferList::clone(*list, false), nullptr);
    b.Next = nullptr;
    EXPECT_TRUE(completed.empty());
    EXPECT_EQ(port->free_frames(), 64u);
    EXPECT_EQ(injections.inject(receiving(list)), STATUS_SUCCESS);
}

TEST_F(InjectionTest, AChainOfPiecesCutAnywhereIsTheSamePacket) {
    const Bytes packet = udp_packet();
    for (std::size_t cut = 0; cut <= packet.size(); ++cut) {
        BufferList *list = list_of(packet);
        MDL *first = list->FirstNetBuffer->MdlChain;
        MDL second = *first;
        second.MappedSystemVa = static_cast<std::byte *>(first->MappedSystemVa) + cut;
        second.ByteCount = static_cast<ULONG>(packet.size() - cut);
        first->ByteCount = static_cast<ULONG>(cut);
        first->Next = &second;
        set_up(*list->FirstNetBuffer, first, 0, static_cast<std::uint32_t>(packet.size()));
        ASSERT_EQ(injections.inject(receiving(list)), STATUS_SUCCESS) << cut;
        Bytes sent = sent_packet();
        sent[10] = sent[11] = std::byte{0};
        EXPECT_EQ(sent, packet) << cut;
        first->Next = nullptr; // what is missing behind the cut is missed
        set_up(*list->FirstNetBuffer, first, 0, static_cast<std::uint32_t>(packet.size()));
        if (cut < packet.size()) {
            EXPECT_EQ(injections.inject(receiving(list)), STATUS_INVALID_PARAMETER) << cut;
        }
    }
}

TEST_F(InjectionTest, TransportSendTakesSeveralBuffersOrNone) {
    BufferList *list = clone_of(udp_packet());
    Buffer second;
    set_up(second, list->FirstNetBuffer->MdlChain, list->FirstNetBuffer->DataOffset,
           list->FirstNetBuffer->DataLength);
    list->FirstNetBuffer->Next = &second;
    ASSERT_EQ(injections.inject(sending(list)), STATUS_SUCCESS);
    EXPECT_EQ(port->sent().size(), 2u);
    EXPECT_EQ(completed.size(), 1u);
    second.stDataLength =
        DP_INJECT_BYTES + 1; // the second is malformed: not even the first is sent
    EXPECT_EQ(injections.inject(sending(list)), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(port->sent().size(), 2u);
    list->FirstNetBuffer->Next = nullptr;
    NET_BUFFER *const first = list->FirstNetBuffer;
    list->FirstNetBuffer = nullptr;
    EXPECT_EQ(injections.inject(sending(list)), STATUS_INVALID_PARAMETER);
    list->FirstNetBuffer = first;
}

TEST_F(InjectionTest, BytesAreCountedWhereTheyAreCopied) {
    const auto &copied = copied_bytes();
    const std::uint64_t clones = copied.clone, deep = copied.deep_clone, down = copied.injection;
    BufferList *list = list_of(udp_packet());
    BufferList *clone = BufferList::clone(*list, false);
    EXPECT_EQ(copied.clone, clones);
    BufferList *copy = BufferList::clone(*clone, true);
    EXPECT_EQ(copied.deep_clone, deep + 32);
    EXPECT_EQ(copied.injection, down);
    ASSERT_EQ(injections.inject(receiving(clone)), STATUS_SUCCESS);
    EXPECT_EQ(copied.injection, down + 32);
    lists.push_back(clone);
    lists.push_back(copy);
}
