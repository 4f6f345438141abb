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
// front. Who may free a list and how often it was referenced is counted apart from what the engine
// needs, so that a callout that frees twice, or what it never had, changes nothing.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/net_buffer_data.h"
#include "runtime/net_buffer_memory.h"
#include "shared/port.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

struct BufferPool;

// What is known of the packet that a list was made from; clones inherit it.
struct PacketOrigin {
    std::uint32_t compartment = 0, ifindex = 0;
    std::uint32_t arrival = 0; // of what is forwarded: where it came in
    std::uint32_t host = 0;    // ours, at the port by which the packet came
    std::uint64_t endpoint = 0;
    dp_flow_key key{};
    dp_injected injected{};
    std::array<std::byte, 12> ethernet_addresses{};
    std::vector<std::byte> tags;                   // of its frame, from the outermost on
    std::uint8_t hop_limit = 0, traffic_class = 0; // of its IP header; 0: not known
    bool dont_fragment = false;
    bool inbound = false;
    std::vector<std::byte> header; // a fragment's, or one with options or extensions: all of it
};

class BufferList final : public NET_BUFFER_LIST {
public:
    enum class Kind { indicated, clone, pooled };
    enum class Ended { yes, before, injected }; // injected: it is the engine's just now

    // Null for a list that none of the functions here made, or that has ended.
    static BufferList *of(NET_BUFFER_LIST *list);
    static const BufferList *of(const NET_BUFFER_LIST *list);
    static Slots &slots();
    static void *operator new(std::size_t) { return slots().take(); }
    static void operator delete(void *at) { slots().give(at); }

    // One piece of `bytes`, of which the data begins at `offset` and has `length` bytes.
    static BufferList *indicated(std::span<std::byte> bytes, std::uint32_t offset,
                                 std::uint32_t length, std::shared_ptr<PacketMemory> memory,
                                 std::shared_ptr<const PacketOrigin> origin);
    // Of the data of every buffer, from its current start. `deep`: over a copy. Null: the original
    // has no end.
    static BufferList *clone(BufferList &original, bool deep);
    static BufferList *pooled(std::shared_ptr<BufferPool> pool);
    // A pooled list with one buffer: `back_fill` bytes before its data, a copy of `header`, and of
    // each part's data the bytes from `from` on, where they are; it keeps the parts' lists.
    struct Part {
        BufferList *list;
        std::size_t from, bytes;
    };
    static BufferList *joined(std::span<const std::byte> header, std::uint32_t back_fill,
                              const std::vector<Part> &parts);

    // A buffer over this chain, as the list's only one; nothing of the chain becomes the list's.
    void add_buffer(MDL *chain, std::uint32_t offset, std::uint32_t length);
    void add_buffer_with_data(std::uint32_t bytes); // over zeroed memory of the list

    // For the engine: the list stays until as many release(). `place`: in whose code it ends.
    void release(const void *place = nullptr);
    // For callouts. A reference keeps the bytes as well, which it may move out of their frame.
    void reference(const void *place = nullptr);
    bool dereference(const void *place); // false: there is no reference left
    // By the callout that has a clone or pooled list.
    Ended end(const void *place);
    void made_at(const void *place) { made_at_.store(place, std::memory_order_relaxed); }
    // Given to the engine to inject: false, and nothing to undo, while it has it already.
    bool begin_injection() { return !injected_.exchange(true, std::memory_order_acq_rel); }
    void end_injection() { injected_.store(false, std::memory_order_release); }

    // What callouts did not give back.
    struct Left {
        BufferList *list;
        const void *made_at, *referenced_at;
        std::uint32_t references; // besides the list itself, if it has to be freed
        bool owned;
    };
    static std::vector<Left> left();
    void take_back(); // for the callout: the list, and all its references

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] const PacketOrigin *origin() const { return origin_.get(); }

private:
    explicit BufferList(Kind kind);
    ~BufferList();
    Buffer *append();
    MDL *own_piece(void *bytes, std::uint32_t count);
    MDL *share_pieces(const NET_BUFFER &from, std::size_t at, std::size_t bytes, MDL **last);
    MDL *copy_of(const NET_BUFFER &from, std::size_t at, std::size_t bytes);
    void join(const Part &part, MDL **last);
    bool keep_memory();
    void move_out_of_frame();

    const Kind kind_;
    std::atomic<std::uint32_t> references_{1};
    std::atomic<std::uint32_t> of_callouts_{0}; // of references_, what dereference() takes back
    std::atomic<bool> owned_{false};            // of references_, one that end() takes back
    std::atomic<bool> injected_{false};
    std::atomic<const void *> made_at_{nullptr}, referenced_at_{nullptr};
    BufferList *parent_ = nullptr;
    std::vector<BufferList *> parts_; // of a joined list
    std::shared_ptr<const PacketOrigin> origin_;
    std::shared_ptr<PacketMemory> memory_;
    std::atomic<bool> shares_{false}; // memory_
    std::shared_ptr<BufferPool> pool_;
    std::vector<std::unique_ptr<Buffer>> buffers_;
    std::vector<std::unique_ptr<Piece>> pieces_;
    std::vector<std::unique_ptr<std::byte[]>> copies_;
};

} // namespace sluice::runtime
