// SPDX-License-Identifier: Apache-2.0
// A file that an older version left is brought up to date, once, and whole.
#include <cerrno>
#include <sqlite3.h>

#include "store/checksum.h"
#include "store/schema.h"
#include "store/wire.h"
#include "store_fixture.h"

namespace sluice::store {
namespace {

class Sql {
public:
    explicit Sql(const std::string &path) {
        EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK) << path;
    }
    Sql(const Sql &) = delete;
    Sql &operator=(const Sql &) = delete;
    ~Sql() { sqlite3_close(db_); }
    void run(const std::string &sql) const {
        EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
            << sql << ": " << sqlite3_errmsg(db_);
    }
    [[nodiscard]] std::string text(const std::string &sql) const {
        std::string out;
        const auto take = [](void *to, int, char **values, char **) {
            *static_cast<std::string *>(to) += values[0] != nullptr ? values[0] : "NULL";
            return 0;
        };
        EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), take, &out, nullptr), SQLITE_OK) << sql;
        return out;
    }

private:
    sqlite3 *db_ = nullptr;
};

std::string hex(const std::string &bytes) {
    std::string out = "x'";
    char digits[3];
    for (const unsigned char c : bytes) {
        std::snprintf(digits, sizeof digits, "%02x", c);
        out += digits;
    }
    return out + "'";
}

std::string checksum(const std::string &table, const std::string &key, std::uint64_t id,
                     const std::string &message) {
    const auto sum = fnv1a(message, fnv1a(id, fnv1a(key, fnv1a(table))));
    return std::to_string(static_cast<std::int64_t>(sum));
}

// Word for word what version 1 made: no table `documents`.
void make_version_1(const std::string &path) {
    const Sql sql(path);
    sql.run("PRAGMA journal_mode=WAL; PRAGMA application_id=1399612261;"
            "CREATE TABLE schema_version(version INTEGER NOT NULL);"
            "INSERT INTO schema_version VALUES(1);"
            "CREATE TABLE numbers(name BLOB PRIMARY KEY, value INTEGER NOT NULL,"
            " checksum INTEGER NOT NULL);");
    for (const char *table : {"providers", "provider_contexts", "sublayers", "callouts", "filters"})
        sql.run(std::string("CREATE TABLE ") + table +
                "(key BLOB PRIMARY KEY, id INTEGER NOT NULL, message BLOB NOT NULL,"
                " checksum INTEGER NOT NULL)");
    const auto filter = make_filter(21, "of version 1", FWPM_FILTER_FLAG_PERSISTENT);
    const std::string key = filter.key.bytes(), message = to_message(filter).SerializeAsString();
    sql.run("INSERT INTO filters VALUES(" + hex(key) + ", 21, " + hex(message) + ", " +
            checksum("filters", key, 21, message) + ")");
    const std::pair<std::string, int> numbers[] = {
        {"commit", 3}, {"generation", 2000}, {"next_filter_id", 1046}, {"rows of filters", 1}};
    for (const auto &[name, value] : numbers)
        sql.run("INSERT INTO numbers VALUES(" + hex(name) + ", " + std::to_string(value) + ", " +
                checksum("numbers", name, static_cast<std::uint64_t>(value), "") + ")");
}

class MigrationTest : public StoreTest {
protected:
    MigrationTest() {
        std::filesystem::create_directory(directory_ / "lib");
        make_version_1(database());
    }
};

TEST_F(MigrationTest, AnOlderFileKeepsItsObjectsAndGetsTheNewTables) {
    {
        Store store = must_open();
        auto policy = store.load();
        ASSERT_TRUE(policy) << policy.error().text();
        EXPECT_EQ(filter_names(*policy), std::set<std::string>{"of version 1"});
        EXPECT_EQ(policy->next_filter_id, 1046u);
        EXPECT_EQ(policy->generation, 2000u);
        ASSERT_TRUE(store.set_boot_nics({"eth0"})); // lives in a table that version 1 lacked
    }
    EXPECT_EQ(Sql(database()).text("SELECT version FROM schema_version"),
              std::to_string(schema_newest()));
    Store again = must_open();
    ASSERT_TRUE(again.load());
    EXPECT_EQ(again.boot_nics(), std::vector<std::string>{"eth0"});
}

TEST_F(MigrationTest, LeadsToTheTablesOfANewFile) {
    { Store store = must_open(); }
    const std::string shape = "SELECT sql || char(10) FROM sqlite_master WHERE sql NOT NULL "
                              "ORDER BY name";
    const std::string migrated = Sql(database()).text(shape);
    std::filesystem::remove(database());
    { Store store = must_open(); }
    // The words may be broken over lines otherwise.
    EXPECT_EQ(migrated, Sql(database()).text(shape));
    EXPECT_NE(migrated.find("documents"), std::string::npos);
}

TEST_F(MigrationTest, AMigrationThatFailsLeavesTheFileAtItsVersion) {
    Sql(database()).run("CREATE TABLE documents(other TEXT)"); // in the way of the second step
    auto store = Store::open(options());
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, EBADMSG) << store.error().text();
    const Sql sql(database());
    EXPECT_EQ(sql.text("SELECT version FROM schema_version"), "1");
    EXPECT_EQ(sql.text("SELECT count(*) FROM filters"), "1");
}

} // namespace
} // namespace sluice::store
