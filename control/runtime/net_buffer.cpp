// SPDX-License-Identifier: Apache-2.0
#include "runtime/net_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/counters.h"
#include "runtime/net_buffer_tags.h"

namespace sluice::runtime {

namespace {

constexpr std::size_t lists_kept = std::size_t(1) << 19;

} // namespace

BufferList::BufferList(Kind kind)
    : NET_BUFFER_LIST{}, kind_(kind), owned_(kind != Kind::indicated) {}

BufferList::~BufferList() {
    buffer_tags().ended(this);
    for (const auto &b : buffers_)
        drop_front(*b);
    if (memory_ && shares_) memory_->unshare();
    std::free(Context);
    for (BufferList *part : parts_)
        part->release();
    if (!parent_) return;
    __atomic_fetch_sub(&parent_->ChildRefCount, 1, __ATOMIC_RELAXED);
    parent_->release();
}

BufferList *BufferList::of(NET_BUFFER_LIST *list) {
    return slots().find(list) == Slots::Found::live ? static_cast<BufferList *>(list) : nullptr;
}
const BufferList *BufferList::of(const NET_BUFFER_LIST *list) {
    return slots().find(list) == Slots::Found::live ? static_cast<const BufferList *>(list)
                                                    : nullptr;
}
Slots &BufferList::slots() {
    static auto *const all = new Slots(sizeof(BufferList), lists_kept); // outlives threads
    return *all;
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
    std::size_t count = 0;
    for (const NET_BUFFER *b = original.FirstNetBuffer; b; b = b->Next)
        if (++count > buffers_max) return nullptr;
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
            MDL *last = nullptr;
            MDL *chain = list->parent_ ? list->share_pieces(*from, 0, from->DataLength, &last)
                                       : list->copy_of(*from, 0, from->DataLength);
            std::uint32_t bytes = 0;
            for (const MDL *m = chain; m; m = m->Next)
                bytes += m->ByteCount;
            set_up(*to, chain, 0, bytes);
            if (!list->parent_) (deep ? copied_bytes().deep_clone : copied_bytes().clone) += bytes;
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

Buffer *BufferList::append() {
    auto *made = buffers_.emplace_back(std::make_unique<Buffer>()).get();
    made->NdisPoolHandle = NdisPoolHandle;
    NET_BUFFER **last = &FirstNetBuffer;
    while (*last)
        last = &(*last)->Next;
    *last = made;
    return made;
}

MDL *BufferList::own_piece(void *bytes, std::uint32_t count) {
    return pieces_.emplace_back(std::make_unique<Piece>(Piece::Kind::list, bytes, count)).get();
}

// Behind `*last`, if there is one; the first of them.
MDL *BufferList::share_pieces(const NET_BUFFER &from, std::size_t at, std::size_t bytes,
                              MDL **last) {
    struct Chain {
        BufferList &list;
        MDL *first, **last;
    } chain{*this, nullptr, last};
    walk(from, at, bytes, &chain, [](void *context, std::span<std::byte> piece) {
        auto &c = *static_cast<Chain *>(context);
        MDL *next = c.list.own_piece(piece.data(), static_cast<std::uint32_t>(piece.size()));
        if (!c.first) c.first = next;
        if (*c.last) (*c.last)->Next = next;
        *c.last = next;
    });
    return chain.first;
}

MDL *BufferList::copy_of(const NET_BUFFER &from, std::size_t at, std::size_t bytes) {
    // Not as much as a length claims, but as there is.
    const std::size_t there = walk(from, at, bytes, nullptr, [](void *, std::span<std::byte>) {});
    auto &data = copies_.emplace_back(std::make_unique<std::byte[]>(there));
    read(from, at, {data.get(), there});
    return own_piece(data.get(), static_cast<std::uint32_t>(there));
}

void BufferList::join(const Part &part, MDL **last) {
    const NET_BUFFER &from = *part.list->FirstNetBuffer;
    parts_.reserve(parts_.size() + 1);
    if (part.list->keep_memory()) {
        part.list->references_.fetch_add(1, std::memory_order_relaxed);
        parts_.push_back(part.list);
        share_pieces(from, part.from, part.bytes, last);
        return;
    }
    MDL *copy = copy_of(from, part.from, part.bytes);
    copied_bytes().clone += part.bytes;
    (*last)->Next = copy;
    *last = copy;
}

BufferList *BufferList::joined(std::span<const std::byte> header, std::uint32_t back_fill,
                               const std::vector<Part> &parts) {
    auto *list = new BufferList(Kind::pooled);
    try {
        const std::size_t front = back_fill + header.size();
        auto &data = list->copies_.emplace_back(std::make_unique<std::byte[]>(front));
        std::copy(header.begin(), header.end(), data.get() + back_fill);
        MDL *const first = list->own_piece(data.get(), static_cast<std::uint32_t>(front));
        MDL *last = first;
        std::size_t bytes = header.size();
        for (const Part &part : parts) {
            list->join(part, &last);
            bytes += part.bytes;
        }
        list->origin_ = parts.front().list->origin_;
        set_up(*list->append(), first, back_fill, static_cast<std::uint32_t>(bytes));
    } catch (...) {
        list->release();
        throw;
    }
    return list;
}

// Only an indicated list's bytes lie in a frame; those of the others stay as long as the list.
bool BufferList::keep_memory() {
    if (kind_ != Kind::indicated || shares_ || !copies_.empty()) return true;
    if (!memory_ || !memory_->share()) return false;
    if (shares_.exchange(true)) memory_->unshare(); // another thread was first
    return true;
}

void BufferList::reference(const void *place) {
    references_.fetch_add(1, std::memory_order_relaxed);
    of_callouts_.fetch_add(1, std::memory_order_relaxed);
    referenced_at_.store(place, std::memory_order_relaxed);
    if (!keep_memory()) move_out_of_frame();
}

bool BufferList::dereference(const void *place) {
    std::uint32_t there = of_callouts_.load(std::memory_order_relaxed);
    do {
        if (there == 0) return false;
    } while (!of_callouts_.compare_exchange_weak(there, there - 1, std::memory_order_relaxed));
    release(place);
    return true;
}

BufferList::Ended BufferList::end(const void *place) {
    if (injected_.load(std::memory_order_acquire)) return Ended::injected;
    if (!owned_.exchange(false, std::memory_order_relaxed)) return Ended::before;
    slots().note_end(this, place);
    release(place);
    return Ended::yes;
}

void BufferList::move_out_of_frame() {
    MDL &piece = *pieces_.front();
    auto copy = std::make_unique<std::byte[]>(piece.ByteCount);
    std::memcpy(copy.get(), piece.MappedSystemVa, piece.ByteCount);
    copied_bytes().reference += piece.ByteCount;
    piece.MappedSystemVa = piece.StartVa = copy.get();
    copies_.push_back(std::move(copy));
}

void BufferList::release(const void *place) {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (place) slots().note_end(this, place);
    delete this;
}

// ---- what callouts left ----

std::vector<BufferList::Left> BufferList::left() {
    std::vector<Left> out;
    for (void *at : slots().live()) {
        auto *list = static_cast<BufferList *>(at);
        const Left one{list, list->made_at_.load(std::memory_order_relaxed),
                       list->referenced_at_.load(std::memory_order_relaxed),
                       list->of_callouts_.load(std::memory_order_relaxed),
                       list->owned_.load(std::memory_order_relaxed)};
        if (one.owned || one.references > 0) out.push_back(one);
    }
    return out;
}

void BufferList::take_back() {
    while (dereference(nullptr)) {
    }
    end_injection();
    (void)end(nullptr);
}

} // namespace sluice::runtime
