// SPDX-License-Identifier: Apache-2.0
// Pools of lists and of buffers. A pool says how what comes from it is made; memory is the
// process's own, so a pool that was freed ends with the last list from it. One table per process:
// pools belong to a plugin, not to an engine.
#pragma once

#include <map>
#include <memory>

#include "sluice/fwp.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

class BufferList;

struct BufferPool {
    bool of_lists = false;
    bool with_buffer = false; // a list comes with one buffer
    std::uint16_t context_bytes = 0;
    std::uint32_t data_bytes = 0; // a buffer comes with as much memory
};

class BufferPools {
public:
    NDIS_HANDLE add(const BufferPool &pool) EXCLUDES(mutex_);
    std::shared_ptr<BufferPool> find(NDIS_HANDLE handle) const EXCLUDES(mutex_); // null: none
    bool remove(NDIS_HANDLE handle, bool of_lists) EXCLUDES(mutex_); // false: no such pool

private:
    mutable Mutex mutex_;
    std::map<NDIS_HANDLE, std::shared_ptr<BufferPool>> pools_ GUARDED_BY(mutex_);
};
BufferPools &buffer_pools();

// A list of the pool, with a context of this size and the pool's; throws std::bad_alloc.
BufferList *make_list(std::shared_ptr<BufferPool> pool, std::uint16_t context,
                      std::uint16_t context_back_fill);
// A buffer without a list; null chain: over the pool's own memory if it has any.
NET_BUFFER *make_buffer(const BufferPool &pool, NDIS_HANDLE handle, MDL *chain,
                        std::uint32_t offset, std::uint32_t length);
bool free_buffer(NET_BUFFER *buffer, const void *place = nullptr); // false: it is none of make_buffer that is still there
// Whether the chain has bytes for this.
bool chain_holds(const MDL *chain, std::size_t offset, std::size_t length);

} // namespace sluice::runtime
