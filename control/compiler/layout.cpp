// SPDX-License-Identifier: Apache-2.0
#include "compiler/layout.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "compiler/tree.h"
#include "compiler/tuples.h"
#include "policy/wfp.h"

namespace sluice::compiler {

namespace {

constexpr std::size_t walked = 8; // rows that are not worth tables
constexpr std::size_t clusters_max = 64;
constexpr std::size_t large_root = 4096; // rows from which trees of addresses begin with 16 bits
constexpr std::size_t nodes_max = 512;   // of a tree

// The tables of neighbouring sublayers; they all stand in one group.
struct Cluster {
    std::size_t first_sublayer = 0;
    std::vector<std::uint32_t> rows;
    std::vector<Bucket> buckets;
    std::size_t group = 0, first_table = 0; // of the group
};

class Layer {
public:
    Layer(Image &image, const std::vector<dp_cell> &cells, std::uint16_t layer)
        : image_(image), cells_(cells), layer_(layer), wide_(policy::layer_is_v6(layer)) {}

    // First of all layers: there is room for them.
    void write() {
        read();
        write_rows();
        if (rows_.size() > walked) {
            cluster();
            write_tables();
        }
        write_starts();
    }
    // Then these, with what room is left.
    void find_tables() {
        if (!clusters_.empty()) write_trees();
        *image_.at<dp_layer_search>(__builtin_offsetof(dp_image_head, layer) +
                                    layer_ * sizeof head_) = head_;
    }

private:
    void read() {
        const auto &index = cells_[layer_].layer;
        for (std::uint32_t at = index.first; at != 0; at = cells_[rows_.back().match].fail)
            rows_.push_back(digest(cells_, at, wide_));
        head_.rows = static_cast<std::uint32_t>(rows_.size());
        head_.wide = wide_;
        head_.steps = head_.rows + 64;
    }
    [[nodiscard]] const dp_cell &match(std::size_t row) const { return cells_[rows_[row].match]; }

    // The leaves, in order of rank, and the cells.
    void write_rows() {
        head_.first = image_.take(rows_.size() * sizeof(dp_leaf), sizeof(dp_leaf));
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const Digest &row = rows_[i];
            dp_leaf leaf = row.leaf;
            leaf.rank = static_cast<std::uint32_t>(i + 1);
            leaf.match = cells_[row.match];
            leaf.match.pass = leaf.match.fail = 0;
            leaf.cells = row.kept.empty() ? 0 : write_cells(row);
            head_.steps += static_cast<std::uint32_t>(row.kept.size());
            *leaf_at(i) = leaf;
        }
    }
    dp_leaf *leaf_at(std::size_t row) { return image_.at<dp_leaf>(leaf_of(row)); }
    [[nodiscard]] std::uint32_t leaf_of(std::size_t row) const {
        return head_.first + static_cast<std::uint32_t>(row * sizeof(dp_leaf));
    }

    [[nodiscard]] std::size_t cells_for_text(std::uint32_t at) const {
        const dp_cell &cell = cells_[at];
        return cell.op == DP_OP_TEXT ? (cell.length + DP_CELL_TEXT - 1) / DP_CELL_TEXT : 0;
    }
    std::uint32_t write_cells(const Digest &row) {
        std::uint32_t count = 0;
        std::vector<std::uint32_t> offsets; // of the kept ones, from the first
        for (const std::uint32_t at : row.kept) {
            offsets.push_back(count * sizeof(dp_cell));
            count += 1 + static_cast<std::uint32_t>(cells_for_text(at));
        }
        const std::uint32_t begin = image_.take(count * sizeof(dp_cell), 16);
        for (std::size_t i = 0; i < row.kept.size(); ++i) {
            dp_cell cell = cells_[row.kept[i]];
            cell.pass = target(row, cell.pass, begin, offsets);
            cell.fail = cell.fail == cells_[row.match].fail
                            ? DP_CELL_NO
                            : target(row, cell.fail, begin, offsets);
            *image_.at<dp_cell>(begin + offsets[i]) = cell;
            for (std::size_t text = 0; text < cells_for_text(row.kept[i]); ++text)
                std::memcpy(image_.at<char>(begin + offsets[i] + sizeof(dp_cell)) +
                                text * DP_CELL_TEXT,
                            cells_[row.kept[i] + 1 + text].text, DP_CELL_TEXT);
        }
        return begin;
    }
    // Where a kept cell leads: what is in the leaf holds by then.
    [[nodiscard]] std::uint32_t target(const Digest &row, std::uint32_t to, std::uint32_t begin,
                                       const std::vector<std::uint32_t> &offsets) const {
        while (to != row.match) {
            const auto kept = std::lower_bound(row.kept.begin(), row.kept.end(), to);
            if (kept != row.kept.end() && *kept == to)
                return begin + offsets[static_cast<std::size_t>(kept - row.kept.begin())];
            to = cells_[to].pass;
        }
        return DP_CELL_YES;
    }

