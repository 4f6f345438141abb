// SPDX-License-Identifier: Apache-2.0
// Packet buffers: their pools, lists, clones and pieces, through the exported functions.
#include <array>

#include <gtest/gtest.h>

#include "packets.h"
#include "status_world.h"

namespace sluice::test {

namespace {

std::uint64_t foreign_lists() {
    return fwp::engine().counters().foreign_lists.load();
}

NTSTATUS allocating(NTSTATUS wanted) {
    Packets p;
    const auto over = [&](NDIS_HANDLE pool, ULONG offset, SIZE_T length, NET_BUFFER_LIST **out) {
        return FwpsAllocateNetBufferAndNetBufferList0(pool, 16, 16, &p.piece, offset, length, out);
    };
    NET_BUFFER_LIST *list = nullptr;
    if (wanted == STATUS_FWP_NULL_POINTER) return over(p.pool, 0, 1, nullptr);
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(over(nullptr, 0, 1, &list), wanted);
        EXPECT_EQ(over(p.data_pool, 0, 1, &list), wanted);
        EXPECT_EQ(over(p.buffer_pool, 0, 1, &list), wanted);
        EXPECT_EQ(over(p.pool, Packets::size + 1, 0, &list), wanted);
        EXPECT_EQ(over(p.pool, 1, Packets::size, &list), wanted);
        EXPECT_EQ(list, nullptr);
        return over(&p, 0, 1, &list);
    }
    const NTSTATUS status = over(p.pool, 4, 8, &list);
    EXPECT_EQ(NET_BUFFER_DATA_LENGTH(list->FirstNetBuffer), 8u);
    EXPECT_EQ(NET_BUFFER_DATA_OFFSET(list->FirstNetBuffer), 4u);
    EXPECT_EQ(NET_BUFFER_CURRENT_MDL(list->FirstNetBuffer), &p.piece);
    EXPECT_EQ(NET_BUFFER_LIST_CONTEXT_DATA_SIZE(list), 16);
    FwpsFreeNetBufferList0(list);
    return status;
}

NTSTATUS cloning(bool deep, NTSTATUS wanted) {
    Packets p;
    NET_BUFFER_LIST *made = nullptr;
    const auto clone = [&](NET_BUFFER_LIST *from, NDIS_HANDLE lists, NDIS_HANDLE buffers,
                           NET_BUFFER_LIST **out) {
        return deep ? FwpsAllocateDeepCloneNetBufferList0(from, lists, buffers, out)
                    : FwpsAllocateCloneNetBufferList0(from, lists, buffers, 0, out);
    };
    NET_BUFFER_LIST *from = p.list(8);
    NTSTATUS status = STATUS_SUCCESS;
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(clone(nullptr, nullptr, nullptr, &made), wanted);
        status = clone(from, nullptr, nullptr, nullptr);
    } else if (wanted == STATUS_FWP_INVALID_FLAGS) {
        status = FwpsAllocateCloneNetBufferList0(from, nullptr, nullptr, 1, &made);
    } else if (wanted == STATUS_INVALID_PARAMETER) {
        NET_BUFFER_LIST foreign{};
        EXPECT_EQ(clone(&foreign, nullptr, nullptr, &made), wanted);
        EXPECT_EQ(clone(from, p.buffer_pool, nullptr, &made), wanted);
        status = clone(from, nullptr, &p, &made);
    } else {
        status = clone(from, p.pool, p.buffer_pool, &made);
        EXPECT_EQ(made->ParentNetBufferList, deep ? nullptr : from);
        EXPECT_EQ(NET_BUFFER_DATA_LENGTH(made->FirstNetBuffer), 8u);
        NET_BUFFER_LIST *second = nullptr;
        EXPECT_EQ(clone(made, nullptr, nullptr, &second), STATUS_SUCCESS);
        FwpsFreeCloneNetBufferList0(made, 0);
        UCHAR byte = 0;
        EXPECT_EQ(*static_cast<UCHAR *>(NdisGetDataBuffer(second->FirstNetBuffer, 1, &byte, 1, 0)),
                  p.bytes[0]);
        FwpsFreeCloneNetBufferList0(second, 0);
        made = nullptr;
    }
    EXPECT_EQ(made, nullptr);
    FwpsFreeNetBufferList0(from);
    return status;
}

