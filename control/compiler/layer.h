// SPDX-License-Identifier: Apache-2.0
// The rows of one layer in an image (bpf/shared/image.h): written once, and then changed row by
// row.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "compiler/tree.h"
#include "compiler/tuples.h"

namespace sluice::compiler {

// What decides a row's place in its layer.
struct RowKey {
    std::uint32_t sublayer = 0; // ordinal
    std::uint64_t weight = 0, id = 0;
    [[nodiscard]] bool before(const RowKey &other) const {
        if (sublayer != other.sublayer) return sublayer < other.sublayer;
        return weight != other.weight ? weight > other.weight : id < other.id;
    }
};

// A bit for each slot that a table of the tuple hashes.
std::uint32_t hashed_by(const Tuple &tuple);

class Layer {
public:
    Layer(Image &image, std::uint16_t layer);

    // First of all layers: there is room for them. weights: by filter, in the order of rows, for
    // changes to come; may be empty.
    void write(const std::vector<dp_cell> &cells, const std::vector<std::uint64_t> &weights);
    // Then these, with what room is left.
    void find_tables();

    // Changes are made to layers that have tables. False: no room, or no table for the row; the
    // image has to be made anew.
    [[nodiscard]] bool can_change() const { return !clusters_.empty() && !entries_.empty(); }
    bool insert(const RowKey &key, const std::vector<dp_cell> &cells, std::uint32_t first);
    bool remove(const RowKey &key);
    [[nodiscard]] std::uint32_t sublayers() const { return head_.sublayers; }
    [[nodiscard]] std::uint32_t rows() const { return head_.rows; } // and gaps between them

private:
    // The tables of neighbouring sublayers; they all stand in one group.
    struct Cluster {
        std::size_t first_sublayer = 0;
        std::vector<std::uint32_t> rows;        // while it is written
        std::vector<Bucket> buckets;            // then without their rows
        std::size_t group = 0, first_table = 0; // of the group
    };
    // What stands at a place, or once stood there, or stands before it: keys are in order.
    struct Entry {
        RowKey key;
        std::uint32_t slot = 0;  // of its table
        std::uint32_t table = 0; // counted over all groups
        bool is_row = false;
    };

    void read(const std::vector<dp_cell> &cells);
    void write_rows(const std::vector<dp_cell> &cells);
    void put_leaf(std::size_t place, const dp_leaf &leaf);
    void write_leaf(std::size_t place, const Digest &row, const std::vector<dp_cell> &cells);
    std::uint32_t write_cells(const Digest &row, const std::vector<dp_cell> &cells);
    void remember(const std::vector<std::uint64_t> &weights);
    void cluster();
    void number_tables();
    void write_tables();
    void write_table(const Bucket &bucket, std::size_t number);
    void write_spare(const Cluster &cluster, const Tuple &tuple, std::size_t number);
    void write_starts();
    void write_trees();
    void write_tree(dp_field field, const TreeShape &shape);
    void add_spans(const Digest &row, dp_field field, std::uint32_t table,
                   std::vector<Span> &spans) const;
    [[nodiscard]] std::uint64_t value(dp_field field, policy::Number n, bool last) const;
    void write_head();

    // Rows are numbered from 0; behind every so many of them a place is left free.
    [[nodiscard]] std::size_t place_of(std::size_t row) const {
        return gaps_ ? row + row / gap_every : row;
    }
    [[nodiscard]] std::uint32_t leaf_at(std::size_t place) const {
        return head_.first + static_cast<std::uint32_t>(place * head_.stride);
    }
    [[nodiscard]] const Cluster &cluster_of(std::uint32_t sublayer) const;
    [[nodiscard]] std::uint32_t table_at(std::size_t number) const {
        return head_.tables + static_cast<std::uint32_t>(number * sizeof(dp_table));
    }
    [[nodiscard]] std::uint32_t start_at(std::size_t sublayer) const {
        return head_.sublayer + static_cast<std::uint32_t>(sublayer * sizeof(dp_start));
    }

    // ---- changes (layer_change.cpp) ----
    [[nodiscard]] std::optional<std::size_t> make_room(const RowKey &key);
    bool move(std::size_t from, std::size_t to);
    [[nodiscard]] std::optional<std::size_t> table_for(const Digest &row, const Cluster &cluster,
                                                       std::uint32_t rank) const;
    [[nodiscard]] std::size_t chain_length(std::uint32_t slot) const;
    // Where the chain has the leaf; 0: nowhere.
    [[nodiscard]] std::uint32_t link_to(std::uint32_t slot, std::uint32_t leaf) const;
    void enter(std::size_t place, std::size_t table, std::uint32_t slot);
    void settle(std::size_t place);
    void settle_tables();
    void widen(const Digest &row, std::uint32_t table);

    static constexpr std::size_t gap_every = 16;

    Image &image_;
    std::uint16_t layer_;
    bool wide_;
    bool gaps_ = false;
    dp_layer_search head_{};
    std::vector<Digest> rows_; // by rank, from 0; while it is written
    std::vector<RowKey> keys_; // of them
    std::vector<Cluster> clusters_;
    std::unique_ptr<Vectors> vectors_;
    std::vector<Entry> entries_; // by place
};

} // namespace sluice::compiler