    void cluster() {
        std::vector<std::vector<std::uint32_t>> sublayers;
        for (std::uint32_t i = 0; i < rows_.size(); ++i) {
            if (match(i).row.sublayer >= sublayers.size())
                sublayers.resize(match(i).row.sublayer + 1);
            sublayers[match(i).row.sublayer].push_back(i);
        }
        const std::size_t together = (sublayers.size() + clusters_max - 1) / clusters_max;
        for (std::size_t first = 0; first < sublayers.size(); first += together) {
            Cluster cluster;
            cluster.first_sublayer = first;
            for (std::size_t i = first; i < std::min(first + together, sublayers.size()); ++i)
                cluster.rows.insert(cluster.rows.end(), sublayers[i].begin(), sublayers[i].end());
            clusters_.push_back(std::move(cluster));
        }
        const std::size_t tables = std::clamp<std::size_t>(256 / clusters_.size(), 8, 64);
        for (Cluster &cluster : clusters_)
            cluster.buckets = part(rows_, cluster.rows, hashable(layer_), wide_, tables);
        number_tables();
    }
    void number_tables() {
        std::size_t group = 0, used = 0;
        for (Cluster &cluster : clusters_) {
            if (used + cluster.buckets.size() > 64) {
                ++group;
                used = 0;
            }
            cluster.group = group;
            cluster.first_table = used;
            used += cluster.buckets.size();
        }
        head_.groups = static_cast<std::uint32_t>(group + 1);
    }

    void write_tables() {
        head_.tables = image_.take(head_.groups * 64 * sizeof(dp_table), sizeof(dp_table));
        head_.group = image_.take(head_.groups * 8);
        head_.all = image_.take(head_.groups * 8) / 8;
        for (std::uint32_t i = 0; i < head_.groups; ++i)
            *image_.at<std::uint64_t>((head_.all + i) * 8) = ~std::uint64_t{0};
        for (const Cluster &cluster : clusters_) {
            for (std::size_t i = 0; i < cluster.buckets.size(); ++i) {
                const std::size_t number = cluster.first_table + i;
                *image_.at<std::uint64_t>(
                    head_.group + static_cast<std::uint32_t>(cluster.group * 8)) |= 1ull << number;
                write_table(cluster.buckets[i], cluster.group * 64 + number);
            }
        }
        head_.steps += head_.groups * 65;
    }
    void write_table(const Bucket &bucket, std::size_t number) {
        dp_table table = table_of(bucket.tuple, wide_);
        std::vector<std::pair<std::uint64_t, std::uint32_t>> hashes;
        for (const std::uint32_t row : bucket.rows)
            hashes.emplace_back(hash_of(rows_[row], table), row);
        std::sort(hashes.begin(), hashes.end());
        std::size_t keys = 1;
        for (std::size_t i = 1; i < hashes.size(); ++i)
            keys += hashes[i].first != hashes[i - 1].first;
        const std::size_t slots = std::bit_ceil(std::max<std::size_t>(2, 2 * keys));
        table.shift = static_cast<std::uint8_t>(64 - std::countr_zero(slots));
        table.slots = image_.take(slots * 4);
        table.best = bucket.rows.front() + 1;
        table.last = bucket.rows.back() + 1;
        // From the last row on, so that each goes before those that it is better than.
        for (auto row = bucket.rows.rbegin(); row != bucket.rows.rend(); ++row) {
            const std::uint64_t hash = hash_of(rows_[*row], table) >> table.shift;
            auto *slot =
                image_.at<std::uint32_t>(table.slots + static_cast<std::uint32_t>(hash * 4));
            leaf_at(*row)->next = *slot;
            *slot = leaf_of(*row);
        }
        *image_.at<dp_table>(head_.tables + static_cast<std::uint32_t>(number * sizeof table)) =
            table;
        head_.hashed |= hashed_by(bucket.tuple);
    }
    static std::uint32_t hashed_by(const Tuple &tuple) {
        static constexpr dp_slot slots[DP_FIELDS] = {DP_SLOT_LOCAL_ADDRESS, DP_SLOT_REMOTE_ADDRESS,
                                                     DP_SLOT_LOCAL_PORT, DP_SLOT_REMOTE_PORT,
                                                     DP_SLOT_PROTOCOL};
        std::uint32_t hashed = tuple.slot != Tuple::no_slot ? 1u << tuple.slot : 0;
        for (int field = 0; field < DP_FIELDS; ++field)
            if (tuple.bits[field] != 0) hashed |= 1u << slots[field];
        return hashed;
    }

