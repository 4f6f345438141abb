// SPDX-License-Identifier: Apache-2.0
// A process that is killed at its N-th write, for every N: the next one finds the policy of before
// or the next one, whole over both files.
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

namespace sluice::store {
namespace {

// Bytes that each filter has beside it: with many the state file is appended to.
constexpr const char *bulk_variable = "SLUICE_STORE_TEST_BULK";
std::size_t bulk() {
    const char *bytes = std::getenv(bulk_variable);
    return bytes != nullptr ? std::stoul(bytes) : 0;
}

// Every object of it bears the letter: static ones, lasting ones, what lies beside the policy.
policy::Policy policy_of(char letter, std::uint64_t first_id) {
    auto policy = policy::initial();
    for (std::uint64_t n = 0; n < 4; ++n) {
        auto filter = make_filter(first_id + n, std::string(1, letter),
                                  n % 2 != 0 ? FWPM_FILTER_FLAG_PERSISTENT : 0);
        filter.provider_data = std::string(bulk(), letter);
        add(policy, filter);
    }
    policy.generation = first_id;
    return policy;
}

void commit_of(Store &store, char letter, std::uint64_t first_id) {
    protocol::Objects good;
    good.add_filters()->set_name(std::string(1, letter));
    State run_time;
    run_time.add_plugins()->set_name(std::string(1, letter));
    const std::string document = good.SerializeAsString();
    auto r = store.commit(policy_of(letter, first_id), run_time, &document);
    if (!r) throw std::runtime_error(r.error().text());
}

constexpr const char *directory_variable = "SLUICE_STORE_TEST";

// Not a test but the process that dies.
TEST(StoreCrash, DISABLED_Child) {
    const char *directory = std::getenv(directory_variable);
    ASSERT_NE(directory, nullptr);
    const std::string at = directory;
    auto store = Store::open({at + "/lib/policy.db", at + "/state", 0});
    ASSERT_TRUE(store) << store.error().text();
    ASSERT_TRUE(store->load());
    commit_of(*store, 'b', 100);
}

class CrashTest : public StoreTest {
protected:
    void a_commit_is_whole_or_not_at_all(int at_least);
    // Whether it was killed.
    [[nodiscard]] bool dies_at(int write) const {
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::setenv("SLUICE_DIE_AT_WRITE", std::to_string(write).c_str(), 1);
            ::setenv(directory_variable, directory_.c_str(), 1);
            std::freopen("/dev/null", "w", stdout);
            ::execl("/proc/self/exe", "store_test", "--gtest_also_run_disabled_tests",
                    "--gtest_filter=StoreCrash.DISABLED_Child", nullptr);
            ::_exit(3);
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        if (WIFSIGNALED(status)) {
            EXPECT_EQ(WTERMSIG(status), SIGKILL);
            return true;
        }
        EXPECT_EQ(WEXITSTATUS(status), 0);
        return false;
    }
    // The letter that everything bears; '-' for nothing at all.
    [[nodiscard]] char found() const {
        Store store = must_open();
        auto policy = store.load();
        if (!policy) throw std::runtime_error(policy.error().text());
        std::string letters;
        for (const auto &[id, filter] : policy->filters)
            letters += filter.name;
        if (store.last_good()) letters += store.last_good()->filters(0).name();
        if (store.state()) letters += store.state()->plugins(0).name();
        if (letters.empty()) return '-';
        EXPECT_EQ(letters, std::string(6, letters[0])) << "two policies are mixed";
        return letters[0];
    }
};

void CrashTest::a_commit_is_whole_or_not_at_all(int at_least) {
    int killed = 0;
    std::set<char> seen;
    for (int write = 1;; ++write) {
        std::filesystem::remove_all(directory_ / "lib");
        reboot();
        {
            Store store = must_open();
            commit_of(store, 'a', 1);
        }
        const bool died = dies_at(write);
        seen.insert(found());
        if (!died) break;
        ++killed;
    }
    EXPECT_EQ(seen, (std::set<char>{'a', 'b'}));
    EXPECT_GE(killed, at_least) << "fewer places to die than rows are written";
}

TEST_F(CrashTest, ACommitIsWholeOrNotAtAll) {
    a_commit_is_whole_or_not_at_all(9);
}

TEST_F(CrashTest, SoIsOneThatIsAppended) {
    ::setenv(bulk_variable, "50000", 1);
    a_commit_is_whole_or_not_at_all(9);
    ::unsetenv(bulk_variable);
    EXPECT_GT(std::filesystem::file_size(directory_ / "state"), 200000u); // one behind the other
}

TEST_F(CrashTest, SoIsTheFirst) {
    std::set<char> seen;
    for (int write = 1;; ++write) {
        std::filesystem::remove_all(directory_ / "lib");
        reboot();
        const bool died = dies_at(write);
        seen.insert(found());
        if (!died) break;
    }
    EXPECT_EQ(seen, (std::set<char>{'-', 'b'}));
}

// One that died leaves nothing that the next commit stumbles over.
TEST_F(CrashTest, TheNextCommitGoesThrough) {
    for (int write = 1; dies_at(write); ++write) {
        (void)found();
        {
            Store store = must_open();
            commit_of(store, 'a', 1);
        }
        EXPECT_EQ(found(), 'a');
    }
}

} // namespace
} // namespace sluice::store
