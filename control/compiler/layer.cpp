// SPDX-License-Identifier: Apache-2.0
#include "compiler/layer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "policy/wfp.h"

namespace sluice::compiler {

namespace {

constexpr std::size_t walked = 8; // rows that are not worth tables
constexpr std::size_t clusters_max = 64;
constexpr std::size_t large_root = 4096; // rows from which trees of addresses begin with 16 bits
constexpr std::size_t nodes_max = 512;   // of a tree
constexpr std::size_t rows_with_gaps = 131072;

std::size_t cells_for_text(const dp_cell &cell) {
    return cell.op == DP_OP_TEXT ? (cell.length + DP_CELL_TEXT - 1) / DP_CELL_TEXT : 0;
}

// Where the kept cells of a row stand, and where they lead: what is in the leaf holds by then.
struct Kept {
    const Digest &row;
    const std::vector<dp_cell> &cells;
    std::uint32_t begin = 0;
    std::vector<std::uint32_t> offsets; // from the first

    [[nodiscard]] std::uint32_t target(std::uint32_t to) const {
        while (to != row.match) {
            const auto kept = std::lower_bound(row.kept.begin(), row.kept.end(), to);
            if (kept != row.kept.end() && *kept == to)
                return begin + offsets[static_cast<std::size_t>(kept - row.kept.begin())];
            to = cells[to].pass;
        }
        return DP_CELL_YES;
    }
};

} // namespace

std::uint32_t hashed_by(const Tuple &tuple) {
    static constexpr dp_slot slots[DP_FIELDS] = {DP_SLOT_LOCAL_ADDRESS, DP_SLOT_REMOTE_ADDRESS,
                                                 DP_SLOT_LOCAL_PORT, DP_SLOT_REMOTE_PORT,
                                                 DP_SLOT_PROTOCOL};
    std::uint32_t hashed = tuple.slot != Tuple::no_slot ? 1u << tuple.slot : 0;
    for (int field = 0; field < DP_FIELDS; ++field)
        if (tuple.bits[field] != 0) hashed |= 1u << slots[field];
    return hashed;
}

Layer::Layer(Image &image, std::uint16_t layer)
    : image_(image), layer_(layer), wide_(policy::layer_is_v6(layer)) {}

void Layer::write(const std::vector<dp_cell> &cells, const std::vector<std::uint64_t> &weights) {
    read(cells);
    gaps_ = !weights.empty() && rows_.size() > walked && rows_.size() <= rows_with_gaps;
    head_.rows = static_cast<std::uint32_t>(place_of(rows_.size() - 1) + 1);
    head_.steps += head_.rows + 64;
    write_rows(cells);
    if (rows_.size() > walked) {
        cluster();
        if (gaps_) remember(weights);
        write_tables();
    }
    write_starts();
}

void Layer::find_tables() {
    if (!clusters_.empty()) write_trees();
    for (Cluster &cluster : clusters_) {
        cluster.rows = {};
        for (Bucket &bucket : cluster.buckets)
            bucket.rows = {};
    }
    rows_ = {};
    keys_ = {};
    write_head();
}

void Layer::write_head() {
    *image_.at<dp_layer_search>(static_cast<std::uint32_t>(
        __builtin_offsetof(dp_image_head, layer) + layer_ * sizeof head_)) = head_;
}

void Layer::read(const std::vector<dp_cell> &cells) {
    const auto &index = cells[layer_].layer;
    for (std::uint32_t at = index.first; at != 0; at = cells[rows_.back().match].fail) {
        rows_.push_back(digest(cells, at, wide_));
        const auto &row = cells[rows_.back().match].row;
        keys_.push_back({row.sublayer, 0, row.filter_id});
    }
    head_.wide = wide_;
    head_.stride = wide_ ? DP_LEAF_WIDE : DP_LEAF_NARROW;
}

// The leaves, in order of rank, and the cells.
void Layer::write_rows(const std::vector<dp_cell> &cells) {
    const std::size_t places = head_.rows + (gaps_ ? gap_every : 0);
    head_.first = image_.take(places * head_.stride, head_.stride);
    for (std::size_t i = 0; i < rows_.size(); ++i)
        write_leaf(place_of(i), rows_[i], cells);
}

void Layer::write_leaf(std::size_t place, const Digest &row, const std::vector<dp_cell> &cells) {
    dp_leaf leaf = row.leaf;
    leaf.rank = static_cast<std::uint32_t>(place + 1);
    const auto &match = cells[row.match].row;
    leaf.filter_id = match.filter_id;
    leaf.sublayer = match.sublayer;
    leaf.action = static_cast<std::uint16_t>(match.action);
    leaf.callout = static_cast<std::uint16_t>(match.callout);
    leaf.row_flags = static_cast<std::uint8_t>(match.flags);
    leaf.hold_ms = match.hold_ms;
    leaf.cells = row.kept.empty() ? 0 : write_cells(row, cells);
    head_.steps += static_cast<std::uint32_t>(row.kept.size());
    put_leaf(place, leaf);
}

// As much of it as the layer's leaves have.
void Layer::put_leaf(std::size_t place, const dp_leaf &leaf) {
    std::memcpy(image_.at<char>(leaf_at(place)), &leaf, head_.stride);
}

std::uint32_t Layer::write_cells(const Digest &row, const std::vector<dp_cell> &cells) {
    std::uint32_t count = 0;
    Kept kept{row, cells, 0, {}};
    for (const std::uint32_t at : row.kept) {
        kept.offsets.push_back(count * static_cast<std::uint32_t>(sizeof(dp_cell)));
        count += 1 + static_cast<std::uint32_t>(cells_for_text(cells[at]));
    }
    kept.begin = image_.take(count * sizeof(dp_cell), 16);
    if (kept.begin == 0) return 0;
    for (std::size_t i = 0; i < row.kept.size(); ++i) {
        dp_cell cell = cells[row.kept[i]];
        cell.pass = kept.target(cell.pass);
        cell.fail = cell.fail == cells[row.match].fail ? DP_CELL_NO : kept.target(cell.fail);
        const std::uint32_t at = kept.begin + kept.offsets[i];
        *image_.at<dp_cell>(at) = cell;
        for (std::size_t text = 0; text < cells_for_text(cell); ++text)
            std::memcpy(image_.at<char>(at + sizeof(dp_cell)) + text * DP_CELL_TEXT,
                        cells[row.kept[i] + 1 + text].text, DP_CELL_TEXT);
    }
    return kept.begin;
}

// What there will be to know of each place when rows are changed.
void Layer::remember(const std::vector<std::uint64_t> &weights) {
    entries_.resize(head_.rows + gap_every);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        keys_[i].weight = weights[i];
        entries_[place_of(i)] = {keys_[i], 0, 0, true};
    }
    for (std::size_t place = 1; place < entries_.size(); ++place)
        if (!entries_[place].is_row) entries_[place].key = entries_[place - 1].key;
}

