// SPDX-License-Identifier: Apache-2.0
// Stores that are damaged, foreign, full, newer, in use, gone: each is refused with the error that
// store.h names, and left as it is.
#include <cerrno>
#include <sqlite3.h>

#include "store/schema.h"
#include "store/wire.h"
#include "store_fixture.h"

namespace sluice::store {
namespace {

constexpr std::size_t page_bytes = 4096;

class DamageTest : public StoreTest {
protected:
    // What an administrator does with sqlite3.
    static void run_sql(const std::string &path, const std::string &sql) {
        sqlite3 *db = nullptr;
        ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
        char *why = nullptr;
        sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &why);
        EXPECT_EQ(why, nullptr) << why;
        sqlite3_free(why);
        sqlite3_close(db);
    }
    [[nodiscard]] Result<policy::Policy> load() const {
        auto store = Store::open(options());
        if (!store) return store.error();
        return store->load();
    }
    // Whether it was refused; if not, the policy must be what it was.
    [[nodiscard]] bool found_or_harmless() const {
        auto policy = load();
        if (!policy) {
            EXPECT_NE(policy.error().text().find(database()), std::string::npos);
            return true;
        }
        const auto good = rich_policy();
        EXPECT_EQ(filter_names(*policy), filter_names(good));
        for (const auto &[id, filter] : good.filters)
            EXPECT_EQ(to_message(policy->filters.at(id)).SerializeAsString(),
                      to_message(filter).SerializeAsString());
        return false;
    }
    void expect_refused(int code, const std::string &part) const {
        const std::string before = content(database());
        auto policy = load();
        ASSERT_FALSE(policy);
        EXPECT_EQ(policy.error().code, code) << policy.error().text();
        EXPECT_NE(policy.error().text().find(part), std::string::npos) << policy.error().text();
        EXPECT_NE(policy.error().text().find(database()), std::string::npos);
        EXPECT_EQ(content(database()), before) << "the refused file was changed";
    }
};

TEST_F(DamageTest, GarbageIsRefused) {
    commit_rich();
    for (const std::string &garbage :
         {std::string(), std::string("no database"), std::string(8192, 'x')}) {
        put(garbage);
        expect_refused(EBADMSG, "is damaged");
        expect_refused(EBADMSG, "move it away");
    }
}

TEST_F(DamageTest, EveryTruncationIsRefused) {
    commit_rich();
    const std::string whole = content(database());
    for (std::size_t n = 0; n < whole.size() - page_bytes; n += 509) {
        put(whole.substr(0, n));
        expect_refused(EBADMSG, "is damaged");
    }
}

// A changed byte is found, or was in a place that means nothing.
TEST_F(DamageTest, NoChangedByteChangesThePolicy) {
    commit_rich();
    const std::string whole = content(database());
    std::size_t found = 0, tried = 0;
    for (std::size_t n = 0; n < whole.size(); n += 37, ++tried) {
        std::string bytes = whole;
        bytes[n] = static_cast<char>(bytes[n] ^ 0x41);
        put(bytes);
        SCOPED_TRACE("byte " + std::to_string(n));
        found += found_or_harmless() ? 1 : 0;
    }
    EXPECT_GT(found, 20u) << "of " << tried;
}

// SQLite reads what is missing of a page as zeros; of the last page that may be true.
TEST_F(DamageTest, NoEndThatIsMissingChangesThePolicy) {
    commit_rich();
    const std::string whole = content(database());
    for (std::size_t n = whole.size() - page_bytes; n < whole.size(); n += 61) {
        put(whole.substr(0, n));
        (void)found_or_harmless();
    }
}

TEST_F(DamageTest, RowsThatDoNotFitTheirChecksumAreRefused) {
    commit_rich();
    const std::string whole = content(database());
    const std::vector<std::pair<std::string, std::string>> changes{
        {"UPDATE filters SET message = x'00' WHERE id = 21", "of filters is wrong"},
        {"UPDATE filters SET id = 99 WHERE id = 21", "of filters is wrong"},
        {"UPDATE sublayers SET key = x'01'", "of sublayers is wrong"},
        {"UPDATE providers SET checksum = 7", "of providers is wrong"},
        {"UPDATE numbers SET value = 1", "checksum of number"},
        {"DELETE FROM filters WHERE id = 22", "rows are missing"},
        {"DELETE FROM provider_contexts", "rows are missing"},
        {"DELETE FROM callouts", "rows are missing"},
        {"INSERT INTO documents VALUES('boot_nics', x'', 1)", "checksum of document"},
        {"DROP TABLE filters", "no such table"},
        {"DELETE FROM schema_version", "0 rows where one must be"},
        {"UPDATE schema_version SET version = 0", "schema version 0"},
    };
    for (const auto &[sql, part] : changes) {
        put(whole);
        run_sql(database(), sql);
        SCOPED_TRACE(sql);
        expect_refused(EBADMSG, part);
    }
}

TEST_F(DamageTest, SomebodyElsesDatabaseIsRefused) {
    std::filesystem::create_directory(directory_ / "lib");
    run_sql(database(), "CREATE TABLE songs(title TEXT); INSERT INTO songs VALUES('one')");
    expect_refused(EBADMSG, "no policy store of Sluice");
}

TEST_F(DamageTest, ALogWithoutItsFileIsNotPlayedIntoANewOne) {
    std::filesystem::create_directory(directory_ / "lib");
    std::ofstream(database() + "-wal") << "left";
    auto policy = load();
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, EBADMSG);
    EXPECT_NE(policy.error().text().find(database() + "-wal"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(database()));
}

TEST_F(DamageTest, ANewerVersionIsRefused) {
    commit_rich();
    const auto newer = std::to_string(schema_newest() + 1);
    run_sql(database(), "UPDATE schema_version SET version = " + newer);
    expect_refused(EPROTO, "schema version " + newer);
}

TEST_F(DamageTest, AFullStoreKeepsWhatItHad) {
    commit_rich();
    auto limited = options();
    limited.pages_max = static_cast<std::uint32_t>(content(database()).size() / page_bytes + 1);
    auto store = Store::open(limited);
    ASSERT_TRUE(store) << store.error().text();
    auto policy = store->load();
    ASSERT_TRUE(policy);
    const std::string file = content(database()), run_time = content(state());
    auto next = *policy;
    next.filters.erase(23);
    for (std::uint64_t id = 100; id < 400; ++id)
        add(next, make_filter(id, std::string(200, 'n'), FWPM_FILTER_FLAG_PERSISTENT));
    for (int times = 0; times < 2; ++times) {
        auto r = store->commit(next, State());
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().code, ENOSPC);
        EXPECT_NE(r.error().text().find(database()), std::string::npos);
        EXPECT_NE(r.error().text().find("make room"), std::string::npos);
        EXPECT_EQ(content(database()), file);
        EXPECT_EQ(content(state()), run_time);
        EXPECT_EQ(filter_names(*store->load()), filter_names(rich_policy()));
    }
    // What fits is still taken.
    auto smaller = rich_policy();
    smaller.filters.erase(21);
    EXPECT_TRUE(store->commit(smaller, State()));
    EXPECT_FALSE(store->load()->filters.contains(21));
}

