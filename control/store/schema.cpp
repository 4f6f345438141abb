// SPDX-License-Identifier: Apache-2.0
#include "store/schema.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

#include "core/crash_point.h"
#include "core/fd.h"

namespace sluice::store {

namespace {

namespace fs = std::filesystem;

// Step n leads from version n to n + 1. A step that was released never changes: what must change
// is a new step. Every table's row carries a checksum of the rest of it. key: GUID as in memory;
// id: 0 where a kind has none; message: protobuf, as on the control channel
// (protocol/sluice.proto).
constexpr std::array steps{
    // 1: objects and numbers. The number in application_id is "Slce".
    "PRAGMA application_id=1399612261;"
    "CREATE TABLE schema_version(version INTEGER NOT NULL);"
    "INSERT INTO schema_version VALUES(0);"
    "CREATE TABLE numbers(name BLOB PRIMARY KEY, value INTEGER NOT NULL, checksum INTEGER NOT "
    "NULL);"
    "CREATE TABLE providers(key BLOB PRIMARY KEY, id INTEGER NOT NULL, message BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);"
    "CREATE TABLE provider_contexts(key BLOB PRIMARY KEY, id INTEGER NOT NULL,"
    " message BLOB NOT NULL, checksum INTEGER NOT NULL);"
    "CREATE TABLE sublayers(key BLOB PRIMARY KEY, id INTEGER NOT NULL, message BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);"
    "CREATE TABLE callouts(key BLOB PRIMARY KEY, id INTEGER NOT NULL, message BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);"
    "CREATE TABLE filters(key BLOB PRIMARY KEY, id INTEGER NOT NULL, message BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);",
    // 2: what is there once: the policy file's objects for rollback, the NICs of `sluice boot`
    "CREATE TABLE documents(name BLOB PRIMARY KEY, message BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);",
};
constexpr std::int64_t application_id = 1399612261;

Result<void> migrate(Database &db, std::int64_t from) {
    return db.transaction([&]() -> Result<void> {
        for (auto n = static_cast<std::size_t>(from); n < steps.size(); ++n)
            if (auto r = db.run(steps[n]); !r) return r;
        return db.write("UPDATE schema_version SET version = ?", {schema_newest()});
    });
}

Result<void> check_whole(Database &db) {
    std::string first;
    auto r = db.each("PRAGMA quick_check(1)", [&](const Row &row) -> Result<void> {
        first = row.bytes(0);
        return {};
    });
    if (!r) return r;
    if (first != "ok") return db.damaged(first);
    return {};
}

Result<void> make_directory(const std::string &path) {
    const fs::path directory = fs::path(path).parent_path();
    std::error_code error;
    if (fs::create_directories(directory, error))
        fs::permissions(directory, fs::perms::owner_all, error);
    if (error) return Error(error.value(), "make directory of policy store", directory);
    return {};
}

// Closed again when it returns: then the log is gone and the file alone is the store.
Result<void> fill(const std::string &path) {
    auto db = Database::open(path, Database::Make::yes);
    if (!db) return db.error();
    if (auto r = db->run("PRAGMA journal_mode=WAL"); !r) return r;
    return migrate(*db, 0);
}

void remove_with_logs(const std::string &path) {
    for (const char *end : {"", "-wal", "-shm", "-journal"})
        ::unlink((path + end).c_str());
}

} // namespace

std::int64_t schema_newest() {
    return steps.size();
}

Result<void> make_store(const std::string &path) {
    if (fs::exists(path + "-wal"))
        return Database::damaged(path, "the file is gone, but not its log " + path + "-wal");
    if (auto r = make_directory(path); !r) return r;
    const std::string beside = path + ".new";
    remove_with_logs(beside); // of an attempt that was cut short
    if (!Fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)))
        return Error(errno, "make policy store", beside);
    if (auto r = fill(beside); !r) {
        remove_with_logs(beside);
        return r;
    }
    crash_point();
    if (::rename(beside.c_str(), path.c_str()) != 0)
        return Error(errno, "rename policy store", path);
    const Fd directory(::open(fs::path(path).parent_path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        return Error(errno, "write directory of policy store", path);
    return {};
}

Result<void> bring_up_to_date(Database &db) {
    // Before anything that writes: it may be somebody else's file.
    auto id = db.number("PRAGMA application_id");
    if (!id) return id.error();
    if (*id != application_id) return db.damaged("it is no policy store of Sluice");
    if (auto r = check_whole(db); !r) return r;
    auto version = db.number("SELECT version FROM schema_version");
    if (!version) return version.error();
    if (*version > schema_newest())
        return Error(EPROTO, "policy store " + db.path() + " has schema version " +
                                 std::to_string(*version) + ", of a newer Sluice (this one knows " +
                                 std::to_string(schema_newest()) +
                                 "); it was left as it is: use that version, or move it away");
    if (*version < 1) return db.damaged("schema version " + std::to_string(*version));
    if (*version == schema_newest()) return {};
    return migrate(db, *version);
}

} // namespace sluice::store
