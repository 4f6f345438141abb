// SPDX-License-Identifier: Apache-2.0
#include "harness/image_search.h"

#include <bit>
#include <stdexcept>

namespace sluice::harness {

namespace {

class Search {
public:
    Search(const std::vector<std::uint64_t> &image, const dp_key &key, std::uint32_t after)
        : bytes_(reinterpret_cast<const char *>(image.data())), key_(key),
          layer_(in<dp_image_head>(0).layer[key.layer]), after_(after) {}

    Searched from(std::uint32_t sublayer) {
        if (sublayer >= layer_.sublayers) return found_;
        const auto &start = in<dp_start>(layer_.sublayer, sublayer);
        after_ = std::max(after_, start.after);
        if (layer_.groups == 0) {
            for (std::uint32_t i = after_; i < layer_.rows && found_.filter == 0; ++i)
                look(in<dp_leaf>(layer_.first + i * layer_.stride));
            return found_;
        }
        std::uint64_t tables = start.tables;
        for (std::uint32_t group = start.group; group < layer_.groups; ++group) {
            probe_all(group, tables & common(group));
            if (found_.filter != 0 || group + 1 == layer_.groups) break;
            tables = in<std::uint64_t>(layer_.group, group + 1);
        }
        return found_;
    }

private:
    template <typename T>
    const T &in(std::uint32_t at, std::size_t index = 0) const {
        return reinterpret_cast<const T *>(bytes_ + at)[index];
    }

    std::uint32_t vector(const dp_tree &tree, std::uint64_t value, unsigned bits) const {
        auto entry = in<std::uint32_t>(tree.root * 8, value >> (64 - bits));
        for (value <<= bits; (entry & DP_TREE_NODE) != 0; value <<= 8)
            entry = in<std::uint32_t>(entry << 3, value >> 56);
        return entry;
    }
    [[nodiscard]] std::uint64_t word(dp_field field) const {
        const dp_addr &local = key_.wide[0], &remote = key_.wide[1];
        switch (field) {
        case DP_FIELD_LOCAL_ADDRESS:
            return layer_.wide ? local.hi : local.lo << 32;
        case DP_FIELD_REMOTE_ADDRESS:
            return layer_.wide ? remote.hi : remote.lo << 32;
        case DP_FIELD_LOCAL_PORT:
            return key_.number[DP_SLOT_LOCAL_PORT] << 48;
        case DP_FIELD_REMOTE_PORT:
            return key_.number[DP_SLOT_REMOTE_PORT] << 48;
        default:
            return key_.number[DP_SLOT_PROTOCOL] << 56;
        }
    }
    [[nodiscard]] std::uint64_t common(std::uint32_t group) const {
        std::uint64_t tables = ~0ull;
        for (int i = 0; i < DP_FIELDS; ++i) {
            const auto field = static_cast<dp_field>(i);
            const bool address = field <= DP_FIELD_REMOTE_ADDRESS;
            if (layer_.tree[i].root == 0) continue;
            const std::uint32_t at =
                vector(layer_.tree[i], word(field), address ? layer_.address_bits : 8);
            tables &= in<std::uint64_t>((at + group) * 8);
        }
        return tables;
    }

    void probe_all(std::uint32_t group, std::uint64_t tables) {
        for (; tables != 0; tables &= tables - 1) {
            const auto &table = in<dp_table>(
                layer_.tables, group * 64 + static_cast<std::uint32_t>(std::countr_zero(tables)));
            if (found_.filter != 0 && table.best >= found_.rank) return;
            if (table.last <= after_) continue;
            ++found_.probes;
            for (auto at = in<std::uint32_t>(table.slots, hash(table) >> table.shift); at != 0;) {
                const auto &leaf = in<dp_leaf>(at);
                if (found_.filter != 0 && leaf.rank >= found_.rank) break;
                if (look(leaf)) break;
                at = leaf.next;
            }
        }
    }
    [[nodiscard]] std::uint64_t hash(const dp_table &table) const {
        constexpr std::uint64_t factors[] = {DP_HASH_B, DP_HASH_C, DP_HASH_D, DP_HASH_E};
        const std::uint64_t ports = key_.number[DP_SLOT_LOCAL_PORT] << 32 |
                                    key_.number[DP_SLOT_REMOTE_PORT] << 16 |
                                    key_.number[DP_SLOT_PROTOCOL];
        std::uint64_t sum = (ports & table.ports) * DP_HASH_A;
        for (int i = 0; i < DP_TABLE_WORDS; ++i) {
            const int wide = table.word[i] - DP_SLOT_NUMBERS;
            const std::uint64_t value = wide < 0        ? key_.number[table.word[i]]
                                        : wide % 2 == 0 ? key_.wide[wide / 2].hi
                                                        : key_.wide[wide / 2].lo;
            sum += (value & table.mask[i]) * factors[i];
        }
        return (sum ^ sum >> 32) * DP_HASH_A;
    }

    bool look(const dp_leaf &leaf) {
        ++found_.leaves;
        if (leaf.cells != 0) throw std::runtime_error("a row with more tests");
        if (leaf.rank <= after_ || !holds(leaf)) return false;
        found_.filter = leaf.filter_id;
        found_.rank = leaf.rank;
        found_.sublayer = leaf.sublayer;
        return true;
    }
    static bool within(const dp_addr &a, const dp_addr &prefix, unsigned bits) {
        const unsigned high = std::min(bits, 64u), low = bits - high;
        return ((a.hi ^ prefix.hi) >> (64 - high)) == 0 &&
               (low == 0 || ((a.lo ^ prefix.lo) >> (64 - low)) == 0);
    }
    [[nodiscard]] bool address_holds(const dp_leaf &leaf, bool local) const {
        const dp_addr &a = key_.wide[local ? 0 : 1];
        if (layer_.wide != 0)
            return local ? within(a, leaf.local, leaf.local_bits)
                         : within(a, leaf.address.remote, leaf.remote_bits);
        const auto &v4 = leaf.address.v4;
        const std::uint64_t from = a.lo - (DP_V4_MAPPED | (local ? v4.local : v4.remote));
        return a.hi == 0 && from <= (local ? v4.local_span : v4.remote_span);
    }
    [[nodiscard]] bool holds(const dp_leaf &leaf) const {
        const auto tested = [&](dp_slot slot) { return (leaf.tests >> slot & 1) != 0; };
        if (tested(DP_SLOT_LOCAL_ADDRESS) && !address_holds(leaf, true)) return false;
        if (tested(DP_SLOT_REMOTE_ADDRESS) && !address_holds(leaf, false)) return false;
        if (tested(DP_SLOT_LOCAL_PORT) &&
            key_.number[DP_SLOT_LOCAL_PORT] - leaf.local_port > leaf.local_span)
            return false;
        if (tested(DP_SLOT_REMOTE_PORT) &&
            key_.number[DP_SLOT_REMOTE_PORT] - leaf.remote_port > leaf.remote_span)
            return false;
        return !tested(DP_SLOT_PROTOCOL) || key_.number[DP_SLOT_PROTOCOL] == leaf.protocol;
    }

    const char *bytes_;
    const dp_key &key_;
    const dp_layer_search &layer_;
    std::uint32_t after_;
    Searched found_;
};

} // namespace

Searched search(const std::vector<std::uint64_t> &image, const dp_key &key, std::uint32_t after,
                std::uint32_t from) {
    if ((key.unknown | key.empty) != 0) throw std::runtime_error("a key with gaps");
    return Search(image, key, after).from(from);
}

} // namespace sluice::harness
