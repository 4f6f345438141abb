// SPDX-License-Identifier: Apache-2.0
// The container of filters against std::map, and what two versions of it differ in.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "policy/filters.h"

namespace sluice::policy {
namespace {

Guid key_of(std::uint64_t n) {
    Guid key;
    key.data1 = static_cast<std::uint32_t>(n);
    key.data2 = 1;
    return key;
}

Filter filter(std::uint64_t id, std::uint64_t content) {
    Filter f;
    f.id = id;
    f.key = key_of(id);
    f.raw_context = content;
    return f;
}

using Model = std::map<std::uint64_t, std::uint64_t>; // content by id

void expect_same(const Filters &filters, const Model &model) {
    ASSERT_EQ(filters.size(), model.size());
    auto expected = model.begin();
    for (const auto &[id, f] : filters) {
        ASSERT_EQ(id, expected->first);
        ASSERT_EQ(f.raw_context, expected->second);
        ++expected;
    }
    auto backwards = model.rbegin();
    for (auto at = filters.rbegin(); backwards != model.rend(); ++at, ++backwards)
        ASSERT_EQ(at->first, backwards->first);
}

void expect_found(const Filters &filters, const Model &model, std::uint64_t id) {
    const bool there = model.contains(id);
    EXPECT_EQ(filters.contains(id), there);
    const auto by_key = filters.find_key(key_of(id));
    ASSERT_EQ(by_key != filters.end(), there);
    if (there) EXPECT_EQ(by_key->second.raw_context, model.at(id));
}

void expect_difference(const Filters &old, const Filters &now, const Model &was, const Model &is) {
    std::multiset<std::pair<std::uint64_t, std::uint64_t>> gone, come, lost, won;
    Filters::compare(
        old, now, [&](const Filter &f) { gone.emplace(f.id, f.raw_context); },
        [&](const Filter &f) { come.emplace(f.id, f.raw_context); });
    for (const auto &one : was)
        if (!is.contains(one.first) || is.at(one.first) != one.second) lost.insert(one);
    for (const auto &one : is)
        if (!was.contains(one.first) || was.at(one.first) != one.second) won.insert(one);
    EXPECT_EQ(gone, lost);
    EXPECT_EQ(come, won);
}

// A run of changes, versions kept on the way: each stays what it was.
TEST(FiltersContainer, IsAMapWhoseCopiesShare) {
    std::mt19937_64 random(7);
    Filters filters;
    Model model;
    std::vector<std::pair<Filters, Model>> versions;
    std::uint64_t content = 1;
    for (int round = 0; round < 40; ++round) {
        for (int i = 0; i < 100; ++i) {
            const std::uint64_t id = random() % 3000 + 1;
            ++content;
            switch (random() % 4) {
            case 0:
                EXPECT_EQ(filters.erase(id), model.erase(id));
                break;
            case 1:
                filters.insert_or_assign(id, filter(id, content));
                model[id] = content;
                break;
            default:
                EXPECT_EQ(filters.emplace(id, filter(id, content)).second,
                          model.emplace(id, content).second);
            }
            expect_found(filters, model, random() % 3000 + 1);
        }
        versions.emplace_back(filters, model);
    }
    for (std::size_t i = 0; i < versions.size(); ++i) {
        expect_same(versions[i].first, versions[i].second);
        const auto &[other, other_model] = versions[random() % versions.size()];
        expect_difference(versions[i].first, other, versions[i].second, other_model);
    }
}

TEST(FiltersContainer, ComparesLargeVersionsByWhatDiffers) {
    Filters old;
    for (std::uint64_t id = 1; id <= 20000; ++id)
        old.emplace(id, filter(id, id));
    Filters now = old;
    now.emplace(20001, filter(20001, 1));
    now.erase(5000);
    std::vector<std::uint64_t> gone, come;
    Filters::compare(
        old, now, [&](const Filter &f) { gone.push_back(f.id); },
        [&](const Filter &f) { come.push_back(f.id); });
    EXPECT_EQ(gone, std::vector<std::uint64_t>{5000});
    EXPECT_EQ(come, std::vector<std::uint64_t>{20001});
    EXPECT_EQ(old.size(), 20000u);
    EXPECT_EQ(old.at(5000).raw_context, 5000u) << "the copy's change is its own";
}

TEST(FiltersContainer, FindsByTheNewKeyOfAChangedFilter) {
    Filters filters;
    filters.emplace(1, filter(1, 1));
    Filter changed = filters.at(1);
    changed.key = key_of(9);
    filters.insert_or_assign(1, changed);
    EXPECT_EQ(filters.find_key(key_of(1)), filters.end());
    ASSERT_NE(filters.find_key(key_of(9)), filters.end());
    EXPECT_EQ(filters.find_key(Guid()), filters.end());
    EXPECT_THROW((void)filters.at(2), std::out_of_range);
    EXPECT_EQ(erase_if(filters, [](const auto &f) { return f.first == 1; }), 1u);
    EXPECT_TRUE(filters.empty());
    EXPECT_EQ(filters.begin(), filters.end());
}

} // namespace
} // namespace sluice::policy
