// SPDX-License-Identifier: Apache-2.0
#include "fwp/custody.h"
#include "fwp/instance.h"
#include "runtime/net_buffer.h"
#include "runtime/net_buffer_pool.h"
#include "runtime/net_buffer_tags.h"

using namespace sluice;
using runtime::BufferList;

namespace {

bool header_fits(const NDIS_OBJECT_HEADER &header, std::size_t least) {
    return header.Type == NDIS_OBJECT_TYPE_DEFAULT && header.Revision >= 1 && header.Size >= least;
}

template <typename Pointer, typename Body>
Pointer or_null(Body &&body) noexcept {
    try {
        return body();
    } catch (...) { // out of memory
        return nullptr;
    }
}

NTSTATUS make_over(NDIS_HANDLE handle, USHORT context, USHORT back_fill, MDL *chain, ULONG offset,
                   SIZE_T length, const void *place, NET_BUFFER_LIST **out) {
    auto pool = runtime::buffer_pools().find(handle);
    if (!pool || !pool->of_lists || !pool->with_buffer || pool->data_bytes > 0)
        return STATUS_INVALID_PARAMETER;
    if (length > UINT32_MAX || !runtime::chain_holds(chain, offset, length))
        return STATUS_INVALID_PARAMETER;
    BufferList *list = runtime::make_list(std::move(pool), context, back_fill);
    list->made_at(place);
    list->add_buffer(chain, offset, static_cast<std::uint32_t>(length));
    *out = list;
    return STATUS_SUCCESS;
}

// Frees a list of this kind, and no other.
void free_list(NET_BUFFER_LIST *list, BufferList::Kind kind, const char *function,
               const void *place) {
    BufferList *ours = BufferList::of(list);
    if (!ours) return fwp::report(BufferList::slots(), list, function, place, true);
    if (ours->kind() != kind) {
        ++fwp::engine().counters().foreign_lists;
        return;
    }
    const BufferList::Ended ended = ours->end(place);
    if (ended == BufferList::Ended::before) fwp::report_freed_twice(list, function, place);
    if (ended == BufferList::Ended::injected) fwp::report_injected(list, function, place);
}

// Of ours and still there; else it is reported.
bool usable(const NET_BUFFER *buffer, const char *function, const void *place) {
    auto &slots = runtime::Buffer::slots();
    if (slots.find(buffer) == runtime::Slots::Found::live) return true;
    fwp::report(slots, buffer, function, place, false);
    return false;
}
bool usable(NET_BUFFER_LIST *list, const char *function, const void *place) {
    if (!BufferList::of(list)) {
        fwp::report(BufferList::slots(), list, function, place, false);
        return false;
    }
    std::size_t count = 0;
    for (const NET_BUFFER *b = list->FirstNetBuffer; b; b = b->Next)
        if (!usable(b, function, place) || ++count > runtime::buffers_max) return false;
    return true;
}
#define USABLE(object) usable(object, __func__, SLUICE_CALLER())

void free_piece(MDL *mdl, const char *function, const void *place) {
    if (mdl && !runtime::free_mdl(mdl, place))
        fwp::report(runtime::Piece::slots(), mdl, function, place, true);
}

bool pool_or_none(NDIS_HANDLE handle, bool of_lists) {
    if (!handle) return true;
    const auto pool = runtime::buffer_pools().find(handle);
    return pool && pool->of_lists == of_lists;
}

NTSTATUS clone(NET_BUFFER_LIST *original, NDIS_HANDLE lists, NDIS_HANDLE buffers, bool deep,
               const void *place, NET_BUFFER_LIST **out) {
    return fwp::guarded([&] {
        if (!original || !out) return STATUS_FWP_NULL_POINTER;
        BufferList *from = BufferList::of(original);
        if (!from) fwp::report(BufferList::slots(), original, "clone", place, false);
        if (!from || !pool_or_none(lists, true)) return STATUS_INVALID_PARAMETER;
        // A pool of lists that brings buffers along serves for these too.
        if (!pool_or_none(buffers, false) && !pool_or_none(buffers, true))
            return STATUS_INVALID_PARAMETER;
        BufferList *made = BufferList::clone(*from, deep);
        if (!made) return STATUS_INVALID_PARAMETER;
        made->made_at(place);
        runtime::buffer_tags().cloned(from, made);
        *out = made;
        return STATUS_SUCCESS;
    });
}

} // namespace

// ---- pools ----

NDIS_HANDLE NdisAllocateNetBufferListPool(NDIS_HANDLE, PNET_BUFFER_LIST_POOL_PARAMETERS p) {
    return or_null<NDIS_HANDLE>([&]() -> NDIS_HANDLE {
        if (!p || !header_fits(p->Header, NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1))
            return nullptr;
        if (p->DataSize > 0 && !p->fAllocateNetBuffer) return nullptr;
        return runtime::buffer_pools().add(
            {true, p->fAllocateNetBuffer != 0, p->ContextSize, p->DataSize});
    });
}

