// SPDX-License-Identifier: Apache-2.0
#include "compiler/tree.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

namespace sluice::compiler {

namespace {

// Neighbours and overlaps of one table become one span.
std::vector<Span> merged(std::vector<Span> spans) {
    std::sort(spans.begin(), spans.end(), [](const Span &a, const Span &b) {
        return a.table != b.table ? a.table < b.table : a.low < b.low;
    });
    std::vector<Span> out;
    for (const Span &span : spans) {
        const bool joins = !out.empty() && out.back().table == span.table &&
                           (out.back().high >= span.low || out.back().high + 1 == span.low);
        if (joins)
            out.back().high = std::max(out.back().high, span.high);
        else
            out.push_back(span);
    }
    return out;
}

// An entry whose spans cover only part of it: a node if there is room for one.
struct Open {
    std::uint32_t entry; // offset in the image
    std::uint64_t begin; // lowest value
    unsigned used;       // bits that lead here
    Mask mask;           // of the tables that cover it all
    std::vector<Span> spans;
    bool operator<(const Open &other) const { return spans.size() < other.spans.size(); }
};

class Builder {
public:
    Builder(Image &image, Vectors &vectors, std::size_t groups, const TreeShape &shape)
        : image_(image), vectors_(vectors), groups_(groups), shape_(shape) {}

    std::uint32_t build(std::vector<Span> spans) {
        const std::uint32_t root = image_.take(std::size_t{4} << shape_.root_bits);
        if (root == 0) return 0;
        fill(root, {0, 0, 0, Mask(groups_), merged(std::move(spans))}, shape_.root_bits);
        for (std::size_t nodes = 0; !open_.empty(); ++nodes) {
            const Open one = open_.top();
            open_.pop();
            const std::uint32_t node = nodes < shape_.nodes ? image_.take(4 * 256) : 0;
            if (node == 0) {
                close(one);
                continue;
            }
            *image_.at<std::uint32_t>(one.entry) = DP_TREE_NODE | node / 8;
            fill(node, one, 8);
        }
        return root / 8;
    }

private:
    static void set(Mask &mask, std::uint32_t table) { mask[table / 64] |= 1ull << table % 64; }

    void close(const Open &one) {
        Mask mask = one.mask;
        for (const Span &span : one.spans)
            set(mask, span.table);
        *image_.at<std::uint32_t>(one.entry) = vectors_.of(mask);
    }

    // The entries of a node that begins where `of` does.
    void fill(std::uint32_t node, const Open &of, unsigned width) {
        const unsigned below = 64 - of.used - width; // bits behind an entry's
        const std::uint64_t size = 1ull << below;
        std::vector<Mask> masks(std::size_t{1} << width, of.mask);
        std::vector<std::vector<Span>> parts(masks.size());
        for (const Span &span : of.spans) {
            const std::uint64_t first = (std::max(span.low, of.begin) - of.begin) >> below;
            const std::uint64_t last =
                std::min<std::uint64_t>((span.high - of.begin) >> below, masks.size() - 1);
            for (std::uint64_t i = first; i <= last; ++i) {
                const std::uint64_t begin = of.begin + i * size;
                if (span.low <= begin && span.high >= begin + (size - 1))
                    set(masks[i], span.table);
                else
                    parts[i].push_back(span);
            }
        }
        for (std::size_t i = 0; i < masks.size(); ++i) {
            Open entry{node + static_cast<std::uint32_t>(i) * 4,
                       of.begin + i * size,
                       of.used + width,
                       std::move(masks[i]),
                       {}};
            for (const Span &span : parts[i]) // one that is there anyway tells nothing
                if ((entry.mask[span.table / 64] >> span.table % 64 & 1) == 0)
                    entry.spans.push_back(span);
            const bool can_grow = entry.used + 8 <= shape_.bits &&
                                  entry.used + 8 <= shape_.root_bits + 8 * DP_TREE_LEVELS;
            if (can_grow && !entry.spans.empty())
                open_.push(std::move(entry));
            else
                close(entry);
        }
    }