void list_rows() {
    for (const Status s : {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER),
                           STATUS(STATUS_INVALID_PARAMETER)}) {
        row("FwpsAllocateNetBufferAndNetBufferList0", s, [s] { return allocating(s.value); });
        row("FwpsAllocateCloneNetBufferList0", s, [s] { return cloning(false, s.value); });
        row("FwpsAllocateDeepCloneNetBufferList0", s, [s] { return cloning(true, s.value); });
    }
    row("FwpsAllocateCloneNetBufferList0", STATUS(STATUS_FWP_INVALID_FLAGS),
        [] { return cloning(false, STATUS_FWP_INVALID_FLAGS); });
    using Free = void (*)(NET_BUFFER_LIST *);
    // Each frees what is its own and counts what is not.
    const auto frees = [](const char *name, Free call, bool of_clones) {
        row(name, STATUS_SUCCESS, [=] {
            Packets p;
            NET_BUFFER_LIST *list = p.list(8), *clone = nullptr;
            EXPECT_EQ(FwpsAllocateCloneNetBufferList0(list, nullptr, nullptr, 0, &clone),
                      STATUS_SUCCESS);
            NET_BUFFER_LIST foreign{};
            const auto before = foreign_lists();
            call(&foreign);
            call(nullptr);
            call(of_clones ? list : clone);
            EXPECT_EQ(foreign_lists(), before + 3);
            if (of_clones)
                FwpsFreeNetBufferList0(list); // the clone keeps it
            else
                FwpsFreeCloneNetBufferList0(clone, 0);
            call(of_clones ? clone : list);
            EXPECT_EQ(foreign_lists(), before + 3);
            const auto twice = fwp::engine().counters().freed_twice.load();
            call(of_clones ? clone : list);
            EXPECT_EQ(fwp::engine().counters().freed_twice, twice + 1);
            EXPECT_EQ(FwpsAllocateCloneNetBufferList0(list, nullptr, nullptr, 0, &clone),
                      STATUS_INVALID_PARAMETER); // it is gone
            return STATUS_SUCCESS;
        });
    };
    frees(
        "FwpsFreeNetBufferList0", [](auto *l) { FwpsFreeNetBufferList0(l); }, false);
    frees(
        "NdisFreeNetBufferList", [](auto *l) { NdisFreeNetBufferList(l); }, false);
    frees(
        "FwpsFreeCloneNetBufferList0", [](auto *l) { FwpsFreeCloneNetBufferList0(l, 0); }, true);
    for (const char *name : {"FwpsReferenceNetBufferList0", "FwpsDereferenceNetBufferList0"}) {
        row(name, STATUS_SUCCESS, [] {
            Packets p;
            NET_BUFFER_LIST *list = p.list(8);
            FwpsReferenceNetBufferList0(list, 0);
            FwpsFreeNetBufferList0(list);
            EXPECT_EQ(NET_BUFFER_DATA_LENGTH(list->FirstNetBuffer), 8u);
            FwpsDereferenceNetBufferList0(list, 0);
            NET_BUFFER_LIST foreign{};
            const auto before = foreign_lists();
            FwpsReferenceNetBufferList0(&foreign, 0);
            FwpsDereferenceNetBufferList0(&foreign, 0);
            EXPECT_EQ(foreign_lists(), before + 2);
            list = p.list(8);
            const auto twice = fwp::engine().counters().freed_twice.load();
            FwpsDereferenceNetBufferList0(list, 0); // it was not referenced
            EXPECT_EQ(fwp::engine().counters().freed_twice, twice + 1);
            FwpsFreeNetBufferList0(list);
            return STATUS_SUCCESS;
        });
    }
}

