// SPDX-License-Identifier: Apache-2.0
#include "runtime/slots.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

namespace sluice::runtime {

namespace {

constexpr std::uint32_t state_live = 0x4c495645, state_gone = 0x474f4e45;
constexpr std::size_t step = std::size_t(64) << 10; // by which memory comes
constexpr std::size_t rest = 256;                   // free slots that wait before one is used again

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
    return (bytes + to - 1) / to * to;
}

} // namespace

Slots::Slots(std::size_t object_bytes, std::size_t capacity)
    : bytes_(object_bytes), stride_(round_up(sizeof(Head) + object_bytes, alignof(Head))),
      capacity_(capacity) {
    void *at = ::mmap(nullptr, round_up(stride_ * capacity_, step), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<std::byte *>(at);
}

Slots::~Slots() {
    ASAN_UNPOISON_MEMORY_REGION(base_, usable_);
    ::munmap(base_, round_up(stride_ * capacity_, step));
}

Slots::Head *Slots::head(std::size_t index) const {
    return reinterpret_cast<Head *>(base_ + index * stride_);
}

Slots::Head *Slots::head_of(const void *object) const {
    const auto at = reinterpret_cast<std::uintptr_t>(object);
    const auto first = reinterpret_cast<std::uintptr_t>(base_) + sizeof(Head);
    if (at < first || (at - first) % stride_ != 0) return nullptr;
    const std::size_t index = (at - first) / stride_;
    return index < used_.load(std::memory_order_acquire) ? head(index) : nullptr;
}

std::size_t Slots::fresh() {
    const std::size_t index = used_.load(std::memory_order_relaxed);
    const std::size_t needed = (index + 1) * stride_;
    if (needed > usable_) {
        const std::size_t more = round_up(needed, step);
        if (::mprotect(base_, more, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
        usable_ = more;
    }
    new (head(index)) Head;
    used_.store(index + 1, std::memory_order_release);
    return index;
}

void *Slots::take() {
    Lock lock(mutex_);
    std::size_t index = 0;
    if (free_ > rest || (free_ > 0 && used_.load(std::memory_order_relaxed) == capacity_)) {
        index = first_free_;
        first_free_ = head(index)->next;
        --free_;
    } else if (used_.load(std::memory_order_relaxed) < capacity_) {
        index = fresh();
    } else {
        throw std::bad_alloc();
    }
    Head *taken = head(index);
    ASAN_UNPOISON_MEMORY_REGION(taken + 1, bytes_);
    taken->ended_at.store(nullptr, std::memory_order_relaxed);
    taken->state.store(state_live, std::memory_order_release);
    return taken + 1;
}

void Slots::give(void *object) {
    Head *given = head_of(object);
    Lock lock(mutex_);
    given->state.store(state_gone, std::memory_order_release);
    ASAN_POISON_MEMORY_REGION(object, bytes_);
    const auto index =
        static_cast<std::uint32_t>((reinterpret_cast<std::byte *>(given) - base_) / stride_);
    if (free_++ == 0)
        first_free_ = index;
    else
        head(last_free_)->next = index;
    last_free_ = index;
}

Slots::Found Slots::find(const void *object) const {
    const Head *known = head_of(object);
    if (!known) return Found::foreign;
    return known->state.load(std::memory_order_acquire) == state_live ? Found::live : Found::gone;
}

void Slots::note_end(void *object, const void *place) {
    if (Head *known = head_of(object)) known->ended_at.store(place, std::memory_order_relaxed);
}

const void *Slots::ended_at(const void *object) const {
    const Head *known = head_of(object);
    return known ? known->ended_at.load(std::memory_order_relaxed) : nullptr;
}

std::vector<void *> Slots::live() const {
    std::vector<void *> out;
    const std::size_t used = used_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < used; ++i)
        if (head(i)->state.load(std::memory_order_acquire) == state_live)
            out.push_back(head(i) + 1);
    return out;
}

} // namespace sluice::runtime
