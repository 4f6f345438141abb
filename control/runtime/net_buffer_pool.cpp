// SPDX-License-Identifier: Apache-2.0
#include "runtime/net_buffer_pool.h"

#include <cstdlib>
#include <new>

#include "runtime/net_buffer.h"

namespace sluice::runtime {

NDIS_HANDLE BufferPools::add(const BufferPool &pool) {
    auto made = std::make_shared<BufferPool>(pool);
    Lock lock(mutex_);
    NDIS_HANDLE handle = made.get();
    pools_.emplace(handle, std::move(made));
    return handle;
}

std::shared_ptr<BufferPool> BufferPools::find(NDIS_HANDLE handle) const {
    Lock lock(mutex_);
    const auto at = pools_.find(handle);
    return at == pools_.end() ? nullptr : at->second;
}

bool BufferPools::remove(NDIS_HANDLE handle, bool of_lists) {
    Lock lock(mutex_);
    const auto at = pools_.find(handle);
    if (at == pools_.end() || at->second->of_lists != of_lists) return false;
    pools_.erase(at);
    return true;
}

BufferPools &buffer_pools() {
    static auto *const pools = new BufferPools; // outlives the threads of the program
    return *pools;
}

BufferList *make_list(std::shared_ptr<BufferPool> pool, std::uint16_t context,
                      std::uint16_t context_back_fill) {
    const std::size_t bytes = std::size_t(context) + context_back_fill + pool->context_bytes;
    NET_BUFFER_LIST_CONTEXT *area = nullptr;
    if (bytes > 0) {
        area = static_cast<NET_BUFFER_LIST_CONTEXT *>(std::calloc(1, sizeof *area + bytes));
        if (!area) throw std::bad_alloc();
        area->Size = static_cast<USHORT>(bytes);
        area->Offset = static_cast<USHORT>(bytes - context);
    }
    BufferList *list = nullptr;
    try {
        list = BufferList::pooled(std::move(pool));
    } catch (...) {
        std::free(area);
        throw;
    }
    list->Context = area;
    return list;
}

NET_BUFFER *make_buffer(const BufferPool &pool, NDIS_HANDLE handle, MDL *chain,
                        std::uint32_t offset, std::uint32_t length) {
    auto made = std::make_unique<Buffer>();
    made->alone = true;
    made->NdisPoolHandle = handle;
    if (!chain && pool.data_bytes > 0) {
        made->data = std::make_unique<std::byte[]>(pool.data_bytes);
        made->own = std::make_unique<Piece>(Piece::Kind::list, made->data.get(), pool.data_bytes);
        chain = made->own.get();
    }
    set_up(*made, chain, offset, length);
    return made.release();
}

bool free_buffer(NET_BUFFER *buffer, const void *place) {
    if (Buffer::slots().find(buffer) != Slots::Found::live) return false;
    auto *made = static_cast<Buffer *>(buffer);
    if (!made->alone) return false;
    drop_front(*made);
    Buffer::slots().note_end(made, place);
    delete made;
    return true;
}

bool chain_holds(const MDL *chain, std::size_t offset, std::size_t length) {
    std::size_t bytes = 0;
    for (std::size_t pieces = 0; chain; chain = chain->Next) {
        if (++pieces > pieces_max) return false;
        bytes += chain->ByteCount;
    }
    return offset <= bytes && length <= bytes - offset;
}

} // namespace sluice::runtime
