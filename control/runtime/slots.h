// SPDX-License-Identifier: Apache-2.0
// Memory for objects that callouts get addresses of. A slot is never given back to the system and
// what is known of it stands in front of it, so that any address a callout hands in can be asked
// about: an object of ours, one that has ended, or none of ours. A slot that was given back is used
// again as late as possible: others go first.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "xsk/mutex.h"

namespace sluice::runtime {

class Slots {
public:
    enum class Found { foreign, live, gone };

    // Reserves addresses for as many objects; memory comes as they are taken.
    Slots(std::size_t object_bytes, std::size_t capacity);
    ~Slots();
    Slots(const Slots &) = delete;
    Slots &operator=(const Slots &) = delete;

    void *take() EXCLUDES(mutex_);            // throws std::bad_alloc
    void give(void *object) EXCLUDES(mutex_); // of take()
    [[nodiscard]] Found find(const void *object) const;
    // Where in a callout's code an object ended; null: not in one's.
    void note_end(void *object, const void *place);
    [[nodiscard]] const void *ended_at(const void *object) const; // null: foreign
    [[nodiscard]] std::vector<void *> live() const;

private:
    struct alignas(16) Head {
        std::atomic<std::uint32_t> state{0};
        std::uint32_t next = 0; // free slot behind this one
        std::atomic<const void *> ended_at{nullptr};
    };
    [[nodiscard]] Head *head(std::size_t index) const;
    [[nodiscard]] Head *head_of(const void *object) const; // null: foreign
    std::size_t fresh() REQUIRES(mutex_);

    const std::size_t bytes_, stride_, capacity_;
    std::byte *base_ = nullptr;
    std::atomic<std::size_t> used_{0}; // slots that were ever taken
    Mutex mutex_;
    std::size_t usable_ GUARDED_BY(mutex_) = 0; // bytes from base_ on
    std::size_t free_ GUARDED_BY(mutex_) = 0;
    std::uint32_t first_free_ GUARDED_BY(mutex_) = 0, last_free_ GUARDED_BY(mutex_) = 0;
};

} // namespace sluice::runtime
