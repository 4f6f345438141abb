// SPDX-License-Identifier: Apache-2.0
// What Sluice knows when it starts again, in two files.
//
//   policy.db (SQLite, survives a reboot)      state (one message, in /run, gone with a reboot)
//   ----------------------------------------   -------------------------------------------------
//   objects with PERSISTENT, boot-time filters  static and dynamic objects, who owned them
//   the policy file's objects before the last   sessions, hosts, compartments, plugins
//     apply, for rollback                       numbers as they are
//   NICs that `sluice boot` loads
//   numbers that were given out, rounded up
//
// No object is in both. A commit that concerns both is one: the state file is written first and
// holds the state before beside the new one, then the database commits; which of the two states
// holds is told by the number of the database's commit. A commit that changes nothing lasting
// writes the state file only.
//
// Numbers of filters and provider contexts and generations are never used again, not after a reboot
// either: the database keeps a mark that is ahead of them, so that it need not be written for
// each. The run-time ids of callouts (4,095 in all, names of nothing once the kernel restarted)
// start again at a reboot, above those of persistent callouts.
//
// Error codes (Error::code) of every function here; after each, files and this object are as they
// were before the call, unless said otherwise. The text names the file and what to do.
//   EBADMSG  a file is damaged, is no store, or objects refer to what neither file has
//   EPROTO   the database is of a newer version of Sluice
//   ENOSPC   no room
//   EBUSY    another process uses the database
//   ESTALE   the database was removed or replaced while it was open
//   others   of the operating system (EACCES, EROFS, EIO, ENOMEM, ...)
// A damaged file is never repaired or overwritten here: moving it away is left to the
// administrator.
//
// Not thread-safe: one thread uses one Store.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "policy/policy.h"
#include "store/state.pb.h"

namespace sluice::store {

class Store {
public:
    struct Options {
        std::string database = "/var/lib/sluice/policy.db";
        std::string state = "/run/sluice/state"; // empty: none is read or written
        std::uint32_t pages_max = 0;             // 0: SQLite's own limit; else the database's size
    };

    // Makes the database (mode 0600) and its directory (0700) where there is none, brings an older
    // one up to date, and holds it until the object ends: nobody else can read or write it.
    static Result<Store> open(Options options);
    // The same where a database is; ENOENT: there is none, none is made.
    static Result<Store> open_existing(Options options);
    Store(Store &&) noexcept;
    Store &operator=(Store &&) noexcept;
    ~Store();

    // The policy of both files merged, with every number above what was ever used, and the
    // run-time state in state(). Generation: of the last commit; with no state file, one that no
    // running data plane has. Boot-time filters are among the filters: who compiles leaves them
    // out (they hold until the engine runs). With neither file: policy::initial().
    Result<policy::Policy> load();

    // The run-time state that load() found; empty: first start since boot.
    [[nodiscard]] const std::optional<State> &state() const;

    // Makes `next` what load() finds: whole or, on an error, not at all. run_time: sessions, hosts
    // and so on, `publishing`; the part of the policy is filled in here. last_good: serialized
    // protocol::Objects that replace what last_good() gives, in the same transaction; null: it
    // stays. Costs one write of the state file, and one synchronous transaction if anything lasting
    // changed.
    Result<void> commit(const policy::Policy &next, State run_time,
                        const std::string *last_good = nullptr);

    // The policy file's objects before the last apply; empty: nothing was applied yet. Parsed for
    // each call.
    [[nodiscard]] std::optional<protocol::Objects> last_good() const;

    // Names of the NICs that `sluice boot` loads: those of sluiced's own network namespace that
    // are loaded now. Writing the list that is there already costs nothing.
    [[nodiscard]] const std::vector<std::string> &boot_nics() const;
    Result<void> set_boot_nics(std::vector<std::string> names);

    [[nodiscard]] const std::string &path() const; // of the database

private:
    struct Inside;
    explicit Store(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

} // namespace sluice::store
