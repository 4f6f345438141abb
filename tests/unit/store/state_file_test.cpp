// SPDX-License-Identifier: Apache-2.0
#include "store/state_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include <algorithm>
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

// A large state and what was appended to it.
struct Appended : StateFileTest {
    static State with_filters(std::uint64_t generation, std::uint64_t from, std::uint64_t to) {
        State state;
        state.set_generation(generation);
        for (std::uint64_t id = from; id < to; ++id) {
            auto *object = state.add_filters()->mutable_object();
            object->set_id(id);
            object->set_name(std::string(100, 'x'));
        }
        return state;
    }
    static std::vector<std::uint64_t> ids(const State &state) {
        std::vector<std::uint64_t> out;
        for (const auto &record : state.filters())
            out.push_back(record.object().id());
        return out;
    }
    // Filters 1..1000, then 1000 and 1001 for 5.
    void write_both(StateFile &file) {
        ASSERT_FALSE(file.can_append()) << "nothing is there";
        ASSERT_TRUE(file.write(with_filters(7, 1, 1000)));
        ASSERT_TRUE(file.can_append());
        State change = with_filters(8, 1000, 1002);
        change.add_filters_gone(5);
        ASSERT_TRUE(file.append(change));
    }
    void expect(std::uint64_t generation, std::size_t filters) {
        auto r = StateFile(path()).read();
        ASSERT_TRUE(r && *r);
        EXPECT_EQ((*r)->generation(), generation);
        EXPECT_EQ(ids(**r).size(), filters);
    }
};

TEST_F(Appended, CountsBesideTheFiltersThatStay) {
    StateFile file(path());
    write_both(file);
    auto r = StateFile(path()).read();
    ASSERT_TRUE(r && *r);
    EXPECT_EQ((*r)->generation(), 8u);
    EXPECT_EQ((*r)->filters_gone_size(), 0);
    auto found = ids(**r);
    EXPECT_EQ(found.size(), 1000u);
    EXPECT_EQ(std::count(found.begin(), found.end(), 5u), 0);
    EXPECT_EQ(std::count(found.begin(), found.end(), 1001u), 1);
}

TEST_F(Appended, CutOffItWasNeverThereAndNothingIsAppendedBehindIt) {
    StateFile file(path());
    write_both(file);
    const std::string whole = content();
    StateFile first_only(path() + "-first");
    ASSERT_TRUE(first_only.write(with_filters(7, 1, 1000)));
    const auto first = std::filesystem::file_size(first_only.path());
    for (std::size_t size = first; size < whole.size(); ++size) {
        put(whole.substr(0, size));
        StateFile cut(path());
        auto r = cut.read();
        ASSERT_TRUE(r && *r) << size;
        ASSERT_EQ((*r)->generation(), 7u);
        ASSERT_EQ(cut.can_append(), size == first);
    }
}

TEST_F(Appended, ItsDamageIsSeen) {
    StateFile file(path());
    write_both(file);
    std::string bytes = content();
    bytes.back() ^= 1;
    put(bytes);
    auto r = StateFile(path()).read();
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, EBADMSG);
}

TEST_F(Appended, PreparedItCountsByTheDatabase) {
    StateFile file(path());
    ASSERT_TRUE(file.write(with_filters(7, 1, 1000)));
    State change = with_filters(8, 1000, 1002);
    change.set_prepared(true);
    change.set_database_commit(4);
    ASSERT_TRUE(file.append(change));
    auto before = StateFile(path()).read(3), after = StateFile(path()).read(4);
    ASSERT_TRUE(before && *before && after && *after);
    EXPECT_EQ((*before)->generation(), 7u);
    EXPECT_EQ((*after)->generation(), 8u);
}

TEST_F(Appended, NotToAFileThatIsAnother) {
    StateFile file(path());
    write_both(file);
    const std::string bytes = content();
    std::filesystem::remove(path());
    EXPECT_FALSE(file.can_append());
    put(bytes);
    EXPECT_TRUE(StateFile(path()).read());
    put(bytes + "x");
    EXPECT_FALSE(file.can_append());
}

TEST_F(Appended, IsWrittenWholeOnceItIsLarge) {
    StateFile file(path());
    ASSERT_TRUE(file.write(with_filters(1, 1, 1000)));
    std::uint64_t generation = 2;
    for (; generation < 100 && file.can_append(); ++generation)
        ASSERT_TRUE(
            file.append(with_filters(generation, generation * 1000, generation * 1000 + 50)));
    EXPECT_LT(generation, 70u);
    expect(generation - 1, 999 + 50 * (generation - 2));
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
