// SPDX-License-Identifier: Apache-2.0
// The trees that lead from a field's value to the tables that can match it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "shared/image.h"

namespace sluice::compiler {

// The bytes of an image while it grows; what was handed out stays where it is. Which pages were
// written to is kept by version, so that who has an earlier one need not copy all.
class Image {
public:
    static constexpr std::size_t page = 4096;

    explicit Image(std::size_t most) : most_(most) {}
    // Offset of so many zero bytes; 0: there is no room for them. align: a power of two from 8 on.
    std::uint32_t take(std::size_t bytes, std::size_t align = 8);
    // To be written; T is within a page, or was just taken.
    template <typename T>
    T *at(std::uint32_t offset) {
        pages_[offset / page] = version_;
        return reinterpret_cast<T *>(reinterpret_cast<char *>(words_.data()) + offset);
    }
    template <typename T>
    [[nodiscard]] const T &read(std::uint32_t offset) const {
        return *reinterpret_cast<const T *>(reinterpret_cast<const char *>(words_.data()) + offset);
    }
    [[nodiscard]] std::size_t size() const { return words_.size() * 8; }
    [[nodiscard]] const std::vector<std::uint64_t> &words() const { return words_; }
    std::vector<std::uint64_t> release() { return std::move(words_); }

    // What is written from now on is of the next version.
    void advance() { ++version_; }
    [[nodiscard]] std::uint64_t version() const { return version_; }
    // By page: the version that last wrote to it.
    [[nodiscard]] const std::vector<std::uint64_t> &pages() const { return pages_; }

private:
    std::vector<std::uint64_t> words_, pages_;
    std::uint64_t version_ = 1;
    std::size_t most_;
};

// Masks of tables, each once; a mask has a word for each group.
using Mask = std::vector<std::uint64_t>;
class Vectors {
public:
    // all: the vector of all tables.
    Vectors(Image &image, std::uint32_t all) : image_(image), all_(all) {}
    // In units of 8 bytes. Without room: that of all tables.
    std::uint32_t of(const Mask &mask);

private:
    Image &image_;
    std::map<Mask, std::uint32_t> known_;
    std::uint32_t all_;
};

// Values of a field that a table has rows for, as 64-bit words whose first bits are the field's.
struct Span {
    std::uint64_t low, high;
    std::uint32_t table;
};

struct TreeShape {
    unsigned root_bits; // 8 or 16
    unsigned bits;      // of the field; behind them nothing is told apart
    std::size_t nodes;  // at most, beside the root
};

// Where nodes end before the spans do, entries have all tables that are somewhere below. Returns
// the root's offset in units of 8 bytes; 0: there is no room even for that.
std::uint32_t build_tree(Image &image, Vectors &vectors, std::size_t groups,
                         std::vector<Span> spans, const TreeShape &shape);

// Adds the span's table to what the tree has for its values; perhaps for others of the same entry
// too. No node is added.
void widen_tree(Image &image, Vectors &vectors, std::size_t groups, std::uint32_t root,
                unsigned root_bits, const Span &span);
// The vector that has the table beside those of this one.
std::uint32_t widen_vector(Image &image, Vectors &vectors, std::size_t groups, std::uint32_t vector,
                           std::uint32_t table);

} // namespace sluice::compiler
