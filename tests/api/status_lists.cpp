// SPDX-License-Identifier: Apache-2.0
// Headers, fragments and values on lists, through the exported functions.
#include <gtest/gtest.h>

#include "packets.h"
#include "status_world.h"

namespace sluice::test {

namespace {

NTSTATUS constructing(NTSTATUS wanted) {
    Packets p;
    NET_BUFFER_LIST *list = p.list(8);
    const UCHAR source[4] = {10, 0, 0, 1}, remote[4] = {10, 0, 0, 2};
    const auto construct = [&](NET_BUFFER_LIST *at, const UCHAR *from, ADDRESS_FAMILY family,
                               INT protocol, UINT32 flags, PVOID reserved) {
        return FwpsConstructIpHeaderForTransportPacket0(at, 0, family, from, remote, protocol, 0,
                                                        nullptr, 0, flags, reserved, 0, 0);
    };
    NTSTATUS status = STATUS_SUCCESS;
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(construct(nullptr, source, SLUICE_AF_INET, 17, 0, nullptr), wanted);
        status = construct(list, nullptr, SLUICE_AF_INET, 17, 0, nullptr);
    } else if (wanted == STATUS_FWP_INVALID_FLAGS) {
        status = construct(list, source, SLUICE_AF_INET, 17, 1, nullptr);
    } else if (wanted == STATUS_INVALID_PARAMETER) {
        NET_BUFFER_LIST foreign{};
        EXPECT_EQ(construct(&foreign, source, SLUICE_AF_INET, 17, 0, nullptr), wanted);
        EXPECT_EQ(construct(list, source, SLUICE_AF_UNSPEC, 17, 0, nullptr), wanted);
        EXPECT_EQ(construct(list, source, SLUICE_AF_INET, 256, 0, nullptr), wanted);
        EXPECT_EQ(construct(list, source, SLUICE_AF_INET, -1, 0, nullptr), wanted);
        status = construct(list, source, SLUICE_AF_INET, 17, 0, list);
    } else {
        status = construct(list, source, SLUICE_AF_INET, 17, 0, nullptr);
    }
    EXPECT_EQ(list->FirstNetBuffer->DataLength, status == STATUS_SUCCESS ? 28u : 8u);
    FwpsFreeNetBufferList0(list);
    return status;
}

NTSTATUS reassembling(NTSTATUS wanted) {
    Packets p;
    const UCHAR first[28] = {0x45, 0, 0, 28, 0, 9, 0x20, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    const UCHAR second[23] = {0x45, 0, 0, 23, 0, 9, 0, 1, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    std::memcpy(p.bytes.data(), first, sizeof first);
    std::memcpy(p.bytes.data() + 32, second, sizeof second);
    NET_BUFFER_LIST *one = p.list(28), *two = nullptr, *made = nullptr;
    EXPECT_EQ(FwpsAllocateNetBufferAndNetBufferList0(p.pool, 0, 0, &p.piece, 32, 23, &two),
              STATUS_SUCCESS);
    one->Next = two;
    const auto join = [&](ADDRESS_FAMILY family, NET_BUFFER_LIST *chain, NDIS_HANDLE pool,
                          ULONG fill, ULONG flags, NET_BUFFER_LIST **out) {
        return FwpsReassembleForwardFragmentGroup0(family, chain, pool, fill, flags, out);
    };
    NTSTATUS status = STATUS_SUCCESS;
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(join(SLUICE_AF_INET, nullptr, nullptr, 0, 0, &made), wanted);
        status = join(SLUICE_AF_INET, one, nullptr, 0, 0, nullptr);
    } else if (wanted == STATUS_FWP_INVALID_FLAGS) {
        status = join(SLUICE_AF_INET, one, nullptr, 0, 1, &made);
    } else if (wanted == STATUS_INVALID_PARAMETER) {
        NET_BUFFER_LIST foreign{};
        EXPECT_EQ(join(SLUICE_AF_INET, &foreign, nullptr, 0, 0, &made), wanted);
        EXPECT_EQ(join(SLUICE_AF_INET6, one, nullptr, 0, 0, &made), wanted);
        EXPECT_EQ(join(SLUICE_AF_UNSPEC, one, nullptr, 0, 0, &made), wanted);
        EXPECT_EQ(join(SLUICE_AF_INET, one, p.buffer_pool, 0, 0, &made), wanted);
        EXPECT_EQ(join(SLUICE_AF_INET, one, nullptr, 65536, 0, &made), wanted);
        status = join(SLUICE_AF_INET, two, nullptr, 0, 0, &made);
    } else {
        status = join(SLUICE_AF_INET, one, p.pool, 16, 0, &made);
    }
    FwpsFreeNetBufferList0(one);
    FwpsFreeNetBufferList0(two);
    EXPECT_EQ(made != nullptr, status == STATUS_SUCCESS);
    if (made) {
        std::array<UCHAR, 31> storage{};
        const void *at = NdisGetDataBuffer(made->FirstNetBuffer, 31, storage.data(), 1, 0);
        EXPECT_EQ(at, storage.data());
        EXPECT_EQ(storage[3], 31);
        FwpsFreeNetBufferList0(made);
    }
    return status;
}

NTSTATUS asking_about_security(NTSTATUS wanted) {
    Packets p;
    NET_BUFFER_LIST *list = p.list(8);
    FWPS_PACKET_LIST_INFORMATION0 told{};
    told.ipsecInformation.flags = 5;
    told.fwpInformation.isReinjected = 1;
    const auto ask = [&](NET_BUFFER_LIST *at, UINT32 query) {
        return FwpsGetPacketListSecurityInformation0(at, query, &told);
    };
    NTSTATUS status = STATUS_SUCCESS;
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(ask(nullptr, 13), wanted);
        status = FwpsGetPacketListSecurityInformation0(list, 13, nullptr);
    } else if (wanted == STATUS_INVALID_PARAMETER) {
        NET_BUFFER_LIST foreign{};
        EXPECT_EQ(ask(&foreign, 13), wanted);
        EXPECT_EQ(ask(list, FWPS_PACKET_LIST_INFORMATION_QUERY_INVALID_MASK), wanted);
        status = ask(list, FWPS_PACKET_LIST_INFORMATION_QUERY_FWP);
    } else {
        EXPECT_EQ(ask(list, FWPS_PACKET_LIST_INFORMATION_QUERY_INBOUND |
                                FWPS_PACKET_LIST_INFORMATION_QUERY_IPSEC),
                  STATUS_SUCCESS);
        EXPECT_EQ(told.ipsecInformation.flags, 0u);
        EXPECT_EQ(told.fwpInformation.isReinjected, 1u); // it was not asked for
        status = ask(list, FWPS_PACKET_LIST_INFORMATION_QUERY_ALL_OUTBOUND);
        EXPECT_EQ(told.fwpInformation.isReinjected, 0u);
    }
    FwpsFreeNetBufferList0(list);
    return status;
}

// ---- values ----

struct Told {
    FWPS_NET_BUFFER_LIST_EVENT_TYPE0 event;
    NET_BUFFER_LIST *list, *made;
    UINT64 context;
};
std::vector<Told> told;
VOID NTAPI tell_0(FWPS_NET_BUFFER_LIST_EVENT_TYPE0 event, NET_BUFFER_LIST *list,
                  NET_BUFFER_LIST *made, UINT16, UINT64 context, UINT64) {
    told.push_back({event, list, made, context});
}
NTSTATUS NTAPI tell_1(FWPS_NET_BUFFER_LIST_EVENT_TYPE0 event, NET_BUFFER_LIST *list,
                      NET_BUFFER_LIST *made, UINT16 layer, UINT64 context, UINT64 tag) {
    tell_0(event, list, made, layer, context, tag);
    return STATUS_SUCCESS;
}

struct Tagging {
    Tagging() {
        EXPECT_EQ(IoCreateDevice(&driver, 0, nullptr, 0, 0, 0, &device), STATUS_SUCCESS);
        list = packets.list(8);
        told.clear();
    }
    ~Tagging() {
        FwpsFreeNetBufferList0(list);
        IoDeleteDevice(device);
    }
    NTSTATUS put(bool newer, NET_BUFFER_LIST *at, UINT64 value, UINT64 with, PVOID dev,
                 bool notify = true, UINT32 flags = 0) const {
        return newer ? FwpsNetBufferListAssociateContext1(at, FWPS_LAYER_NON_WFP, value, with,
                                                          nullptr, dev, notify ? tell_1 : nullptr,
                                                          flags)
                     : FwpsNetBufferListAssociateContext0(at, FWPS_LAYER_NON_WFP, value, with,
                                                          nullptr, dev, notify ? tell_0 : nullptr,
                                                          flags);
    }
    Packets packets;
    DRIVER_OBJECT driver{};
    PDEVICE_OBJECT device = nullptr;
    NET_BUFFER_LIST *list = nullptr;
    const UINT64 tag = FwpsNetBufferListGetTagForContext0();
};

NTSTATUS tagging(bool newer, NTSTATUS wanted) {
    const Tagging t;
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(t.put(newer, nullptr, 7, t.tag, t.device), wanted);
        return t.put(newer, t.list, 7, t.tag, t.device, false);
    }
    if (wanted == STATUS_FWP_INVALID_FLAGS)
        return t.put(newer, t.list, 7, t.tag, t.device, true, 1);
    if (wanted == STATUS_INVALID_PARAMETER) {
        NET_BUFFER_LIST foreign{};
        EXPECT_EQ(t.put(newer, &foreign, 7, t.tag, t.device), wanted);
        EXPECT_EQ(t.put(newer, t.list, 7, 0, t.device), wanted);
        EXPECT_EQ(t.put(newer, t.list, 7, t.tag + 1000, t.device), wanted);
        return t.put(newer, t.list, 7, t.tag, t.list);
    }
    const NTSTATUS status = t.put(newer, t.list, 7, t.tag, t.device);
    if (wanted == STATUS_OBJECT_NAME_EXISTS) return t.put(newer, t.list, 8, t.tag, t.device);
    NET_BUFFER_LIST *clone = nullptr;
    EXPECT_EQ(FwpsAllocateCloneNetBufferList0(t.list, nullptr, nullptr, 0, &clone), STATUS_SUCCESS);
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].event, FWPS_NET_BUFFER_LIST_CLONED_VIA_WFP_API);
    EXPECT_EQ(told[0].list, t.list);
    EXPECT_EQ(told[0].made, clone);
    UINT64 value = 0;
    EXPECT_EQ(FwpsNetBufferListRetrieveContext0(clone, t.tag, 0, 0, &value), STATUS_SUCCESS);
    EXPECT_EQ(value, 7u);
    FwpsFreeCloneNetBufferList0(clone, 0);
    EXPECT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].event, FWPS_NET_BUFFER_LIST_CONTEXT_REMOVED);
    EXPECT_EQ(told[1].list, nullptr);
    return status;
}

