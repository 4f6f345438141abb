// SPDX-License-Identifier: Apache-2.0
// Snapshots that callers page through. A handle belongs to the session that made it.
#pragma once

#include <algorithm>
#include <map>
#include <memory>

#include "fwp/objects.h"
#include "xsk/mutex.h"

namespace sluice::fwp {

class Enumerations {
public:
    enum class Kind {
        provider,
        provider_context,
        sublayer,
        callout,
        filter,
        layer,
        net_event,
        session
    };

    // The objects stay alive in `objects`; what they become is chosen by the page.
    HANDLE add(HANDLE session, Kind kind, std::shared_ptr<const void> objects, std::size_t count)
        EXCLUDES(mutex_);
    // `make` gets the objects. No output is written unless the result is STATUS_SUCCESS.
    template <typename Struct, typename Objects, typename Make>
    NTSTATUS page(HANDLE session, HANDLE handle, Kind kind, UINT32 wanted, Struct ***entries,
                  UINT32 *returned, Make make) EXCLUDES(mutex_) {
        Lock lock(mutex_);
        Snapshot *at = find(session, handle, kind);
        if (!at) return STATUS_INVALID_HANDLE;
        const auto &objects = *static_cast<const Objects *>(at->objects.get());
        const std::size_t count = std::min<std::size_t>(wanted, at->count - at->next);
        Struct **made = nullptr;
        if (count > 0)
            made = static_cast<Struct **>(runtime::one_allocation([&](runtime::Arena &arena) {
                auto **array = arena.make<Struct *>(count);
                for (std::size_t i = 0; i < count; ++i)
                    array[i] = make(arena, objects, at->next + i);
            }));
        at->next += count;
        *entries = made;
        *returned = static_cast<UINT32>(count);
        return STATUS_SUCCESS;
    }
    NTSTATUS remove(HANDLE session, HANDLE handle, Kind kind) EXCLUDES(mutex_);
    void end_session(HANDLE session) EXCLUDES(mutex_);

private:
    struct Snapshot {
        HANDLE session;
        Kind kind;
        std::shared_ptr<const void> objects;
        std::size_t count, next = 0;
    };
    Snapshot *find(HANDLE session, HANDLE handle, Kind kind) REQUIRES(mutex_);

    Mutex mutex_;
    std::uintptr_t last_ GUARDED_BY(mutex_) = 8; // sessions' are multiples of 16, subscriptions' +4
    std::map<std::uintptr_t, Snapshot> all_ GUARDED_BY(mutex_);
};

Enumerations &enumerations();

} // namespace sluice::fwp
