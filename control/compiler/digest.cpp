// SPDX-License-Identifier: Apache-2.0
#include "compiler/digest.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace sluice::compiler {

namespace {

using policy::Interval;
using policy::Number;

Number number(const dp_addr &a) {
    return static_cast<Number>(a.hi) << 64 | a.lo;
}

std::optional<dp_field> field_of(std::uint8_t slot) {
    switch (slot) {
    case DP_SLOT_LOCAL_ADDRESS:
        return DP_FIELD_LOCAL_ADDRESS;
    case DP_SLOT_REMOTE_ADDRESS:
        return DP_FIELD_REMOTE_ADDRESS;
    case DP_SLOT_LOCAL_PORT:
        return DP_FIELD_LOCAL_PORT;
    case DP_SLOT_REMOTE_PORT:
        return DP_FIELD_REMOTE_PORT;
    case DP_SLOT_PROTOCOL:
        return DP_FIELD_PROTOCOL;
    default:
        return std::nullopt;
    }
}

// Bits that all addresses of a range begin with, if they are no more and no fewer than those.
std::optional<unsigned> prefix_bits(const dp_cell &cell) {
    const dp_addr differ{cell.test.low.hi ^ cell.test.high.hi,
                         cell.test.low.lo ^ cell.test.high.lo};
    const int bits =
        differ.hi != 0 ? std::countl_zero(differ.hi) : 64 + std::countl_zero(differ.lo);
    const Number host = bits == 0 ? ~Number{0} : (Number{1} << (128 - bits)) - 1;
    const bool whole =
        (number(cell.test.low) & host) == 0 && (number(cell.test.high) & host) == host;
    return whole ? std::optional<unsigned>(bits) : std::nullopt;
}

class Reader {
public:
    Reader(const std::vector<dp_cell> &cells, std::uint32_t first, bool wide)
        : cells_(cells), first_(first), wide_(wide) {
        row_.match = first;
        while (cells[row_.match].op != DP_OP_MATCH)
            ++row_.match;
    }
    Digest read() {
        std::uint32_t at = first_;
        while (at != row_.match) {
            if (must_hold(at)) {
                take(at);
                at = cells_[at].pass;
            } else if (!take_alternatives(at)) {
                break;
            }
        }
        keep();
        return std::move(row_);
    }

private:
    [[nodiscard]] bool must_hold(std::uint32_t at) const {
        return cells_[at].fail == cells_[row_.match].fail;
    }
    [[nodiscard]] bool is_tested(dp_field field) const { return (row_.tested >> field & 1) != 0; }

    void take(std::uint32_t at) {
        const dp_cell &cell = cells_[at];
        if (cell.op != DP_OP_RANGE) return;
        const auto field = field_of(cell.slot);
        if (!field) return take_exact(cell);
        if (is_tested(*field)) return;
        row_.tested |= 1u << *field;
        row_.hull[*field] = {number(cell.test.low), number(cell.test.high)};
        if (!lift(*field, cell)) return;
        row_.leaf.tests |= 1u << cell.slot;
        lifted_.push_back(at);
    }
    void take_exact(const dp_cell &cell) {
        if (number(cell.test.low) != number(cell.test.high)) return;
        if (cell.slot < DP_SLOT_NUMBERS || cell.slot == DP_SLOT_APP)
            row_.exact.push_back({static_cast<dp_slot>(cell.slot), cell.test.low.lo});
    }