NTSTATUS making_list_pools() {
    NET_BUFFER_LIST_POOL_PARAMETERS wrong = list_pool(0, 8);
    EXPECT_EQ(NdisAllocateNetBufferListPool(nullptr, &wrong), nullptr); // data without a buffer
    wrong = list_pool(1, 0);
    wrong.Header.Type = 1;
    EXPECT_EQ(NdisAllocateNetBufferListPool(nullptr, &wrong), nullptr);
    wrong = list_pool(1, 0);
    --wrong.Header.Size;
    EXPECT_EQ(NdisAllocateNetBufferListPool(nullptr, &wrong), nullptr);
    EXPECT_EQ(NdisAllocateNetBufferListPool(nullptr, nullptr), nullptr);
    NET_BUFFER_LIST_POOL_PARAMETERS right = list_pool(0, 0);
    const NDIS_HANDLE pool = NdisAllocateNetBufferListPool(nullptr, &right);
    EXPECT_NE(pool, nullptr);
    NdisFreeNetBufferPool(pool); // not of that kind
    NET_BUFFER_LIST *list = NdisAllocateNetBufferList(pool, 0, 0);
    EXPECT_NE(list, nullptr);
    EXPECT_EQ(list->FirstNetBuffer, nullptr);
    NdisFreeNetBufferListPool(pool);
    EXPECT_EQ(NdisAllocateNetBufferList(pool, 0, 0), nullptr);
    NdisFreeNetBufferList(list);
    return STATUS_SUCCESS;
}

NTSTATUS making_buffers() {
    Packets p;
    NET_BUFFER_POOL_PARAMETERS wrong{};
    EXPECT_EQ(NdisAllocateNetBufferPool(nullptr, &wrong), nullptr);
    EXPECT_EQ(NdisAllocateNetBufferPool(nullptr, nullptr), nullptr);
    EXPECT_EQ(NdisAllocateNetBuffer(p.pool, &p.piece, 0, 1), nullptr);
    EXPECT_EQ(NdisAllocateNetBuffer(p.buffer_pool, &p.piece, 1, Packets::size), nullptr);
    EXPECT_EQ(NdisAllocateNetBuffer(p.buffer_pool, nullptr, 1, 32), nullptr);
    NET_BUFFER *over = NdisAllocateNetBuffer(p.buffer_pool, &p.piece, 2, 4);
    NET_BUFFER *own = NdisAllocateNetBuffer(p.buffer_pool, nullptr, 0, 32);
    EXPECT_EQ(NdisGetDataBuffer(over, 4, nullptr, 1, 0), p.bytes.data() + 2);
    EXPECT_NE(NdisGetDataBuffer(own, 32, nullptr, 1, 0), nullptr);
    NdisFreeNetBuffer(over);
    NdisFreeNetBuffer(own);
    NdisFreeNetBuffer(nullptr);
    const auto &counters = fwp::engine().counters();
    const auto freed = counters.freed_twice.load(), used = counters.used_after_free.load();
    NdisFreeNetBuffer(own);
    EXPECT_EQ(counters.freed_twice, freed + 1);
    EXPECT_EQ(NdisGetDataBuffer(own, 4, nullptr, 1, 0), nullptr);
    EXPECT_EQ(NdisRetreatNetBufferDataStart(own, 4, 0, nullptr), NDIS_STATUS_FAILURE);
    NdisAdvanceNetBufferDataStart(own, 4, 1, nullptr);
    EXPECT_EQ(counters.used_after_free, used + 3);
    NET_BUFFER foreign{};
    EXPECT_EQ(NdisGetDataBuffer(&foreign, 4, nullptr, 1, 0), nullptr);
    EXPECT_EQ(counters.used_after_free, used + 3);
    return STATUS_SUCCESS;
}

