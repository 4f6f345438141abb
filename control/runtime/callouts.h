// SPDX-License-Identifier: Apache-2.0
// The callouts that this process registered, and who is inside one just now: a callout is gone only
// when no thread runs its callbacks any more.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "core/guid.h"
#include "core/result.h"
#include "runtime/pace.h"
#include "sluice/fwp.h"
#include "xsk/mutex.h"

namespace sluice::runtime {

using CalloutSpec = std::variant<FWPS_CALLOUT0, FWPS_CALLOUT1, FWPS_CALLOUT2, FWPS_CALLOUT3>;

inline Guid guid_of(const GUID &g) {
    Guid out{g.Data1, g.Data2, g.Data3, {}};
    static_assert(sizeof out == sizeof g);
    std::memcpy(out.data4.data(), g.Data4, sizeof g.Data4);
    return out;
}

struct CalloutEntry {
    Guid key;
    std::uint32_t id = 0;
    std::uint32_t flags = 0;
    CalloutSpec spec;
    const void *driver = nullptr; // whose it is; null: nobody's
    bool has_flow_delete = false;
    const Pace::Slow slow = std::make_shared<std::atomic<bool>>(false); // its last calls
    std::atomic<std::uint32_t> slot{
        0}; // given by sluiced; 0: none, so it can have no flow contexts
    // Guarded by the registry's lock:
    int inside = 0;
    bool leaving = false;
    std::uint64_t announced = 0; // connection on which sluiced was told, 0: none
};

class Callouts {
public:
    // A thread inside a callback. Move-only; the end of its life is the return of the callback.
    class Call {
    public:
        Call(Callouts &registry, std::shared_ptr<CalloutEntry> entry);
        Call(Call &&other) noexcept;
        Call(const Call &) = delete;
        Call &operator=(const Call &) = delete;
        ~Call();
        const CalloutEntry &operator*() const { return *entry_; }
        const CalloutEntry *operator->() const { return entry_.get(); }

    private:
        Callouts *registry_;
        std::shared_ptr<CalloutEntry> entry_;
    };

    Result<std::shared_ptr<CalloutEntry>> add(const CalloutSpec &spec, const void *driver = nullptr)
        EXCLUDES(mutex_);
    // The id that a registration of this key has or will get. Ids count from 1 and are not used
    // again for another key.
    std::uint32_t id_of(const Guid &key) EXCLUDES(mutex_);
    // The key whose id this is; null if it is none's.
    Guid key_of(std::uint32_t id) const EXCLUDES(mutex_);
    std::optional<Call> enter(std::uint32_t id) EXCLUDES(mutex_);
    std::shared_ptr<CalloutEntry> find(const Guid &key) const EXCLUDES(mutex_);
    std::shared_ptr<CalloutEntry> find(std::uint32_t id) const EXCLUDES(mutex_);
    std::vector<std::shared_ptr<CalloutEntry>> all() const EXCLUDES(mutex_);
    // True once per connection: the caller then tells sluiced.
    bool claim_announcement(CalloutEntry &entry, std::uint64_t connection) EXCLUDES(mutex_);

    // In two steps, so that sluiced hears of it between them: no new call enters after
    // begin_remove.
    Result<std::shared_ptr<CalloutEntry>> begin_remove(std::uint32_t id) EXCLUDES(mutex_);
    Result<std::shared_ptr<CalloutEntry>> begin_remove(const Guid &key) EXCLUDES(mutex_);
    void finish_remove(const std::shared_ptr<CalloutEntry> &entry) EXCLUDES(mutex_);

private:
    void leave(CalloutEntry &entry) EXCLUDES(mutex_);
    std::uint32_t id_of_locked(const Guid &key) REQUIRES(mutex_);

    mutable Mutex mutex_;
    Condition left_;
    std::map<std::uint32_t, std::shared_ptr<CalloutEntry>> by_id_ GUARDED_BY(mutex_);
    std::map<Guid, std::uint32_t> ids_ GUARDED_BY(mutex_);
};

} // namespace sluice::runtime
