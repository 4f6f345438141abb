// SPDX-License-Identifier: Apache-2.0
// The filters of a policy, by id. A copy shares what neither side has changed: policies are copied
// for each transaction, and most of a hundred thousand filters stay what they are.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "core/guid.h"
#include "policy/filter.h"

namespace sluice::policy {

// As std::map<std::uint64_t, Filter> where it has the same names; but what a change leaves of
// iterators and references is what std::vector leaves, and nothing is changed through them.
class Filters {
public:
    using key_type = std::uint64_t;
    using mapped_type = Filter;
    using value_type = std::pair<const std::uint64_t, Filter>;

private:
    using Node = std::shared_ptr<const value_type>;
    using Chunk = std::vector<Node>; // ascending, not empty

public:
    class const_iterator {
    public:
        using iterator_category = std::bidirectional_iterator_tag;
        using value_type = Filters::value_type;
        using difference_type = std::ptrdiff_t;
        using pointer = const value_type *;
        using reference = const value_type &;

        const_iterator() = default;
        reference operator*() const { return *(*of_->chunks_[chunk_])[at_]; }
        pointer operator->() const { return &**this; }
        const_iterator &operator++();
        const_iterator operator++(int);
        const_iterator &operator--();
        const_iterator operator--(int);
        bool operator==(const const_iterator &) const = default;

    private:
        friend class Filters;
        const_iterator(const Filters *of, std::size_t chunk, std::size_t at)
            : of_(of), chunk_(chunk), at_(at) {}
        const Filters *of_ = nullptr;
        std::size_t chunk_ = 0, at_ = 0;
    };
    using iterator = const_iterator;
    using const_reverse_iterator = std::reverse_iterator<const_iterator>;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] const_iterator begin() const { return {this, 0, 0}; }
    [[nodiscard]] const_iterator end() const { return {this, chunks_.size(), 0}; }
    [[nodiscard]] const_reverse_iterator rbegin() const { return const_reverse_iterator(end()); }

    [[nodiscard]] const_iterator find(std::uint64_t id) const;
    [[nodiscard]] const_iterator find_key(const Guid &key) const; // a null key is nobody's
    [[nodiscard]] bool contains(std::uint64_t id) const { return find(id) != end(); }
    [[nodiscard]] std::size_t count(std::uint64_t id) const { return contains(id) ? 1 : 0; }
    // Throws std::out_of_range.
    [[nodiscard]] const Filter &at(std::uint64_t id) const;

    std::pair<const_iterator, bool> emplace(std::uint64_t id, Filter filter);
    void insert_or_assign(std::uint64_t id, Filter filter);
    std::size_t erase(std::uint64_t id);
    void erase(const const_iterator &at) { erase(at->first); }
    void clear() { *this = Filters(); }
    // Takes over those whose ids are not here; the others stay.
    void merge(Filters &from);

    // Calls gone and come for the filters that only one of them has; for one that both have and
    // that is not the same any more, both. Costs what differs.
    using Visit = std::function<void(const Filter &)>;
    static void compare(const Filters &old, const Filters &now, const Visit &gone,
                        const Visit &come);

private:
    struct Position {
        std::size_t chunk, at;
    };
    struct Keyed {
        Guid key;
        std::uint64_t id;
    };
    using Keys = std::array<std::shared_ptr<std::vector<Keyed>>, 1024>; // by hash; no null ones

    [[nodiscard]] Position lower_bound(std::uint64_t id) const;
    [[nodiscard]] bool is_at(Position p, std::uint64_t id) const;
    Chunk &own(std::size_t chunk); // to be changed: nobody else's
    std::vector<Keyed> &own_keys(const Guid &key);
    void enter(const Guid &key, std::uint64_t id);
    void leave(const Guid &key, std::uint64_t id);

    std::vector<std::shared_ptr<Chunk>> chunks_;
    std::size_t size_ = 0;
    std::shared_ptr<Keys> keys_; // null: none
};

template <typename Predicate>
std::size_t erase_if(Filters &filters, const Predicate &predicate) {
    std::vector<std::uint64_t> ids;
    for (const auto &entry : filters)
        if (predicate(entry)) ids.push_back(entry.first);
    for (const std::uint64_t id : ids)
        filters.erase(id);
    return ids.size();
}

} // namespace sluice::policy
