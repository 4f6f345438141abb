// SPDX-License-Identifier: Apache-2.0
#include "compiler/tuples.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include "policy/wfp.h"

namespace sluice::compiler {

namespace {

using policy::Number;

constexpr std::size_t crowd = 8; // more leaves of one key are too many for a chain

constexpr dp_slot slots_of_fields[DP_FIELDS] = {DP_SLOT_LOCAL_ADDRESS, DP_SLOT_REMOTE_ADDRESS,
                                                DP_SLOT_LOCAL_PORT, DP_SLOT_REMOTE_PORT,
                                                DP_SLOT_PROTOCOL};

bool is_address(int field) {
    return field == DP_FIELD_LOCAL_ADDRESS || field == DP_FIELD_REMOTE_ADDRESS;
}
unsigned width_of(int field) {
    return is_address(field) ? 128 : field == DP_FIELD_PROTOCOL ? 8 : 16;
}

int leading_zeros(Number n) {
    const auto high = static_cast<std::uint64_t>(n >> 64);
    return high != 0 ? std::countl_zero(high)
                     : 64 + std::countl_zero(static_cast<std::uint64_t>(n));
}

// First bits that all values of the hull have in common.
unsigned common_bits(const Digest &row, int field) {
    if ((row.tested >> field & 1) == 0) return 0;
    const policy::Interval &hull = row.hull[field];
    const int from_top =
        leading_zeros(hull.low ^ hull.high) - (128 - static_cast<int>(width_of(field)));
    return from_top > 0 ? static_cast<unsigned>(from_top) : 0;
}

// Lengths that tables have from the start: few enough that most rows share a table.
unsigned coarse(unsigned bits, int field, bool wide) {
    static constexpr unsigned v4[] = {128, 124, 120, 116, 112, 108, 104};
    static constexpr unsigned v6[] = {128, 96, 64, 56, 48, 40, 32, 16};
    if (!is_address(field)) return bits == width_of(field) ? bits : 0;
    if (wide) {
        for (const unsigned level : v6)
            if (bits >= level) return level;
    } else {
        for (const unsigned level : v4)
            if (bits >= level) return level;
    }
    return 0;
}

// An IPv4 address begins with 96 bits that all of them have.
unsigned fine(unsigned bits, int field, bool wide) {
    if (field == DP_FIELD_PROTOCOL) return bits == 8 ? 8 : 0;
    return is_address(field) && !wide && bits <= 96 ? 0 : bits;
}

class Parting {
public:
    Parting(const std::vector<Digest> &all, const std::vector<std::uint32_t> &rows,
            std::uint32_t hashable, bool wide, std::size_t tables)
        : all_(all), hashable_(hashable), wide_(wide), tables_(tables) {
        for (const std::uint32_t row : rows)
            by_tuple_[tuple_of(row, false)].push_back(row);
    }
    std::vector<Bucket> part() {
        // Some tables are kept for what turns out to be crowded.
        fold(std::max<std::size_t>(1, tables_ - tables_ / 8));
        for (int round = 0; round < 2; ++round)
            if (buckets_.size() < tables_) split();
        for (Bucket &bucket : buckets_)
            std::sort(bucket.rows.begin(), bucket.rows.end());
        std::erase_if(buckets_, [](const Bucket &b) { return b.rows.empty(); });
        std::sort(buckets_.begin(), buckets_.end(),
                  [](const Bucket &a, const Bucket &b) { return a.rows[0] < b.rows[0]; });
        return std::move(buckets_);
    }

private:
    [[nodiscard]] bool can_hash(dp_slot slot) const { return (hashable_ >> slot & 1) != 0; }
    [[nodiscard]] Tuple tuple_of(std::uint32_t row, bool finely) const {
        Tuple tuple;
        for (int field = 0; field < DP_FIELDS; ++field) {
            if (!can_hash(slots_of_fields[field])) continue;
            const unsigned bits = common_bits(all_[row], field);
            tuple.bits[field] = static_cast<std::uint8_t>(finely ? fine(bits, field, wide_)
                                                                 : coarse(bits, field, wide_));
        }
        return tuple;
    }

    static Tuple common(const Tuple &a, const Tuple &b) {
        Tuple out;
        for (int field = 0; field < DP_FIELDS; ++field)
            out.bits[field] = std::min(a.bits[field], b.bits[field]);
        if (a.slot == b.slot) out.slot = a.slot;
        return out;
    }

