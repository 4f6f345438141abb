// SPDX-License-Identifier: Apache-2.0
// Zeroed memory for a structure and all that it points to. Growing: addresses are stable and end
// with the arena. Exact: one block of malloc, made for a size that a growing arena measured, which
// release() hands out.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sluice::runtime {

class Arena {
public:
    Arena() = default; // growing
    explicit Arena(std::size_t exact);

    template <typename T>
    T *make(std::size_t count = 1) {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= alignof(std::max_align_t));
        return static_cast<T *>(take(count * sizeof(T)));
    }
    void *copy(std::string_view bytes); // null for no bytes
    char16_t *text(std::string_view utf8);

    [[nodiscard]] std::size_t used() const { return used_; }
    void *release() { return block_.release(); }

private:
    struct Free {
        void operator()(void *p) const { std::free(p); }
    };
    using Block = std::unique_ptr<void, Free>;
    void *take(std::size_t bytes);

    std::size_t used_ = 0, size_ = 0;
    Block block_;              // exact
    std::vector<Block> grown_; // growing
};

// What `fill` makes in an arena, as one allocation that begins with what it makes first. It runs
// twice and must make the same each time.
template <typename Fill>
void *one_allocation(Fill &&fill) {
    Arena measure;
    fill(measure);
    Arena exact(measure.used());
    fill(exact);
    return exact.release();
}

} // namespace sluice::runtime