    Image &image_;
    Vectors &vectors_;
    std::size_t groups_;
    TreeShape shape_;
    std::priority_queue<Open> open_; // the fullest first
};

class Widening {
public:
    Widening(Image &image, Vectors &vectors, std::size_t groups, const Span &span)
        : image_(image), vectors_(vectors), groups_(groups), span_(span) {}

    // The entries of a node that begins with the value `begin`.
    void node(std::uint32_t at, std::uint64_t begin, unsigned used, unsigned width) {
        const unsigned below = 64 - used - width;
        const std::uint64_t last = (1ull << width) - 1;
        const std::uint64_t to = std::min((span_.high - begin) >> below, last);
        for (std::uint64_t i = span_.low > begin ? (span_.low - begin) >> below : 0; i <= to; ++i) {
            const auto offset = at + static_cast<std::uint32_t>(i) * 4;
            const auto entry = image_.read<std::uint32_t>(offset);
            const std::uint64_t first = begin + (i << below);
            if ((entry & DP_TREE_NODE) != 0)
                node((entry & ~DP_TREE_NODE) * 8, first, used + width, 8);
            else if (const std::uint32_t wider = widened(entry); wider != entry)
                *image_.at<std::uint32_t>(offset) = wider;
        }
    }
    std::uint32_t widened(std::uint32_t vector) {
        const auto known = known_.find(vector);
        if (known != known_.end()) return known->second;
        Mask mask;
        for (std::size_t i = 0; i < groups_; ++i)
            mask.push_back(
                image_.read<std::uint64_t>((vector + static_cast<std::uint32_t>(i)) * 8));
        const std::uint64_t bit = 1ull << span_.table % 64;
        std::uint32_t wider = vector;
        if ((mask[span_.table / 64] & bit) == 0) {
            mask[span_.table / 64] |= bit;
            wider = vectors_.of(mask);
        }
        return known_[vector] = wider;
    }

private:
    Image &image_;
    Vectors &vectors_;
    std::size_t groups_;
    const Span &span_;
    std::unordered_map<std::uint32_t, std::uint32_t> known_;
};

} // namespace

std::uint32_t Image::take(std::size_t bytes, std::size_t align) {
    const std::size_t begin = (size() + align - 1) / align * align;
    const std::size_t end = (begin + bytes + 7) / 8 * 8;
    if (end > most_) return 0;
    words_.resize(end / 8);
    pages_.resize((end + page - 1) / page);
    std::fill(pages_.begin() + static_cast<std::ptrdiff_t>(begin / page), pages_.end(), version_);
    return static_cast<std::uint32_t>(begin);
}

std::uint32_t Vectors::of(const Mask &mask) {
    const auto known = known_.find(mask);
    if (known != known_.end()) return known->second;
    const std::uint32_t at = image_.take(mask.size() * 8);
    if (at == 0) return all_;
    std::copy(mask.begin(), mask.end(), image_.at<std::uint64_t>(at));
    return known_[mask] = at / 8;
}

std::uint32_t build_tree(Image &image, Vectors &vectors, std::size_t groups,
                         std::vector<Span> spans, const TreeShape &shape) {
    return Builder(image, vectors, groups, shape).build(std::move(spans));
}

void widen_tree(Image &image, Vectors &vectors, std::size_t groups, std::uint32_t root,
                unsigned root_bits, const Span &span) {
    Widening(image, vectors, groups, span).node(root * 8, 0, 0, root_bits);
}

std::uint32_t widen_vector(Image &image, Vectors &vectors, std::size_t groups, std::uint32_t vector,
                           std::uint32_t table) {
    return Widening(image, vectors, groups, {0, 0, table}).widened(vector);
}

} // namespace sluice::compiler