    // Puts the smallest bucket together with the one that it crowds least, until so many are left.
    void fold(std::size_t most) {
        for (auto &[tuple, rows] : by_tuple_) {
            buckets_.push_back({tuple, std::move(rows)});
            crowding_.push_back(crowding(tuple, buckets_.back().rows, {}));
        }
        while (buckets_.size() > most) {
            const auto smallest =
                std::min_element(buckets_.begin(), buckets_.end(),
                                 [](auto &a, auto &b) { return a.rows.size() < b.rows.size(); });
            const auto at = smallest - buckets_.begin();
            const Bucket moved = std::move(*smallest);
            buckets_.erase(smallest);
            crowding_.erase(crowding_.begin() + at);
            const std::size_t into = best_for(moved);
            merge(moved, buckets_[into]);
            crowding_[into] = crowding(buckets_[into].tuple, buckets_[into].rows, {});
        }
    }
    // Among those that lose least of what they tell apart.
    [[nodiscard]] std::size_t best_for(const Bucket &moved) const {
        constexpr std::size_t considered = 8;
        std::vector<std::pair<std::uint64_t, std::size_t>> losses;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            const Bucket &to = buckets_[i];
            const unsigned left = worth(common(moved.tuple, to.tuple), wide_);
            losses.emplace_back(std::uint64_t{moved.rows.size()} *
                                        (worth(moved.tuple, wide_) - left) +
                                    std::uint64_t{to.rows.size()} * (worth(to.tuple, wide_) - left),
                                i);
        }
        const std::size_t count = std::min(considered, losses.size());
        std::partial_sort(losses.begin(), losses.begin() + static_cast<std::ptrdiff_t>(count),
                          losses.end());
        std::size_t best = losses.front().second;
        double least = std::numeric_limits<double>::max();
        for (std::size_t i = 0; i < count; ++i) {
            const Bucket &to = buckets_[losses[i].second];
            const double more = crowding(common(moved.tuple, to.tuple), to.rows, moved.rows) -
                                crowding_[losses[i].second];
            if (more >= least) continue;
            least = more;
            best = losses[i].second;
        }
        return best;
    }
    // The sum of the squares of the chains' lengths, from a sample of the rows.
    [[nodiscard]] double crowding(const Tuple &tuple, const std::vector<std::uint32_t> &rows,
                                  const std::vector<std::uint32_t> &more) const {
        constexpr std::size_t sample = 256;
        const dp_table table = table_of(tuple, wide_);
        const std::size_t all = rows.size() + more.size();
        const std::size_t step = (all + sample - 1) / sample;
        std::vector<std::uint64_t> keys;
        for (std::size_t i = 0; i < all; i += step)
            keys.push_back(hash_of(all_[i < rows.size() ? rows[i] : more[i - rows.size()]], table));
        std::sort(keys.begin(), keys.end());
        double pairs = 0, run = 0;
        for (std::size_t i = 1; i < keys.size(); ++i) {
            run = keys[i] == keys[i - 1] ? run + 1 : 0;
            pairs += 2 * run;
        }
        const double taken = static_cast<double>(keys.size()), rows_in = static_cast<double>(all);
        return rows_in + (taken > 1 ? rows_in * (rows_in - 1) * pairs / (taken * (taken - 1)) : 0);
    }
    void merge(const Bucket &moved, Bucket &into) {
        into.tuple = common(moved.tuple, into.tuple);
        into.rows.insert(into.rows.end(), moved.rows.begin(), moved.rows.end());
    }

