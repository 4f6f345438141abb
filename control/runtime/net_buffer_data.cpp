// SPDX-License-Identifier: Apache-2.0
#include "runtime/net_buffer_data.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace sluice::runtime {

namespace {

constexpr std::size_t pieces_kept = std::size_t(1) << 20, buffers_kept = std::size_t(1) << 19;

// Put there by a retreat of ours.
Piece *front_of(const NET_BUFFER &buffer) {
    if (!buffer.MdlChain || buffer.MdlChain == buffer.NdisReserved[0]) return nullptr;
    Piece *piece = Piece::of(buffer.MdlChain);
    return piece && piece->kind == Piece::Kind::front ? piece : nullptr;
}

Piece *make_front(std::uint32_t count) try {
    auto piece = std::make_unique<Piece>(Piece::Kind::front, nullptr, count);
    piece->data = std::make_unique<std::byte[]>(count);
    piece->MappedSystemVa = piece->StartVa = piece->data.get();
    piece->MdlFlags |= MDL_NETWORK_HEADER;
    return piece.release();
} catch (const std::bad_alloc &) {
    return nullptr;
}

void locate(NET_BUFFER &buffer) {
    MDL *at = buffer.MdlChain;
    std::uint32_t offset = buffer.DataOffset;
    for (std::size_t i = 0; at && offset >= at->ByteCount && at->Next && i < pieces_max; ++i) {
        offset -= at->ByteCount;
        at = at->Next;
    }
    buffer.CurrentMdl = at;
    buffer.CurrentMdlOffset = offset;
}

} // namespace

Piece::Piece(Kind what, void *bytes, std::uint32_t count) : MDL{}, kind(what) {
    Size = sizeof(MDL);
    MdlFlags = MDL_SOURCE_IS_NONPAGED_POOL;
    MappedSystemVa = StartVa = bytes;
    ByteCount = count;
}

Piece *Piece::of(MDL *mdl) {
    return slots().find(mdl) == Slots::Found::live ? static_cast<Piece *>(mdl) : nullptr;
}

Slots &Piece::slots() {
    static auto *const all =
        new Slots(sizeof(Piece), pieces_kept); // outlives the program's threads
    return *all;
}

Slots &Buffer::slots() {
    static auto *const all = new Slots(sizeof(Buffer), buffers_kept);
    return *all;
}

void set_up(NET_BUFFER &buffer, MDL *chain, std::uint32_t offset, std::uint32_t length) {
    buffer.MdlChain = chain;
    buffer.DataOffset = offset;
    buffer.stDataLength = length;
    buffer.NdisReserved[0] = chain; // where retreats began
    locate(buffer);
}

NDIS_STATUS retreat(NET_BUFFER &buffer, std::uint32_t delta, std::uint32_t back_fill,
                    NET_BUFFER_ALLOCATE_MDL_HANDLER allocate) {
    if (delta > UINT32_MAX - buffer.DataLength) return NDIS_STATUS_FAILURE;
    if (delta > buffer.DataOffset) {
        const std::uint32_t missing = delta - buffer.DataOffset;
        if (back_fill > UINT16_MAX || missing > UINT16_MAX) return NDIS_STATUS_FAILURE;
        ULONG size = missing + back_fill;
        MDL *front = allocate ? allocate(&size) : make_front(size);
        if (!front || front->ByteCount < missing) return NDIS_STATUS_RESOURCES;
        front->Next = buffer.MdlChain;
        buffer.MdlChain = front;
        buffer.DataOffset += front->ByteCount;
    }
    buffer.DataOffset -= delta;
    buffer.DataLength += delta;
    locate(buffer);
    return NDIS_STATUS_SUCCESS;
}