    bool lift(dp_field field, const dp_cell &cell) {
        dp_leaf &leaf = row_.leaf;
        switch (field) {
        case DP_FIELD_LOCAL_ADDRESS:
            if (wide_) return lift_prefix(cell, leaf.local_bits, leaf.local);
            return lift_range(cell, leaf.address.v4.local, leaf.address.v4.local_span);
        case DP_FIELD_REMOTE_ADDRESS:
            if (wide_) return lift_prefix(cell, leaf.remote_bits, leaf.address.remote);
            return lift_range(cell, leaf.address.v4.remote, leaf.address.v4.remote_span);
        case DP_FIELD_LOCAL_PORT:
            return lift_port(cell, leaf.local_port, leaf.local_span);
        case DP_FIELD_REMOTE_PORT:
            return lift_port(cell, leaf.remote_port, leaf.remote_span);
        default:
            if (number(cell.test.low) != number(cell.test.high) || cell.test.low.lo > 0xff)
                return false;
            leaf.protocol = static_cast<std::uint8_t>(cell.test.low.lo);
            return true;
        }
    }
    static bool lift_range(const dp_cell &cell, std::uint32_t &low, std::uint32_t &span) {
        for (const dp_addr &end : {cell.test.low, cell.test.high})
            if (end.hi != 0 || end.lo >> 32 != DP_V4_MAPPED >> 32) return false;
        low = static_cast<std::uint32_t>(cell.test.low.lo);
        span = static_cast<std::uint32_t>(cell.test.high.lo - cell.test.low.lo);
        return true;
    }
    static bool lift_prefix(const dp_cell &cell, std::uint8_t &bits, dp_addr &place) {
        const auto prefix = prefix_bits(cell);
        if (!prefix || *prefix == 0) return false;
        bits = static_cast<std::uint8_t>(*prefix);
        place = cell.test.low;
        return true;
    }
    static bool lift_port(const dp_cell &cell, std::uint16_t &low, std::uint16_t &span) {
        if (number(cell.test.high) > 0xffff) return false;
        low = static_cast<std::uint16_t>(cell.test.low.lo);
        span = static_cast<std::uint16_t>(cell.test.high.lo - cell.test.low.lo);
        return true;
    }

    // Ranges of one field, and `at` behind them; false: something else, which ends what is
    // understood of the row.
    bool take_alternatives(std::uint32_t &at) {
        const std::uint32_t behind = cells_[at].pass;
        const auto field = field_of(cells_[at].slot);
        bool ranges = field && !is_tested(*field);
        std::vector<Interval> parts;
        for (std::uint32_t one = at;; one = cells_[one].fail) {
            const dp_cell &cell = cells_[one];
            if (cell.pass != behind) return false;
            ranges &= cell.op == DP_OP_RANGE && cell.slot == cells_[at].slot;
            if (ranges) parts.push_back({number(cell.test.low), number(cell.test.high)});
            if (must_hold(one)) break;
        }
        at = behind;
        if (!ranges) return true;
        Interval hull = parts.front();
        for (const Interval &part : parts) {
            hull.low = std::min(hull.low, part.low);
            hull.high = std::max(hull.high, part.high);
            row_.parts.emplace_back(*field, part);
        }
        row_.tested |= 1u << *field;
        row_.hull[*field] = hull;
        return true;
    }

    void keep() {
        for (std::uint32_t at = first_; at != row_.match; ++at) {
            const bool is_text = cells_[at].op == 0;
            if (!is_text && std::find(lifted_.begin(), lifted_.end(), at) == lifted_.end())
                row_.kept.push_back(at);
        }
    }

    const std::vector<dp_cell> &cells_;
    std::uint32_t first_;
    bool wide_;
    Digest row_;
    std::vector<std::uint32_t> lifted_;
};

} // namespace

Digest digest(const std::vector<dp_cell> &cells, std::uint32_t first, bool wide) {
    return Reader(cells, first, wide).read();
}

std::size_t cells_of(const Digest &row, const std::vector<dp_cell> &cells) {
    std::size_t count = 1;
    for (const std::uint32_t at : row.kept) {
        const bool has_text = cells[at].op == DP_OP_TEXT;
        count += 1 + (has_text ? (cells[at].length + DP_CELL_TEXT - 1) / DP_CELL_TEXT : 0);
    }
    return count;
}

} // namespace sluice::compiler
