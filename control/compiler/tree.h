// SPDX-License-Identifier: Apache-2.0
// The trees that lead from a field's value to the tables that can match it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "shared/image.h"

namespace sluice::compiler {

// The bytes of an image while it grows; what was handed out stays where it is.
class Image {
public:
    explicit Image(std::size_t most) : most_(most) {}
    // Offset of so many zero bytes; 0: there is no room for them. align: a power of two from 8 on.
    std::uint32_t take(std::size_t bytes, std::size_t align = 8);
    template <typename T>
    T *at(std::uint32_t offset) {
        return reinterpret_cast<T *>(reinterpret_cast<char *>(words_.data()) + offset);
    }
    [[nodiscard]] std::size_t size() const { return words_.size() * 8; }
    std::vector<std::uint64_t> release() { return std::move(words_); }

private:
    std::vector<std::uint64_t> words_;
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

} // namespace sluice::compiler