    // Rows that share a key with too many others of their bucket.
    [[nodiscard]] std::vector<std::uint32_t> crowded(const Bucket &bucket) const {
        const dp_table table = table_of(bucket.tuple, wide_);
        std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_key;
        for (const std::uint32_t row : bucket.rows)
            by_key[hash_of(all_[row], table)].push_back(row);
        std::vector<std::uint32_t> out;
        for (const auto &[key, rows] : by_key)
            if (rows.size() > crowd) out.insert(out.end(), rows.begin(), rows.end());
        return out;
    }
    // The slot that tells most of them apart.
    [[nodiscard]] dp_slot telling(const std::vector<std::uint32_t> &rows) const {
        std::map<dp_slot, std::set<std::uint64_t>> values;
        for (const std::uint32_t row : rows)
            for (const Exact &exact : all_[row].exact)
                if (can_hash(exact.slot)) values[exact.slot].insert(exact.value);
        const auto most = std::max_element(values.begin(), values.end(), [](auto &a, auto &b) {
            return a.second.size() < b.second.size();
        });
        return most != values.end() ? most->first : DP_SLOTS;
    }
    // Moves crowded rows to finer buckets of their own, the largest first.
    void split() {
        std::vector<std::uint32_t> pool;
        for (const Bucket &bucket : buckets_)
            for (const std::uint32_t row : crowded(bucket))
                pool.push_back(row);
        if (pool.empty()) return;
        const dp_slot slot = telling(pool);
        std::map<Tuple, std::vector<std::uint32_t>> finer;
        for (const std::uint32_t row : pool) {
            Tuple tuple = tuple_of(row, true);
            for (const Exact &exact : all_[row].exact)
                if (exact.slot == slot) tuple.slot = static_cast<std::uint8_t>(slot);
            finer[tuple].push_back(row);
        }
        std::vector<Bucket> most;
        for (auto &[tuple, rows] : finer)
            most.push_back({tuple, std::move(rows)});
        std::sort(most.begin(), most.end(),
                  [](const Bucket &a, const Bucket &b) { return a.rows.size() > b.rows.size(); });
        for (Bucket &bucket : most)
            if (buckets_.size() < tables_ && !has(bucket.tuple)) move(std::move(bucket));
    }
    [[nodiscard]] bool has(const Tuple &tuple) const {
        return std::any_of(buckets_.begin(), buckets_.end(),
                           [&](const Bucket &b) { return b.tuple == tuple; });
    }
    void move(Bucket bucket) {
        std::vector<bool> moved(all_.size());
        for (const std::uint32_t row : bucket.rows)
            moved[row] = true;
        for (Bucket &from : buckets_)
            std::erase_if(from.rows, [&](std::uint32_t row) { return moved[row]; });
        buckets_.push_back(std::move(bucket));
    }

    const std::vector<Digest> &all_;
    std::uint32_t hashable_;
    bool wide_;
    std::size_t tables_;
    std::map<Tuple, std::vector<std::uint32_t>> by_tuple_;
    std::vector<Bucket> buckets_;
    std::vector<double> crowding_; // of the buckets, while they are folded
};

std::uint64_t first_bits(unsigned bits) {
    return bits == 0 ? 0 : bits >= 64 ? ~0ull : ~(~0ull >> bits);
}
std::uint64_t port_bits(unsigned bits) {
    return first_bits(bits) >> 48;
}
std::uint64_t high(Number n) {
    return static_cast<std::uint64_t>(n >> 64);
}
std::uint64_t low(Number n) {
    return static_cast<std::uint64_t>(n);
}

constexpr std::uint8_t word_of(dp_slot slot, bool lower) {
    return slot < DP_SLOT_NUMBERS ? slot : DP_SLOT_NUMBERS + 2 * (slot - DP_SLOT_NUMBERS) + lower;
}

// What the key's word is wherever the row matches, as far as a mask of the row's table shows it.
std::uint64_t word(const Digest &row, std::uint8_t number) {
    for (const dp_field field : {DP_FIELD_LOCAL_ADDRESS, DP_FIELD_REMOTE_ADDRESS}) {
        if (number == word_of(slots_of_fields[field], false)) return high(row.hull[field].low);
        if (number == word_of(slots_of_fields[field], true)) return low(row.hull[field].low);
    }
    for (const Exact &exact : row.exact)
        if (number == word_of(exact.slot, true) ||
            (exact.slot < DP_SLOT_NUMBERS && number == exact.slot))
            return exact.value;
    return 0;
}

} // namespace

std::uint32_t hashable(std::uint16_t layer) {
    const std::uint16_t v4 = policy::layer_v4(layer);
    std::uint32_t slots = 0;
    for (const dp_slot slot :
         {DP_SLOT_LOCAL_PORT, DP_SLOT_REMOTE_PORT, DP_SLOT_PROTOCOL, DP_SLOT_INTERFACE,
          DP_SLOT_ARRIVAL_INTERFACE, DP_SLOT_NEXTHOP_INTERFACE, DP_SLOT_USER, DP_SLOT_GROUP,
          DP_SLOT_COMPARTMENT, DP_SLOT_ETHER_TYPE, DP_SLOT_VLAN, DP_SLOT_LOCAL_MAC,
          DP_SLOT_REMOTE_MAC, DP_SLOT_LOCAL_ADDRESS, DP_SLOT_REMOTE_ADDRESS, DP_SLOT_APP})
        slots |= 1u << slot;
    if (v4 == DP_LAYER_ALE_AUTH_CONNECT_V4 || v4 == DP_LAYER_ALE_CONNECT_REDIRECT_V4)
        for (const dp_slot open : {DP_SLOT_LOCAL_PORT, DP_SLOT_LOCAL_ADDRESS, DP_SLOT_INTERFACE,
                                   DP_SLOT_NEXTHOP_INTERFACE}) // connect() comes before them
            slots &= ~(1u << open);
    return slots;
}