VOID NdisFreeNetBufferListPool(NDIS_HANDLE handle) {
    runtime::buffer_pools().remove(handle, true);
}

NDIS_HANDLE NdisAllocateNetBufferPool(NDIS_HANDLE, PNET_BUFFER_POOL_PARAMETERS p) {
    return or_null<NDIS_HANDLE>([&]() -> NDIS_HANDLE {
        if (!p || !header_fits(p->Header, NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1))
            return nullptr;
        return runtime::buffer_pools().add({false, false, 0, p->DataSize});
    });
}

VOID NdisFreeNetBufferPool(NDIS_HANDLE handle) {
    runtime::buffer_pools().remove(handle, false);
}

// ---- lists ----

PNET_BUFFER_LIST NdisAllocateNetBufferList(NDIS_HANDLE handle, USHORT context, USHORT back_fill) {
    const void *place = SLUICE_CALLER();
    return or_null<PNET_BUFFER_LIST>([&]() -> PNET_BUFFER_LIST {
        auto pool = runtime::buffer_pools().find(handle);
        if (!pool || !pool->of_lists) return nullptr;
        const runtime::BufferPool kind = *pool;
        BufferList *list = runtime::make_list(std::move(pool), context, back_fill);
        list->made_at(place);
        if (kind.data_bytes > 0)
            list->add_buffer_with_data(kind.data_bytes);
        else if (kind.with_buffer)
            list->add_buffer(nullptr, 0, 0);
        return list;
    });
}

PNET_BUFFER_LIST NdisAllocateNetBufferAndNetBufferList(NDIS_HANDLE handle, USHORT context,
                                                       USHORT back_fill, PMDL chain, ULONG offset,
                                                       SIZE_T length) {
    const void *place = SLUICE_CALLER();
    return or_null<PNET_BUFFER_LIST>([&]() -> PNET_BUFFER_LIST {
        NET_BUFFER_LIST *list = nullptr;
        (void)make_over(handle, context, back_fill, chain, offset, length, place, &list);
        return list;
    });
}

VOID NdisFreeNetBufferList(PNET_BUFFER_LIST list) {
    free_list(list, BufferList::Kind::pooled, __func__, SLUICE_CALLER());
}

NTSTATUS FwpsAllocateNetBufferAndNetBufferList0(NDIS_HANDLE handle, USHORT context,
                                                USHORT back_fill, MDL *chain, ULONG offset,
                                                SIZE_T length, NET_BUFFER_LIST **out) {
    const void *place = SLUICE_CALLER();
    return fwp::guarded([&] {
        if (!out) return STATUS_FWP_NULL_POINTER;
        return make_over(handle, context, back_fill, chain, offset, length, place, out);
    });
}

VOID FwpsFreeNetBufferList0(NET_BUFFER_LIST *list) {
    free_list(list, BufferList::Kind::pooled, __func__, SLUICE_CALLER());
}

NTSTATUS FwpsAllocateCloneNetBufferList0(NET_BUFFER_LIST *original, NDIS_HANDLE lists,
                                         NDIS_HANDLE buffers, ULONG flags, NET_BUFFER_LIST **out) {
    if (original && out && flags != 0) return STATUS_FWP_INVALID_FLAGS;
    return clone(original, lists, buffers, false, SLUICE_CALLER(), out);
}

NTSTATUS FwpsAllocateDeepCloneNetBufferList0(NET_BUFFER_LIST *original, NDIS_HANDLE lists,
                                             NDIS_HANDLE buffers, NET_BUFFER_LIST **out) {
    return clone(original, lists, buffers, true, SLUICE_CALLER(), out);
}

VOID FwpsFreeCloneNetBufferList0(NET_BUFFER_LIST *list, ULONG) {
    free_list(list, BufferList::Kind::clone, __func__, SLUICE_CALLER());
}

VOID FwpsReferenceNetBufferList0(NET_BUFFER_LIST *list, BOOLEAN) {
    const void *place = SLUICE_CALLER();
    const char *function = __func__;
    (void)fwp::guarded([&] {
        if (BufferList *ours = BufferList::of(list))
            ours->reference(place);
        else
            fwp::report(BufferList::slots(), list, function, place, false);
        return STATUS_SUCCESS;
    });
}

VOID FwpsDereferenceNetBufferList0(NET_BUFFER_LIST *list, BOOLEAN) {
    const void *place = SLUICE_CALLER();
    BufferList *ours = BufferList::of(list);
    if (!ours) return fwp::report(BufferList::slots(), list, __func__, place, true);
    if (!ours->dereference(place)) fwp::report_freed_twice(list, __func__, place);
}

// ---- buffers ----

