// SPDX-License-Identifier: Apache-2.0
#include "policy/filters.h"

#include <algorithm>
#include <stdexcept>

namespace sluice::policy {

namespace {

constexpr std::size_t chunk_max = 256;

} // namespace

Filters::const_iterator &Filters::const_iterator::operator++() {
    if (++at_ == of_->chunks_[chunk_]->size()) {
        ++chunk_;
        at_ = 0;
    }
    return *this;
}
Filters::const_iterator Filters::const_iterator::operator++(int) {
    const const_iterator before = *this;
    ++*this;
    return before;
}
Filters::const_iterator &Filters::const_iterator::operator--() {
    if (at_ == 0) at_ = of_->chunks_[--chunk_]->size();
    --at_;
    return *this;
}
Filters::const_iterator Filters::const_iterator::operator--(int) {
    const const_iterator before = *this;
    --*this;
    return before;
}

// The first that is not below; behind a chunk's last one only in the last chunk.
Filters::Position Filters::lower_bound(std::uint64_t id) const {
    const auto chunk = std::partition_point(chunks_.begin(), chunks_.end(),
                                            [id](const auto &c) { return c->back()->first < id; });
    if (chunk == chunks_.end())
        return chunks_.empty() ? Position{0, 0}
                               : Position{chunks_.size() - 1, chunks_.back()->size()};
    const auto at = std::partition_point((*chunk)->begin(), (*chunk)->end(),
                                         [id](const Node &n) { return n->first < id; });
    return {static_cast<std::size_t>(chunk - chunks_.begin()),
            static_cast<std::size_t>(at - (*chunk)->begin())};
}

bool Filters::is_at(Position p, std::uint64_t id) const {
    return p.chunk < chunks_.size() && p.at < chunks_[p.chunk]->size() &&
           (*chunks_[p.chunk])[p.at]->first == id;
}

Filters::const_iterator Filters::find(std::uint64_t id) const {
    const Position p = lower_bound(id);
    return is_at(p, id) ? const_iterator(this, p.chunk, p.at) : end();
}

const Filter &Filters::at(std::uint64_t id) const {
    const auto found = find(id);
    if (found == end()) throw std::out_of_range("no filter " + std::to_string(id));
    return found->second;
}

Filters::Chunk &Filters::own(std::size_t chunk) {
    auto &held = chunks_[chunk];
    if (held.use_count() != 1) held = std::make_shared<Chunk>(*held);
    return *held;
}

std::pair<Filters::const_iterator, bool> Filters::emplace(std::uint64_t id, Filter filter) {
    Position p = lower_bound(id);
    if (is_at(p, id)) return {const_iterator(this, p.chunk, p.at), false};
    enter(filter.key, id);
    ++size_;
    const bool at_the_end =
        p.chunk + 1 >= chunks_.size() && (chunks_.empty() || p.at == chunks_.back()->size());
    if (at_the_end && (chunks_.empty() || p.at == chunk_max)) {
        chunks_.push_back(std::make_shared<Chunk>());
        p = {chunks_.size() - 1, 0};
    } else if (chunks_[p.chunk]->size() == chunk_max) {
        Chunk &full = own(p.chunk);
        const auto middle = full.begin() + chunk_max / 2;
        auto behind = std::make_shared<Chunk>(middle, full.end());
        full.erase(middle, full.end());
        chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(p.chunk) + 1,
                       std::move(behind));
        if (p.at > chunk_max / 2) p = {p.chunk + 1, p.at - chunk_max / 2};
    }
    Chunk &into = own(p.chunk);
    into.insert(into.begin() + static_cast<std::ptrdiff_t>(p.at),
                std::make_shared<const value_type>(id, std::move(filter)));
    return {const_iterator(this, p.chunk, p.at), true};
}

void Filters::insert_or_assign(std::uint64_t id, Filter filter) {
    const Position p = lower_bound(id);
    if (!is_at(p, id)) {
        emplace(id, std::move(filter));
        return;
    }
    Node &node = own(p.chunk)[p.at];
    if (node->second.key != filter.key) {
        leave(node->second.key, id);
        enter(filter.key, id);
    }
    node = std::make_shared<const value_type>(id, std::move(filter));
}

std::size_t Filters::erase(std::uint64_t id) {
    const Position p = lower_bound(id);
    if (!is_at(p, id)) return 0;
    Chunk &from = own(p.chunk);
    leave(from[p.at]->second.key, id);
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(p.at));
    if (from.empty()) chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(p.chunk));
    --size_;
    return 1;
}

void Filters::merge(Filters &from) {
    Filters stay;
    for (const auto &[id, filter] : from)
        if (!emplace(id, filter).second) stay.emplace(id, filter);
    from = std::move(stay);
}

// ---- by key ----

Filters::const_iterator Filters::find_key(const Guid &key) const {
    if (!keys_ || key.is_null()) return end();
    const auto &bucket = (*keys_)[std::hash<Guid>{}(key) % keys_->size()];
    if (!bucket) return end();
    const auto found = std::find_if(bucket->begin(), bucket->end(),
                                    [&key](const Keyed &one) { return one.key == key; });
    return found == bucket->end() ? end() : find(found->id);
}

std::vector<Filters::Keyed> &Filters::own_keys(const Guid &key) {
    if (!keys_)
        keys_ = std::make_shared<Keys>();
    else if (keys_.use_count() != 1)
        keys_ = std::make_shared<Keys>(*keys_);
    auto &bucket = (*keys_)[std::hash<Guid>{}(key) % keys_->size()];
    if (!bucket)
        bucket = std::make_shared<std::vector<Keyed>>();
    else if (bucket.use_count() != 1)
        bucket = std::make_shared<std::vector<Keyed>>(*bucket);
    return *bucket;
}

void Filters::enter(const Guid &key, std::uint64_t id) {
    if (!key.is_null()) own_keys(key).push_back({key, id});
}

void Filters::leave(const Guid &key, std::uint64_t id) {
    if (key.is_null()) return;
    std::erase_if(own_keys(key), [&](const Keyed &one) { return one.id == id; });
}

// ---- what differs ----

void Filters::compare(const Filters &old, const Filters &now, const Visit &gone,
                      const Visit &come) {
    const_iterator a = old.begin(), b = now.begin();
    while (a != old.end() || b != now.end()) {
        const bool both = a != old.end() && b != now.end();
        if (both && a.at_ == 0 && b.at_ == 0 && old.chunks_[a.chunk_] == now.chunks_[b.chunk_]) {
            ++a.chunk_;
            ++b.chunk_;
            continue;
        }
        const bool is_old = a != old.end() && (!both || a->first <= b->first);
        const bool is_new = b != now.end() && (!both || b->first <= a->first);
        if (!(is_old && is_new && &*a == &*b)) {
            if (is_old) gone(a->second);
            if (is_new) come(b->second);
        }
        if (is_old) ++a;
        if (is_new) ++b;
    }
}

} // namespace sluice::policy
