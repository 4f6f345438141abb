// SPDX-License-Identifier: Apache-2.0
#include "store/contents.h"

#include "policy/edit.h"
#include "store/checksum.h"
#include "store/wire.h"

namespace sluice::store {

namespace {

constexpr std::array<const char *, kinds> tables{"providers", "provider_contexts", "sublayers",
                                                 "callouts", "filters"};

template <typename Object>
bool outlives_engine(const Object &object) {
    const auto lifetime = policy::lifetime(object);
    return lifetime == policy::Lifetime::persistent || lifetime == policy::Lifetime::boot_time;
}

std::int64_t as_signed(std::uint64_t number) {
    return static_cast<std::int64_t>(number);
}

std::int64_t row_checksum(std::string_view table, std::string_view key, std::uint64_t id,
                          std::string_view message) {
    return as_signed(fnv1a(message, fnv1a(id, fnv1a(key, fnv1a(table)))));
}

constexpr Kind kind_of(const policy::Provider &) {
    return Kind::provider;
}
constexpr Kind kind_of(const policy::ProviderContext &) {
    return Kind::provider_context;
}
constexpr Kind kind_of(const policy::SubLayer &) {
    return Kind::sublayer;
}
constexpr Kind kind_of(const policy::Callout &) {
    return Kind::callout;
}
constexpr Kind kind_of(const policy::Filter &) {
    return Kind::filter;
}

std::uint64_t id_of(const policy::Provider &) {
    return 0;
}
std::uint64_t id_of(const policy::SubLayer &) {
    return 0;
}
template <typename Object>
std::uint64_t id_of(const Object &object) {
    return object.id;
}

// Under its id nothing of a filter changes but its hold options, so its message need not be made to
// know it again.
std::uint64_t stamp_of(const policy::Filter &filter) {
    return fnv1a(filter.id,
                 fnv1a(filter.hold.deadline_ms,
                       fnv1a(static_cast<std::uint64_t>(filter.hold.outcome), fnv1a_start)));
}

void compare(const policy::Filter &filter, const std::uint64_t *known, std::vector<Change> &out) {
    const std::uint64_t stamp = stamp_of(filter);
    if (known != nullptr && *known == stamp) return;
    out.push_back(
        {Kind::filter, filter.key, filter.id, to_message(filter).SerializeAsString(), stamp});
}

template <typename Object>
void compare(const Object &object, const std::uint64_t *known, std::vector<Change> &out) {
    std::string message = to_message(object).SerializeAsString();
    const std::uint64_t stamp = fnv1a(message);
    if (known != nullptr && *known == stamp) return;
    out.push_back({kind_of(object), object.key, id_of(object), std::move(message), stamp});
}

template <typename Objects>
void compare_all(const Objects &objects, Kind kind,
                 const std::unordered_map<Guid, std::uint64_t> &stamps, std::vector<Change> &out) {
    std::unordered_map<Guid, std::uint64_t> gone;
    std::size_t met = 0;
    for (const auto &[ignored, object] : objects) {
        if (!lasting(object)) continue;
        const auto known = stamps.find(object.key);
        met += known != stamps.end();
        compare(object, known == stamps.end() ? nullptr : &known->second, out);
    }
    if (met == stamps.size()) return;
    gone = stamps;
    for (const auto &[ignored, object] : objects)
        if (lasting(object)) gone.erase(object.key);
    for (const auto &[key, stamp] : gone)
        out.push_back({kind, key, 0, std::nullopt, 0});
}

// Of filters there may be many: only those that differ from `known` are looked at.
void compare_filters(const policy::Filters &known, const policy::Filters &next,
                     const std::unordered_map<Guid, std::uint64_t> &stamps,
                     std::vector<Change> &out) {
    std::vector<Guid> gone;
    policy::Filters::compare(
        known, next,
        [&](const policy::Filter &filter) {
            if (lasting(filter)) gone.push_back(filter.key);
        },
        [&](const policy::Filter &filter) {
            if (!lasting(filter)) return;
            const auto stamp = stamps.find(filter.key);
            compare(filter, stamp == stamps.end() ? nullptr : &stamp->second, out);
        });
    for (const Guid &key : gone) {
        const auto now = next.find_key(key);
        const bool stays = now != next.end() && lasting(now->second);
        if (!stays && stamps.contains(key)) out.push_back({Kind::filter, key, 0, std::nullopt, 0});
    }
}

template <typename Message>
auto parse(std::string_view bytes) -> std::optional<decltype(from_message(Message()))> {
    Message message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
    return from_message(message);
}

template <typename Objects>
bool place(Objects &objects, typename Objects::mapped_type object) {
    typename Objects::key_type index{};
    if constexpr (std::is_same_v<decltype(index), Guid>)
        index = object.key;
    else
        index = object.id;
    return objects.emplace(index, std::move(object)).second;
}

// Reads the objects of one kind. Message and Object are each other's shapes.
template <typename Message, typename Objects>
Result<void> read_kind(Database &db, Kind kind, Objects &objects,
                       std::unordered_map<Guid, std::uint64_t> &stamps) {
    const std::string table = tables[static_cast<std::size_t>(kind)];
    const std::string sql = "SELECT key, id, message, checksum FROM " + table;
    std::size_t n = 0;
    return db.each(sql.c_str(), [&](const Row &row) -> Result<void> {
        const auto id = static_cast<std::uint64_t>(row.number(1));
        const std::string where = "row " + std::to_string(++n) + " of " + table;
        if (row_checksum(table, row.bytes(0), id, row.bytes(2)) != row.number(3))
            return db.damaged("checksum of " + where + " is wrong");
        auto object = parse<Message>(row.bytes(2));
        if (!object) return db.damaged(where + " cannot be parsed");
        if (!*object) return db.damaged(where + ": " + object->error().text());
        if (!lasting(**object) || (*object)->key.bytes() != row.bytes(0) || id_of(**object) != id)
            return db.damaged(where + " is not what it says");
        if constexpr (std::is_same_v<Message, protocol::Filter>)
            stamps[(*object)->key] = stamp_of(**object);
        else
            stamps[(*object)->key] = fnv1a(row.bytes(2));
        if (!place(objects, std::move(**object))) return db.damaged(where + " is there twice");
        return {};
    });
}

Result<Numbers> read_numbers(Database &db) {
    Numbers numbers;
    auto r = db.each("SELECT name, value, checksum FROM numbers", [&](const Row &row) {
        const std::string name(row.bytes(0));
        const auto value = static_cast<std::uint64_t>(row.number(1));
        if (row_checksum("numbers", name, value, "") != row.number(2))
            return Result<void>(db.damaged("checksum of number '" + name + "' is wrong"));
        numbers[name] = row.number(1);
        return Result<void>();
    });
    if (!r) return r.error();
    return numbers;
}

Result<Documents> read_documents(Database &db) {
    Documents documents;
    auto r = db.each("SELECT name, message, checksum FROM documents", [&](const Row &row) {
        const std::string name(row.bytes(0));
        if (row_checksum("documents", name, 0, row.bytes(1)) != row.number(2))
            return Result<void>(db.damaged("checksum of document '" + name + "' is wrong"));
        documents[name] = row.bytes(1);
        return Result<void>();
    });
    if (!r) return r.error();
    return documents;
}

std::string rows_name(std::size_t kind) {
    return std::string("rows of ") + tables[kind];
}

constexpr const char *documents_rows = "rows of documents";

Result<void> write_change(Database &db, const Change &change) {
    const std::string table = tables[static_cast<std::size_t>(change.kind)];
    const std::string key = change.key.bytes();
    if (!change.message)
        return db.write(("DELETE FROM " + table + " WHERE key = ?").c_str(), {key});
    return db.write(("INSERT OR REPLACE INTO " + table + " VALUES(?, ?, ?, ?)").c_str(),
                    {key, as_signed(change.id), *change.message,
                     row_checksum(table, key, change.id, *change.message)});
}

} // namespace

bool lasting(const policy::Provider &object) {
    return outlives_engine(object);
}
bool lasting(const policy::ProviderContext &object) {
    return outlives_engine(object);
}
bool lasting(const policy::SubLayer &object) {
    return outlives_engine(object);
}
bool lasting(const policy::Callout &object) {
    return outlives_engine(object);
}
bool lasting(const policy::Filter &object) {
    return outlives_engine(object);
}

Result<Contents> Contents::read(Database &db, policy::Policy &policy) {
    Contents self;
    auto numbers = read_numbers(db);
    if (!numbers) return numbers.error();
    self.numbers_ = std::move(*numbers);
    auto documents = read_documents(db);
    if (!documents) return documents.error();
    self.documents_ = std::move(*documents);
    auto &[providers, contexts, sublayers, callouts, filters] = self.stamps_;
    auto r = read_kind<protocol::Provider>(db, Kind::provider, policy.providers, providers);
    if (r)
        r = read_kind<protocol::ProviderContext>(db, Kind::provider_context,
                                                 policy.provider_contexts, contexts);
    if (r) r = read_kind<protocol::SubLayer>(db, Kind::sublayer, policy.sublayers, sublayers);
    if (r) r = read_kind<protocol::Callout>(db, Kind::callout, policy.callouts, callouts);
    if (r) r = read_kind<protocol::Filter>(db, Kind::filter, policy.filters, filters);
    if (!r) return r.error();
    // A row that is missing has no checksum that could be wrong.
    bool complete = self.number(documents_rows) == as_signed(self.documents_.size());
    for (std::size_t kind = 0; kind < kinds; ++kind)
        complete = complete && self.number(rows_name(kind)) == as_signed(self.stamps_[kind].size());
    if (!complete) return db.damaged("rows are missing");
    return self;
}

std::vector<Change> Contents::changes_to(const policy::Policy &next,
                                         const policy::Filters &known) const {
    std::vector<Change> out;
    const auto &[providers, contexts, sublayers, callouts, filters] = stamps_;
    compare_all(next.providers, Kind::provider, providers, out);
    compare_all(next.provider_contexts, Kind::provider_context, contexts, out);
    compare_all(next.sublayers, Kind::sublayer, sublayers, out);
    compare_all(next.callouts, Kind::callout, callouts, out);
    compare_filters(known, next.filters, filters, out);
    return out;
}

std::int64_t Contents::number(std::string_view name) const {
    const auto it = numbers_.find(name);
    return it == numbers_.end() ? 0 : it->second;
}

const std::string *Contents::document(std::string_view name) const {
    const auto it = documents_.find(name);
    return it == documents_.end() ? nullptr : &it->second;
}

Result<void> Contents::write(Database &db, Difference &difference) const {
    std::array<std::int64_t, kinds> rows{};
    for (std::size_t kind = 0; kind < kinds; ++kind)
        rows[kind] = as_signed(stamps_[kind].size());
    for (const auto &change : difference.changes) {
        const auto kind = static_cast<std::size_t>(change.kind);
        if (auto r = write_change(db, change); !r) return r;
        const bool known = stamps_[kind].contains(change.key);
        rows[kind] += (change.message ? 1 : 0) - (known ? 1 : 0);
    }
    auto documents = as_signed(documents_.size());
    for (const auto &[name, message] : difference.documents) {
        auto r = db.write("INSERT OR REPLACE INTO documents VALUES(?, ?, ?)",
                          {name, message, row_checksum("documents", name, 0, message)});
        if (!r) return r;
        documents += documents_.contains(name) ? 0 : 1;
    }
    difference.numbers[documents_rows] = documents;
    for (std::size_t kind = 0; kind < kinds; ++kind)
        difference.numbers[rows_name(kind)] = rows[kind];
    for (const auto &[name, value] : difference.numbers) {
        const auto checksum = row_checksum("numbers", name, static_cast<std::uint64_t>(value), "");
        if (number(name) == value) continue;
        auto r =
            db.write("INSERT OR REPLACE INTO numbers VALUES(?, ?, ?)", {name, value, checksum});
        if (!r) return r;
    }
    return {};
}

void Contents::written(Difference difference) {
    for (const auto &change : difference.changes) {
        auto &stamps = stamps_[static_cast<std::size_t>(change.kind)];
        if (change.message)
            stamps[change.key] = change.stamp;
        else
            stamps.erase(change.key);
    }
    for (const auto &[name, value] : difference.numbers)
        numbers_[name] = value;
    for (auto &[name, message] : difference.documents)
        documents_[name] = std::move(message);
}

} // namespace sluice::store