void Layer::cluster() {
    std::vector<std::vector<std::uint32_t>> sublayers;
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
        if (keys_[i].sublayer >= sublayers.size()) sublayers.resize(keys_[i].sublayer + 1);
        sublayers[keys_[i].sublayer].push_back(i);
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
    // In front: what they are empty of is not found worse for it, and the order of the others
    // stays.
    const bool spares = gaps_ && tables == 64;
    for (Cluster &cluster : clusters_) {
        if (spares) cluster.buckets = spare_buckets(hashable(layer_), wide_);
        auto parts =
            part(rows_, cluster.rows, hashable(layer_), wide_, tables - cluster.buckets.size());
        std::move(parts.begin(), parts.end(), std::back_inserter(cluster.buckets));
    }
    number_tables();
}

void Layer::number_tables() {
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

void Layer::write_tables() {
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
            if (cluster.buckets[i].rows.empty())
                write_spare(cluster, cluster.buckets[i].tuple, cluster.group * 64 + number);
            else
                write_table(cluster.buckets[i], cluster.group * 64 + number);
        }
    }
    head_.steps += head_.groups * 65;
}

void Layer::write_spare(const Cluster &cluster, const Tuple &tuple, std::size_t number) {
    constexpr unsigned slots = 8; // bits of their number
    dp_table table = table_of(tuple, wide_);
    table.shift = 64 - slots;
    table.slots = image_.take(std::size_t{4} << slots);
    table.best = static_cast<std::uint32_t>(place_of(cluster.rows.front()) + 1);
    *image_.at<dp_table>(table_at(number)) = table;
}