void advance(NET_BUFFER &buffer, std::uint32_t delta, bool free_pieces,
             NET_BUFFER_FREE_MDL_HANDLER free_piece) {
    delta = std::min(delta, buffer.DataLength);
    buffer.DataOffset += delta;
    buffer.DataLength -= delta;
    while (free_pieces && buffer.MdlChain && buffer.MdlChain != buffer.NdisReserved[0] &&
           buffer.DataOffset >= buffer.MdlChain->ByteCount) {
        MDL *front = buffer.MdlChain;
        Piece *const ours = front_of(buffer);
        if (!free_piece && !ours) break;
        buffer.MdlChain = front->Next;
        buffer.DataOffset -= front->ByteCount;
        if (ours)
            delete ours;
        else
            free_piece(front);
    }
    locate(buffer);
}

void *contiguous(NET_BUFFER &buffer, std::uint32_t bytes, void *storage, std::uint32_t multiple,
                 std::uint32_t offset) {
    if (bytes == 0 || bytes > buffer.DataLength || !buffer.CurrentMdl) return nullptr;
    const MDL &m = *buffer.CurrentMdl;
    auto *at = static_cast<std::byte *>(m.MappedSystemVa) + buffer.CurrentMdlOffset;
    const bool whole = m.MappedSystemVa && buffer.CurrentMdlOffset <= m.ByteCount &&
                       m.ByteCount - buffer.CurrentMdlOffset >= bytes;
    const bool aligned =
        multiple <= 1 || (reinterpret_cast<std::uintptr_t>(at) - offset) % multiple == 0;
    if (whole && aligned) return at;
    if (!storage) return nullptr;
    return read(buffer, 0, {static_cast<std::byte *>(storage), bytes}) == bytes ? storage : nullptr;
}

std::size_t walk(const NET_BUFFER &buffer, std::size_t from, std::size_t count, void *context,
                 void (*each)(void *, std::span<std::byte>)) {
    if (from >= buffer.DataLength) return 0;
    count = std::min<std::size_t>(count, buffer.DataLength - from);
    std::size_t skip = buffer.CurrentMdlOffset + from, done = 0, pieces = 0;
    for (const MDL *m = buffer.CurrentMdl; m && done < count; m = m->Next) {
        if (++pieces > pieces_max) break;
        if (skip >= m->ByteCount) {
            skip -= m->ByteCount;
            continue;
        }
        if (!m->MappedSystemVa) break;
        const std::size_t here = std::min<std::size_t>(m->ByteCount - skip, count - done);
        each(context, {static_cast<std::byte *>(m->MappedSystemVa) + skip, here});
        done += here;
        skip = 0;
    }
    return done;
}

std::size_t read(const NET_BUFFER &buffer, std::size_t from, std::span<std::byte> to) {
    std::byte *next = to.data();
    return walk(buffer, from, to.size(), &next, [](void *context, std::span<std::byte> piece) {
        auto &at = *static_cast<std::byte **>(context);
        std::memcpy(at, piece.data(), piece.size());
        at += piece.size();
    });
}

std::size_t write(NET_BUFFER &buffer, std::size_t to, std::span<const std::byte> from) {
    const std::byte *next = from.data();
    return walk(buffer, to, from.size(), &next, [](void *context, std::span<std::byte> piece) {
        auto &at = *static_cast<const std::byte **>(context);
        std::memmove(piece.data(), at, piece.size());
        at += piece.size();
    });
}

void drop_front(NET_BUFFER &buffer) {
    while (Piece *front = front_of(buffer)) {
        buffer.MdlChain = front->Next;
        delete front;
    }
}

MDL *make_mdl(void *bytes, std::uint32_t count) try {
    return new Piece(Piece::Kind::caller, bytes, count);
} catch (const std::bad_alloc &) {
    return nullptr;
}

bool free_mdl(MDL *mdl, const void *place) {
    Piece *piece = Piece::of(mdl);
    if (!piece || piece->kind != Piece::Kind::caller) return false;
    Piece::slots().note_end(piece, place);
    delete piece;
    return true;
}

} // namespace sluice::runtime
