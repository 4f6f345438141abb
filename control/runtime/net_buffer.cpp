// SPDX-License-Identifier: Apache-2.0
#include "runtime/net_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/net_buffer_pool.h"

namespace sluice::runtime {

namespace {

// In NdisReserved of a list, with its address: a list of ours that is alive.
constexpr std::uintptr_t list_mark = 0x534c5549434e424cull;

PVOID mark_of(const NET_BUFFER_LIST *list) {
    return reinterpret_cast<PVOID>(reinterpret_cast<std::uintptr_t>(list) ^ list_mark);
}

void fill_mdl(MDL &mdl, void *bytes, std::uint32_t count) {
    mdl = {};
    mdl.Size = sizeof mdl;
    mdl.MdlFlags = MDL_SOURCE_IS_NONPAGED_POOL;
    mdl.MappedSystemVa = mdl.StartVa = bytes;
    mdl.ByteCount = count;
}

} // namespace

BufferList::BufferList(Kind kind) : NET_BUFFER_LIST{}, kind_(kind) {
    NdisReserved[0] = mark_of(this);
}

BufferList::~BufferList() {
    NdisReserved[0] = nullptr;
    for (NET_BUFFER *b = FirstNetBuffer; b; b = b->Next)
        drop_front(*b);
    if (memory_ && shares_) memory_->unshare();
    std::free(Context);
    if (!parent_) return;
    __atomic_fetch_sub(&parent_->ChildRefCount, 1, __ATOMIC_RELAXED);
    parent_->release();
}

BufferList *BufferList::of(NET_BUFFER_LIST *list) {
    return list && list->NdisReserved[0] == mark_of(list) ? static_cast<BufferList *>(list)
                                                          : nullptr;
}
const BufferList *BufferList::of(const NET_BUFFER_LIST *list) {
    return list && list->NdisReserved[0] == mark_of(list) ? static_cast<const BufferList *>(list)
                                                          : nullptr;
}

BufferList *BufferList::indicated(std::span<std::byte> bytes, std::uint32_t offset,
                                  std::uint32_t length, std::shared_ptr<PacketMemory> memory,
                                  std::shared_ptr<const PacketOrigin> origin) {
    auto *list = new BufferList(Kind::indicated);
    list->memory_ = std::move(memory);
    list->origin_ = std::move(origin);
    MDL *piece = list->own_piece(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
    set_up(*list->append(), piece, offset, length);
    return list;
}

BufferList *BufferList::clone(BufferList &original, bool deep) {
    auto *list = new BufferList(Kind::clone);
    list->origin_ = original.origin_;
    if (!deep && original.keep_memory()) {
        original.references_.fetch_add(1, std::memory_order_relaxed);
        __atomic_fetch_add(&original.ChildRefCount, 1, __ATOMIC_RELAXED);
        list->parent_ = &original;
        list->ParentNetBufferList = &original;
    }
    try {
        for (const NET_BUFFER *from = original.FirstNetBuffer; from; from = from->Next) {
            NET_BUFFER *to = list->append();
            if (list->parent_)
                list->share_pieces(*from, *to);
            else
                list->copy_data(*from, *to);
        }
    } catch (...) {
        list->release();
        throw;
    }
    return list;
}

BufferList *BufferList::pooled(std::shared_ptr<BufferPool> pool) {
    auto *list = new BufferList(Kind::pooled);
    list->NdisPoolHandle = pool.get();
    list->pool_ = std::move(pool);
    return list;
}

void BufferList::add_buffer(MDL *chain, std::uint32_t offset, std::uint32_t length) {
    set_up(*append(), chain, offset, length);
}

void BufferList::add_buffer_with_data(std::uint32_t bytes) {
    auto &data = copies_.emplace_back(std::make_unique<std::byte[]>(bytes));
    set_up(*append(), own_piece(data.get(), bytes), 0, 0);
}

NET_BUFFER *BufferList::append() {
    auto *made = buffers_.emplace_back(std::make_unique<NET_BUFFER>()).get();
    made->NdisPoolHandle = NdisPoolHandle;
    NET_BUFFER **last = &FirstNetBuffer;
    while (*last)
        last = &(*last)->Next;
    return *last = made;
}

MDL *BufferList::own_piece(void *bytes, std::uint32_t count) {
    MDL *piece = pieces_.emplace_back(std::make_unique<MDL>()).get();
    fill_mdl(*piece, bytes, count);
    return piece;
}

void BufferList::share_pieces(const NET_BUFFER &from, NET_BUFFER &to) {
    MDL *first = nullptr, **next = &first;
    std::uint32_t left = from.DataLength, skip = from.CurrentMdlOffset;
    for (const MDL *m = from.CurrentMdl; m && left > 0; m = m->Next) {
        const std::uint32_t count = std::min(left, m->ByteCount - std::min(skip, m->ByteCount));
        *next = own_piece(static_cast<std::byte *>(m->MappedSystemVa) + skip, count);
        next = &(*next)->Next;
        left -= count;
        skip = 0;
    }
    set_up(to, first, 0, from.DataLength - left);
}

void BufferList::copy_data(const NET_BUFFER &from, NET_BUFFER &to) {
    const std::uint32_t length = from.DataLength;
    auto &data = copies_.emplace_back(std::make_unique<std::byte[]>(length));
    const auto got = static_cast<std::uint32_t>(read(from, 0, {data.get(), length}));
    set_up(to, own_piece(data.get(), got), 0, got);
}

// Only an indicated list's bytes lie in a frame; those of the others stay as long as the list.
bool BufferList::keep_memory() {
    if (kind_ != Kind::indicated || shares_ || !copies_.empty()) return true;
    if (!memory_ || !memory_->share()) return false;
    if (shares_.exchange(true)) memory_->unshare(); // another thread was first
    return true;
}

void BufferList::reference() {
    references_.fetch_add(1, std::memory_order_relaxed);
    if (!keep_memory()) move_out_of_frame();
}

void BufferList::move_out_of_frame() {
    MDL &piece = *pieces_.front();
    auto copy = std::make_unique<std::byte[]>(piece.ByteCount);
    std::memcpy(copy.get(), piece.MappedSystemVa, piece.ByteCount);
    piece.MappedSystemVa = piece.StartVa = copy.get();
    copies_.push_back(std::move(copy));
}

void BufferList::release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// ---- buffers ----

namespace {

// Pieces that a retreat allocated together with their bytes.
constexpr CSHORT front_flag = MDL_NETWORK_HEADER;

bool is_front(const MDL &mdl) {
    return (mdl.MdlFlags & front_flag) != 0;
}

MDL *make_front(std::uint32_t count) {
    void *block = std::calloc(1, sizeof(MDL) + count);
    if (!block) return nullptr;
    auto *mdl = new (block) MDL{};
    fill_mdl(*mdl, static_cast<std::byte *>(block) + sizeof(MDL), count);
    mdl->MdlFlags |= front_flag;
    return mdl;
}

void locate(NET_BUFFER &buffer) {
    MDL *at = buffer.MdlChain;
    std::uint32_t offset = buffer.DataOffset;
    while (at && offset >= at->ByteCount && at->Next) {
        offset -= at->ByteCount;
        at = at->Next;
    }
    buffer.CurrentMdl = at;
    buffer.CurrentMdlOffset = offset;
}

template <typename Each>
std::size_t walk(const NET_BUFFER &buffer, std::size_t from, std::size_t count, Each &&each) {
    if (from >= buffer.DataLength) return 0;
    count = std::min<std::size_t>(count, buffer.DataLength - from);
    std::size_t skip = buffer.CurrentMdlOffset + from, done = 0;
    for (const MDL *m = buffer.CurrentMdl; m && done < count; m = m->Next) {
        if (skip >= m->ByteCount) {
            skip -= m->ByteCount;
            continue;
        }
        const std::size_t here = std::min<std::size_t>(m->ByteCount - skip, count - done);
        each(static_cast<std::byte *>(m->MappedSystemVa) + skip, done, here);
        done += here;
        skip = 0;
    }
    return done;
}

} // namespace

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
        if (!front) return NDIS_STATUS_RESOURCES;
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
        if (!free_piece && !is_front(*front)) break;
        buffer.MdlChain = front->Next;
        buffer.DataOffset -= front->ByteCount;
        if (is_front(*front))
            std::free(front);
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
    const bool whole =
        buffer.CurrentMdlOffset <= m.ByteCount && m.ByteCount - buffer.CurrentMdlOffset >= bytes;
    const bool aligned =
        multiple <= 1 || (reinterpret_cast<std::uintptr_t>(at) - offset) % multiple == 0;
    if (whole && aligned) return at;
    if (!storage) return nullptr;
    return read(buffer, 0, {static_cast<std::byte *>(storage), bytes}) == bytes ? storage : nullptr;
}

std::size_t read(const NET_BUFFER &buffer, std::size_t from, std::span<std::byte> to) {
    return walk(buffer, from, to.size(), [&](std::byte *piece, std::size_t at, std::size_t n) {
        std::memcpy(to.data() + at, piece, n);
    });
}

std::size_t write(NET_BUFFER &buffer, std::size_t to, std::span<const std::byte> from) {
    return walk(buffer, to, from.size(), [&](std::byte *piece, std::size_t at, std::size_t n) {
        std::memmove(piece, from.data() + at, n);
    });
}

void drop_front(NET_BUFFER &buffer) {
    while (buffer.MdlChain && is_front(*buffer.MdlChain)) {
        MDL *front = buffer.MdlChain;
        buffer.MdlChain = front->Next;
        std::free(front);
    }
}

MDL *make_mdl(void *bytes, std::uint32_t count) {
    auto *mdl = static_cast<MDL *>(std::malloc(sizeof(MDL)));
    if (mdl) fill_mdl(*mdl, bytes, count);
    return mdl;
}

void free_mdl(MDL *mdl) {
    std::free(mdl);
}

} // namespace sluice::runtime