void Layer::write_table(const Bucket &bucket, std::size_t number) {
    dp_table table = table_of(bucket.tuple, wide_);
    std::vector<std::pair<std::uint64_t, std::uint32_t>> hashes;
    for (const std::uint32_t row : bucket.rows)
        hashes.emplace_back(hash_of(rows_[row], table), row);
    std::sort(hashes.begin(), hashes.end());
    std::size_t keys = 1;
    for (std::size_t i = 1; i < hashes.size(); ++i)
        keys += hashes[i].first != hashes[i - 1].first;
    const std::size_t slots = std::bit_ceil(std::max<std::size_t>(2, 4 * keys));
    table.shift = static_cast<std::uint8_t>(64 - std::countr_zero(slots));
    table.slots = image_.take(slots * 4);
    table.best = static_cast<std::uint32_t>(place_of(bucket.rows.front()) + 1);
    table.last = static_cast<std::uint32_t>(place_of(bucket.rows.back()) + 1);
    // From the last row on, so that each goes before those that it is better than.
    for (auto row = bucket.rows.rbegin(); row != bucket.rows.rend(); ++row) {
        const std::uint64_t hash = hash_of(rows_[*row], table) >> table.shift;
        const std::uint32_t slot = table.slots + static_cast<std::uint32_t>(hash * 4);
        const std::size_t place = place_of(*row);
        auto *first = image_.at<std::uint32_t>(slot);
        image_.at<dp_leaf>(leaf_at(place))->next = *first;
        *first = leaf_at(place);
        if (!entries_.empty()) {
            entries_[place].slot = slot;
            entries_[place].table = static_cast<std::uint32_t>(number);
        }
    }
    *image_.at<dp_table>(table_at(number)) = table;
    head_.hashed |= hashed_by(bucket.tuple);
}

const Layer::Cluster &Layer::cluster_of(std::uint32_t sublayer) const {
    const auto behind =
        std::find_if(clusters_.begin() + 1, clusters_.end(),
                     [sublayer](const Cluster &c) { return c.first_sublayer > sublayer; });
    return *(behind - 1);
}

void Layer::write_starts() {
    head_.sublayers = keys_.back().sublayer + 1;
    head_.sublayer = image_.take(head_.sublayers * sizeof(dp_start), sizeof(dp_start));
    for (std::size_t i = rows_.size(); i > 0; --i)
        image_.at<dp_start>(start_at(keys_[i - 1].sublayer))->after =
            static_cast<std::uint32_t>(place_of(i - 1));
    for (std::uint32_t i = 0; i < head_.sublayers && !clusters_.empty(); ++i) {
        const Cluster &cluster = cluster_of(i);
        const auto group = static_cast<std::uint32_t>(cluster.group);
        auto *start = image_.at<dp_start>(start_at(i));
        start->group = group;
        start->tables =
            image_.read<std::uint64_t>(head_.group + group * 8) & ~0ull << cluster.first_table;
    }
}

void Layer::write_trees() {
    const bool large = rows_.size() >= large_root;
    head_.address_bits = large ? 16 : 8;
    const TreeShape address{head_.address_bits,
                            wide_ ? 64u : 24u, // the tables tell hosts apart
                            std::clamp<std::size_t>(rows_.size() / 16, 8, nodes_max)};
    const TreeShape port{8, 16, 256}, protocol{8, 8, 0};
    vectors_ = std::make_unique<Vectors>(image_, head_.all);
    const TreeShape shapes[DP_FIELDS] = {address, address, port, port, protocol};
    for (int field = 0; field < DP_FIELDS; ++field)
        write_tree(static_cast<dp_field>(field), shapes[field]);
}

void Layer::write_tree(dp_field field, const TreeShape &shape) {
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
    head_.tree[field].empty = vectors_->of(any);
    head_.tree[field].root = build_tree(image_, *vectors_, head_.groups, std::move(spans), shape);
}

void Layer::add_spans(const Digest &row, dp_field field, std::uint32_t table,
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
std::uint64_t Layer::value(dp_field field, policy::Number n, bool last) const {
    const bool address = field == DP_FIELD_LOCAL_ADDRESS || field == DP_FIELD_REMOTE_ADDRESS;
    if (address && wide_) return static_cast<std::uint64_t>(n >> 64);
    const unsigned shift = address ? 32 : field == DP_FIELD_PROTOCOL ? 56 : 48;
    const std::uint64_t low = static_cast<std::uint64_t>(n) << shift;
    return last ? low | ((1ull << shift) - 1) : low;
}

} // namespace sluice::compiler