TEST_F(DamageTest, OneProcessAtATime) {
    Store first = must_open();
    ASSERT_TRUE(first.load());
    auto second = Store::open(options());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EBUSY);
    EXPECT_NE(second.error().text().find(database()), std::string::npos);
    EXPECT_TRUE(first.commit(rich_policy(), State()));
}

TEST_F(DamageTest, AFileThatWasReplacedIsNotWrittenOn) {
    commit_rich();
    Store store = must_open();
    ASSERT_TRUE(store.load());
    const std::string run_time = content(state());
    for (const bool replaced : {false, true}) {
        std::filesystem::remove(database());
        if (replaced) put("another");
        auto r = store.commit(policy::initial(), State());
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().code, ESTALE);
        EXPECT_EQ(content(state()), run_time);
    }
}

TEST_F(DamageTest, AStateFileThatCannotBeWrittenKeepsTheDatabaseAsItWas) {
    commit_rich();
    Store store = must_open();
    ASSERT_TRUE(store.load());
    std::filesystem::create_directory(state() + ".new"); // in the way, for root too
    const std::string before = content(database());
    ASSERT_FALSE(store.commit(policy::initial(), State()));
    EXPECT_EQ(content(database()), before);
    EXPECT_EQ(store.load()->filters.size(), 4u);
}

} // namespace
} // namespace sluice::store
