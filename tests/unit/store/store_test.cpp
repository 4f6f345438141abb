// SPDX-License-Identifier: Apache-2.0
// What the store keeps, and in which of its files.
#include "store/store.h"

#include <cerrno>
#include <sys/stat.h>

#include "store/wire.h"
#include "store_fixture.h"

namespace sluice::store {
namespace {

using Names = std::set<std::string>;

template <typename Objects>
std::vector<std::string> messages(const Objects &objects) {
    std::vector<std::string> all;
    for (const auto &[key, object] : objects)
        all.push_back(to_message(object).SerializeAsString());
    return all;
}

void expect_same(const policy::Policy &a, const policy::Policy &b) {
    EXPECT_EQ(messages(a.providers), messages(b.providers));
    EXPECT_EQ(messages(a.provider_contexts), messages(b.provider_contexts));
    EXPECT_EQ(messages(a.sublayers), messages(b.sublayers));
    EXPECT_EQ(messages(a.callouts), messages(b.callouts));
    EXPECT_EQ(messages(a.filters), messages(b.filters));
}

mode_t mode_of(const std::string &path) {
    struct ::stat s {};
    EXPECT_EQ(::stat(path.c_str(), &s), 0) << path;
    return s.st_mode & 07777;
}

TEST_F(StoreTest, BeginsWithTheBuiltInObjectsOnly) {
    Store store = must_open();
    auto policy = store.load();
    ASSERT_TRUE(policy) << policy.error().text();
    expect_same(*policy, policy::initial());
    EXPECT_EQ(policy->generation, 0u);
    EXPECT_EQ(policy->next_filter_id, 1u);
    EXPECT_FALSE(store.state());
    EXPECT_FALSE(store.last_good());
    EXPECT_TRUE(store.boot_nics().empty());
    EXPECT_EQ(mode_of(database()), 0600u);
    EXPECT_EQ(mode_of(directory_ / "lib"), 0700u);
}

TEST_F(StoreTest, ReadsBackWhatWasCommitted) {
    commit_rich();
    const auto policy = must_load();
    expect_same(policy, rich_policy());
    EXPECT_EQ(policy.generation, 5u);
    EXPECT_EQ(policy.next_filter_id, 25u);
    EXPECT_EQ(policy.next_provider_context_id, 10u);
    EXPECT_EQ(policy.callout_ids, rich_policy().callout_ids);
    EXPECT_EQ(policy.next_callout_id, 4u);
    EXPECT_EQ(policy.filters.at(24).owner, 6u);
}

TEST_F(StoreTest, AfterARebootOnlyWhatLastsIsThere) {
    commit_rich();
    reboot();
    const auto policy = must_load();
    EXPECT_EQ(filter_names(policy), (Names{"asking", "at boot"}));
    EXPECT_EQ(messages(policy.providers), messages(rich_policy().providers));
    EXPECT_EQ(messages(policy.provider_contexts), messages(rich_policy().provider_contexts));
    EXPECT_EQ(messages(policy.sublayers), messages(rich_policy().sublayers));
    EXPECT_EQ(messages(policy.callouts), messages(rich_policy().callouts));
    EXPECT_EQ(policy.callout_ids.at(guid(4)), 3u);
    EXPECT_EQ(policy.next_callout_id, 4u);
}

TEST_F(StoreTest, NumbersAreNotUsedAgainAfterAReboot) {
    auto policy = rich_policy();
    std::uint64_t last_filter = 24, last_context = 9, last_generation = 5;
    for (int boot = 0; boot < 3; ++boot) {
        for (int n = 0; n < 700; n += 100) { // past the mark of the commit before
            policy.next_filter_id += 100;
            policy.next_provider_context_id += 100;
            policy.generation += 100;
            auto r = must_open().commit(policy, State());
            ASSERT_TRUE(r) << r.error().text();
        }
        last_filter = policy.next_filter_id - 1;
        last_context = policy.next_provider_context_id - 1;
        last_generation = policy.generation;
        reboot();
        policy = must_load();
        EXPECT_GT(policy.next_filter_id, last_filter);
        EXPECT_GT(policy.next_provider_context_id, last_context);
        EXPECT_GE(policy.generation, last_generation);
    }
}

TEST_F(StoreTest, HoldOptionsOfAPersistentFilterLastAndAreWrittenWhenTheyChange) {
    commit_rich();
    auto policy = must_load();
    const auto asking = std::find_if(policy.filters.begin(), policy.filters.end(),
                                     [](auto &f) { return f.second.name == "asking"; });
    ASSERT_NE(asking, policy.filters.end());
    const std::uint64_t id = asking->first;
    for (const policy::HoldOptions &hold :
         {policy::HoldOptions{1500, policy::Outcome::next_filter},
          policy::HoldOptions{1500, policy::Outcome::block}, policy::HoldOptions{}}) {
        auto changed = policy.filters.at(id);
        changed.hold = hold;
        policy.filters.insert_or_assign(id, changed);
        policy.generation += 1;
        ASSERT_TRUE(must_open().commit(policy, State()));
        reboot();
        policy = must_load();
        EXPECT_EQ(policy.filters.at(id).hold, hold);
    }
}

TEST_F(StoreTest, WritesTheDatabaseOnlyForWhatLasts) {
    commit_rich();
    const std::string before = content(database());
    auto policy = rich_policy();
    add(policy, make_filter(25, "another static", 0));
    policy.generation += 1;
    ASSERT_TRUE(must_open().commit(policy, State()));
    EXPECT_EQ(content(database()), before);
    EXPECT_TRUE(must_load().filters.contains(25));
    add(policy, make_filter(26, "another persistent", FWPM_FILTER_FLAG_PERSISTENT));
    ASSERT_TRUE(must_open().commit(policy, State()));
    EXPECT_NE(content(database()), before);
}

TEST_F(StoreTest, ForgetsWhatWasDeletedAndReplacesWhatChanged) {
    commit_rich();
    auto policy = rich_policy();
    policy.filters.erase(21);
    policy.callouts.erase(guid(4));
    policy.sublayers.at(guid(3)).weight = 78;
    policy.providers.at(guid(1)).description = "changed";
    // The key of the one that goes, under a new id.
    auto again = make_filter(30, "at boot again", FWPM_FILTER_FLAG_BOOTTIME);
    again.key = policy.filters.at(22).key;
    policy.filters.erase(22);
    add(policy, again);
    ASSERT_TRUE(must_open().commit(policy, State()));
    reboot();
    const auto found = must_load();
    EXPECT_EQ(filter_names(found), Names{"at boot again"});
    EXPECT_FALSE(found.callouts.contains(guid(4)));
    EXPECT_EQ(found.sublayers.at(guid(3)).weight, 78);
    EXPECT_EQ(found.providers.at(guid(1)).description, "changed");
    EXPECT_EQ(found.provider_contexts.size(), 1u);
}

TEST_F(StoreTest, ManyCommitsOfOneStoreAddUp) {
    Store store = must_open();
    ASSERT_TRUE(store.load());
    auto policy = policy::initial();
    for (std::uint64_t id = 1; id <= 50; ++id) {
        add(policy, make_filter(id, "filter " + std::to_string(id),
                                id % 2 != 0 ? FWPM_FILTER_FLAG_PERSISTENT : 0));
        if (id > 10) policy.filters.erase(id - 10);
        policy.generation = id;
        ASSERT_TRUE(store.commit(policy, State()));
    }
    { Store ended = std::move(store); }
    expect_same(must_load(), policy);
    reboot();
    EXPECT_EQ(must_load().filters.size(), 5u);
}

TEST_F(StoreTest, KeepsRunTimeState) {
    State run_time;
    run_time.set_next_host_id(4);
    run_time.add_plugins()->set_name("ask");
    run_time.set_publishing(true);
    ASSERT_TRUE(must_open().commit(rich_policy(), run_time));
    Store store = must_open();
    ASSERT_TRUE(store.load());
    ASSERT_TRUE(store.state());
    EXPECT_EQ(store.state()->next_host_id(), 4u);
    EXPECT_EQ(store.state()->plugins(0).name(), "ask");
    EXPECT_TRUE(store.state()->publishing());
    EXPECT_FALSE(store.state()->has_before());
}

TEST_F(StoreTest, KeepsTheLastGoodObjectsUntilTheyAreReplaced) {
    const auto document = [](const policy::Filter &filter) {
        protocol::Objects objects;
        *objects.add_filters() = to_message(filter);
        return objects.SerializeAsString();
    };
    const std::string first = document(make_filter(1, "first", 0));
    const std::string second = document(make_filter(2, "second", 0));
    ASSERT_TRUE(must_open().commit(rich_policy(), State(), &first));
    ASSERT_TRUE(must_open().commit(rich_policy(), State()));
    reboot();
    Store store = must_open();
    ASSERT_TRUE(store.load());
    ASSERT_TRUE(store.last_good());
    EXPECT_EQ(store.last_good()->filters(0).name(), "first");
    ASSERT_TRUE(store.commit(policy::initial(), State(), &second));
    EXPECT_EQ(store.last_good()->filters(0).name(), "second");
    ASSERT_TRUE(store.load());
    EXPECT_EQ(store.last_good()->filters(0).name(), "second");
}

TEST_F(StoreTest, KeepsTheNicsOfBoot) {
    commit_rich();
    {
        Store store = must_open();
        ASSERT_TRUE(store.set_boot_nics({"eth0", "eth1"}));
        EXPECT_EQ(store.boot_nics(), (std::vector<std::string>{"eth0", "eth1"}));
    }
    const std::string before = content(database());
    Store store = must_open();
    ASSERT_TRUE(store.load());
    EXPECT_EQ(store.boot_nics(), (std::vector<std::string>{"eth0", "eth1"}));
    ASSERT_TRUE(store.set_boot_nics({"eth0", "eth1"})); // costs nothing
    EXPECT_EQ(content(database()), before);
    EXPECT_EQ(store.load()->filters.size(), 4u); // the state still fits
}

TEST_F(StoreTest, ExistingStoresOnlyWhereAskedFor) {
    auto none = Store::open_existing(options());
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ENOENT);
    EXPECT_FALSE(std::filesystem::exists(database()));
    commit_rich();
    EXPECT_TRUE(Store::open_existing(options()));
}

TEST_F(StoreTest, ReadsAStateFileWithoutDatabase) {
    commit_rich();
    // As an administrator does with a damaged one; but then static objects must not miss theirs.
    std::filesystem::remove(database());
    const auto policy = must_load();
    EXPECT_EQ(filter_names(policy), (Names{"static", "dynamic"}));
    EXPECT_EQ(policy.next_filter_id, 25u);
}

// With many filters changes are appended; what is loaded is the last commit all the same, lasting
// filters among them.
TEST_F(StoreTest, ManyFiltersChangeFromCommitToCommit) {
    auto policy = rich_policy();
    policy::Filter plain = policy.filters.at(23);
    const auto add_one = [&](std::uint64_t id, std::uint32_t flags) {
        policy::Filter filter = plain;
        filter.id = id;
        filter.key = Guid::random();
        filter.flags = flags;
        filter.description = std::string(200, 'd');
        add(policy, filter);
    };
    for (std::uint64_t id = 100; id < 900; ++id)
        add_one(id, id % 7 == 0 ? FWPM_FILTER_FLAG_PERSISTENT : 0);
    for (std::uint64_t round = 0; round < 15; ++round) {
        {
            Store store = must_open();
            ASSERT_TRUE(store.load());
            for (int i = 0; i < 4; ++i) {
                policy.filters.erase(100 + (round * 31 + static_cast<std::uint64_t>(i) * 7) % 800);
                add_one(1000 + round * 4 + static_cast<std::uint64_t>(i),
                        i == 1 && round % 2 == 0 ? FWPM_FILTER_FLAG_PERSISTENT : 0);
                policy.generation += 1;
                ASSERT_TRUE(store.commit(policy, State()));
            }
        }
        expect_same(must_load(), policy);
        if (HasFailure()) return;
    }
}

TEST_F(StoreTest, RefusesObjectsThatReferToWhatIsGone) {
    auto policy = rich_policy();
    auto changed = policy.filters.at(23);
    changed.sublayer = guid(3); // a static filter in a persistent sublayer
    policy.filters.insert_or_assign(23, changed);
    ASSERT_TRUE(must_open().commit(policy, State()));
    std::filesystem::remove(database());
    auto loaded = must_open().load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, EBADMSG);
    for (const std::string &part : {policy.filters.at(23).key.text(), guid(3).text(), state()})
        EXPECT_NE(loaded.error().text().find(part), std::string::npos) << loaded.error().text();
}

} // namespace
} // namespace sluice::store
