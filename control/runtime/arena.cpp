// SPDX-License-Identifier: Apache-2.0
#include "runtime/arena.h"

#include <cstring>
#include <new>

#include "runtime/text.h"

namespace sluice::runtime {

namespace {

void *zeroed(std::size_t bytes) {
    if (void *p = std::calloc(1, bytes == 0 ? 1 : bytes)) return p;
    throw std::bad_alloc();
}

} // namespace

Arena::Arena(std::size_t exact) : size_(exact), block_(zeroed(exact)) {}

void *Arena::take(std::size_t bytes) {
    constexpr std::size_t unit = alignof(std::max_align_t);
    const std::size_t whole = (bytes + unit - 1) / unit * unit;
    const std::size_t at = used_;
    if (block_) {
        if (whole > size_ - at) throw std::bad_alloc(); // the second run made more than the first
        used_ += whole;
        return static_cast<std::byte *>(block_.get()) + at;
    }
    used_ += whole;
    return grown_.emplace_back(zeroed(whole)).get();
}

void *Arena::copy(std::string_view bytes) {
    if (bytes.empty()) return nullptr;
    void *to = take(bytes.size());
    std::memcpy(to, bytes.data(), bytes.size());
    return to;
}

char16_t *Arena::text(std::string_view utf8) {
    const std::u16string wide = to_utf16(utf8);
    auto *to = make<char16_t>(wide.size() + 1);
    std::memcpy(to, wide.data(), wide.size() * sizeof(char16_t));
    return to;
}

} // namespace sluice::runtime
