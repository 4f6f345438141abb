// SPDX-License-Identifier: Apache-2.0
// Rows that come and go in a layer whose tables stand. A row takes the free place that is nearest
// to where it belongs; the rows between move by one. Tables keep their order: where a row is better
// than its table's best, the bound of the tables before it falls with it. Trees only gain tables.
// So the image becomes less precise with each change, never wrong, and its owner makes it anew in
// time.
#include <algorithm>
#include <cstring>

#include "compiler/layer.h"

namespace sluice::compiler {

namespace {

constexpr std::size_t moved_max = 8192;
constexpr std::size_t chain_max = 32;

} // namespace

// ---- chains ----

std::size_t Layer::chain_length(std::uint32_t slot) const {
    std::size_t length = 0;
    for (auto leaf = image_.read<std::uint32_t>(slot); leaf != 0 && length < chain_max;
         leaf = image_.read<dp_leaf>(leaf).next)
        ++length;
    return length;
}

std::uint32_t Layer::link_to(std::uint32_t slot, std::uint32_t leaf) const {
    std::uint32_t at = slot;
    while (image_.read<std::uint32_t>(at) != leaf) {
        if (image_.read<std::uint32_t>(at) == 0) return 0;
        at = image_.read<std::uint32_t>(at) +
             static_cast<std::uint32_t>(__builtin_offsetof(dp_leaf, next));
    }
    return at;
}

// Into the chain of its slot, by its rank.
void Layer::enter(std::size_t place, std::size_t table, std::uint32_t slot) {
    constexpr auto next = static_cast<std::uint32_t>(__builtin_offsetof(dp_leaf, next));
    std::uint32_t at = slot;
    for (auto leaf = image_.read<std::uint32_t>(at);
         leaf != 0 && image_.read<dp_leaf>(leaf).rank <= place;
         leaf = image_.read<std::uint32_t>(at))
        at = leaf + next;
    image_.at<dp_leaf>(leaf_at(place))->next = image_.read<std::uint32_t>(at);
    *image_.at<std::uint32_t>(at) = leaf_at(place);
    entries_[place].slot = slot;
    entries_[place].table = static_cast<std::uint32_t>(table);
}

// ---- places ----

// After a row came to the place: what is said of ranks holds for it.
void Layer::settle(std::size_t place) {
    const auto rank = static_cast<std::uint32_t>(place + 1);
    const Entry &entry = entries_[place];
    auto *table = image_.at<dp_table>(table_at(entry.table));
    table->best = std::min(table->best, rank);
    table->last = std::max(table->last, rank);
    for (std::uint32_t i = 0; i < head_.sublayers; ++i) {
        auto *start = image_.at<dp_start>(start_at(i));
        if (i == entry.key.sublayer)
            start->after = std::min(start->after, rank - 1);
        else if (i > entry.key.sublayer)
            start->after = std::max(start->after, rank);
    }
    head_.rows = std::max(head_.rows, rank);
}

// A row to a free place beside it.
bool Layer::move(std::size_t from, std::size_t to) {
    const std::uint32_t link = link_to(entries_[from].slot, leaf_at(from));
    if (link == 0) return false;
    std::memcpy(image_.at<char>(leaf_at(to)), &image_.read<char>(leaf_at(from)), head_.stride);
    image_.at<dp_leaf>(leaf_at(to))->rank = static_cast<std::uint32_t>(to + 1);
    *image_.at<std::uint32_t>(link) = leaf_at(to);
    image_.at<dp_leaf>(leaf_at(from))->rank = 0;
    entries_[to] = entries_[from];
    entries_[from].is_row = false;
    settle(to);
    return true;
}

// A free place where the row may stand.
std::optional<std::size_t> Layer::make_room(const RowKey &key) {
    const auto behind = std::partition_point(entries_.begin(), entries_.end(),
                                             [&key](const Entry &e) { return !key.before(e.key); });
    const auto at = static_cast<std::size_t>(behind - entries_.begin());
    for (std::size_t distance = 0; distance <= moved_max; ++distance) {
        if (distance < at && !entries_[at - 1 - distance].is_row) {
            for (std::size_t place = at - 1 - distance; place + 1 < at; ++place)
                if (!move(place + 1, place)) return std::nullopt;
            return at - 1;
        }
        if (at + distance < entries_.size() && !entries_[at + distance].is_row) {
            for (std::size_t place = at + distance; place > at; --place)
                if (!move(place - 1, place)) return std::nullopt;
            return at;
        }
    }
    return std::nullopt;
}

// ---- tables ----

// The table that tells most; rather one whose best row is better, so that the bounds before it
// stay.
std::optional<std::size_t> Layer::table_for(const Digest &row, const Cluster &cluster,
                                            std::uint32_t rank) const {
    std::optional<std::size_t> found;
    long most = 0;
    for (std::size_t i = 0; i < cluster.buckets.size(); ++i) {
        if (!fits(row, cluster.buckets[i].tuple)) continue;
        const std::size_t number = cluster.group * 64 + cluster.first_table + i;
        const auto &table = image_.read<dp_table>(table_at(number));
        const auto slot =
            table.slots + static_cast<std::uint32_t>(hash_of(row, table) >> table.shift) * 4;
        const std::size_t length = chain_length(slot);
        if (length == chain_max) continue;
        const long score = static_cast<long>(worth(cluster.buckets[i].tuple, wide_)) -
                           4 * static_cast<long>(length) - (table.best > rank ? 16 : 0);
        if (found && score <= most) continue;
        found = number;
        most = score;
    }
    return found;
}

// Of each group: no table's bound is above those behind it.
void Layer::settle_tables() {
    for (std::uint32_t group = 0; group < head_.groups; ++group) {
        const auto mask = image_.read<std::uint64_t>(head_.group + group * 8);
        std::uint32_t bound = ~0u;
        for (int number = 63; number >= 0; --number) {
            if ((mask >> number & 1) == 0) continue;
            const std::uint32_t at = table_at(group * 64 + static_cast<std::size_t>(number));
            bound = std::min(bound, image_.read<dp_table>(at).best);
            if (image_.read<dp_table>(at).best != bound) image_.at<dp_table>(at)->best = bound;
        }
    }
}

void Layer::widen(const Digest &row, std::uint32_t table) {
    for (int number = 0; number < DP_FIELDS; ++number) {
        const auto field = static_cast<dp_field>(number);
        dp_tree &tree = head_.tree[field];
        if (tree.root == 0) continue;
        std::vector<Span> spans;
        if ((row.tested >> field & 1) != 0) {
            add_spans(row, field, table, spans);
        } else {
            spans.push_back({0, ~0ull, table});
            tree.empty = widen_vector(image_, *vectors_, head_.groups, tree.empty, table);
        }
        const bool address = field == DP_FIELD_LOCAL_ADDRESS || field == DP_FIELD_REMOTE_ADDRESS;
        for (const Span &span : spans)
            widen_tree(image_, *vectors_, head_.groups, tree.root, address ? head_.address_bits : 8,
                       span);
    }
}

// ---- a row ----

bool Layer::insert(const RowKey &key, const std::vector<dp_cell> &cells, std::uint32_t first) {
    const Digest row = digest(cells, first, wide_);
    const auto place = make_room(key);
    if (!place) return false;
    const Cluster &cluster = cluster_of(key.sublayer);
    const auto number = table_for(row, cluster, static_cast<std::uint32_t>(*place + 1));
    if (!number) return false;
    write_leaf(*place, row, cells);
    const auto &leaf = image_.read<dp_leaf>(leaf_at(*place));
    if (!row.kept.empty() && leaf.cells == 0) return false; // there was no room for them
    const auto &table = image_.read<dp_table>(table_at(*number));
    entries_[*place] = {key, 0, 0, true};
    enter(*place, *number,
          table.slots + static_cast<std::uint32_t>(hash_of(row, table) >> table.shift) * 4);
    settle(*place);
    widen(row, static_cast<std::uint32_t>(*number));
    settle_tables();
    head_.hashed |=
        hashed_by(cluster.buckets[*number - cluster.group * 64 - cluster.first_table].tuple);
    head_.steps += 1;
    write_head();
    return true;
}

bool Layer::remove(const RowKey &key) {
    auto entry = std::partition_point(entries_.begin(), entries_.end(),
                                      [&key](const Entry &e) { return e.key.before(key); });
    while (entry != entries_.end() && !entry->is_row && !key.before(entry->key))
        ++entry;
    if (entry == entries_.end() || !entry->is_row || key.before(entry->key)) return false;
    const auto place = static_cast<std::size_t>(entry - entries_.begin());
    const std::uint32_t link = link_to(entry->slot, leaf_at(place));
    if (link == 0) return false;
    *image_.at<std::uint32_t>(link) = image_.read<dp_leaf>(leaf_at(place)).next;
    image_.at<dp_leaf>(leaf_at(place))->rank = 0;
    entry->is_row = false;
    while (head_.rows > 0 && !entries_[head_.rows - 1].is_row)
        --head_.rows;
    write_head();
    return true;
}

} // namespace sluice::compiler
