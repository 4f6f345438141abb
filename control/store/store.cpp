// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <unistd.h>

#include "store/contents.h"
#include "store/database.h"
#include "store/references.h"
#include "store/schema.h"
#include "store/snapshot.h"
#include "store/state_file.h"

namespace sluice::store {

namespace {

// The database's marks run ahead of the numbers by up to this much, so that it is written once for
// so many of them.
constexpr std::int64_t ahead = 1024;

constexpr const char *commit_number = "commit";
constexpr const char *generation_mark = "generation";
constexpr const char *filter_mark = "next_filter_id";
constexpr const char *context_mark = "next_provider_context_id";
constexpr const char *last_good_document = "last_good";
constexpr const char *nics_document = "boot_nics";

template <typename Objects>
Result<void> add_all(Objects &to, Objects &from, const Database &db, const std::string &state) {
    to.merge(from);
    if (from.empty()) return {};
    return db.damaged("object " + from.begin()->second.key.text() + " is also in " + state);
}

// As the end of a serialized State: those of `now` that `old` lacks, and the ids the other way
// round.
std::string filters_of(const policy::Filters &old, const policy::Filters &now) {
    std::string bytes;
    append_filters(old, now, bytes);
    return bytes;
}

// Ids of callouts must agree with what the state has given out.
void settle_callout_ids(policy::Policy &policy) {
    std::map<std::uint32_t, Guid> taken;
    for (const auto &[key, id] : policy.callout_ids)
        taken[id] = key;
    for (auto &[key, callout] : policy.callouts) {
        const auto known = policy.callout_ids.find(key);
        if (known != policy.callout_ids.end()) {
            callout.id = known->second;
            continue;
        }
        if (callout.id == 0 || taken.contains(callout.id)) callout.id = policy.next_callout_id;
        policy.next_callout_id = std::max(policy.next_callout_id, callout.id + 1);
        policy.callout_ids[key] = callout.id;
        taken[callout.id] = key;
    }
}

} // namespace

struct Store::Inside {
    Inside(Options given, Database opened)
        : options(std::move(given)), db(std::move(opened)), file(options.state) {}

    Options options;
    Database db;
    StateFile file;
    bool loaded = false;
    Contents contents;
    // What the file holds, without what is in it for a crash only, and without filters; and what
    // filters both files have.
    std::optional<State> state;
    policy::Filters filters;
    std::vector<std::string> nics;