NTSTATUS retrieving(NTSTATUS wanted) {
    const Tagging t;
    UINT64 value = 1;
    const auto get = [&](NET_BUFFER_LIST *at, BOOLEAN remove, UINT32 flags, UINT64 *out) {
        return FwpsNetBufferListRetrieveContext0(at, t.tag, remove, flags, out);
    };
    if (wanted == STATUS_FWP_NULL_POINTER) {
        EXPECT_EQ(get(nullptr, 0, 0, &value), wanted);
        return get(t.list, 0, 0, nullptr);
    }
    if (wanted == STATUS_FWP_INVALID_FLAGS) return get(t.list, 0, 1, &value);
    NET_BUFFER_LIST foreign{};
    if (wanted == STATUS_INVALID_PARAMETER) return get(&foreign, 0, 0, &value);
    const NTSTATUS none = get(t.list, 0, 0, &value);
    if (wanted == STATUS_NOT_FOUND) return none;
    EXPECT_EQ(t.put(false, t.list, 9, t.tag, t.device), STATUS_SUCCESS);
    EXPECT_EQ(get(t.list, 0, 0, &value), STATUS_SUCCESS);
    EXPECT_TRUE(told.empty());
    const NTSTATUS status = get(t.list, 1, 0, &value);
    EXPECT_EQ(value, 9u);
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].list, t.list);
    EXPECT_EQ(get(t.list, 0, 0, &value), STATUS_NOT_FOUND);
    return status;
}

