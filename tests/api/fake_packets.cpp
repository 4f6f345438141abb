// SPDX-License-Identifier: Apache-2.0
// Of the fake library, what has to do with packets: lists with one buffer in one piece.
#include <cstring>

#include "fake_library.h"

NDIS_STATUS NdisRetreatNetBufferListDataStart(PNET_BUFFER_LIST list, ULONG delta, ULONG,
                                              NET_BUFFER_ALLOCATE_MDL_HANDLER,
                                              NET_BUFFER_FREE_MDL_HANDLER) {
    NET_BUFFER &b = *list->FirstNetBuffer;
    if (delta > b.DataOffset) return NDIS_STATUS_FAILURE;
    b.DataOffset -= delta;
    b.CurrentMdlOffset -= delta;
    b.DataLength += delta;
    return NDIS_STATUS_SUCCESS;
}

VOID NdisAdvanceNetBufferListDataStart(PNET_BUFFER_LIST list, ULONG delta, BOOLEAN,
                                       NET_BUFFER_FREE_MDL_HANDLER) {
    NET_BUFFER &b = *list->FirstNetBuffer;
    b.DataOffset += delta;
    b.CurrentMdlOffset += delta;
    b.DataLength -= delta;
}

// Blocks of more than 64 bytes are as if they lay in several pieces.
PVOID NdisGetDataBuffer(PNET_BUFFER b, ULONG bytes, PVOID storage, ULONG, ULONG) {
    if (bytes == 0 || bytes > b->DataLength) return nullptr;
    auto *at = static_cast<UINT8 *>(b->CurrentMdl->MappedSystemVa) + b->CurrentMdlOffset;
    if (bytes <= 64) return at;
    return storage ? std::memcpy(storage, at, bytes) : nullptr;
}

namespace {

struct Clone : NET_BUFFER_LIST {
    NET_BUFFER buffer{};
    MDL piece{};
    std::vector<UINT8> copy;
};

NTSTATUS clone(NET_BUFFER_LIST *original, bool deep, NET_BUFFER_LIST **out) {
    if (library.clone_status != STATUS_SUCCESS) return library.clone_status;
    const NET_BUFFER &from = *original->FirstNetBuffer;
    auto *at = static_cast<UINT8 *>(from.CurrentMdl->MappedSystemVa) + from.CurrentMdlOffset;
    auto *made = new Clone{};
    if (deep) {
        made->copy.assign(at, at + from.DataLength);
        at = made->copy.data();
    }
    made->piece.MappedSystemVa = at;
    made->piece.ByteCount = made->buffer.DataLength = from.DataLength;
    made->buffer.CurrentMdl = made->buffer.MdlChain = &made->piece;
    made->FirstNetBuffer = &made->buffer;
    ++library.clones;
    *out = made;
    return STATUS_SUCCESS;
}

NTSTATUS inject(const FakeLibrary::Injection &injection, NET_BUFFER_LIST *list,
                FWPS_INJECT_COMPLETE0 done, HANDLE context) {
    if (library.inject_status != STATUS_SUCCESS) return library.inject_status;
    library.injections.push_back(injection);
    list->Status = STATUS_SUCCESS;
    done(context, list, 0);
    return STATUS_SUCCESS;
}

} // namespace

NTSTATUS FwpsAllocateCloneNetBufferList0(NET_BUFFER_LIST *original, NDIS_HANDLE, NDIS_HANDLE, ULONG,
                                         NET_BUFFER_LIST **out) {
    return clone(original, false, out);
}
NTSTATUS FwpsAllocateDeepCloneNetBufferList0(NET_BUFFER_LIST *original, NDIS_HANDLE, NDIS_HANDLE,
                                             NET_BUFFER_LIST **out) {
    return clone(original, true, out);
}
VOID FwpsFreeCloneNetBufferList0(NET_BUFFER_LIST *list, ULONG) {
    delete static_cast<Clone *>(list);
    --library.clones;
}
NTSTATUS FwpsInjectionHandleCreate0(ADDRESS_FAMILY, UINT32 flags, HANDLE *handle) {
    if (flags & 0x1000) return STATUS_FWP_INVALID_FLAGS;
    *handle = &library;
    ++library.injection_handles;
    return STATUS_SUCCESS;
}
NTSTATUS FwpsInjectionHandleDestroy0(HANDLE) {
    --library.injection_handles;
    return STATUS_SUCCESS;
}
// A list whose Scratch is set was injected by us.
FWPS_PACKET_INJECTION_STATE FwpsQueryPacketInjectionState0(HANDLE, const NET_BUFFER_LIST *list,
                                                           HANDLE *context) {
    if (!list || !list->Scratch) return FWPS_PACKET_NOT_INJECTED;
    if (context) *context = list->Scratch;
    return FWPS_PACKET_INJECTED_BY_SELF;
}
NTSTATUS FwpsInjectTransportReceiveAsync0(HANDLE, HANDLE, PVOID, UINT32, ADDRESS_FAMILY family,
                                          COMPARTMENT_ID, IF_INDEX interface, IF_INDEX,
                                          NET_BUFFER_LIST *list, FWPS_INJECT_COMPLETE0 done,
                                          HANDLE context) {
    return inject({true, 0, interface, family, {}}, list, done, context);
}
NTSTATUS FwpsInjectTransportSendAsync0(HANDLE, HANDLE, UINT64 endpoint, UINT32,
                                       FWPS_TRANSPORT_SEND_PARAMS0 *args, ADDRESS_FAMILY family,
                                       COMPARTMENT_ID, NET_BUFFER_LIST *list,
                                       FWPS_INJECT_COMPLETE0 done, HANDLE context) {
    const std::size_t bytes = family == SLUICE_AF_INET6 ? 16 : 4;
    return inject({false, endpoint, 0, family, {args->remoteAddress, args->remoteAddress + bytes}},
                  list, done, context);
}