PNET_BUFFER NdisAllocateNetBuffer(NDIS_HANDLE handle, PMDL chain, ULONG offset, SIZE_T length) {
    return or_null<PNET_BUFFER>([&]() -> PNET_BUFFER {
        const auto pool = runtime::buffer_pools().find(handle);
        if (!pool || pool->of_lists || length > UINT32_MAX) return nullptr;
        const bool fits = chain ? runtime::chain_holds(chain, offset, length)
                                : offset <= pool->data_bytes && length <= pool->data_bytes - offset;
        if (!fits) return nullptr;
        return runtime::make_buffer(*pool, handle, chain, offset,
                                    static_cast<std::uint32_t>(length));
    });
}

VOID NdisFreeNetBuffer(PNET_BUFFER buffer) {
    if (buffer && !runtime::free_buffer(buffer, SLUICE_CALLER()))
        fwp::report(runtime::Buffer::slots(), buffer, __func__, SLUICE_CALLER(), true);
}

NDIS_STATUS NdisRetreatNetBufferDataStart(PNET_BUFFER buffer, ULONG delta, ULONG back_fill,
                                          NET_BUFFER_ALLOCATE_MDL_HANDLER allocate) {
    if (!USABLE(buffer)) return NDIS_STATUS_FAILURE;
    return runtime::retreat(*buffer, delta, back_fill, allocate);
}

NDIS_STATUS NdisRetreatNetBufferListDataStart(PNET_BUFFER_LIST list, ULONG delta, ULONG back_fill,
                                              NET_BUFFER_ALLOCATE_MDL_HANDLER allocate,
                                              NET_BUFFER_FREE_MDL_HANDLER free_piece) {
    if (!USABLE(list)) return NDIS_STATUS_FAILURE;
    for (NET_BUFFER *b = list->FirstNetBuffer; b; b = b->Next) {
        const NDIS_STATUS status = runtime::retreat(*b, delta, back_fill, allocate);
        if (status == NDIS_STATUS_SUCCESS) continue;
        for (NET_BUFFER *done = list->FirstNetBuffer; done != b; done = done->Next)
            runtime::advance(*done, delta, true, free_piece);
        return status;
    }
    return NDIS_STATUS_SUCCESS;
}

VOID NdisAdvanceNetBufferDataStart(PNET_BUFFER buffer, ULONG delta, BOOLEAN free_pieces,
                                   NET_BUFFER_FREE_MDL_HANDLER free_piece) {
    if (USABLE(buffer)) runtime::advance(*buffer, delta, free_pieces != 0, free_piece);
}

VOID NdisAdvanceNetBufferListDataStart(PNET_BUFFER_LIST list, ULONG delta, BOOLEAN free_pieces,
                                       NET_BUFFER_FREE_MDL_HANDLER free_piece) {
    if (!USABLE(list)) return;
    for (NET_BUFFER *b = list->FirstNetBuffer; b; b = b->Next)
        runtime::advance(*b, delta, free_pieces != 0, free_piece);
}

PVOID NdisGetDataBuffer(PNET_BUFFER buffer, ULONG bytes, PVOID storage, ULONG multiple,
                        ULONG offset) {
    if (!USABLE(buffer)) return nullptr;
    return runtime::contiguous(*buffer, bytes, storage, multiple, offset);
}

NDIS_STATUS NdisCopyFromNetBufferToNetBuffer(PNET_BUFFER to, ULONG to_offset, ULONG bytes,
                                             const NET_BUFFER *from, ULONG from_offset,
                                             PULONG copied) {
    if (!USABLE(to) || !USABLE(from)) return NDIS_STATUS_INVALID_PARAMETER;
    if (!copied || to_offset > to->DataLength || from_offset > from->DataLength)
        return NDIS_STATUS_INVALID_PARAMETER;
    std::byte block[1024];
    std::size_t done = 0;
    while (done < bytes) {
        const std::size_t want = std::min<std::size_t>(sizeof block, bytes - done);
        const std::size_t got = runtime::read(*from, from_offset + done, {block, want});
        const std::size_t put = runtime::write(*to, to_offset + done, {block, got});
        done += put;
        if (put < want) break;
    }
    *copied = static_cast<ULONG>(done);
    return NDIS_STATUS_SUCCESS;
}

// ---- pieces ----

PMDL NdisAllocateMdl(NDIS_HANDLE, PVOID address, UINT length) {
    return address ? runtime::make_mdl(address, length) : nullptr;
}

VOID NdisFreeMdl(PMDL mdl) {
    free_piece(mdl, __func__, SLUICE_CALLER());
}

PMDL IoAllocateMdl(PVOID address, ULONG length, BOOLEAN, BOOLEAN, PVOID irp) {
    return address && !irp ? runtime::make_mdl(address, length) : nullptr;
}

VOID IoFreeMdl(PMDL mdl) {
    free_piece(mdl, __func__, SLUICE_CALLER());
}

VOID MmBuildMdlForNonPagedPool(PMDL mdl) {
    mdl->MappedSystemVa = static_cast<std::byte *>(mdl->StartVa) + mdl->ByteOffset;
    mdl->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
}