NTSTATUS untagging(NTSTATUS wanted) {
    const Tagging t;
    if (wanted == STATUS_FWP_INVALID_FLAGS)
        return FwpsNetBufferListRemoveContext0(t.list, t.tag, 1);
    NET_BUFFER_LIST foreign{};
    if (wanted == STATUS_INVALID_PARAMETER)
        return FwpsNetBufferListRemoveContext0(&foreign, t.tag, 0);
    if (wanted == STATUS_NOT_FOUND) {
        EXPECT_EQ(FwpsNetBufferListRemoveContext0(nullptr, t.tag, 0), wanted);
        return FwpsNetBufferListRemoveContext0(t.list, t.tag, 0);
    }
    EXPECT_EQ(t.put(false, t.list, 9, t.tag, t.device), STATUS_SUCCESS);
    EXPECT_EQ(FwpsNetBufferListRemoveContext0(t.list, t.tag, 0), STATUS_SUCCESS);
    EXPECT_EQ(t.put(true, t.list, 10, t.tag, t.device), STATUS_SUCCESS);
    const NTSTATUS status = FwpsNetBufferListRemoveContext0(nullptr, t.tag, 0);
    EXPECT_EQ(told.size(), 2u);
    return status;
}

} // namespace

void list_function_rows() {
    const Status all[] = {STATUS(STATUS_SUCCESS), STATUS(STATUS_FWP_NULL_POINTER),
                          STATUS(STATUS_FWP_INVALID_FLAGS), STATUS(STATUS_INVALID_PARAMETER)};
    const Status exists = STATUS(STATUS_OBJECT_NAME_EXISTS), none = STATUS(STATUS_NOT_FOUND);
    for (const Status s : all) {
        row("FwpsConstructIpHeaderForTransportPacket0", s, [s] { return constructing(s.value); });
        row("FwpsReassembleForwardFragmentGroup0", s, [s] { return reassembling(s.value); });
        row("FwpsNetBufferListAssociateContext0", s, [s] { return tagging(false, s.value); });
        row("FwpsNetBufferListAssociateContext1", s, [s] { return tagging(true, s.value); });
        row("FwpsNetBufferListRetrieveContext0", s, [s] { return retrieving(s.value); });
        if (s.value != STATUS_FWP_INVALID_FLAGS)
            row("FwpsGetPacketListSecurityInformation0", s,
                [s] { return asking_about_security(s.value); });
        if (s.value != STATUS_FWP_NULL_POINTER)
            row("FwpsNetBufferListRemoveContext0", s, [s] { return untagging(s.value); });
    }
    row("FwpsNetBufferListAssociateContext0", exists,
        [exists] { return tagging(false, exists.value); });
    row("FwpsNetBufferListAssociateContext1", exists,
        [exists] { return tagging(true, exists.value); });
    row("FwpsNetBufferListRetrieveContext0", none, [none] { return retrieving(none.value); });
    row("FwpsNetBufferListRemoveContext0", none, [none] { return untagging(none.value); });
    row("FwpsNetBufferListGetTagForContext0", STATUS_SUCCESS, [] {
        const UINT64 first = FwpsNetBufferListGetTagForContext0();
        EXPECT_NE(first, 0u);
        EXPECT_NE(FwpsNetBufferListGetTagForContext0(), first);
        return STATUS_SUCCESS;
    });
}

} // namespace sluice::test