NTSTATUS making_lists() {
    Packets p;
    NET_BUFFER_LIST *list = NdisAllocateNetBufferList(p.data_pool, 0, 0);
    EXPECT_EQ(list->FirstNetBuffer->MdlChain->ByteCount, 64u);
    NdisFreeNetBufferList(list);
    EXPECT_EQ(NdisAllocateNetBufferList(p.buffer_pool, 0, 0), nullptr);
    EXPECT_EQ(NdisAllocateNetBufferAndNetBufferList(&p, 0, 0, &p.piece, 0, 1), nullptr);
    list = NdisAllocateNetBufferAndNetBufferList(p.pool, 0, 0, &p.piece, 0, 1);
    EXPECT_NE(list, nullptr);
    NdisFreeNetBufferList(list);
    return STATUS_SUCCESS;
}

NTSTATUS making_pieces() {
    std::array<UCHAR, 16> memory{};
    for (PMDL mdl : {NdisAllocateMdl(nullptr, memory.data() + 1, 8),
                     IoAllocateMdl(memory.data() + 1, 8, 0, 0, nullptr)}) {
        mdl->MappedSystemVa = nullptr;
        MmBuildMdlForNonPagedPool(mdl);
        EXPECT_EQ(mdl->MappedSystemVa, memory.data() + 1);
        EXPECT_EQ(mdl->ByteCount, 8u);
        EXPECT_EQ(mdl->Next, nullptr);
        NdisFreeMdl(mdl);
        const auto twice = fwp::engine().counters().freed_twice.load();
        NdisFreeMdl(mdl);
        EXPECT_EQ(fwp::engine().counters().freed_twice, twice + 1);
    }
    EXPECT_EQ(NdisAllocateMdl(nullptr, nullptr, 8), nullptr);
    EXPECT_EQ(IoAllocateMdl(nullptr, 8, 0, 0, nullptr), nullptr);
    EXPECT_EQ(IoAllocateMdl(memory.data(), 8, 0, 0, memory.data()), nullptr);
    NdisFreeMdl(nullptr);
    IoFreeMdl(nullptr);
    return STATUS_SUCCESS;
}

// ---- moving, reading, copying ----

NTSTATUS retreating(bool list_form, NTSTATUS wanted) {
    Packets p;
    NET_BUFFER_LIST *list = p.list(8);
    const ULONG delta = wanted == STATUS_UNSUCCESSFUL ? 0x10000 : 12;
    NTSTATUS status = list_form
                          ? NdisRetreatNetBufferListDataStart(list, delta, 0, nullptr, nullptr)
                          : NdisRetreatNetBufferDataStart(list->FirstNetBuffer, delta, 0, nullptr);
    EXPECT_EQ(list->FirstNetBuffer->DataLength, status == STATUS_SUCCESS ? 20u : 8u);
    if (status == STATUS_SUCCESS) {
        if (list_form)
            NdisAdvanceNetBufferListDataStart(list, 12, 1, nullptr);
        else
            NdisAdvanceNetBufferDataStart(list->FirstNetBuffer, 12, 1, nullptr);
    }
    EXPECT_EQ(list->FirstNetBuffer->MdlChain, &p.piece);
    EXPECT_EQ(list->FirstNetBuffer->DataLength, 8u);
    FwpsFreeNetBufferList0(list);
    return status;
}

// A later buffer that fails undoes the earlier ones.
NTSTATUS retreating_one_of_two() {
    Packets p;
    NET_BUFFER_LIST *list = p.list(8);
    NET_BUFFER *second = NdisAllocateNetBuffer(p.buffer_pool, &p.piece, 0, 4);
    list->FirstNetBuffer->Next = second;
    static int calls, freed;
    calls = freed = 0;
    static std::array<UCHAR, 16> memory;
    const auto allocate = [](PULONG size) -> PMDL {
        return ++calls == 1 ? NdisAllocateMdl(nullptr, memory.data(), *size) : nullptr;
    };
    const auto release = [](PMDL mdl) {
        ++freed;
        NdisFreeMdl(mdl);
        const auto twice = fwp::engine().counters().freed_twice.load();
        NdisFreeMdl(mdl);
        EXPECT_EQ(fwp::engine().counters().freed_twice, twice + 1);
    };
    const NTSTATUS status = NdisRetreatNetBufferListDataStart(list, 12, 0, +allocate, +release);
    EXPECT_EQ(status, NDIS_STATUS_RESOURCES);
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(list->FirstNetBuffer->DataLength, 8u);
    EXPECT_EQ(second->DataLength, 4u);
    list->FirstNetBuffer->Next = nullptr;
    NdisFreeNetBuffer(second);
    FwpsFreeNetBufferList0(list);
    return STATUS_SUCCESS;
}

