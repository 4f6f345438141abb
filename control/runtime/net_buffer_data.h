// SPDX-License-Identifier: Apache-2.0
// Buffers and the pieces of their memory, and what may be done with any NET_BUFFER. What a callout
// may have written into one is not relied on: lengths that lie, pieces that are missing and chains
// that end nowhere are found where the pieces are walked over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/slots.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

// More pieces than any packet has: where a walk along a chain ends.
inline constexpr std::size_t pieces_max = 8192;
inline constexpr std::size_t buffers_max = 4096; // of a list, as well

struct Piece final : MDL {
    enum class Kind { list, caller, front }; // made for a list, by a callout's call, by a retreat
    // Over memory of somebody else; throws std::bad_alloc.
    Piece(Kind what, void *bytes, std::uint32_t count);
    // Null: of nobody here, or it has ended.
    static Piece *of(MDL *mdl);
    static Slots &slots();
    static void *operator new(std::size_t) { return slots().take(); }
    static void operator delete(void *at) { slots().give(at); }

    const Kind kind;
    std::unique_ptr<std::byte[]> data; // of a front
};

struct Buffer final : NET_BUFFER {
    Buffer() : NET_BUFFER{} {}
    static Slots &slots();
    static void *operator new(std::size_t) { return slots().take(); }
    static void operator delete(void *at) { slots().give(at); }

    bool alone = false; // without a list: somebody's to free
    std::unique_ptr<Piece> own;
    std::unique_ptr<std::byte[]> data;
};

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
// The bytes that are really there of `count` from `from` on, piece by piece.
std::size_t walk(const NET_BUFFER &buffer, std::size_t from, std::size_t count, void *context,
                 void (*each)(void *context, std::span<std::byte> piece));
// Frees the pieces that retreats put in front and that are still there.
void drop_front(NET_BUFFER &buffer);

MDL *make_mdl(void *bytes, std::uint32_t count); // null: out of memory
// False: not of make_mdl, or freed already. `place`: in whose code it ends.
bool free_mdl(MDL *mdl, const void *place = nullptr);

} // namespace sluice::runtime
