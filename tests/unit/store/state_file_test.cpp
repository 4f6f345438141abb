// SPDX-License-Identifier: Apache-2.0
#include "store/state_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "policy/edit.h"
#include "sluice/fwp.h"
#include "store/snapshot.h"

namespace sluice::store {
namespace {

class StateFileTest : public testing::Test {
protected:
    StateFileTest() {
        char pattern[] = "/tmp/sluice-state-XXXXXX";
        directory_ = ::mkdtemp(pattern);
    }
    ~StateFileTest() override { std::filesystem::remove_all(directory_); }
    [[nodiscard]] std::string path() const { return directory_ / "state"; }
    [[nodiscard]] std::string content() const {
        std::ifstream file(path(), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void put(const std::string &bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }

    std::filesystem::path directory_;
};

State example() {
    State state;
    state.set_generation(7);
    state.set_next_host_id(3);
    state.add_plugins()->set_name("ask");
    return state;
}

TEST_F(StateFileTest, IsEmptyWhereThereIsNone) {
    auto r = StateFile(path()).read();
    ASSERT_TRUE(r);
    EXPECT_FALSE(r->has_value());
}

TEST_F(StateFileTest, ReadsBackWhatWasWritten) {
    ASSERT_TRUE(StateFile(path()).write(example()));
    ASSERT_TRUE(StateFile(path()).write(example())); // over an old one too
    auto r = StateFile(path()).read();
    ASSERT_TRUE(r && *r);
    EXPECT_EQ((*r)->SerializeAsString(), example().SerializeAsString());
    EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(StateFileTest, RefusesEveryTruncation) {
    ASSERT_TRUE(StateFile(path()).write(example()));
    const std::string whole = content();
    for (std::size_t n = 0; n < whole.size(); ++n) {
        put(whole.substr(0, n));
        auto r = StateFile(path()).read();
        ASSERT_FALSE(r) << n << " bytes of " << whole.size();
        EXPECT_NE(r.error().text().find(path()), std::string::npos);
        EXPECT_NE(r.error().text().find("move it away"), std::string::npos);
    }
}

TEST_F(StateFileTest, RefusesEveryChangedByte) {
    ASSERT_TRUE(StateFile(path()).write(example()));
    const std::string whole = content();
    for (std::size_t n = 0; n < whole.size(); ++n) {
        std::string damaged = whole;
        damaged[n] = static_cast<char>(damaged[n] ^ 0x20);
        put(damaged);
        EXPECT_FALSE(StateFile(path()).read()) << "byte " << n;
    }
}

TEST_F(StateFileTest, KeepsTheOldStateWhenTheNewOneCannotBeWritten) {
    ASSERT_TRUE(StateFile(path()).write(example()));
    std::filesystem::create_directory(path() + ".new"); // in the way, for root too
    auto r = StateFile(path()).write(State());
    ASSERT_FALSE(r);
    auto kept = StateFile(path()).read();
    ASSERT_TRUE(kept && *kept);
    EXPECT_EQ((*kept)->generation(), 7u);
}

TEST(Snapshot, CarriesAWholePolicy) {
    policy::Policy policy = policy::initial();
    policy::Filter filter;
    filter.name = "web";
    filter.layer = 48;
    filter.action = FWP_ACTION_BLOCK;
    filter.owner = 5;
    auto id = policy::add_filter(policy, filter);
    ASSERT_TRUE(id) << id.error().text();
    ASSERT_TRUE(policy::callout_id(policy, Guid::random()));
    policy.generation = 9;
    State state;
    write_policy(policy, state);
    auto read = read_policy(state);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->generation, 9u);
    EXPECT_EQ(read->next_filter_id, policy.next_filter_id);
    EXPECT_EQ(read->next_callout_id, policy.next_callout_id);
    EXPECT_EQ(read->callout_ids, policy.callout_ids);
    EXPECT_EQ(read->sublayers.size(), policy.sublayers.size());
    ASSERT_EQ(read->filters.size(), 1u);
    EXPECT_EQ(read->filters.at(*id).owner, 5u);
    EXPECT_EQ(read->filters.at(*id).effective_weight, policy.filters.at(*id).effective_weight);
}

} // namespace
} // namespace sluice::store