NTSTATUS copying(NTSTATUS wanted) {
    Packets p;
    NET_BUFFER_LIST *from = p.list(8);
    NET_BUFFER *to = NdisAllocateNetBuffer(p.buffer_pool, nullptr, 0, 32);
    ULONG copied = 77;
    NTSTATUS status = STATUS_SUCCESS;
    if (wanted == STATUS_INVALID_PARAMETER) {
        EXPECT_EQ(NdisCopyFromNetBufferToNetBuffer(to, 33, 1, from->FirstNetBuffer, 0, &copied),
                  wanted);
        EXPECT_EQ(NdisCopyFromNetBufferToNetBuffer(to, 0, 1, from->FirstNetBuffer, 9, &copied),
                  wanted);
        EXPECT_EQ(copied, 77u);
        status = NdisCopyFromNetBufferToNetBuffer(to, 0, 1, from->FirstNetBuffer, 0, nullptr);
    } else {
        status = NdisCopyFromNetBufferToNetBuffer(to, 4, 100, from->FirstNetBuffer, 2, &copied);
        EXPECT_EQ(copied, 6u);
        const auto *data = static_cast<UCHAR *>(NdisGetDataBuffer(to, 32, nullptr, 1, 0));
        EXPECT_EQ(data[3], 0);
        EXPECT_EQ(data[4], p.bytes[2]);
        EXPECT_EQ(data[9], p.bytes[7]);
        EXPECT_EQ(data[10], 0);
    }
    NdisFreeNetBuffer(to);
    FwpsFreeNetBufferList0(from);
    return status;
}

} // namespace

void packet_rows() {
    list_rows();
    for (const char *name : {"NdisAllocateNetBufferListPool", "NdisFreeNetBufferListPool"})
        row(name, STATUS_SUCCESS, making_list_pools);
    for (const char *name : {"NdisAllocateNetBufferPool", "NdisFreeNetBufferPool",
                             "NdisAllocateNetBuffer", "NdisFreeNetBuffer"})
        row(name, STATUS_SUCCESS, making_buffers);
    for (const char *name : {"NdisAllocateNetBufferList", "NdisAllocateNetBufferAndNetBufferList"})
        row(name, STATUS_SUCCESS, making_lists);
    for (const char *name : {"NdisAllocateMdl", "NdisFreeMdl", "IoAllocateMdl", "IoFreeMdl",
                             "MmBuildMdlForNonPagedPool"})
        row(name, STATUS_SUCCESS, making_pieces);
    for (const Status s : {STATUS(STATUS_SUCCESS), STATUS(STATUS_UNSUCCESSFUL)}) {
        row("NdisRetreatNetBufferDataStart", s, [s] { return retreating(false, s.value); });
        row("NdisRetreatNetBufferListDataStart", s, [s] { return retreating(true, s.value); });
    }
    row("NdisAdvanceNetBufferDataStart", STATUS_SUCCESS,
        [] { return retreating(false, STATUS_SUCCESS); });
    row("NdisAdvanceNetBufferListDataStart", STATUS_SUCCESS, retreating_one_of_two);
    row("NdisGetDataBuffer", STATUS_SUCCESS, making_buffers);
    for (const Status s : {STATUS(STATUS_SUCCESS), STATUS(STATUS_INVALID_PARAMETER)})
        row("NdisCopyFromNetBufferToNetBuffer", s, [s] { return copying(s.value); });
}

} // namespace sluice::test
