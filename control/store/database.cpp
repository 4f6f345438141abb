// SPDX-License-Identifier: Apache-2.0
#include "store/database.h"

#include <cerrno>
#include <sqlite3.h>
#include <sys/stat.h>

#include "core/crash_point.h"

namespace sluice::store {

namespace {

// One that was killed a moment ago may still be on its way out.
constexpr int patience_ms = 1000;

struct Finalize {
    void operator()(sqlite3_stmt *statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

int prepare(sqlite3 *db, const char *sql, Statement &statement) {
    sqlite3_stmt *made = nullptr;
    const int code = sqlite3_prepare_v2(db, sql, -1, &made, nullptr);
    statement.reset(made);
    return code;
}

int bind(sqlite3_stmt *statement, int at, const Field &field) {
    if (const auto *number = std::get_if<std::int64_t>(&field))
        return sqlite3_bind_int64(statement, at, *number);
    const auto bytes = std::get<std::string_view>(field);
    // A null pointer would bind NULL in place of an empty blob.
    const char *data = bytes.empty() ? "" : bytes.data();
    return sqlite3_bind_blob64(statement, at, data, bytes.size(), SQLITE_STATIC);
}

} // namespace

std::int64_t Row::number(int column) const {
    return sqlite3_column_int64(statement_, column);
}

std::string_view Row::bytes(int column) const {
    const auto *data = static_cast<const char *>(sqlite3_column_blob(statement_, column));
    if (data == nullptr) return {};
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Database::Close::operator()(sqlite3 *db) const {
    sqlite3_close(db);
}

Error Database::damaged(const std::string &path, const std::string &why) {
    return {EBADMSG, "policy store " + path + " is damaged (" + why +
                         "); it was left as it is: put a copy back, or move it away with its "
                         "-wal to start without persistent objects"};
}

Error Database::damaged(const std::string &why) const {
    return damaged(path_, why);
}

Error Database::failure(int code) const {
    const std::string why = sqlite3_errmsg(db_.get());
    const int system = sqlite3_system_errno(db_.get());
    switch (code & 0xff) {
    case SQLITE_ERROR: // our statements are right, so the tables are wrong
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
    case SQLITE_NOTADB:
        return damaged(why);
    case SQLITE_FULL:
        return {ENOSPC, "policy store " + path_ +
                            " has no room, nothing was changed: make room on its file system"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return {EBUSY, "policy store " + path_ +
                           " is in use by another process: end it (sluiced, sluice boot, sqlite3)"};
    case SQLITE_NOMEM:
        return {ENOMEM, "use policy store", path_};
    case SQLITE_READONLY:
        return {EROFS, "write policy store (" + why + ")", path_};
    default:
        return {system != 0 ? system : EIO, "use policy store (" + why + ")", path_};
    }
}

Result<Database> Database::open(const std::string &path, Make make) {
    sqlite3 *db = nullptr;
    const int create = make == Make::yes ? SQLITE_OPEN_CREATE : 0;
    const int code = sqlite3_open_v2(
        path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE | create, nullptr);
    Database self(path, db);
    if (db == nullptr) return Error(ENOMEM, "open policy store", path);
    if (code != SQLITE_OK) return self.failure(code);
    struct ::stat s {};
    if (::stat(path.c_str(), &s) != 0) return Error(errno, "open policy store", path);
    self.device_ = s.st_dev;
    self.inode_ = s.st_ino;
    sqlite3_busy_timeout(db, patience_ms);
    // Nobody else needs the file while sluiced runs, and what nobody shares needs no shared memory.
    auto r = self.run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL;"
                      "PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;"
                      "PRAGMA wal_autocheckpoint=0");
    if (!r) return r.error();
    return self;
}

Result<void> Database::in_place() const {
    struct ::stat s {};
    if (::stat(path_.c_str(), &s) == 0 && s.st_dev == device_ && s.st_ino == inode_) return {};
    return Error(ESTALE, "policy store " + path_ +
                             " was removed or replaced while it was in use: start sluiced again");
}

Result<void> Database::run(const char *sql) {
    const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(code);
    return {};
}

Result<void> Database::write(const char *sql, const std::vector<Field> &fields) {
    Statement statement;
    int code = prepare(db_.get(), sql, statement);
    for (std::size_t i = 0; code == SQLITE_OK && i < fields.size(); ++i)
        code = bind(statement.get(), static_cast<int>(i) + 1, fields[i]);
    if (code != SQLITE_OK) return failure(code);
    crash_point();
    code = sqlite3_step(statement.get());
    if (code != SQLITE_DONE) return failure(code);
    return {};
}

Result<void> Database::each(const char *sql,
                            const std::function<Result<void>(const Row &)> &visit) {
    Statement statement;
    int code = prepare(db_.get(), sql, statement);
    if (code != SQLITE_OK) return failure(code);
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW)
        if (auto r = visit(Row(statement.get())); !r) return r;
    if (code != SQLITE_DONE) return failure(code);
    return {};
}

Result<std::int64_t> Database::number(const char *sql) {
    std::int64_t value = 0;
    int rows = 0;
    auto r = each(sql, [&](const Row &row) -> Result<void> {
        if (rows++ == 0) value = row.number(0);
        return {};
    });
    if (!r) return r.error();
    if (rows != 1) return damaged(std::to_string(rows) + " rows where one must be: " + sql);
    return value;
}

Result<void> Database::transaction(const std::function<Result<void>()> &work) {
    if (auto r = in_place(); !r) return r;
    if (auto r = run("BEGIN IMMEDIATE"); !r) return r;
    Result<void> done = work();
    if (done) {
        crash_point();
        done = run("COMMIT");
    }
    if (!done) {
        (void)run("ROLLBACK"); // fails only where SQLite did it already
        return done;
    }
    // The log is emptied at once, so that the file alone is the whole store. If there is no room
    // for that the log keeps what was committed, and the next commit tries again.
    crash_point();
    (void)sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                                    nullptr);
    return {};
}

} // namespace sluice::store