    void write_starts() {
        head_.sublayers = match(rows_.size() - 1).row.sublayer + 1;
        head_.sublayer = image_.take(head_.sublayers * sizeof(dp_start), sizeof(dp_start));
        for (std::size_t i = rows_.size(); i > 0; --i)
            start_at(match(i - 1).row.sublayer)->after = static_cast<std::uint32_t>(i - 1);
        std::size_t cluster = 0;
        for (std::size_t i = 0; i < head_.sublayers && !clusters_.empty(); ++i) {
            if (cluster + 1 < clusters_.size() && clusters_[cluster + 1].first_sublayer <= i)
                ++cluster;
            const auto group = static_cast<std::uint32_t>(clusters_[cluster].group);
            start_at(i)->group = group;
            start_at(i)->tables = *image_.at<std::uint64_t>(head_.group + group * 8) &
                                  ~0ull << clusters_[cluster].first_table;
        }
    }
    dp_start *start_at(std::size_t sublayer) {
        return image_.at<dp_start>(head_.sublayer +
                                   static_cast<std::uint32_t>(sublayer * sizeof(dp_start)));
    }

    void write_trees() {
        const bool large = rows_.size() >= large_root;
        head_.address_bits = large ? 16 : 8;
        const TreeShape address{head_.address_bits,
                                wide_ ? 64u : 24u, // the tables tell hosts apart
                                std::clamp<std::size_t>(rows_.size() / 16, 8, nodes_max)};
        const TreeShape port{8, 16, 256}, protocol{8, 8, 0};
        Vectors vectors(image_, head_.all);
        const TreeShape shapes[DP_FIELDS] = {address, address, port, port, protocol};
        for (int field = 0; field < DP_FIELDS; ++field)
            write_tree(vectors, static_cast<dp_field>(field), shapes[field]);
    }
    void write_tree(Vectors &vectors, dp_field field, const TreeShape &shape) {
        std::vector<Span> spans;
        Mask any(head_.groups);
        bool tested = false;
        for (const Cluster &cluster : clusters_) {
            for (std::size_t i = 0; i < cluster.buckets.size(); ++i) {
                const auto table =
                    static_cast<std::uint32_t>(cluster.group * 64 + cluster.first_table + i);
                for (const std::uint32_t row : cluster.buckets[i].rows) {
                    if ((rows_[row].tested >> field & 1) != 0) {
                        add_spans(rows_[row], field, table, spans);
                        tested = true;
                    } else {
                        any[table / 64] |= 1ull << table % 64;
                    }
                }
            }
        }
        if (!tested) return;
        for (std::uint32_t table = 0; table < head_.groups * 64; ++table)
            if ((any[table / 64] >> table % 64 & 1) != 0) spans.push_back({0, ~0ull, table});
        head_.tree[field].empty = vectors.of(any);
        head_.tree[field].root = build_tree(image_, vectors, head_.groups, std::move(spans), shape);
    }
    void add_spans(const Digest &row, dp_field field, std::uint32_t table,
                   std::vector<Span> &spans) const {
        bool parts = false;
        for (const auto &[of, part] : row.parts) {
            if (of != field) continue;
            spans.push_back({value(field, part.low, false), value(field, part.high, true), table});
            parts = true;
        }
        const policy::Interval &hull = row.hull[field];
        if (!parts)
            spans.push_back({value(field, hull.low, false), value(field, hull.high, true), table});
    }
    // As a word whose first bits are the field's, the rest filled up.
    [[nodiscard]] std::uint64_t value(dp_field field, policy::Number n, bool last) const {
        const bool address = field == DP_FIELD_LOCAL_ADDRESS || field == DP_FIELD_REMOTE_ADDRESS;
        if (address && wide_) return static_cast<std::uint64_t>(n >> 64);
        const unsigned shift = address ? 32 : field == DP_FIELD_PROTOCOL ? 56 : 48;
        const std::uint64_t low = static_cast<std::uint64_t>(n) << shift;
        return last ? low | ((1ull << shift) - 1) : low;
    }

    Image &image_;
    const std::vector<dp_cell> &cells_;
    std::uint16_t layer_;
    bool wide_;
    dp_layer_search head_{};
    std::vector<Digest> rows_; // by rank, from 0
    std::vector<Cluster> clusters_;
};

} // namespace

std::vector<std::uint64_t> lay_out(const std::vector<dp_cell> &cells) {
    Image image(DP_IMAGE_LARGE);
    image.take(sizeof(dp_image_head));
    dp_image_head head{};
    head.generation = cells[0].layer.generation;
    std::copy(std::begin(cells[0].layer.present), std::end(cells[0].layer.present), head.present);
    *image.at<dp_image_head>(0) = head;
    std::vector<Layer> layers;
    for (std::uint16_t layer = 0; layer < DP_LAYERS_MAX; ++layer)
        if (cells[layer].layer.count != 0) layers.emplace_back(image, cells, layer);
    for (Layer &layer : layers)
        layer.write();
    for (Layer &layer : layers)
        layer.find_tables();
    image.at<dp_image_head>(0)->size = image.size();
    return image.release();
}

bool is_small(const std::vector<std::uint64_t> &image) {
    return image.size() * sizeof image[0] <= DP_IMAGE_SMALL;
}

} // namespace sluice::compiler
