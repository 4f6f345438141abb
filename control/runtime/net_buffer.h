// SPDX-License-Identifier: Apache-2.0
// NET_BUFFER_LISTs of this process. Each is the public part of a BufferList, which counts who
// needs it and owns what it was made of:
//
//   indicated  over a packet that came up; its Indication has one reference, FwpsReference... more
//   clone      over the pieces of another list, which it keeps; or over a copy of them
//   pooled     over MDLs of the caller, or over data that its pool gave
//
// Buffers and their pieces may be changed by whoever has the list, as in a driver: nothing here
// relies on them but the list itself, which frees what it made and the pieces that a retreat put in
// front.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/net_buffer_memory.h"
#include "shared/port.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

struct BufferPool;

// What is known of the packet that a list was made from; clones inherit it.
struct PacketOrigin {
    std::uint32_t compartment = 0, ifindex = 0;
    std::uint32_t host = 0; // ours, at the port by which the packet came
    std::uint64_t endpoint = 0;
    dp_flow_key key{};
    dp_injected injected{};
    std::array<std::byte, 12> ethernet_addresses{};
    std::uint8_t hop_limit = 0, traffic_class = 0; // of its IP header; 0: not known
    bool dont_fragment = false;
};

class BufferList final : public NET_BUFFER_LIST {
public:
    enum class Kind { indicated, clone, pooled };

    // Null for a list that none of the functions here made.
    static BufferList *of(NET_BUFFER_LIST *list);
    static const BufferList *of(const NET_BUFFER_LIST *list);

    // One piece of `bytes`, of which the data begins at `offset` and has `length` bytes.
    static BufferList *indicated(std::span<std::byte> bytes, std::uint32_t offset,
                                 std::uint32_t length, std::shared_ptr<PacketMemory> memory,
                                 std::shared_ptr<const PacketOrigin> origin);
    // Of the data of every buffer, from its current start. `deep`: over a copy.
    static BufferList *clone(BufferList &original, bool deep);
    static BufferList *pooled(std::shared_ptr<BufferPool> pool);

    // A buffer over this chain, as the list's only one; nothing of the chain becomes the list's.
    void add_buffer(MDL *chain, std::uint32_t offset, std::uint32_t length);
    void add_buffer_with_data(std::uint32_t bytes); // over zeroed memory of the list

    // The list and its bytes stay until release(). May move the bytes out of their frame.
    void reference();
    void release();

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] const PacketOrigin *origin() const { return origin_.get(); }

private:
    explicit BufferList(Kind kind);
    ~BufferList();
    NET_BUFFER *append();
    MDL *own_piece(void *bytes, std::uint32_t count);
    void share_pieces(const NET_BUFFER &from, NET_BUFFER &to);
    void copy_data(const NET_BUFFER &from, NET_BUFFER &to);
    bool keep_memory();
    void move_out_of_frame();

    const Kind kind_;
    std::atomic<std::uint32_t> references_{1};
    BufferList *parent_ = nullptr;
    std::shared_ptr<const PacketOrigin> origin_;
    std::shared_ptr<PacketMemory> memory_;
    std::atomic<bool> shares_{false}; // memory_
    std::shared_ptr<BufferPool> pool_;
    std::vector<std::unique_ptr<NET_BUFFER>> buffers_;
    std::vector<std::unique_ptr<MDL>> pieces_;
    std::vector<std::unique_ptr<std::byte[]>> copies_;
};

// ---- what may be done with any NET_BUFFER ----

// A buffer that is complete: data from `offset` of the chain on.
void set_up(NET_BUFFER &buffer, MDL *chain, std::uint32_t offset, std::uint32_t length);
NDIS_STATUS retreat(NET_BUFFER &buffer, std::uint32_t delta, std::uint32_t back_fill,
                    NET_BUFFER_ALLOCATE_MDL_HANDLER allocate);
void advance(NET_BUFFER &buffer, std::uint32_t delta, bool free_pieces,
             NET_BUFFER_FREE_MDL_HANDLER free_piece);
void *contiguous(NET_BUFFER &buffer, std::uint32_t bytes, void *storage, std::uint32_t multiple,
                 std::uint32_t offset);
// Copies between the data of buffers and memory; the number of bytes that were there.
std::size_t read(const NET_BUFFER &buffer, std::size_t from, std::span<std::byte> to);
std::size_t write(NET_BUFFER &buffer, std::size_t to, std::span<const std::byte> from);
// Frees the pieces that retreats put in front and that are still there.
void drop_front(NET_BUFFER &buffer);

MDL *make_mdl(void *bytes, std::uint32_t count); // null: out of memory
void free_mdl(MDL *mdl);

} // namespace sluice::runtime
