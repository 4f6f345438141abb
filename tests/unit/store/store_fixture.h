// SPDX-License-Identifier: Apache-2.0
// A directory with a store, and policies to put into it. The policies are made by hand, without
// the checks of policy/edit.h: the store keeps what it is given.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "policy/edit.h"
#include "sluice/fwp.h"
#include "store/store.h"

namespace sluice::store {

inline Guid guid(std::uint32_t n) {
    Guid key;
    key.data1 = n;
    key.data4[7] = 1;
    return key;
}

inline policy::Filter make_filter(std::uint64_t id, const std::string &name, std::uint32_t flags) {
    policy::Filter filter;
    filter.id = id;
    filter.key = guid(static_cast<std::uint32_t>(1000 + id));
    filter.name = name;
    filter.flags = flags;
    filter.layer = 48;
    filter.sublayer = policy::initial().sublayers.begin()->first;
    filter.action = FWP_ACTION_BLOCK;
    return filter;
}

inline void add(policy::Policy &policy, policy::Filter filter) {
    policy.next_filter_id = std::max(policy.next_filter_id, filter.id + 1);
    const std::uint64_t id = filter.id;
    policy.filters.insert_or_assign(id, std::move(filter));
}

// One object of each kind that lasts, which refer to each other, and two filters that do not last.
inline policy::Policy rich_policy() {
    policy::Policy policy = policy::initial();
    policy.generation = 5;
    policy.providers[guid(1)] = {.key = guid(1),
                                 .name = "provider",
                                 .description = "of all",
                                 .flags = FWPM_PROVIDER_FLAG_PERSISTENT,
                                 .data = std::string("a\0b", 3),
                                 .service_name = "service",
                                 .owner = 0};
    policy.provider_contexts[guid(2)] = {.id = 9,
                                         .key = guid(2),
                                         .name = "context",
                                         .description = "",
                                         .flags = FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT,
                                         .provider = guid(1),
                                         .provider_data = "",
                                         .type = FWPM_GENERAL_CONTEXT,
                                         .data = "for the callout",
                                         .owner = 0};
    policy.next_provider_context_id = 10;
    policy.sublayers[guid(3)] = {.key = guid(3),
                                 .name = "sublayer",
                                 .description = "",
                                 .flags = FWPM_SUBLAYER_FLAG_PERSISTENT,
                                 .weight = 77,
                                 .provider = guid(1),
                                 .owner = 0,
                                 .provider_data = ""};
    policy.callouts[guid(4)] = {.key = guid(4),
                                .name = "callout",
                                .description = "",
                                .flags = FWPM_CALLOUT_FLAG_PERSISTENT,
                                .provider = guid(1),
                                .layer = 48,
                                .id = 3,
                                .owner = 0,
                                .provider_data = ""};
    policy.callout_ids.insert({{guid(4), 3}, {guid(40), 1}, {guid(41), 2}});
    policy.next_callout_id = 4;
    auto asking = make_filter(21, "asking", FWPM_FILTER_FLAG_PERSISTENT);
    asking.sublayer = guid(3);
    asking.callout = guid(4);
    asking.provider = guid(1);
    asking.provider_context = guid(2);
    asking.action = FWP_ACTION_CALLOUT_TERMINATING;
    asking.weight = policy::Scalar(std::uint8_t{7});
    asking.effective_weight = 7ull << 60;
    asking.conditions = {
        {guid(50), FWP_MATCH_EQUAL, policy::Scalar(policy::Text{"eth0"})},
        {guid(51), FWP_MATCH_RANGE, policy::Range{std::uint16_t{80}, std::uint16_t{90}}}};
    add(policy, asking);
    add(policy, make_filter(22, "at boot", FWPM_FILTER_FLAG_BOOTTIME));
    add(policy, make_filter(23, "static", 0));
    auto dynamic = make_filter(24, "dynamic", 0);
    dynamic.owner = 6;
    add(policy, dynamic);
    return policy;
}

inline std::set<std::string> filter_names(const policy::Policy &policy) {
    std::set<std::string> names;
    for (const auto &[id, filter] : policy.filters)
        names.insert(filter.name);
    return names;
}

// A file's bytes.
inline std::string content(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class StoreTest : public testing::Test {
protected:
    StoreTest() {
        char pattern[] = "/tmp/sluice-store-XXXXXX";
        directory_ = ::mkdtemp(pattern);
    }
    ~StoreTest() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string database() const { return directory_ / "lib" / "policy.db"; }
    [[nodiscard]] std::string state() const { return directory_ / "state"; }
    [[nodiscard]] Store::Options options() const { return {database(), state(), 0}; }

    Store must_open() const {
        auto store = Store::open(options());
        if (!store) throw std::runtime_error(store.error().text());
        return std::move(*store);
    }
    // What a start finds.
    policy::Policy must_load() const {
        auto policy = must_open().load();
        if (!policy) throw std::runtime_error(policy.error().text());
        return *policy;
    }
    void put(const std::string &bytes) const {
        std::ofstream(database(), std::ios::binary | std::ios::trunc) << bytes;
    }
    void commit_rich() const {
        auto r = must_open().commit(rich_policy(), State());
        ASSERT_TRUE(r) << r.error().text();
    }
    void reboot() const { std::filesystem::remove(state()); }

    std::filesystem::path directory_;
};

} // namespace sluice::store