std::vector<Bucket> spare_buckets(std::uint32_t hashable, bool wide) {
    const std::uint8_t network = wide ? 32 : 112;
    const std::array<std::uint8_t, DP_FIELDS> spares[] = {
        {}, {0, 0, 16, 0, 8}, {0, 0, 0, 16, 8}, {network, 0}, {0, network}, {128, 0}, {0, 128}};
    std::vector<Bucket> out;
    for (Tuple tuple; const auto &bits : spares) {
        for (int field = 0; field < DP_FIELDS; ++field)
            tuple.bits[field] = (hashable >> slots_of_fields[field] & 1) != 0 ? bits[field] : 0;
        if (std::none_of(out.begin(), out.end(), [&](auto &b) { return b.tuple == tuple; }))
            out.push_back({tuple, {}});
    }
    return out;
}

bool fits(const Digest &row, const Tuple &tuple) {
    for (int field = 0; field < DP_FIELDS; ++field)
        if (common_bits(row, field) < tuple.bits[field]) return false;
    return tuple.slot == Tuple::no_slot ||
           std::any_of(row.exact.begin(), row.exact.end(),
                       [&](const Exact &exact) { return exact.slot == tuple.slot; });
}

unsigned worth(const Tuple &tuple, bool wide) {
    unsigned sum = tuple.slot != Tuple::no_slot ? 16 : 0;
    for (int field = 0; field < DP_FIELDS; ++field) {
        const unsigned bits = tuple.bits[field];
        if (field == DP_FIELD_PROTOCOL)
            sum += bits != 0 ? 2 : 0;
        else
            sum += is_address(field) && !wide && bits > 96 ? bits - 96 : bits;
    }
    return sum;
}

std::vector<Bucket> part(const std::vector<Digest> &all, const std::vector<std::uint32_t> &rows,
                         std::uint32_t hashable, bool wide, std::size_t tables) {
    return Parting(all, rows, hashable, wide, tables).part();
}

dp_table table_of(const Tuple &tuple, bool wide) {
    dp_table table{};
    table.ports = port_bits(tuple.bits[DP_FIELD_LOCAL_PORT]) << 32 |
                  port_bits(tuple.bits[DP_FIELD_REMOTE_PORT]) << 16 |
                  (tuple.bits[DP_FIELD_PROTOCOL] != 0 ? 0xff : 0);
    int words = 0;
    const auto add = [&](std::uint8_t word, std::uint64_t mask) {
        if (mask == 0 || words == DP_TABLE_WORDS) return;
        table.word[words] = word;
        table.mask[words++] = mask;
    };
    if (tuple.slot != Tuple::no_slot) add(word_of(static_cast<dp_slot>(tuple.slot), true), ~0ull);
    for (const bool lower : {true, false}) {
        for (const dp_field field : {DP_FIELD_REMOTE_ADDRESS, DP_FIELD_LOCAL_ADDRESS}) {
            const unsigned bits = tuple.bits[field];
            const std::uint64_t mask = !lower      ? first_bits(bits)
                                       : bits > 64 ? first_bits(bits - 64)
                                                   : 0;
            if (lower || wide) add(word_of(slots_of_fields[field], lower), mask);
        }
    }
    return table;
}

std::uint64_t hash_of(const Digest &row, const dp_table &table) {
    static constexpr std::uint64_t factors[DP_TABLE_WORDS] = {DP_HASH_B, DP_HASH_C, DP_HASH_D,
                                                              DP_HASH_E};
    const std::uint64_t ports = low(row.hull[DP_FIELD_LOCAL_PORT].low) << 32 |
                                low(row.hull[DP_FIELD_REMOTE_PORT].low) << 16 |
                                low(row.hull[DP_FIELD_PROTOCOL].low);
    std::uint64_t hash = (ports & table.ports) * DP_HASH_A;
    for (int i = 0; i < DP_TABLE_WORDS; ++i)
        hash += (table.mask[i] == 0 ? 0 : word(row, table.word[i]) & table.mask[i]) * factors[i];
    return (hash ^ hash >> 32) * DP_HASH_A;
}

} // namespace sluice::compiler