    Result<void> read_state();
    Result<policy::Policy> merge(policy::Policy lasting) const;
    void raise_numbers(policy::Policy &policy) const;
    Result<void> read_documents();
    [[nodiscard]] Difference difference(const policy::Policy &next, const std::string *good) const;
    void mark(Difference &difference, const char *name, std::uint64_t value) const;
    Result<void> write(Difference &difference);
    Result<void> write_state(const State &next, const policy::Filters &with);
    Result<void> append_state(const State &next, const policy::Filters &with);
    Result<void> write_both(const State &next, const policy::Filters &with, Difference &difference);
};

// The half of the state file that fits the database. Needs `contents`.
Result<void> Store::Inside::read_state() {
    state.reset();
    if (options.state.empty()) return {};
    const auto commits = static_cast<std::uint64_t>(contents.number(commit_number));
    auto read = file.read(commits);
    if (!read) return read.error();
    if (!*read) return {};
    State found = std::move(**read);
    if (found.prepared() && commits < found.database_commit()) {
        if (!found.has_before()) return {};
        found = State(found.before());
    }
    found.clear_before();
    found.set_prepared(false);
    state = std::move(found);
    return {};
}

void Store::Inside::raise_numbers(policy::Policy &policy) const {
    const auto at_least = [&](std::uint64_t &number, const char *name) {
        number = std::max(number, static_cast<std::uint64_t>(contents.number(name)));
    };
    if (!state) {
        at_least(policy.generation, generation_mark);
        at_least(policy.next_filter_id, filter_mark);
        at_least(policy.next_provider_context_id, context_mark);
    }
    if (!policy.filters.empty())
        policy.next_filter_id = std::max(policy.next_filter_id, policy.filters.rbegin()->first + 1);
    for (const auto &[key, context] : policy.provider_contexts)
        policy.next_provider_context_id = std::max(policy.next_provider_context_id, context.id + 1);
}

Result<policy::Policy> Store::Inside::merge(policy::Policy lasting) const {
    auto read = read_policy(state ? *state : State());
    if (!read)
        return Error(EBADMSG, "state file " + file.path() + ": " + read.error().text() +
                                  ": move it away to start without its objects");
    policy::Policy &policy = *read;
    auto r = add_all(policy.providers, lasting.providers, db, file.path());
    if (r) r = add_all(policy.provider_contexts, lasting.provider_contexts, db, file.path());
    if (r) r = add_all(policy.sublayers, lasting.sublayers, db, file.path());
    if (r) r = add_all(policy.callouts, lasting.callouts, db, file.path());
    if (r) r = add_all(policy.filters, lasting.filters, db, file.path());
    if (!r) return r.error();
    raise_numbers(policy);
    settle_callout_ids(policy);
    if (auto whole = check_references(policy); !whole)
        return Error(EBADMSG, "policy store " + db.path() + " and state file " + file.path() +
                                  " do not fit each other: " + whole.error().tried +
                                  "; put the store's copy back, or move the state file away");
    return read;
}

Result<void> Store::Inside::read_documents() {
    nics.clear();
    if (const auto *document = contents.document(last_good_document)) {
        if (!protocol::Objects().ParseFromString(*document))
            return db.damaged("the policy file's last objects cannot be parsed");
    }
    if (const auto *document = contents.document(nics_document)) {
        protocol::NicList list;
        if (!list.ParseFromString(*document))
            return db.damaged("the list of interfaces cannot be parsed");
        for (const auto &nic : list.nics())
            nics.push_back(nic.name());
    }
    return {};
}

void Store::Inside::mark(Difference &difference, const char *name, std::uint64_t value) const {
    const auto needed = static_cast<std::int64_t>(value);
    if (needed > contents.number(name)) difference.numbers[name] = needed + ahead;
}

Difference Store::Inside::difference(const policy::Policy &next, const std::string *good) const {
    Difference out;
    out.changes = contents.changes_to(next, filters);
    mark(out, generation_mark, next.generation);
    mark(out, filter_mark, next.next_filter_id);
    mark(out, context_mark, next.next_provider_context_id);
    if (good != nullptr) {
        const auto *known = contents.document(last_good_document);
        if (known == nullptr || *known != *good) out.documents[last_good_document] = *good;
    }
    return out;
}

Result<void> Store::Inside::write(Difference &difference) {
    difference.numbers[commit_number] = contents.number(commit_number) + 1;
    auto r = db.transaction([&] { return contents.write(db, difference); });
    if (!r) return r;
    contents.written(std::move(difference));
    return {};
}

Result<void> Store::Inside::write_state(const State &next, const policy::Filters &with) {
    if (options.state.empty()) return {};
    if (file.can_append()) return append_state(next, with);
    return file.write(next, filters_of({}, with));
}

Result<void> Store::Inside::append_state(const State &next, const policy::Filters &with) {
    return file.append(next, filters_of(filters, with));
}

// Either half holds by itself; which one, tells the database.
Result<void> Store::Inside::write_both(const State &next, const policy::Filters &with,
                                       Difference &difference) {
    State both = next;
    both.set_prepared(true);
    if (file.can_append()) {
        if (auto r = append_state(both, with); !r) return r;
    } else if (!options.state.empty()) {
        std::string rest = filters_of({}, with);
        if (state) append_before(state->SerializeAsString() + filters_of({}, filters), rest);
        if (auto r = file.write(both, rest); !r) return r;
    }
    auto done = write(difference);
    // From here on the file as it stands says the right thing; alone it says it too.
    if (options.state.empty()) return done;
    if (done) {
        if (file.can_append())
            (void)file.append(next); // its filters are there
        else
            (void)file.write(next, filters_of({}, with));
    } else if (state) {
        (void)file.write(*state, filters_of({}, filters));
    } else {
        ::unlink(options.state.c_str());
    }
    return done;
}

Store::Store(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Store::Store(Store &&) noexcept = default;
Store &Store::operator=(Store &&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(Options options) {
    std::error_code error;
    if (!std::filesystem::exists(options.database, error)) {
        if (error) return Error(error.value(), "look for policy store", options.database);
        if (auto r = make_store(options.database); !r) return r.error();
    }
    return open_existing(std::move(options));
}

Result<Store> Store::open_existing(Options options) {
    if (::access(options.database.c_str(), F_OK) != 0)
        return Error(errno, "open policy store", options.database);
    auto db = Database::open(options.database, Database::Make::no);
    if (!db) return db.error();
    if (auto r = bring_up_to_date(*db); !r) return r.error();
    if (options.pages_max != 0) {
        const std::string sql = "PRAGMA max_page_count=" + std::to_string(options.pages_max);
        if (auto r = db->run(sql.c_str()); !r) return r.error();
    }
    return Store(std::make_unique<Inside>(std::move(options), std::move(*db)));
}

Result<policy::Policy> Store::load() {
    policy::Policy lasting;
    auto contents = Contents::read(inside_->db, lasting);
    if (!contents) return contents.error();
    inside_->contents = std::move(*contents);
    if (auto r = inside_->read_documents(); !r) return r.error();
    if (auto r = inside_->read_state(); !r) return r.error();
    auto policy = inside_->merge(std::move(lasting));
    inside_->loaded = policy.has_value();
    if (policy) inside_->filters = policy->filters;
    if (inside_->state) inside_->state->clear_filters();
    return policy;
}

const std::optional<State> &Store::state() const {
    return inside_->state;
}

Result<void> Store::commit(const policy::Policy &next, State run_time, const std::string *good) {
    Inside &in = *inside_;
    if (!in.loaded)
        if (auto r = load(); !r) return r.error();
    write_all_but_filters(next, run_time);
    auto difference = in.difference(next, good);
    const bool lasts = !difference.empty();
    run_time.set_database_commit(
        static_cast<std::uint64_t>(in.contents.number(commit_number) + (lasts ? 1 : 0)));
    auto r = lasts ? in.write_both(run_time, next.filters, difference)
                   : in.write_state(run_time, next.filters);
    if (!r) return r;
    in.state = std::move(run_time);
    in.filters = next.filters;
    return {};
}

std::optional<protocol::Objects> Store::last_good() const {
    const auto *document = inside_->contents.document(last_good_document);
    std::optional<protocol::Objects> objects;
    if (document != nullptr && !objects.emplace().ParseFromString(*document)) objects.reset();
    return objects;
}

const std::vector<std::string> &Store::boot_nics() const {
    return inside_->nics;
}

Result<void> Store::set_boot_nics(std::vector<std::string> names) {
    Inside &in = *inside_;
    if (!in.loaded)
        if (auto r = load(); !r) return r.error();
    if (names == in.nics) return {};
    protocol::NicList list;
    for (const auto &name : names)
        list.add_nics()->set_name(name);
    Difference difference;
    difference.documents[nics_document] = list.SerializeAsString();
    if (auto r = in.write(difference); !r) return r;
    in.nics = std::move(names);
    return {};
}

const std::string &Store::path() const {
    return inside_->db.path();
}

} // namespace sluice::store
