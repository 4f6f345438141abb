// SPDX-License-Identifier: Apache-2.0
// A SQLite file in use by nobody else. Errors as store.h lists them; their text names the file and
// what to do about it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sluice::store {

// A value in a statement; text is bound and read as a blob.
using Field = std::variant<std::int64_t, std::string_view>;

// The row at which a query stands. Views live until the visit ends.
class Row {
public:
    explicit Row(sqlite3_stmt *statement) : statement_(statement) {}
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] std::string_view bytes(int column) const;

private:
    sqlite3_stmt *statement_;
};

class Database {
public:
    enum class Make { no, yes };
    // Opens for reading and writing, alone. Nothing is read or written yet.
    static Result<Database> open(const std::string &path, Make make);

    [[nodiscard]] const std::string &path() const { return path_; }
    Result<void> run(const char *sql); // any number of statements; results are not read
    Result<void> write(const char *sql, const std::vector<Field> &fields); // a crash point
    Result<void> each(const char *sql, const std::function<Result<void>(const Row &)> &visit);
    Result<std::int64_t> number(const char *sql); // first column of the first row
    // All of what `work` writes, synchronously, or nothing. Crash points before and after it holds.
    Result<void> transaction(const std::function<Result<void>()> &work);
    // ESTALE: the path leads to another file, or nowhere.
    [[nodiscard]] Result<void> in_place() const;

    [[nodiscard]] Error damaged(const std::string &why) const;
    [[nodiscard]] static Error damaged(const std::string &path, const std::string &why);

private:
    struct Close {
        void operator()(sqlite3 *db) const;
    };
    Database(std::string path, sqlite3 *db) : path_(std::move(path)), db_(db) {}
    [[nodiscard]] Error failure(int code) const;

    std::string path_;
    std::unique_ptr<sqlite3, Close> db_;
    std::uint64_t device_ = 0, inode_ = 0;
};

} // namespace sluice::store
